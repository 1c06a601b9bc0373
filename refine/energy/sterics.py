"""Soft repulsion: nothing may overlap, and nothing is felt beyond contact."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from refine.energy.system import System
from refine.structure.chemistry import (
    CENTROID_RADII,
    HETERO_RADII,
    HETERO_RADIUS,
    HETERO_SITE_RADII,
    SITE_CONTACTS,
    SITE_RADII,
)
from refine.structure.geometry import frames, to_global, virtual_cb

STIFFNESS = 60.0
"""kcal/mol of two sites on top of each other; 10 % too close costs 0.4."""
SKIN = 1.5
"""Å added to the contact distance when pairs are listed; the list lasts until a site has moved half of it."""
SITES = 6  # N, CA, C, O, CB (virtual, left out for glycine), side-chain centroid
CENTROID = 5


IndexedContacts = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Pairs (2, P) and their contact distances (P,) in Å."""


@dataclasses.dataclass(frozen=True)
class PairList:
    """Pairs of sites that may touch; flat indices into (R * L * SITES) sites, or the hetero atoms for ``second``.

    Attributes:
        built_at: (R, L, SITES, 3) where the sites were.
        first, second: (P,) sites; contact: (P,) squared contact distance in Å^2.
        hetero_first, hetero_second: (Q,) site and hetero atom; hetero_contact: (Q,) Å^2.
    """

    built_at: Tensor
    first: Tensor
    second: Tensor
    contact: Tensor
    hetero_first: Tensor
    hetero_second: Tensor
    hetero_contact: Tensor


