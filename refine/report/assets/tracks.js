'use strict';
// Values of each residue, aligned under the sequence.

const TRACK = { cell: 12, head: 46, height: 46, gap: 6 };
const TRACK_ORDER = [
  'confidence', 'input_confidence', 'input_confidence_file', 'input_confidence_ours', 'predicted_error', 'native_lddt',
  'native_distance', 'displacement', 'spread', 'disagreement', 'clashes',
];

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
  return inPoints(column) ? [0, 100] : [low, Math.max(high, 0)];
}

// Bands behind the letters of residues that stay fixed, and a line before each chain but the first.
function sequenceGround(svg, height) {
  for (const i of RESIDUES.frozen) {
    svg.append(shape('rect', { class: 'frozen', x: i * TRACK.cell, y: 31, width: TRACK.cell, height: 14 },
      shape('title', {}, `${residueName(i)} stays fixed`)));
  }
  for (let i = 1; i < LENGTH; i += 1) {
    if (RESIDUES.chain[i] === RESIDUES.chain[i - 1]) continue;
    const x = i * TRACK.cell;
    svg.append(shape('line', { class: 'border', x1: x, x2: x, y1: 0, y2: height }));
  }
}

function sequenceHead(svg) {
  const xs = Array.from({ length: LENGTH }, (_, i) => (i + 0.5) * TRACK.cell);
  svg.append(shape('text', { class: 'letters', x: xs.join(' '), y: 42, 'text-anchor': 'middle' }, RESIDUES.sequence));
  let free = -1;
  for (let i = 0; i < LENGTH; i += 1) {
    const starts = i === 0 || RESIDUES.chain[i] !== RESIDUES.chain[i - 1];
    if (starts) {
      const chain = shortened(RESIDUES.chains[RESIDUES.chain[i]], 24) || '(blank)';
      svg.append(shape('text', { class: 'strong', x: i * TRACK.cell + 2, y: 11 }, `chain ${chain}`));
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
  const bar = (v, i) =>
    `M${i * TRACK.cell + 1} ${base.toFixed(1)}V${y(v).toFixed(1)}h${TRACK.cell - 2}V${base.toFixed(1)}z`;
  return values.map((v, i) => (v === null || v === 0 ? '' : bar(v, i))).join('');
}

function drawTrackRow(svg, column, top) {
  const [low, high] = trackRange(column);
  const y = (v) => top + TRACK.height - ((v - low) / (high - low)) * TRACK.height;
  const model = chosenModel();
  const width = LENGTH * TRACK.cell;
  svg.append(shape('line', { class: 'axis', x1: 0, x2: width, y1: y(Math.max(low, 0)), y2: y(Math.max(low, 0)) }));
  const path = (d, style) => svg.append(shape('path', { d, style }));
  const [bars, line] = [model?.columns[column], INPUT?.columns[column]];
  if (bars) path(barPath(bars, y), 'fill:var(--accent);fill-opacity:.65');
  if (line) path(stepPath(line, y), 'fill:none;stroke:var(--text);stroke-opacity:.65;stroke-width:1');
  return [low, high];
}

function drawTracks() {
  const holder = part('tracks');
  if (!holder || !MODELS.length || !LENGTH) return;
  const columns = trackColumns();
  const names = element('div', { class: 'names' });
  const scroll = element('div', { class: 'scroll', tabindex: 0 });
  const readout = part('track-readout');
  holder.replaceChildren(names, scroll);
  let marker = null;
  const placeMarker = () => {
    marker.setAttribute('visibility', CHOICE.residue === null ? 'hidden' : 'visible');
    marker.setAttribute('x', (CHOICE.residue || 0) * TRACK.cell);
  };
  const draw = () => {
    const svg = trackPicture(names, columns);
    marker = svg.querySelector('.marker');
    const left = () => svg.getBoundingClientRect().left;
    const at = (event) => Math.min(LENGTH - 1, Math.max(0, Math.floor((event.clientX - left()) / TRACK.cell)));
    svg.addEventListener('pointermove', (event) => { readout.textContent = trackText(at(event), columns); });
    svg.addEventListener('click', (event) => choose({ residue: at(event) }));
    scroll.replaceChildren(svg);
    placeMarker();
  };
  watch((change) => {
    if ('model' in change) draw();
    if (!('residue' in change) || change.residue === null) return;
    placeMarker();
    readout.textContent = trackText(change.residue, columns);
    const x = change.residue * TRACK.cell;
    const outside = x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth - TRACK.cell;
    if (outside) scroll.scrollLeft = x - scroll.clientWidth / 2;
  });
  draw();
}

// The sequence and a row for each column, and beside it their names and ranges.
function trackPicture(names, columns) {
  const height = TRACK.head + columns.length * (TRACK.height + TRACK.gap) + 4;
  const svg = shape('svg', {
    width: LENGTH * TRACK.cell + 28, height, style: 'max-width:none',
    role: 'img', 'aria-label': 'values of each residue',
  });
  svg.append(shape('rect', {
    class: 'marker', y: 30, width: TRACK.cell, height: height - 30, style: 'fill:var(--native);fill-opacity:.28',
  }));
  sequenceGround(svg, height);
  sequenceHead(svg);
  const row = (high, title, text, small) =>
    element('div', { style: `height:${high}px`, title }, text, element('small', {}, small));
  names.replaceChildren(row(TRACK.head, '', 'Sequence', RESIDUES.frozen.length ? 'violet: stays fixed' : 'author numbers'));
  columns.forEach((column, k) => {
    const [low, high] = drawTrackRow(svg, column, TRACK.head + k * (TRACK.height + TRACK.gap) + TRACK.gap);
    const { name, unit } = label(column);
    const range = `${brief(low)} to ${brief(high)}${unit ? ` ${unit}` : ''}`;
    names.append(row(TRACK.height + TRACK.gap, `${name} ${unit}`, name, range));
  });
  return svg;
}

function trackText(i, columns) {
  const model = chosenModel();
  const values = columns.filter((c) => model.columns[c]).map((c) => `${label(c).name} ${brief(model.columns[c][i])}`);
  return `${residueName(i)}: ${values.join(' · ')}`;
}
