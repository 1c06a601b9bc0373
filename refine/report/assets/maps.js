'use strict';
// Residue-pair maps of the ensemble and the histogram of one pair.

const UNKNOWN = 65535;
const PAIRS = { maps: [], histogram: null };

// Place of the pair (i < j) in an upper triangle of n rows.
function triangle(i, j, n) {
  return i * n - (i * (i + 1)) / 2 + (j - i - 1);
}

async function loadMaps() {
  const packedMaps = DATA.maps;
  const maps = {};
  for (const name of ['mean', 'std', 'start', 'native', 'location', 'scale', 'contact']) {
    if (!packedMaps[name]) continue;
    const raw = await unpack(packedMaps[name], Uint16Array);
    const step = name === 'contact' ? 1e-4 : packedMaps.step;
    maps[name] = Float32Array.from(raw, (v) => (v === UNKNOWN ? NaN : v * step));
  }
  const minus = (a, b) => (a && b ? a.map((v, k) => v - b[k]) : null);
  maps.difference = minus(maps.mean, maps.start);
  maps.error = minus(maps.mean, maps.native);
  if (packedMaps.histograms) {
    maps.histograms = await unpack(packedMaps.histograms, Uint8Array);
    maps.begin = new Uint32Array(maps.mean.length);
    for (let k = 0, at = 0; k < maps.begin.length; k += 1) {
      maps.begin[k] = at;
      at += 2 + maps.histograms[at + 1];
    }
  }
  return maps;
}

function percentile(values, share) {
  const sizes = Array.from(values).filter((v) => !Number.isNaN(v)).map(Math.abs).sort((a, b) => a - b);
  return sizes.length ? sizes[Math.min(sizes.length - 1, Math.floor(share * sizes.length))] : 1;
}

function mapKinds(maps) {
  const limit = (values) => Math.max(0.2, percentile(values, 0.99));
  const spread = (title, values) => ({ title, values, scale: VIRIDIS, low: 0, high: limit(values), unit: 'Å' });
  const signed = (title, values) =>
    ({ title, values, scale: DIVERGING, low: -limit(values), high: limit(values), unit: 'Å' });
  const far = percentile(maps.mean, 1);
  const kinds = [
    { title: 'Mean distance', values: maps.mean, scale: (t) => VIRIDIS(1 - t), low: 0, high: far, unit: 'Å' },
    spread('Spread (standard deviation)', maps.std),
  ];
  if (maps.difference) kinds.push(signed('Mean − input', maps.difference));
  if (maps.error) kinds.push(signed('Mean − native', maps.error));
  if (maps.scale) kinds.push(spread('Calibrated width', maps.scale));
  if (maps.contact) {
    kinds.push({ title: 'Contact probability (8 Å)', values: maps.contact, scale: VIRIDIS, low: 0, high: 1, unit: '' });
  }
  return kinds;
}

function paintMap(kind, n) {
  const picture = element('canvas', { width: n, height: n });
  const context = picture.getContext('2d');
  const image = context.createImageData(n, n);
  for (let i = 0; i < n; i += 1) {
    for (let j = i; j < n; j += 1) {
      const value = i === j ? (kind.unit === 'Å' ? 0 : 1) : kind.values[triangle(i, j, n)];
      const rgb = Number.isNaN(value) ? [128, 128, 128] : kind.scale((value - kind.low) / (kind.high - kind.low || 1));
      for (const at of [4 * (i * n + j), 4 * (j * n + i)]) {
        image.data.set(rgb, at);
        image.data[at + 3] = 255;
      }
    }
  }
  context.putImageData(image, 0, 0);
  return picture;
}

function mapFigure(kind, maps) {
  const n = DATA.maps.points;
  const picture = paintMap(kind, n);
  const words = `${kind.title}, ${n} × ${n}; arrow keys move the pair`;
  const canvas = element('canvas', { tabindex: 0, role: 'img', 'aria-label': words });
  const readout = element('div', { class: 'readout note' });
  const holder = element('div');
  holder.append(canvas);
  const geometry = { left: 46, top: 6, size: 0 };
  const draw = drawnInTheme(holder, (width) => {
    const whole = Math.min(width, 460);
    const ratio = window.devicePixelRatio || 1;
    geometry.size = whole - geometry.left - 16;
    const height = geometry.size + geometry.top + 24;
    canvas.width = Math.round(whole * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${whole}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, whole, height);
    context.imageSmoothingEnabled = geometry.size < n;
    context.drawImage(picture, geometry.left, geometry.top, geometry.size, geometry.size);
    mapAxes(context, geometry);
    if (CHOICE.pair) crosshair(context, geometry, n);
  });
  const pairAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = (p, start) => Math.floor(((p - start) / geometry.size) * n);
    const [j, i] = [at(event.clientX - box.left, geometry.left), at(event.clientY - box.top, geometry.top)];
    return i < 0 || j < 0 || i >= n || j >= n || i === j ? null : [i, j];
  };
  canvas.addEventListener('pointermove', (event) => {
    const pair = pairAt(event);
    const value = pair && kind.values[triangle(Math.min(...pair), Math.max(...pair), n)];
    readout.textContent = pair ? `${pairName(pair)}: ${fixed(value)} ${kind.unit}` : '';
  });
  canvas.addEventListener('click', (event) => { const pair = pairAt(event); if (pair) choose({ pair }); });
  canvas.addEventListener('keydown', (event) => movePair(event, n));
  PAIRS.maps.push(draw);
  const bar = scaleBar(kind.scale, kind.low, kind.high, kind.unit);
  return element('figure', { class: 'map' }, element('h3', {}, kind.title), holder, readout, bar);
}

