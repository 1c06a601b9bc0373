"""Capped or free peptides built from their sequence: topology with hydrogens and extended coordinates."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray
from openmm import app

from refine import constants as k
from refine.constants import ATOM14, THREE_TO_ONE
from refine.errors import InputError
from refine.physics.hydrogens import HydrogenPlacer
from refine.physics.protonation import protonated
from refine.structure.arrays import place_atom
from refine.structure.protein import Protein, ResidueId
from refine.structure.side_chains import complete_side_chains

MOST_RESIDUES = 60
PHI, PSI = math.radians(-80.0), math.radians(140.0)
"""Of the conformation that is built: extended."""
_FIRST_CAPS = {"ACE": {"CA": "CH3", "C": "C", "O": "O"}}
_LAST_CAPS = {"NME": {"N": "N", "CA": "C"}, "NH2": {"N": "N"}}
"""Caps and the names that their heavy atoms have, by the atom of a residue in whose place they are built."""


@dataclasses.dataclass(frozen=True)
class Peptide:
    """A peptide as OpenMM takes it.

    Attributes:
        topology: of OpenMM, with hydrogens; residues are numbered from 1 in chain A, caps included.
        positions: (n, 3) Å.
    """

    topology: app.Topology
    positions: NDArray[np.float64]


def peptide(sequence: str, ph: float = 7.0) -> Peptide:
    """The peptide that a sequence such as ``ACE-ALA-NME`` names, extended, with ideal geometry.

    Args:
        sequence: three-letter codes joined by hyphens; ACE may come first, NME or NH2 last, other ends are charged.
        ph: at which hydrogens are added.

    Raises:
        InputError: a code is unknown, there is no residue, or there are more than ``MOST_RESIDUES``.
    """
    codes = [code.strip().upper() for code in sequence.split("-")]
    _check(codes, sequence)
    letters = "".join(THREE_TO_ONE.get(code, "G") for code in codes)
    protein = complete_side_chains(_extended(letters)).protein
    topology, heavy = _topology(codes, protein)
    whole = protonated(topology, heavy, ph, [None] * len(codes))
    positions = np.zeros((whole.getNumAtoms(), 3))
    positions[[atom.index for atom in whole.atoms() if atom.element.symbol != "H"]] = heavy
    return Peptide(whole, HydrogenPlacer(whole).place(positions))


def _check(codes: list[str], sequence: str) -> None:
    inner = [c for n, c in enumerate(codes) if not (n == 0 and c in _FIRST_CAPS)]
    inner = inner[:-1] if inner and inner[-1] in _LAST_CAPS else inner
    unknown = [c for c in inner if c not in THREE_TO_ONE]
    if unknown or not inner:
        fault = f"the residue {unknown[0][:20]!r}" if unknown else "no residue"
        raise InputError(
            f"the sequence {sequence[:60]!r} names {fault}",
            remedy='Write three-letter codes of the 20 residues, e.g. "ACE-ALA-NME"; ACE first and NME or NH2 last',
        )
    if len(codes) == 1:
        raise InputError(
            f"{codes[0]} alone has no force field with both ends free", remedy=f'Cap it: "ACE-{codes[0]}-NME"'
        )
    if len(inner) > MOST_RESIDUES:
        raise InputError(f"the sequence has {len(inner)} residues", remedy=f"Give {MOST_RESIDUES} at most")


def _extended(letters: str) -> Protein:
    """Backbone of ideal geometry with terminal oxygen; side chains are missing."""
    length = len(letters)
    coords, mask = np.zeros((length, 14, 3)), np.zeros((length, 14), dtype=np.bool_)
    mask[:, :4] = True
    chain = [np.zeros(3), np.array((k.BOND_N_CA, 0.0, 0.0))]
    bend = math.pi - k.ANGLE_N_CA_C
    chain.append(chain[1] + k.BOND_CA_C * np.array((math.cos(bend), math.sin(bend), 0.0)))
    steps = (
        (k.BOND_C_N, k.ANGLE_CA_C_N, PSI),
        (k.BOND_N_CA, k.ANGLE_C_N_CA, math.pi),
        (k.BOND_CA_C, k.ANGLE_N_CA_C, PHI),
    )
    for n in range(3 * length - 2):  # up to the nitrogen behind the last residue, where its second oxygen stands
        length_of_bond, angle, torsion = steps[n % 3]
        chain.append(place_atom(chain[-3], chain[-2], chain[-1], length_of_bond, angle, torsion))
    for i in range(length):
        nitrogen, ca, c, beyond = chain[3 * i : 3 * i + 4]
        coords[i, :3] = nitrogen, ca, c
        coords[i, 3] = place_atom(beyond, ca, c, k.BOND_C_O, k.ANGLE_CA_C_O, math.pi)
    oxt = np.zeros((1, length, 3), np.float32)
    oxt[0, -1] = chain[-1]
    bonded, ends = np.ones(length, dtype=np.bool_), np.zeros(length, dtype=np.bool_)
    bonded[-1], ends[-1] = False, True
    return Protein(
        coords=coords[None].astype(np.float32),
        mask=mask,
        sequence=letters,
        residue_ids=tuple(ResidueId("A", i + 1) for i in range(length)),
        bonded=bonded,
        oxt=oxt,
        oxt_mask=ends,
        b_factors=np.zeros((length, 14), np.float32),
        occupancies=np.ones((length, 14), np.float32),
        file_order=np.arange(length),
        name="peptide",
    )


def _topology(codes: list[str], protein: Protein) -> tuple[app.Topology, NDArray[np.float64]]:
    """Topology of the heavy atoms and their positions (A, 3) Å; caps are the atoms of glycines under other names."""
    topology = app.Topology()
    chain, positions = topology.addChain("A"), []
    for i, code in enumerate(codes):
        residue = topology.addResidue(code, chain, str(i + 1))
        caps = _FIRST_CAPS if i == 0 else _LAST_CAPS
        for slot, name in enumerate(ATOM14[protein.sequence[i]]):
            own = caps[code].get(name) if code in caps else name
            if own is not None:
                topology.addAtom(own, app.Element.getBySymbol(name[0]), residue)
                positions.append(protein.coords[0, i, slot].astype(np.float64))
        if i == len(codes) - 1 and code not in _LAST_CAPS:
            topology.addAtom("OXT", app.element.oxygen, residue)
            positions.append(protein.oxt[0, i].astype(np.float64))
    topology.createStandardBonds()
    return topology, np.array(positions)
