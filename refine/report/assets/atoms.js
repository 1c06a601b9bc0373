'use strict';
// What the 3-D view knows of atoms as 3Dmol gives them: their residues, metals, and what lies around.

const METALS = new Set(['LI', 'NA', 'K', 'RB', 'CS', 'BE', 'MG', 'CA', 'SR', 'BA', 'AL', 'GA', 'MN', 'FE', 'CO', 'NI',
  'CU', 'ZN', 'MO', 'W', 'V', 'CR', 'CD', 'HG', 'PB', 'AG', 'AU', 'PT', 'PD', 'RU', 'Y', 'LA', 'CE', 'SM', 'EU', 'GD',
  'TB', 'YB', 'U']);
const COORDINATED = 2.9;
const NEAR = 5;

// Chain, number and insertion code of an atom's residue: `A:152B`.
function residueKey(atom) {
  return `${atom.chain ?? ''}:${atom.resi}${(atom.icode ?? '').replace(/[?. ]/g, '')}`;
}

function isMetal(atom) {
  return METALS.has(atom.elem.toUpperCase());
}

function apart(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y, a.z - b.z);
}

// Pairs [donor, metal] near enough to be bonds.
function metalBonds(atoms) {
  const donors = atoms.filter((atom) => ['N', 'O', 'S'].includes(atom.elem));
  return atoms.filter(isMetal).flatMap((metal) => donors.filter((donor) => apart(donor, metal) <= COORDINATED)
    .map((donor) => [donor, metal]));
}

// Residues with an atom near the residue `key`, itself among them.
function residuesAround(atoms, key) {
  const here = atoms.filter((atom) => residueKey(atom) === key);
  return new Set(atoms.filter((atom) => here.some((one) => apart(one, atom) < NEAR)).map(residueKey));
}
