"""Small proteins built from torsions, for tests that need no data."""

from __future__ import annotations

import numpy as np
import torch

from refine.propagation.internal import ideal_internal, to_cartesian
from refine.structure.geometry import virtual_cb
from refine.structure.protein import HeteroAtom, Protein, ResidueId


def chain_backbone(phi: np.ndarray, psi: np.ndarray, omega: float = np.pi) -> np.ndarray:
    """Backbone (L, 4, 3) Å of ideal geometry, centred; float64."""
    turn = torch.full((len(phi),), omega, dtype=torch.float64)
    x = to_cartesian(ideal_internal(torch.from_numpy(phi), torch.from_numpy(psi), turn)).numpy()
    return x - x.reshape(-1, 3).mean(0)


def torsions(length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Helix, turn, strand and back, with a little noise, in radians."""
    rng = np.random.default_rng(seed)
    phi, psi = np.full(length, -63.0), np.full(length, -42.0)
    for i in range(length):
        if (i // 12) % 2:
            phi[i], psi[i] = -120.0, 135.0
        if i % 12 in (0, 1):
            phi[i], psi[i] = -75.0, 150.0
    return np.radians(phi + rng.normal(scale=6, size=length)), np.radians(psi + rng.normal(scale=6, size=length))


def make_protein(
    backbones: list[np.ndarray], sequences: list[str] | None = None, hetero: tuple[HeteroAtom, ...] = (), start: int = 1
) -> Protein:
    """Chains A, B, … with the given backbones; CB, and one more atom beyond it where the residue has one, in place."""
    sequences = sequences or [("ADEGKLSTVFNPQR" * (1 + len(b) // 14))[: len(b)] for b in backbones]
    backbone = np.concatenate(backbones)
    sequence = "".join(sequences)
    length = len(sequence)
    x = torch.from_numpy(backbone)
    cb = virtual_cb(x[:, 0], x[:, 1], x[:, 2]).numpy()
    coords, mask = np.zeros((length, 14, 3), np.float32), np.zeros((length, 14), dtype=np.bool_)
    coords[:, :4], mask[:, :4] = backbone, True
    for i, aa in enumerate(sequence):
        if aa != "G":
            coords[i, 4], mask[i, 4] = cb[i], True
        if aa not in "GA":
            coords[i, 5], mask[i, 5] = cb[i] + 1.5 * (cb[i] - backbone[i, 1]) / 1.53, True
    ids, bonded = [], np.ones(length, dtype=np.bool_)
    for k, b in enumerate(backbones):
        ids += [ResidueId("ABCDEFGH"[k], start + i) for i in range(len(b))]
        bonded[len(ids) - 1] = False
    return Protein(
        coords=coords[None],
        mask=mask,
        sequence=sequence,
        residue_ids=tuple(ids),
        bonded=bonded,
        oxt=np.zeros((1, length, 3), np.float32),
        oxt_mask=np.zeros(length, dtype=np.bool_),
        b_factors=np.zeros((length, 14), np.float32),
        occupancies=np.ones((length, 14), np.float32),
        file_order=np.arange(length),
        hetero=hetero,
    )


def small_protein(length: int = 30, seed: int = 0, hetero: tuple[HeteroAtom, ...] = ()) -> Protein:
    """One chain of helices and strands."""
    return make_protein([chain_backbone(*torsions(length, seed))], hetero=hetero)
