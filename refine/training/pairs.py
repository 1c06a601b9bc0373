"""Homologue pairs: a target and a template of a pack, with their aligned residues."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.training.pack import Pack

_HOLDOUT = 25  # one pair cluster in 25 is kept for validation


@dataclasses.dataclass(frozen=True)
class Pair:
    """A homologue pair: rows of the pack and the aligned residue numbers in each (0-based in the packed chain)."""

    chain: int
    template: int
    rows: NDArray[np.int64]
    template_rows: NDArray[np.int64]


def read_pairs(path: Path, pack: Pack) -> list[list[Pair]]:
    """Homologue pairs of ``pairs.tsv`` (columns as in the training data's README), grouped by the target's cluster."""
    lookup = {chain.name: k for k, chain in enumerate(pack.chains)}
    groups: dict[str, list[Pair]] = {}
    with path.open() as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["id"] not in lookup or row["template_id"] not in lookup:
                continue
            k, t = lookup[row["id"]], lookup[row["template_id"]]
            i, j = int(row["start"]) - 1, int(row["template_start"]) - 1
            a, b = [], []
            for count, kind in re.findall(r"(\d+)([MID])", row["cigar"]):
                n = int(count)
                if kind == "M":
                    a.append(np.arange(i, i + n))
                    b.append(np.arange(j, j + n))
                i += n if kind in "MI" else 0
                j += n if kind in "MD" else 0
            if not a:
                raise InputError(
                    "a homologue pair aligns nothing",
                    file=str(path),
                    residue=row["id"],
                    remedy="Check its cigar column.",
                )
            rows, template_rows = _packed(pack, k, np.concatenate(a)), _packed(pack, t, np.concatenate(b))
            good = (rows >= 0) & (template_rows >= 0)
            groups.setdefault(pack.chains[k].cluster, []).append(Pair(k, t, rows[good], template_rows[good]))
    return [groups[name] for name in sorted(groups)]


def _packed(pack: Pack, chain: int, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Packed residue numbers of sequence positions; −1 where the residue was not packed."""
    origin = pack.origin(chain)
    table = np.full(max(int(origin.max()), int(positions.max())) + 1, -1, dtype=np.int64)
    table[origin] = np.arange(len(origin))
    return table[positions]


def held_out(group: list[Pair], pack: Pack) -> bool:
    """Whether a pair cluster is kept for validation."""
    return cluster_held_out(pack.chains[group[0].chain].cluster)


def cluster_held_out(name: str) -> bool:
    """Whether a cluster of this name is kept for validation: by a hash of the name."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % _HOLDOUT == 0
