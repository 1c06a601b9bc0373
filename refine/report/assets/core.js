'use strict';
// Data, elements, colours and the selection that all parts of the page share.
// Text from files only ever becomes text nodes or attribute values, never markup.

const DATA = JSON.parse(document.getElementById('data').textContent);
const RESIDUES = DATA.residues;
const LENGTH = RESIDUES.sequence.length;

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'style') made.style.cssText = value;
    else if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

// Deflated little-endian numbers in base64, as encode.py packs them.
async function unpack(text, Kind) {
  if (!text) return new Kind(0);
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Kind(await new Response(stream).arrayBuffer());
}

function colour(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${variable}`).trim();
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
const TRUST = ramp(['#d6401f', '#ef8a3c', '#f2cf52', '#5fb4d4', '#1f4fb0']);
const DIVERGING = ramp(['#2166ac', '#67a9cf', '#f2f2f0', '#ef8a62', '#b2182b']);
const SERIES = ['#0b7a75', '#c8553d', '#4668b0', '#9063a8', '#a07c00', '#5b8c3e', '#b0487b', '#6b7680', '#2f9bc4', '#8a5a3c'];

// Columns of per_residue.csv with a name for people; others are shown under their own name.
const LABELS = {
  confidence: ['Confidence', ''], predicted_error: ['Predicted error', 'Å'], spread: ['Spread of ensemble', 'Å'],
  displacement: ['Displacement', 'Å'], clashes: ['Clashes', ''], native_lddt: ['lDDT to native', ''],
  native_distance: ['CA to native', 'Å'], disagreement: ['Network disagreement', ''],
};

function label(column) {
  const [name, unit] = LABELS[column] || [column.replaceAll('_', ' '), 'kcal/mol'];
  return { name, unit };
}

function residueName(i) {
  const chain = shortened(RESIDUES.chains[RESIDUES.chain[i]], 12);
  return `${chain === '' ? '' : `${chain} `}${DATA.names[RESIDUES.sequence[i]] || RESIDUES.sequence[i]} ${RESIDUES.numbers[i]}`;
}

function shortened(text, most) {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function structureLabel(name) {
  return name.replaceAll('_', ' ');
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
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return found;
}

const MODELS = DATA.structures.filter((s) => s.name !== 'input' && s.name !== 'native');
const INPUT = DATA.structures.find((s) => s.name === 'input') || null;
const NATIVE = DATA.structures.find((s) => s.name === 'native') || null;
const CHOICE = { model: MODELS.length ? MODELS[0].name : null, residue: null, pair: null };
const WATCHERS = [];

function watch(listener) {
  WATCHERS.push(listener);
}

function choose(change) {
  Object.assign(CHOICE, change);
  for (const listener of WATCHERS) listener(change);
}

function chosenModel() {
  return MODELS.find((s) => s.name === CHOICE.model) || null;
}

// Calls draw(width) now and whenever the width of the container changes, or the theme.
function drawn(container, draw) {
  let last = 0;
  const again = () => { if (container.clientWidth > 0) draw(container.clientWidth); };
  new ResizeObserver(() => {
    if (Math.abs(container.clientWidth - last) < 2) return;
    last = container.clientWidth;
    again();
  }).observe(container);
  document.addEventListener('theme', again);
  return again;
}

function swatches(items) {
  return element('div', { class: 'legend' }, ...items.map(([name, paint]) =>
    element('span', {}, element('i', { class: 'swatch', style: `background:${paint}` }), name)));
}

function scaleBar(scale, low, high, unit) {
  const stops = Array.from({ length: 9 }, (_, k) => `${hex(scale(k / 8))} ${(k / 8) * 100}%`).join(',');
  return element('div', { class: 'scale' },
    element('div', { class: 'bar', style: `background:linear-gradient(90deg,${stops})` }),
    element('div', { class: 'ends' }, element('span', {}, `${brief(low)}`), element('span', {}, unit), element('span', {}, `${brief(high)}`)));
}
