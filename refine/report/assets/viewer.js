'use strict';
// The 3-D view. 3Dmol gets made-up chain letters and serial numbers, never a name from the file.

const VIEW = { viewer: null, models: {}, shown: new Set(), places: {}, mark: null };
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

async function pdbText(structure) {
  const sequence = structure.sequence || RESIDUES.sequence;
  const chain = structure.chains ? structure.chains.map((c) => [...new Set(structure.chains)].indexOf(c)) : RESIDUES.chain;
  const mask = await unpack(structure.mask, Uint16Array);
  const xyz = await unpack(structure.xyz, Int16Array);
  const lines = [];
  const places = [];
  let at = 0;
  for (let i = 0; i < sequence.length; i += 1) {
    DATA.atoms[sequence[i]].forEach((name, slot) => {
      if (!(mask[i] & (1 << slot))) return;
      const point = [0, 1, 2].map((c) => xyz[3 * at + c] * DATA.scale);
      at += 1;
      if (name === 'CA') places[i] = point;
      lines.push(`ATOM  ${String(at % 100000).padStart(5)}  ${name.padEnd(3)} ${DATA.names[sequence[i]]} ${LETTERS[chain[i] % 52]}${String((i + 1) % 10000).padStart(4)}    `
        + `${point.map((v) => v.toFixed(3).padStart(8)).join('')}  1.00  0.00           ${name[0]}`);
    });
  }
  return { text: lines.join('\n'), places };
}

function columnsOfView() {
  const first = chosenModel();
  return first ? Object.keys(first.columns) : [];
}

function rangeOf(column) {
  const values = MODELS.flatMap((s) => s.columns[column] || []).filter((v) => v !== null);
  if (column === 'confidence') return [40, 100];
  if (column === 'native_lddt') return [0, 1];
  if (!values.length) return [0, 1];
  values.sort((a, b) => a - b);
  const [low, high] = [values[Math.floor(values.length * 0.02)], values[Math.ceil(values.length * 0.98) - 1]];
  return low >= 0 ? [0, Math.max(high, 0.1)] : [low, Math.max(high, low + 1e-3)];
}

function scaleOf(column) {
  return column === 'confidence' || column === 'native_lddt' ? TRUST : HEAT;
}

function paintOf(structure) {
  if (structure.name === 'input') return colour('input');
  if (structure.name === 'native') return colour('native');
  return SERIES[MODELS.indexOf(structure) % SERIES.length];
}

function restyle() {
  const column = document.getElementById('view-colour').value;
  const style = document.getElementById('view-style').value;
  const [low, high] = rangeOf(column);
  for (const structure of DATA.structures) {
    const model = VIEW.models[structure.name];
    if (!model) continue;
    const values = structure.columns[column];
    const plain = paintOf(structure);
    const byValue = column !== 'structure' && values && MODELS.includes(structure);
    const colorfunc = byValue
      ? (atom) => { const v = values[atom.resi - 1]; return v === null || v === undefined ? plain : hex(scaleOf(column)((v - low) / (high - low))); }
      : () => plain;
    const looks = { cartoon: { cartoon: { colorfunc } }, trace: { cartoon: { style: 'trace', thickness: 0.35, colorfunc } }, sticks: { stick: { radius: 0.13, colorfunc } } };
    model.setStyle({}, VIEW.shown.has(structure.name) ? looks[style] : {});
  }
  if (VIEW.hetero) VIEW.hetero.setStyle({}, { stick: { radius: 0.18, colorscheme: 'Jmol' }, sphere: { radius: 0.45, colorscheme: 'Jmol' } });
  viewLegend(column, low, high);
  markResidue();
}

function viewLegend(column, low, high) {
  const plain = DATA.structures.filter((s) => VIEW.shown.has(s.name) && (column === 'structure' || !MODELS.includes(s)));
  const parts = [swatches(plain.map((s) => [structureLabel(s.name), paintOf(s)]))];
  if (column !== 'structure') parts.push(scaleBar(scaleOf(column), low, high, `${label(column).name} ${label(column).unit && `(${label(column).unit})`}`));
  document.getElementById('view-legend').replaceChildren(...parts);
}

function markResidue() {
  if (VIEW.mark) VIEW.viewer.removeShape(VIEW.mark);
  VIEW.mark = null;
  const place = CHOICE.residue !== null && CHOICE.model && VIEW.places[CHOICE.model] && VIEW.places[CHOICE.model][CHOICE.residue];
  if (place) {
    VIEW.mark = VIEW.viewer.addSphere({ center: { x: place[0], y: place[1], z: place[2] }, radius: 1.6, color: colour('native'), alpha: 0.55 });
  }
  VIEW.viewer.render();
}

