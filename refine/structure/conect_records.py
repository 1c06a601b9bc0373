"""CONECT records of PDB files: the bonds of hetero groups, which a viewer cannot infer from their names.

As the wwPDB writes them: all bonds within hetero groups that are no water, and those of LINK and SSBOND. Which atoms of
a group are bonded, distances and gemmi's covalent radii tell, since the groups of a model are not all in the chemical
component dictionary. Serials beyond 99,999 are in hybrid-36, as on the atoms themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from refine.structure.atom_sites import is_hydrogen, is_water
from refine.structure.bonded_atoms import COVALENT_SLACK, METAL_SLACK, SHORTEST

_TO_HYDROGEN = 1.45
"""Å, longer than any bond to hydrogen."""


def add_conect_records(structure: gemmi.Structure) -> None:
    """Number the atoms of a structure of ``build_structure`` as its PDB file will, and list the bonds by number."""
    structure.assign_serial_numbers(numbered_ter=True)
    model = structure[0]
    for chain in model:
        for residue in chain:
            if residue.het_flag == "H" and not is_water(residue.name):
                for one, two in _bonds_within(residue):
                    structure.add_conect(one.serial, two.serial, 1)
    for connection in structure.connections:
        first, second = (model.find_cra(end).atom for end in (connection.partner1, connection.partner2))
        if first is not None and second is not None:
            structure.add_conect(first.serial, second.serial, 1)


def _bonds_within(residue: gemmi.Residue) -> Iterator[tuple[gemmi.Atom, gemmi.Atom]]:
    atoms = list(residue)
    if len(atoms) < 2:
        return
    points = np.array([atom.pos.tolist() for atom in atoms])
    for a, b in np.sort(cKDTree(points).query_pairs(3.2, output_type="ndarray"), axis=1).tolist():
        if _bonded(atoms[a], atoms[b], float(np.linalg.norm(points[a] - points[b]))):
            yield atoms[a], atoms[b]


def _bonded(one: gemmi.Atom, two: gemmi.Atom, distance: float) -> bool:
    if one.altloc != two.altloc and "\0" not in (one.altloc, two.altloc):
        return False
    metals = one.element.is_metal + two.element.is_metal
    hydrogens = is_hydrogen(one.element.name) + is_hydrogen(two.element.name)
    if hydrogens:
        return hydrogens == 1 and metals == 0 and distance < _TO_HYDROGEN
    slack = METAL_SLACK if metals else COVALENT_SLACK
    return metals < 2 and SHORTEST < distance <= one.element.covalent_r + two.element.covalent_r + slack