function movePair(event, n) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step || !CHOICE.pair) return;
  event.preventDefault();
  const next = CHOICE.pair.map((v, k) => Math.min(Math.max(v + step[k], 0), n - 1));
  if (next[0] === next[1]) next[step[0] ? 0 : 1] += step[0] + step[1];
  if (next.every((v) => v >= 0 && v < n)) choose({ pair: next });
}

function mapAxes(context, { left, top, size }) {
  const block = DATA.maps.block;
  context.fillStyle = colour('muted');
  context.strokeStyle = colour('line');
  context.font = '11px system-ui, sans-serif';
  context.strokeRect(left, top, size, size);
  const many = RESIDUES.chains.length > 1;
  for (const i of roundResidues(Math.max(2, Math.floor(size / 40)))) {
    const at = (((i + 0.5) / block) * size) / DATA.maps.points;
    const chain = RESIDUES.chains[RESIDUES.chain[i]].slice(0, 2);
    const text = `${many && chain ? `${chain}:` : ''}${RESIDUES.numbers[i]}`;
    context.textAlign = 'right';
    context.fillText(text, left - 5, top + at + 4);
    context.textAlign = 'center';
    context.fillText(text, left + at, top + size + 15);
  }
  for (let i = 1; i < LENGTH; i += 1) {
    if (RESIDUES.chain[i] === RESIDUES.chain[i - 1]) continue;
    const at = ((i / block) * size) / DATA.maps.points;
    context.strokeStyle = 'rgba(255,255,255,.75)';
    context.beginPath();
    context.moveTo(left + at, top); context.lineTo(left + at, top + size);
    context.moveTo(left, top + at); context.lineTo(left + size, top + at);
    context.stroke();
  }
}

// Residues with a round author number, about `count` of them; evenly spaced ones where the numbers are not round.
function roundResidues(count) {
  for (const step of [10, 20, 50, 100, 200, 500, 1000]) {
    const isRound = (number) => /^-?\d+$/.test(number) && Number(number) % step === 0;
    const round = RESIDUES.numbers.flatMap((number, i) => (isRound(number) ? [i] : []));
    if (round.length >= 2 && round.length <= count) return round;
  }
  return Array.from({ length: count }, (_, k) => Math.min(LENGTH - 1, Math.round(((k + 0.5) * LENGTH) / count)));
}

function crosshair(context, { left, top, size }, n) {
  const [i, j] = CHOICE.pair.map((v) => ((v + 0.5) * size) / n);
  for (const [width, paint] of [[3, 'rgba(0,0,0,.7)'], [1.4, '#ffffff']]) {
    context.lineWidth = width;
    context.strokeStyle = paint;
    context.beginPath();
    context.arc(left + j, top + i, 6, 0, 2 * Math.PI);
    context.stroke();
  }
  context.lineWidth = 1;
}

function pairName([i, j]) {
  const block = DATA.maps.block;
  const last = (k) => Math.min(LENGTH, (k + 1) * block) - 1;
  const name = (k) => (block === 1 ? residueName(k) : `${residueName(k * block)} … ${residueName(last(k))}`);
  return `${name(i)} – ${name(j)}`;
}

// The pair that moved most, near enough for the histogram and not along the chain.
function firstPair(maps) {
  const n = DATA.maps.points;
  const by = maps.difference || maps.std;
  let best = [0, n - 1];
  let most = -1;
  for (let i = 0; i < n; i += 1) {
    for (let j = i + 4; j < n; j += 1) {
      const k = triangle(i, j, n);
      if (maps.mean[k] < 16 && Math.abs(by[k]) > most) { most = Math.abs(by[k]); best = [i, j]; }
    }
  }
  return best;
}