class Sterics:
    """E = Σ_pairs k (1 - d^2 / d0^2)^3 for d < d0, else 0: finite at d = 0, twice continuously differentiable at d0.

    Sites are N, CA, C, O, an ideal CB (not for glycine) and the side-chain centroid on its residue's frame; d0 comes
    from contacts in crystal structures (chemistry.SITE_CONTACTS, SITE_RADII, CENTROID_RADII, HETERO_RADII). Pairs
    within a residue and between bonded residues are left out (the torsion terms know them). Hetero atoms repel with
    their full energy on the residue, but for the groups that it is bonded to. There is no attraction here.

    The pair list is rebuilt when a site has moved ``SKIN / 2``; it affects the cost only, never the value or its bytes,
    because pairs are sorted and pairs apart contribute nothing. Memory is proportional to L, not its square.
    """

    name = "sterics"

    def __init__(self, system: System) -> None:
        self._system = system
        self._kind = np.tile(np.arange(SITES), len(system))
        self._centroid, self._present = _centroids(system)
        self._hetero_radius = np.array([HETERO_RADII.get(e, HETERO_RADIUS) for e in system.hetero_elements], np.float64)
        self._linked = system.linked @ np.array((len(system.hetero), 1))
        self._bonded = system.bonded.cpu().numpy()
        self._tree = cKDTree(system.hetero.double().cpu().numpy()) if len(system.hetero) else None
        self._pairs: PairList | None = None

    def at(self, coords: Tensor) -> Sterics:
        return self

    def sites(self, coords: Tensor) -> Tensor:
        """Site positions (R, L, SITES, 3) of coords (R, L, 4, 3)."""
        n, ca, c = coords[:, :, 0], coords[:, :, 1], coords[:, :, 2]
        centroid = to_global(frames(n, ca, c), ca, self._system.centroid_local.expand_as(ca))
        return torch.cat((coords, torch.stack((virtual_cb(n, ca, c), centroid), 2)), 2)

    def __call__(self, coords: Tensor) -> Tensor:
        sites = self.sites(coords)
        pairs = self._listed(sites.detach())
        replicas, length = coords.shape[:2]
        flat = sites.reshape(-1, 3)
        energy = torch.zeros(replicas * length, dtype=coords.dtype, device=coords.device)
        i, j, contact = _touching(flat.detach(), flat.detach(), pairs.first, pairs.second, pairs.contact)
        half = 0.5 * _repulsion(flat[i], flat[j], contact)
        energy = energy.index_add(0, i // SITES, half).index_add(0, j // SITES, half)
        if self._tree is not None:
            hetero = self._system.hetero
            i, j, contact = _touching(
                flat.detach(), hetero, pairs.hetero_first, pairs.hetero_second, pairs.hetero_contact
            )
            energy = energy.index_add(0, i // SITES, _repulsion(flat[i], hetero[j], contact))
        return energy.reshape(replicas, length)

    def _listed(self, sites: Tensor) -> PairList:
        pairs = self._pairs
        if pairs is not None and pairs.built_at.shape == sites.shape:
            moved = ((sites - pairs.built_at) ** 2).sum(-1).max()
            if moved <= (0.5 * SKIN) ** 2:
                return pairs
        self._pairs = self._build(sites)
        return self._pairs

    def _build(self, sites: Tensor) -> PairList:
        replicas, length = sites.shape[:2]
        present = np.flatnonzero(self._present)
        own, hetero = [], []
        for r in range(replicas):
            x = sites[r].double().cpu().numpy().reshape(-1, 3)[present]
            if not np.isfinite(x).all():
                continue  # the caller sees the energy that is not finite
            offset = r * length * SITES
            own.append(self._own_pairs(x, present, offset))
            hetero.append(self._hetero_pairs(x, present, offset))
        first, second, contact = _joined(own)
        hetero_first, hetero_second, hetero_contact = _joined(hetero)
        device, dtype = sites.device, sites.dtype

        def put(index: NDArray[np.int64]) -> Tensor:
            return torch.from_numpy(index).to(device)

        def squared(d0: NDArray[np.float64]) -> Tensor:
            return torch.from_numpy(d0 * d0).to(device=device, dtype=dtype)

        return PairList(
            sites,
            put(first),
            put(second),
            squared(contact),
            put(hetero_first),
            put(hetero_second),
            squared(hetero_contact),
        )

    def _own_pairs(self, x: NDArray[np.float64], present: NDArray[np.int64], offset: int) -> IndexedContacts:
        reach = (
            float(max(_CONTACT.max(), _CONTACT[CENTROID].max() + self._centroid.max(), 2 * self._centroid.max())) + SKIN
        )
        pairs = cKDTree(x).query_pairs(reach, output_type="ndarray")
        i, j = present[pairs[:, 0]], present[pairs[:, 1]]
        contact = _CONTACT[self._kind[i], self._kind[j]] + self._centroid[i] + self._centroid[j]
        near = ((x[pairs[:, 0]] - x[pairs[:, 1]]) ** 2).sum(-1) < (contact + SKIN) ** 2
        residue_i, residue_j = i // SITES, j // SITES
        low, gap = np.minimum(residue_i, residue_j), np.abs(residue_i - residue_j)
        keep = near & (gap > 0) & ~((gap == 1) & self._bonded[low])
        i, j, contact = i[keep], j[keep], contact[keep]
        order = np.lexsort((j, i))
        return np.stack((i[order], j[order])) + offset, contact[order]

    def _hetero_pairs(self, x: NDArray[np.float64], present: NDArray[np.int64], offset: int) -> IndexedContacts:
        if self._tree is None:
            return np.zeros((2, 0), np.int64), np.zeros(0)
        radius = _HETERO_SITE[self._kind] + self._centroid
        reach = float(radius.max() + self._hetero_radius.max()) + SKIN
        near = cKDTree(x).sparse_distance_matrix(self._tree, reach, output_type="ndarray")
        i, j = present[near["i"]], near["j"].astype(np.int64)
        contact = radius[i] + self._hetero_radius[j]
        keep = (near["v"] < contact + SKIN) & ~np.isin(i // SITES * len(self._hetero_radius) + j, self._linked)
        i, j, contact = i[keep], j[keep], contact[keep]
        order = np.lexsort((j, i))
        return np.stack((i[order] + offset, j[order])), contact[order]


def sterics(system: System) -> Sterics:
    """The steric term of ``system``."""
    return Sterics(system)


_CONTACT = np.zeros((SITES, SITES))
_CONTACT[:CENTROID, :CENTROID] = SITE_CONTACTS
_CONTACT[:CENTROID, CENTROID] = _CONTACT[CENTROID, :CENTROID] = SITE_RADII
_HETERO_SITE = np.array((*HETERO_SITE_RADII, 0.0))


def _centroids(system: System) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Centroid radii (L * SITES,) in Å, 0 for the other sites, and which sites exist."""
    length = len(system)
    radius, present = np.zeros((length, SITES)), np.ones((length, SITES), dtype=np.bool_)
    radius[:, CENTROID] = [CENTROID_RADII.get(aa, 0.0) for aa in system.sequence]
    present[:, 4] = [aa != "G" for aa in system.sequence]
    present[:, CENTROID] = system.has_centroid.cpu().numpy() & (radius[:, CENTROID] > 0)
    return radius.reshape(-1), present.reshape(-1)


def _joined(parts: list[IndexedContacts]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    pairs = np.concatenate([p for p, _ in parts], axis=1)
    return np.ascontiguousarray(pairs[0]), np.ascontiguousarray(pairs[1]), np.concatenate([d for _, d in parts])


def _touching(a: Tensor, b: Tensor, first: Tensor, second: Tensor, contact: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The listed pairs that are closer than their contact distance."""
    square = ((a.index_select(0, first) - b.index_select(0, second)) ** 2).sum(-1)
    touching = torch.nonzero(square < contact).squeeze(-1)
    return first[touching], second[touching], contact[touching]


def _repulsion(a: Tensor, b: Tensor, contact: Tensor) -> Tensor:
    overlap = (1 - ((a - b) ** 2).sum(-1) / contact).clamp_min(0)
    return STIFFNESS * overlap**3
