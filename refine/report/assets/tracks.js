'use strict';
// Values of each residue, aligned under the sequence.

const TRACK = { cell: 12, head: 46, height: 46, gap: 6 };
const TRACK_ORDER = ['confidence', 'predicted_error', 'native_lddt', 'native_distance', 'displacement', 'spread', 'disagreement', 'clashes'];

function trackColumns() {
  const columns = [...new Set(MODELS.flatMap((s) => Object.keys(s.columns)))];
  const rank = (c) => (TRACK_ORDER.includes(c) ? TRACK_ORDER.indexOf(c) : TRACK_ORDER.length);
  const varies = (c) => MODELS.some((s) => s.columns[c] && s.columns[c].some((v) => v));
  return columns.filter(varies).sort((a, b) => rank(a) - rank(b));
}

function trackRange(column) {
  const values = [...MODELS, INPUT].filter(Boolean).flatMap((s) => s.columns[column] || []).filter((v) => v !== null);
  const low = Math.min(0, ...values);
  const high = Math.max(...values, low + 1e-6);
  return column === 'confidence' ? [0, 100] : column === 'native_lddt' ? [0, 1] : [low, Math.max(high, 0)];
}

function sequenceHead(svg) {
  const xs = Array.from({ length: LENGTH }, (_, i) => (i + 0.5) * TRACK.cell);
  svg.append(shape('text', { class: 'letters', x: xs.join(' '), y: 42, 'text-anchor': 'middle' }, RESIDUES.sequence));
  let free = -1;
  for (let i = 0; i < LENGTH; i += 1) {
    const starts = i === 0 || RESIDUES.chain[i] !== RESIDUES.chain[i - 1];
    if (starts) {
      const chain = RESIDUES.chains[RESIDUES.chain[i]];
      svg.append(shape('text', { class: 'strong', x: i * TRACK.cell + 2, y: 11 }, chain === '' ? 'chain (blank)' : `chain ${shortened(chain, 24)}`));
    }
    const number = RESIDUES.numbers[i];
    const x = xs[i] - (starts ? TRACK.cell / 2 - 2 : 0);
    if ((starts || /0$/.test(number)) && x > free) {
      svg.append(shape('text', { x, y: 26, 'text-anchor': starts ? 'start' : 'middle' }, number));
      free = x + 7 * number.length + 8;
    }
  }
}

// A step line through the known values; gaps stay gaps.
function stepPath(values, y) {
  let path = '';
  let on = false;
  values.forEach((v, i) => {
    if (v === null) { on = false; return; }
    path += `${on ? 'L' : 'M'}${i * TRACK.cell} ${y(v).toFixed(1)}H${(i + 1) * TRACK.cell}`;
    on = true;
  });
  return path;
}

function barPath(values, y) {
  const base = y(0);
  return values.map((v, i) => (v === null || v === 0 ? '' : `M${i * TRACK.cell + 1} ${base.toFixed(1)}V${y(v).toFixed(1)}h${TRACK.cell - 2}V${base.toFixed(1)}z`)).join('');
}

function drawTrackRow(svg, column, top) {
  const [low, high] = trackRange(column);
  const y = (v) => top + TRACK.height - ((v - low) / (high - low)) * TRACK.height;
  const model = chosenModel();
  const width = LENGTH * TRACK.cell;
  svg.append(shape('line', { class: 'axis', x1: 0, x2: width, y1: y(Math.max(low, 0)), y2: y(Math.max(low, 0)) }));
  if (model && model.columns[column]) svg.append(shape('path', { d: barPath(model.columns[column], y), style: 'fill:var(--accent);fill-opacity:.65' }));
  if (INPUT && INPUT.columns[column]) svg.append(shape('path', { d: stepPath(INPUT.columns[column], y), style: 'fill:none;stroke:var(--text);stroke-opacity:.65;stroke-width:1' }));
  return [low, high];
}

function drawTracks() {
  const holder = part('tracks');
  if (!holder || !MODELS.length || !LENGTH) return;
  const columns = trackColumns();
  const names = element('div', { class: 'names' });
  const scroll = element('div', { class: 'scroll', tabindex: 0 });
  const readout = part('track-readout');
  const height = TRACK.head + columns.length * (TRACK.height + TRACK.gap) + 4;
  holder.replaceChildren(names, scroll);
  let marker = null;
  const place = () => { if (marker) { marker.setAttribute('visibility', CHOICE.residue === null ? 'hidden' : 'visible'); marker.setAttribute('x', (CHOICE.residue || 0) * TRACK.cell); } };
  const draw = () => {
    const svg = shape('svg', { width: LENGTH * TRACK.cell + 28, height, style: 'max-width:none', role: 'img', 'aria-label': 'values of each residue' });
    marker = shape('rect', { y: 30, width: TRACK.cell, height: height - 30, style: 'fill:var(--native);fill-opacity:.28' });
    svg.append(marker);
    sequenceHead(svg);
    names.replaceChildren(element('div', { style: `height:${TRACK.head}px` }, 'Sequence', element('small', {}, 'author numbers')));
    columns.forEach((column, k) => {
      const [low, high] = drawTrackRow(svg, column, TRACK.head + k * (TRACK.height + TRACK.gap) + TRACK.gap);
      const { name, unit } = label(column);
      names.append(element('div', { style: `height:${TRACK.height + TRACK.gap}px`, title: `${name} ${unit}` }, name, element('small', {}, `${brief(low)} to ${brief(high)}${unit ? ` ${unit}` : ''}`)));
    });
    const at = (event) => Math.min(LENGTH - 1, Math.max(0, Math.floor((event.clientX - svg.getBoundingClientRect().left) / TRACK.cell)));
    svg.addEventListener('pointermove', (event) => { readout.textContent = tellTrack(at(event), columns); });
    svg.addEventListener('click', (event) => choose({ residue: at(event) }));
    scroll.replaceChildren(svg);
    place();
  };
  watch((change) => {
    if ('model' in change) draw();
    if ('residue' in change && change.residue !== null) {
      place();
      readout.textContent = tellTrack(change.residue, columns);
      const x = change.residue * TRACK.cell;
      if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth - TRACK.cell) scroll.scrollLeft = x - scroll.clientWidth / 2;
    }
  });
  draw();
}

function tellTrack(i, columns) {
  const model = chosenModel();
  return `${residueName(i)}: ${columns.filter((c) => model.columns[c]).map((c) => `${label(c).name} ${brief(model.columns[c][i])}`).join(' · ')}`;
}
