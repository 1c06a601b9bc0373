'use strict';
// The run's structures for the 3-D view. It gets made-up chain letters and numbers, never a name from the file.

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FACTS = ['confidence', 'predicted_error', 'displacement'];

async function pdbText(structure) {
  const sequence = structure.sequence || RESIDUES.sequence;
  const names = structure.chains && [...new Set(structure.chains)];
  const chain = names ? structure.chains.map((c) => names.indexOf(c)) : RESIDUES.chain;
  const mask = await unpack(structure.mask, Uint16Array);
  const xyz = await unpack(structure.xyz, Int16Array);
  const lines = [];
  for (let i = 0; i < sequence.length; i += 1) {
    DATA.atoms[sequence[i]].forEach((name, slot) => {
      if (!(mask[i] & (1 << slot))) return;
      const serial = String((lines.length + 1) % 100000).padStart(5);
      const number = String((i + 1) % 10000).padStart(4);
      const place = placeText(xyz, lines.length);
      lines.push(`ATOM  ${serial}  ${name.padEnd(3)} ${DATA.names[sequence[i]]} ${LETTERS[chain[i] % 52]}${number}    `
        + `${place}  1.00  0.00           ${name[0]}`);
    });
  }
  return lines.join('\n');
}

async function heteroText() {
  const { elements, xyz } = DATA.hetero;
  const places = await unpack(xyz, Int16Array);
  return elements.map((symbol, k) => `HETATM${String((k + 1) % 100000).padStart(5)}  X   LIG Z   1    `
    + `${placeText(places, k)}  1.00  0.00          ${symbol.slice(0, 2).padStart(2)}`).join('\n');
}

function placeText(xyz, k) {
  return [0, 1, 2].map((c) => (xyz[3 * k + c] * DATA.scale).toFixed(3).padStart(8)).join('');
}

// Expected lDDT and lDDT, from 0 to 100.
function inPoints(column) {
  return column === 'confidence' || column.startsWith('input_confidence') || column === 'native_lddt';
}

// The colours of the values of a column: confidence and lDDT have AlphaFold's bands, others run over their middle 96 %.
function modeOf(column) {
  const { name, unit } = label(column);
  if (inPoints(column)) return { id: column, label: name, unit, ramp: 'bands', low: 0, high: 100 };
  const [low, high] = middle(column);
  return { id: column, label: name, unit, ramp: 'amount', low, high };
}

function middle(column) {
  const values = MODELS.flatMap((s) => s.columns[column] || []).filter((v) => v !== null).sort((a, b) => a - b);
  if (!values.length) return [0, 1];
  const [low, high] = [values[Math.floor(values.length * 0.02)], values[Math.ceil(values.length * 0.98) - 1]];
  return low >= 0 ? [0, Math.max(high, 0.1)] : [low, Math.max(high, low + 1e-3)];
}

function paintOf(structure) {
  if (structure.name === 'input' || structure.name === 'native') return colour(structure.name);
  return SERIES[MODELS.indexOf(structure) % SERIES.length];
}

// Where the atom is, what the run says of the residue, and its energies in kcal/mol.
function describeAtom(atom, id) {
  const i = atom.resi - 1;
  if (id === 'hetero') return [atom.elem];
  if (id === 'native') return [`native: ${NATIVE.chains[i]} ${DATA.names[NATIVE.sequence[i]]} ${NATIVE.numbers[i]}`];
  const { columns } = DATA.structures.find((s) => s.name === id);
  const numbers = (wanted) => wanted.filter((c) => id !== 'input' && columns[c]).map((c) => {
    const { name, unit } = label(c);
    return `${name.toLowerCase()} ${brief(columns[c][i])}${unit === 'Å' ? ' Å' : ''}`;
  }).join(', ');
  const terms = Object.keys(columns).filter((c) => !LABELS[c]);
  return [`${structureLabel(id)}: ${residueName(i)} ${atom.atom}`, numbers(FACTS), numbers(terms)].filter(Boolean);
}

async function viewData() {
  const at = new Set(['input', CHOICE.model, 'native']);
  const structures = [];
  for (const s of DATA.structures) {
    structures.push({
      id: s.name, name: structureLabel(s.name), text: await pdbText(s), format: 'pdb', colour: paintOf(s),
      visible: at.has(s.name), faint: s.name === 'input', values: MODELS.includes(s) ? s.columns : {},
    });
  }
  if (DATA.hetero.elements.length) {
    const text = await heteroText();
    structures.push({ id: 'hetero', name: 'hetero', text, format: 'pdb', visible: true, fixed: true });
  }
  const columns = Object.keys(chosenModel()?.columns ?? {});
  return {
    label: `Structures of ${DATA.title}`, structures, main: CHOICE.model ?? DATA.structures[0].name,
    modes: [{ id: 'structure', label: 'Structure' }, ...columns.map(modeOf)],
    mode: columns.includes('confidence') ? 'confidence' : 'structure',
    facts: {}, marks: {}, kinds: {}, pick: false,
    chains: Object.fromEntries(RESIDUES.chains.map((name, k) => [LETTERS[k % 52], name])),
    frozen: RESIDUES.frozen.map((i) => `${LETTERS[RESIDUES.chain[i] % 52]}:${i + 1}`),
  };
}

async function drawViewer() {
  const root = part('viewer');
  if (!root || !DATA.structures.length) return;
  const view = new StructureView(root, {
    describe: describeAtom,
    clicked: (atom, id) => { if (id !== 'native') choose({ residue: atom.resi - 1 }); },
  });
  ROOT.addEventListener('close', () => view.close());
  const data = await viewData();
  view.update(data);
  watch((change) => {
    if ('residue' in change && view.selected?.resi !== change.residue + 1) view.selectResidue(change.residue + 1);
    if (!('model' in change)) return;
    data.main = change.model;
    view.update(data);
    const shown = data.structures.map((s) => s.id).filter((id) => !view.hidden.has(id) && !isModel(id));
    view.showOnly(new Set([...shown, change.model]));
  });
  ROOT.addEventListener('theme', async () => view.update({ ...(await viewData()), main: CHOICE.model ?? data.main }));
}

function isModel(name) {
  return MODELS.some((s) => s.name === name);
}
