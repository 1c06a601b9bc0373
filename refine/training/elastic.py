"""The elastic network of a structure: errors as a strained elastic body has them.

Secondary structure and hydrogen bonds stay, the fold bends, swells or shrinks. Residues are joined by springs (an
anisotropic network, Atilgan et al. 2001, stiff along the chain and between hydrogen-bonded residues). Two things move
it: heat, which bends along its soft modes, and strain, when strands, helices or contacts want to be longer or shorter
than they are, as in models whose force field or averaging prefers so.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from refine.constants import MAX_CA_CA
from refine.structure.arrays import kabsch

Array = NDArray[np.float64]

_REACH = 12.0  # Å
_HYDROGEN_BOND = 3.4  # Å, N to O
_STRAND, _HELIX = 6.1, 5.75  # Å between the CA of i and i+2: above, below
_STIFF = {1: 100.0, 2: 30.0, 3: 10.0}  # by separation along the chain, in units of a contact at 6 Å
_BONDED, _IN_HELIX = 40.0, 20.0
_RIDGE = 0.02  # keeps the rigid motions, which are taken out afterwards, finite


@dataclasses.dataclass(frozen=True)
class Strain:
    """How much longer, as a fraction, distances want to be: along strands, along helices, between contacts."""

    strands: float = 0.0
    helices: float = 0.0
    contacts: float = 0.0


def deformation(
    backbone: NDArray[np.float32], strain: Strain, heat: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Shifts (L, 3) Å and turns (L, 3) rad of the residues of a strained and heated elastic network.

    Args:
        backbone: (L, 4, 3) Å; chain breaks are seen by their length.
        strain: what the springs want; the linear response of the network, in which they disagree.
        heat: Å, rms per axis of the thermal part, which is a sample of the network's own Gaussian.
        rng: random numbers.
    """
    ca = backbone[:, 1].astype(np.float64)
    i, j, length, stiff, strains = _springs(backbone, ca, strain)
    unit = (ca[j] - ca[i]) / length[:, None]
    lower = np.linalg.cholesky(_hessian(len(ca), i, j, stiff, unit))
    pull = (stiff * strains * length)[:, None] * unit
    force = np.zeros_like(ca)
    np.add.at(force, j, pull)
    np.add.at(force, i, -pull)
    half = solve_triangular(lower, force.reshape(-1), lower=True)
    response = _without_rigid(solve_triangular(lower, half, lower=True, trans="T"), ca)
    sample = _without_rigid(solve_triangular(lower, rng.normal(size=3 * len(ca)), lower=True, trans="T"), ca)
    most = 3.0 * np.median(np.abs(sample))  # loose ends must not set the scale
    sample *= heat / max(float(np.sqrt((np.minimum(np.abs(sample), most) ** 2).mean())), 1e-6)
    shift = response + sample
    return shift, _turns(ca, shift)


def _springs(
    backbone: NDArray[np.float32], ca: Array, strain: Strain
) -> tuple[NDArray[np.intp], NDArray[np.intp], Array, Array, Array]:
    """Residues i < j of every spring, its length, its stiffness and the strain it wants."""
    between = cdist(ca, ca)
    i, j = np.nonzero(np.triu(between < _REACH, 1))
    length = np.maximum(between[i, j], 0.5)
    chain = np.r_[0, np.cumsum(np.diagonal(between, 1) > MAX_CA_CA)]
    apart = np.where(chain[i] == chain[j], j - i, len(ca))
    stiff = (6.0 / np.maximum(length, 4.0)) ** 2
    for step, value in _STIFF.items():
        stiff[apart == step] = value
    span = np.full(len(ca), np.nan)
    if len(ca) > 2:
        span[:-2] = np.where(chain[:-2] == chain[2:], np.diagonal(between, 2), np.nan)
    along = (apart > 1) & (apart <= 4)
    in_strand = along & (span > _STRAND)[i] & (span > _STRAND)[np.maximum(j - 2, 0)]
    in_helix = along & (span < _HELIX)[i] & (span < _HELIX)[np.maximum(j - 2, 0)]
    bond = cdist(backbone[:, 0], backbone[:, 3]) < _HYDROGEN_BOND
    stiff[in_helix] = np.maximum(stiff[in_helix], _IN_HELIX)
    bonded = (bond | bond.T)[i, j] & (apart > 2)
    stiff[bonded] = np.maximum(stiff[bonded], _BONDED)
    strains = np.where(apart > 4, strain.contacts, 0.0)
    strains[in_strand], strains[in_helix] = strain.strands, strain.helices
    return i, j, length, stiff, strains


def _hessian(count: int, i: NDArray[np.intp], j: NDArray[np.intp], stiff: Array, unit: Array) -> Array:
    """Second derivatives (3L, 3L) of the network's energy."""
    block = stiff[:, None, None] * unit[:, :, None] * unit[:, None, :]
    hessian = np.zeros((count, count, 3, 3))
    hessian[i, j] = -block
    hessian[j, i] = -block
    diagonal = np.zeros((count, 3, 3))
    np.add.at(diagonal, i, block)
    np.add.at(diagonal, j, block)
    hessian[np.arange(count), np.arange(count)] = diagonal + _RIDGE * np.eye(3)
    return hessian.transpose(0, 2, 1, 3).reshape(3 * count, 3 * count)


def _without_rigid(moves: Array, ca: Array) -> Array:
    """Moves (3L,) less their overall translation and rotation, as (L, 3)."""
    centred = ca - ca.mean(0)
    rigid = np.concatenate(
        (np.broadcast_to(np.eye(3)[:, None], (3, *ca.shape)), np.cross(np.eye(3)[:, None], centred[None]))
    )
    basis, _ = np.linalg.qr(rigid.reshape(6, -1).T)
    return (moves - basis @ (basis.T @ moves)).reshape(ca.shape)


def _turns(ca: Array, shift: Array) -> Array:
    """Rotation vectors (L, 3) that lay the five residues around each onto where they are shifted."""
    window = np.clip(np.arange(len(ca))[:, None] + np.arange(-2, 3), 0, len(ca) - 1)
    near = (np.linalg.norm(ca[window] - ca[:, None], axis=-1) < 4 * MAX_CA_CA)[..., None]
    share = near / near.sum(1, keepdims=True)
    old, new = ca[window], (ca + shift)[window]
    old = (old - (share * old).sum(1, keepdims=True)) * near
    new = (new - (share * new).sum(1, keepdims=True)) * near
    turns: Array = Rotation.from_matrix(kabsch(new.transpose(0, 2, 1) @ old)).as_rotvec()
    return turns