function drawHistogram(maps) {
  const holder = part('histogram');
  const [i, j] = [Math.min(...CHOICE.pair), Math.max(...CHOICE.pair)];
  const k = triangle(i, j, DATA.maps.points);
  const facts = [`mean ${fixed(maps.mean[k])} Å`, `spread ${fixed(maps.std[k])} Å`];
  if (maps.start) facts.push(`input ${fixed(maps.start[k])} Å`);
  if (maps.native) facts.push(`native ${fixed(maps.native[k])} Å`);
  const title = element('h3', {}, pairName([i, j]));
  const { effective } = DATA.maps;
  const worth = effective ? `, as good as ${effective} independent one${effective === 1 ? '' : 's'}` : '';
  const note = () => element('p', { class: 'note' }, `${facts.join(' · ')}. ${DATA.maps.frames} snapshots${worth}.`);
  if (!maps.histograms) {
    const long = 'Histograms of so long a protein are not in this page; rpdd.npz has what there is.';
    const why = DATA.maps.block > 1 ? long : 'rpdd.npz holds no histograms.';
    holder.replaceChildren(title, note(), element('p', { class: 'note' }, why));
    return;
  }
  const at = maps.begin[k];
  const [first, count] = [maps.histograms[at], maps.histograms[at + 1]];
  const shares = Array.from({ length: count }, (_, b) => [first + b, maps.histograms[at + 2 + b] / 255]);
  const expected = maps.location ? studentBins(maps.location[k], maps.scale[k], DATA.maps.freedom) : null;
  if (expected) facts.push(`calibrated ${fixed(maps.location[k])} ± ${fixed(maps.scale[k])} Å`);
  const plot = element('div');
  const lines = [
    ['snapshots', colour('accent'), shares], ['calibrated', SERIES[3], expected],
    ['input', colour('input'), maps.start], ['native', colour('native'), maps.native],
  ];
  holder.replaceChildren(title, plot, swatches(lines.filter(([, , values]) => values)), note());
  histogramPlot(plot, shares, expected, [['input', maps.start?.[k]], ['native', maps.native?.[k]]]);
}

// Probability of each bin under Student's t at `location` with `scale`, cut to positive distances.
function studentBins(location, scale, freedom) {
  const edges = [0, ...DATA.maps.edges, Math.max(40, location + 60 * scale)];
  const density = (d) => (1 + ((d - location) / scale) ** 2 / freedom) ** (-(freedom + 1) / 2);
  const mass = edges.slice(1).map((to, b) => {
    const parts = b === 0 || b === edges.length - 2 ? 400 : 16;
    const width = (to - edges[b]) / parts;
    let sum = 0;
    for (let p = 0; p < parts; p += 1) sum += density(edges[b] + (p + 0.5) * width) * width;
    return sum;
  });
  const total = mass.reduce((a, b) => a + b, 0);
  return mass.map((m) => m / total);
}

function histogramPlot(plot, shares, expected, marks) {
  const edges = DATA.maps.edges;
  const step = edges[1] - edges[0];
  const width = Math.min(plot.clientWidth || 360, 460);
  const height = 240;
  const box = frame(width, height, 44);
  const sx = linear(edges[0] - step, edges[edges.length - 1] + step, box.left, box.right);
  const top = Math.max(...shares.map((s) => s[1]), ...(expected || []), 0.05) * 1.1;
  const sy = linear(0, top, box.bottom, box.top);
  const svg = shape('svg', { width, height, role: 'img', 'aria-label': 'histogram of the distance' });
  axes(svg, box, sx, sy, { x: 'distance (Å); the last bin is open', y: 'probability' });
  for (const [bin, share] of shares) {
    const from = sx.at(edges[0] + (bin - 1) * step);
    const wide = Math.max(sx.at(edges[0] + bin * step) - from - 1, 1);
    svg.append(shape('rect', {
      x: from + 0.5, y: sy.at(share), width: wide, height: box.bottom - sy.at(share), style: 'fill:var(--accent)',
    }));
  }
  if (expected) {
    const path = expected.map((share, bin) => {
      const end = sx.at(edges[0] + bin * step).toFixed(1);
      return `${bin ? 'V' : `M${box.left} `}${sy.at(share).toFixed(1)}H${end}`;
    });
    svg.append(shape('path', { d: path.join(''), fill: 'none', stroke: SERIES[3], 'stroke-width': 1.6 }));
  }
  for (const [name, value] of marks) {
    if (value === null || value === undefined || Number.isNaN(value)) continue;
    const x = sx.at(Math.min(value, sx.high));
    const style = `stroke:var(--${name});stroke-width:2;stroke-dasharray:5 3`;
    const title = shape('title', {}, `${name} ${fixed(value)} Å`);
    svg.append(shape('line', { x1: x, x2: x, y1: box.top, y2: box.bottom, style }, title));
  }
  plot.replaceChildren(svg);
}

async function drawMaps() {
  const holder = part('maps');
  if (!holder || !DATA.maps) return;
  const maps = await loadMaps();
  for (const kind of mapKinds(maps)) holder.append(mapFigure(kind, maps));
  holder.append(element('figure', { id: 'histogram', 'aria-live': 'polite' }));
  PAIRS.maps.forEach((draw) => draw());
  watch((change) => {
    if (!('pair' in change)) return;
    PAIRS.maps.forEach((draw) => draw());
    drawHistogram(maps);
  });
  choose({ pair: firstPair(maps) });
  let last = 0;
  const histogram = part('histogram');
  new ResizeObserver(() => {
    if (Math.abs(histogram.clientWidth - last) <= 2) return;
    last = histogram.clientWidth;
    drawHistogram(maps);
  }).observe(histogram);
}
