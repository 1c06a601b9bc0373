'use strict';
// Elements, numbers, colours and line charts: what the report and the pages of the app draw with. It knows no data.
// Text from files only ever becomes text nodes or attribute values, never markup.

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'style') node.style.cssText = value;
    else if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

// Deflated little-endian numbers in base64, as encode.py packs them.
async function unpack(text, Kind) {
  if (!text) return new Kind(0);
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Kind(await new Response(stream).arrayBuffer());
}

function ramp(stops) {
  const rgb = stops.map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  return (t) => {
    const x = Math.min(Math.max(t, 0), 1) * (rgb.length - 1);
    const k = Math.min(Math.floor(x), rgb.length - 2);
    return rgb[k].map((value, c) => Math.round(value + (x - k) * (rgb[k + 1][c] - value)));
  };
}

function hex([r, g, b]) {
  return `#${[r, g, b].map((v) => v.toString(16).padStart(2, '0')).join('')}`;
}

const VIRIDIS = ramp(['#440154', '#46327e', '#365c8d', '#277f8e', '#1fa187', '#4ac16d', '#a0da39', '#fde725']);
const HEAT = ramp(['#2d6fb3', '#8fb8d8', '#e8dfc8', '#eda35e', '#c8372d']);
// AlphaFold's bands of confidence: from 0.9, 0.7, 0.5 and 0 on.
const BANDS = (t) => (t >= 0.9 ? [0, 83, 214] : t >= 0.7 ? [101, 203, 243] : t >= 0.5 ? [255, 219, 19] : [255, 125, 69]);
const DIVERGING = ramp(['#2166ac', '#67a9cf', '#f2f2f0', '#ef8a62', '#b2182b']);
const SERIES = [
  '#0b7a75', '#c8553d', '#4668b0', '#9063a8', '#a07c00', '#5b8c3e', '#b0487b', '#6b7680', '#2f9bc4', '#8a5a3c',
];

function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function fixed(value, digits = 2) {
  return value === null || value === undefined || Number.isNaN(value) ? '–' : value.toFixed(digits).replace('-', '−');
}

function brief(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const size = Math.abs(value);
  return fixed(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const values = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) {
    values.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  }
  return values;
}

function tickText(value) {
  return String(+value.toFixed(6)).replace('-', '−');
}

// Calls draw(width) whenever the width of the container changes; gives a function that draws at the width it has now.
function drawn(container, draw) {
  let last = 0;
  const again = () => { if (container.clientWidth > 0) draw(container.clientWidth); };
  new ResizeObserver(() => {
    if (Math.abs(container.clientWidth - last) < 2) return;
    last = container.clientWidth;
    again();
  }).observe(container);
  return again;
}

function swatches(items) {
  return element('div', { class: 'legend' }, ...items.map(([name, paint]) =>
    element('span', {}, element('i', { class: 'swatch', style: `background:${paint}` }), name)));
}

function scaleBar(scale, low, high, unit) {
  const stops = Array.from({ length: 101 }, (_, k) => `${hex(scale(k / 100))} ${k}%`).join(','); // bands stay sharp
  return element('div', { class: 'scale' },
    element('div', { class: 'bar', style: `background:linear-gradient(90deg,${stops})` }),
    element('div', { class: 'ends' },
      element('span', {}, low === 0 ? '0' : brief(low)), element('span', {}, unit), element('span', {}, brief(high))));
}

function axes(svg, box, x, y, labels) {
  for (const v of ticks(x.low, x.high, Math.max(2, Math.floor(box.width / 70)))) {
    svg.append(shape('text', { x: x.at(v), y: box.bottom + 15, 'text-anchor': 'middle' }, tickText(v)));
    svg.append(shape('line', { class: 'axis', x1: x.at(v), x2: x.at(v), y1: box.bottom, y2: box.bottom + 4 }));
  }
  for (const v of ticks(y.low, y.high, Math.max(2, Math.floor(box.height / 38)))) {
    svg.append(shape('line', { class: 'grid', x1: box.left, x2: box.right, y1: y.at(v), y2: y.at(v) }));
    svg.append(shape('text', { x: box.left - 6, y: y.at(v) + 4, 'text-anchor': 'end' }, tickText(v)));
  }
  svg.append(shape('path', { class: 'axis', d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }));
  svg.append(shape('text', { x: (box.left + box.right) / 2, y: box.bottom + 30, 'text-anchor': 'middle' }, labels.x));
  svg.append(shape('text', { x: 4, y: box.top - 8 }, labels.y));
}

function frame(width, height, left = 48) {
  const box = { left, right: width - 16, top: 22, bottom: height - 36 };
  box.width = box.right - box.left;
  box.height = box.bottom - box.top;
  return box;
}

function linear(low, high, from, to) {
  return {
    low, high,
    at: (v) => from + ((v - low) / (high - low || 1)) * (to - from),
    back: (p) => low + ((p - from) / (to - from)) * (high - low),
  };
}

// series: [{name, values, paint}]; x: values in common. The limits leave out the first, violent steps beyond the 2nd
// percentile.
function lineChart(holder, x, series, labels, height) {
  const readout = element('div', { class: 'readout note' });
  const plot = element('div');
  holder.replaceChildren(plot, readout, series.length > 1 ? swatches(series.map((s) => [s.name, s.paint])) : '');
  const values = series.flatMap((s) => s.values.filter((v) => v !== null)).sort((a, b) => a - b);
  if (!values.length) return;
  const low = values[0];
  const high = Math.max(values[Math.ceil((values.length - 1) * 0.98)], low + 1e-6);
  const pad = (high - low) * 0.06 || 1;
  drawn(plot, (width) => {
    const box = frame(width, height, 52);
    const sx = linear(x[0], x[x.length - 1], box.left, box.right);
    const sy = linear(Math.min(low - pad, high), high + pad, box.bottom, box.top);
    const svg = shape('svg', { width, height, role: 'img', 'aria-label': `${labels.y} against ${labels.x}` });
    axes(svg, box, sx, sy, labels);
    for (const s of series) {
      const points = x.map((v, k) => [v, s.values[k]]).filter((p) => p[1] !== null);
      const places = points.map(([v, w]) => `${sx.at(v).toFixed(1)} ${Math.max(sy.at(w), box.top - 6).toFixed(1)}`);
      svg.append(shape('path', {
        d: `M${places.join('L')}`, fill: 'none', stroke: s.paint, 'stroke-width': 1.5, 'stroke-linejoin': 'round',
      }));
    }
    const cursor = shape('line', { class: 'axis', y1: box.top, y2: box.bottom, visibility: 'hidden' });
    svg.append(cursor);
    svg.addEventListener('pointermove', (event) => {
      const at = sx.back(event.clientX - svg.getBoundingClientRect().left);
      const k = x.reduce((best, v, i) => (Math.abs(v - at) < Math.abs(x[best] - at) ? i : best), 0);
      cursor.setAttribute('x1', sx.at(x[k]));
      cursor.setAttribute('x2', sx.at(x[k]));
      cursor.setAttribute('visibility', 'visible');
      readout.textContent = `${labels.x} ${x[k]}: ${series.map((s) => `${s.name} ${brief(s.values[k])}`).join(', ')}`;
    });
    plot.replaceChildren(svg);
  })();
}
