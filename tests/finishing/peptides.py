"""Small proteins made in memory for the tests of finishing."""

from __future__ import annotations

import numpy as np

from refine.constants import (
    ANGLE_C_N_CA,
    ANGLE_CA_C_N,
    ANGLE_N_CA_C,
    ATOM14,
    BOND_C_N,
    BOND_C_O,
    BOND_CA_C,
    BOND_N_CA,
)
from refine.structure.arrays import frames, place_atom, transformed
from refine.structure.conformers import ideal_residue
from refine.structure.protein import Protein, ResidueId


def peptide(sequence: str, phi: float = -63.0, psi: float = -42.0, omega: float = 180.0) -> Protein:
    """Ideal chain of ``sequence`` with the same phi, psi, omega (degrees) everywhere and template side chains."""
    phi, psi, omega = np.radians((phi, psi, omega))
    atoms = [np.zeros(3), np.array([BOND_N_CA, 0.0, 0.0])]
    atoms.append(atoms[1] + BOND_CA_C * np.array([-np.cos(ANGLE_N_CA_C), np.sin(ANGLE_N_CA_C), 0.0]))
    for _ in sequence[1:]:
        atoms.append(place_atom(*atoms[-3:], BOND_C_N, ANGLE_CA_C_N, psi))
        atoms.append(place_atom(*atoms[-3:], BOND_N_CA, ANGLE_C_N_CA, omega))
        atoms.append(place_atom(*atoms[-3:], BOND_CA_C, ANGLE_N_CA_C, phi))
    backbone = np.array(atoms).reshape(-1, 3, 3)
    coords, mask = np.zeros((1, len(sequence), 14, 3)), np.zeros((len(sequence), 14), dtype=np.bool_)
    for i, aa in enumerate(sequence):
        count = len(ATOM14[aa])
        coords[0, i, :3] = backbone[i]
        ideal = ideal_residue(aa)
        turn = frames(*backbone[i]) @ frames(*ideal[:3]).T
        coords[0, i, 4:count] = transformed(ideal - ideal[1], turn, backbone[i, 1])[4:count]
        following = (
            backbone[i + 1, 0] if i + 1 < len(sequence) else place_atom(*backbone[i], BOND_C_N, ANGLE_CA_C_N, psi)
        )
        coords[0, i, 3] = _oxygen(backbone[i, 1], backbone[i, 2], following)
        mask[i, :count] = True
    return protein(coords, mask, sequence)


def _oxygen(ca: np.ndarray, c: np.ndarray, n: np.ndarray) -> np.ndarray:
    away = -((ca - c) / np.linalg.norm(ca - c) + (n - c) / np.linalg.norm(n - c))
    return c + BOND_C_O * away / np.linalg.norm(away)


def protein(coords: np.ndarray, mask: np.ndarray, sequence: str) -> Protein:
    """A one-chain protein, every residue bonded to the next, without OXT."""
    length = len(sequence)
    bonded = np.ones(length, dtype=np.bool_)
    bonded[-1] = False
    return Protein(
        coords=coords.astype(np.float32),
        mask=mask,
        sequence=sequence,
        residue_ids=tuple(ResidueId("A", i + 1) for i in range(length)),
        bonded=bonded,
        oxt=np.zeros((1, length, 3), np.float32),
        oxt_mask=np.zeros(length, dtype=np.bool_),
        b_factors=np.zeros((length, 14), np.float32),
        occupancies=np.ones((length, 14), np.float32),
        file_order=np.arange(length),
        name="peptide",
    )
