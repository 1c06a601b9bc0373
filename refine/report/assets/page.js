'use strict';
// What the parts of the report share: DATA as payload.py makes it, ROOT the element that holds the parts, and the
// selection. Both are given to drawReport, the function that page.py puts around this and the following files.

const RESIDUES = DATA.residues;
const LENGTH = RESIDUES.sequence.length;

function part(id) {
  return ROOT.querySelector(`#${id}`);
}

function colour(variable) {
  return getComputedStyle(ROOT).getPropertyValue(`--${variable}`).trim();
}

// As `drawn`, and anew when the theme changes.
function drawnInTheme(container, draw) {
  const again = drawn(container, draw);
  ROOT.addEventListener('theme', again);
  return again;
}

// Columns of per_residue.csv with a name for people; others are shown under their own name.
const LABELS = {
  confidence: ['Confidence', ''], predicted_error: ['Predicted error', 'Å'], spread: ['Spread of ensemble', 'Å'],
  displacement: ['Displacement', 'Å'], clashes: ['Clashes', ''], native_lddt: ['lDDT to native', ''],
  native_distance: ['CA to native', 'Å'], disagreement: ['Network disagreement', ''],
  input_confidence: ['Confidence of input', ''], input_confidence_file: ['Input: the file’s own', ''],
  input_confidence_ours: ['Input: refine’s own', ''], temperature: ['Temperature', 'K'],
};

function label(column) {
  const [name, unit] = LABELS[column] || [column.replaceAll('_', ' '), 'kcal/mol'];
  return { name, unit };
}

function residueName(i) {
  const chain = shortened(RESIDUES.chains[RESIDUES.chain[i]], 12);
  const name = DATA.names[RESIDUES.sequence[i]] || RESIDUES.sequence[i];
  return `${chain === '' ? '' : `${chain} `}${name} ${RESIDUES.numbers[i]}`;
}

function structureLabel(name) {
  return name.replaceAll('_', ' ');
}

const MODELS = DATA.structures.filter((s) => s.name !== 'input' && s.name !== 'native');
const INPUT = DATA.structures.find((s) => s.name === 'input') || null;
const NATIVE = DATA.structures.find((s) => s.name === 'native') || null;
const CHOICE = { model: DATA.model || (MODELS.length ? MODELS[0].name : null), residue: null, pair: null };
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