function tellAtom(atom) {
  const readout = document.getElementById('view-readout');
  if (!atom || !atom.owner) { readout.textContent = CHOICE.residue === null ? '' : describeResidue(CHOICE.residue); return; }
  if (atom.owner === 'native') {
    const k = atom.resi - 1;
    readout.textContent = `native: ${NATIVE.chains[k]} ${DATA.names[NATIVE.sequence[k]]} ${NATIVE.numbers[k]} ${atom.atom}`;
  } else readout.textContent = `${structureLabel(atom.owner)}: ${residueName(atom.resi - 1)} ${atom.atom}`;
}

function describeResidue(i) {
  const model = chosenModel();
  const facts = ['confidence', 'predicted_error', 'displacement'].filter((c) => model && model.columns[c]);
  return `${residueName(i)}: ${facts.map((c) => `${label(c).name.toLowerCase()} ${brief(model.columns[c][i])}`).join(', ')}`;
}

function viewControls() {
  const colours = document.getElementById('view-colour');
  for (const column of columnsOfView()) colours.append(element('option', { value: column }, label(column).name));
  colours.value = columnsOfView().includes('confidence') ? 'confidence' : 'structure';
  const boxes = document.getElementById('view-structures');
  for (const structure of DATA.structures) {
    const box = element('input', { type: 'checkbox', onchange: (event) => {
      if (event.target.checked) VIEW.shown.add(structure.name);
      else VIEW.shown.delete(structure.name);
      restyle();
    } });
    box.checked = VIEW.shown.has(structure.name);
    box.dataset.structure = structure.name;
    boxes.append(element('label', {}, box, structureLabel(structure.name)));
  }
  colours.addEventListener('change', restyle);
  document.getElementById('view-style').addEventListener('change', restyle);
  document.getElementById('view-reset').addEventListener('click', () => { VIEW.viewer.zoomTo(); VIEW.viewer.render(); });
}

// The wheel scrolls the page until the picture has been clicked.
function tameWheel(place) {
  let armed = false;
  place.addEventListener('pointerdown', () => { armed = true; });
  place.addEventListener('pointerleave', () => { armed = false; });
  place.addEventListener('wheel', (event) => { if (!armed) event.stopPropagation(); }, { capture: true });
}

async function drawViewer() {
  const place = document.getElementById('viewer');
  if (!place || !DATA.structures.length) return;
  const sorry = (why) => place.replaceChildren(element('p', { class: 'note', style: 'padding:12px' }, `No 3-D view: ${why}.`));
  if (typeof $3Dmol === 'undefined') { sorry('the viewer did not load'); return; }
  try {
    VIEW.viewer = $3Dmol.createViewer(place, { backgroundColor: colour('card'), antialias: true });
  } catch (error) { sorry(`this browser offers no WebGL (${error.message})`); return; }
  if (!VIEW.viewer) { sorry('this browser offers no WebGL'); return; }
  for (const structure of DATA.structures) {
    const { text, places } = await pdbText(structure);
    const model = VIEW.viewer.addModel(text, 'pdb');
    for (const atom of model.selectedAtoms({})) atom.owner = structure.name;
    VIEW.models[structure.name] = model;
    VIEW.places[structure.name] = places;
  }
  await addHetero();
  for (const name of ['input', CHOICE.model, 'native']) if (VIEW.models[name]) VIEW.shown.add(name);
  viewControls();
  tameWheel(place);
  VIEW.viewer.setClickable({}, true, (atom) => { if (atom.owner && atom.owner !== 'native') choose({ residue: atom.resi - 1 }); });
  VIEW.viewer.setHoverable({}, true, tellAtom, () => tellAtom(null));
  watch((change) => {
    if ('model' in change) showModel(change.model);
    if ('residue' in change) { markResidue(); tellAtom(null); }
  });
  document.addEventListener('theme', () => { VIEW.viewer.setBackgroundColor(colour('card')); restyle(); });
  new ResizeObserver(() => { VIEW.viewer.resize(); }).observe(place);
  restyle();
  VIEW.viewer.zoomTo();
  VIEW.viewer.render();
}

function showModel(name) {
  for (const other of MODELS) VIEW.shown.delete(other.name);
  VIEW.shown.add(name);
  for (const box of document.querySelectorAll('[data-structure]')) box.checked = VIEW.shown.has(box.dataset.structure);
  restyle();
}

async function addHetero() {
  const { elements, xyz } = DATA.hetero;
  if (!elements.length) return;
  const places = await unpack(xyz, Int16Array);
  const lines = elements.map((symbol, k) => `HETATM${String((k + 1) % 100000).padStart(5)}  X   LIG Z${String(1).padStart(4)}    `
    + `${[0, 1, 2].map((c) => (places[3 * k + c] * DATA.scale).toFixed(3).padStart(8)).join('')}  1.00  0.00          ${symbol.slice(0, 2).padStart(2)}`);
  VIEW.hetero = VIEW.viewer.addModel(lines.join('\n'), 'pdb');
}
