"""What an ensemble proposes as models, and their order by the run's own score, which knows no native.

Proposed are the replicas' ends and their average, bonds restored, and besides, of several replicas medoids and averages
of clusters, of one replica what lies beside its end, and less and more of its way.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from refine.ensemble.average import average
from refine.ensemble.proposal import Beside, Proposal, along
from refine.ensemble.shapes import rmsd_matrix, rmsd_to
from refine.propagation.constraints import Constraints

CLUSTERS = 3
"""Most clusters the snapshots are divided into."""
FIRST = ("average", "energy")
"""What may stand first: the average of the ensemble, or whatever has the lowest energy (benchmarks/LOG.md compares)."""
LEAST_APART = 0.05
"""Å of CA RMSD: nearer models say the same."""
WAYS = (("way", 1.5), ("early", 1.0), ("way", 0.5), ("way", 1.0), ("early", 2.0))
"""How many times which way of a single replica further models go, most wanted first: all of it, or that after half of
its steps (benchmarks/LOG.md, entry 71); the last for where others are too near to each other."""
RESTORING_SWEEPS = 50
"""Sweeps of the projection that give an average its bond lengths back."""


def proposals(
    ends: NDArray[np.float32],
    snapshots: NDArray[np.float32],
    constraints: Constraints | None,
    mobile: NDArray[np.bool_],
) -> list[Proposal]:
    """All candidates of several replicas, these first; ``average`` is that of the replicas' ends, which have settled.

    Args:
        ends: (R, L, 4, 3) Å, where the replicas stand at the end.
        snapshots: (F, L, 4, 3) Å, those kept for the ensemble.
        constraints: bonded geometry that averages are restored to; None leaves them as they are.
        mobile: (L,) bool; the others stay where the snapshots have them.
    """
    labels, anchored = clusters(snapshots[:, :, 1]), not mobile.all()
    candidates = [Proposal(f"replica {r + 1}", end) for r, end in enumerate(ends)]
    averages, names = [average(ends, anchored=anchored)], ["average"]
    for k in range(1, labels.max() + 1):
        members = snapshots[labels == k]
        candidates.append(Proposal(f"medoid {k}", members[medoid(members[:, :, 1])]))
        if labels.max() > 1 and len(members) > 1:
            averages.append(average(members, anchored=anchored))
            names.append(f"average {k}")
    restored = _restored(np.stack(averages), constraints, mobile)
    return candidates + [Proposal(name, one) for name, one in zip(names, restored, strict=True)]


def way_proposals(
    path: NDArray[np.float32],
    constraints: Constraints | None,
    mobile: NDArray[np.bool_],
    start: NDArray[np.float32],
    beside: Beside | None = None,
) -> list[Proposal]:
    """Candidates of one replica, most wanted first: its end, ``average`` (the end, bonds restored), what lies beside
    it, to both sides, and more and less of the way there.

    Args:
        path: (S, L, 4, 3) Å, where it was after each step that is kept.
        constraints, mobile: as of ``proposals``.
        start: (L, 4, 3) Å, where it began.
        beside: where other models lie; None without networks.
    """
    end, middle, anchored = path[-1:], path[(len(path) - 1) // 2 :][:1], not mobile.all()
    names, backbones = ["average"], [end[0]]
    if beside is not None:
        aside = np.where(mobile[:, None], beside.offset, 0.0)[:, None].astype(np.float32)
        names += beside.names
        backbones += [end[0] + aside, end[0] - aside]
    for name, part in WAYS:
        names.append(f"{name} {part:g}")
        backbones.append(along(end if name == "way" else middle, start, part, anchored=anchored)[0])
    restored = _restored(np.stack(backbones), constraints, mobile)
    return [Proposal("replica 1", path[-1]), *map(Proposal, names, restored)]


def clusters(ca: NDArray[np.float32], most: int = CLUSTERS) -> NDArray[np.int64]:
    """Cluster (F,) from 1, the largest first, of CA traces (F, L, 3), at most ``most``: average linkage of the RMSD."""
    if len(ca) < 3 or most < 2:
        return np.ones(len(ca), np.int64)
    tree = linkage(squareform(rmsd_matrix(ca), checks=False), method="average")
    raw = fcluster(tree, most, criterion="maxclust")
    sizes = np.bincount(raw)[1:]
    rank = np.empty(len(sizes), np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(1, len(sizes) + 1)
    return rank[raw - 1]


def medoid(ca: NDArray[np.float32]) -> int:
    """The structure of (F, L, 3) with the least summed RMSD to the others."""
    return int(rmsd_matrix(ca).sum(1).argmin())


def _restored(
    backbones: NDArray[np.float32], constraints: Constraints | None, mobile: NDArray[np.bool_]
) -> NDArray[np.float32]:
    if constraints is None:
        return backbones
    device = constraints.sign.device
    coords = torch.from_numpy(np.ascontiguousarray(backbones)).to(device)
    with torch.no_grad():
        return constraints.restore(coords, torch.from_numpy(mobile).to(device), RESTORING_SWEEPS).cpu().numpy()


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Which candidates are submitted.

    Attributes:
        order: indices into the candidates, best first; those with a score that is not finite are left out.
        improved: whether the first scores better than the input; else the caller submits the input as model 1.
    """

    order: tuple[int, ...]
    improved: bool


def finishing_order(proposals: Sequence[Proposal], energies: NDArray[np.float64], count: int, first: str) -> list[int]:
    """Indices of up to ``count`` proposals that are finished: by energy, those left out that are not finite or nearer
    than ``LEAST_APART`` to one before.

    With ``first`` = ``average`` the proposal of that name comes before all others.
    """
    order = _by_score([p.name for p in proposals], energies.tolist(), first)
    if not order:
        return []
    kept = distinct(np.stack([proposals[i].backbone[:, 1] for i in order]), count)
    return [order[k] for k in kept]


def distinct(ca: NDArray[np.floating], count: int) -> list[int]:
    """Indices of the first ``count`` of CA traces (F, L, 3) Å that are ``LEAST_APART`` or more from all kept before."""
    kept: list[int] = []
    for k, one in enumerate(ca):
        if len(kept) == count:
            break
        if not kept or rmsd_to(ca[kept].astype(np.float64), one.astype(np.float64)).min() >= LEAST_APART:
            kept.append(k)
    return kept


def rank(names: Sequence[str], scores: Sequence[float], start: float, first: str = "energy") -> Ranking:
    """Rank finished candidates; equal scores keep their order.

    Args:
        names: what each is, e.g. ``replica 3``; scores: free energy in kcal/mol, lower is better.
        start: the score of the input, finished in the same way.
        first: of ``FIRST``; ``average`` puts the candidate of that name before all others.
    """
    order = tuple(_by_score(names, scores, first))
    return Ranking(order, bool(order) and scores[order[0]] < start)


def _by_score(names: Sequence[str], scores: Sequence[float], first: str) -> list[int]:
    finite = [i for i in range(len(names)) if math.isfinite(scores[i])]
    return sorted(finite, key=lambda i: (names[i] != first, scores[i]))
