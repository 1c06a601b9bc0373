"""Rows that cannot all be true: two of the same pair of atoms that no distance meets."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from refine.errors import InputError
from refine.evidence.ensembles import EnsembleRow
from refine.evidence.pairs import Pairs
from refine.structure.protein import Protein, Site

CERTAIN = 3.0
"""Sigmas within which a distance must be met by both of two rows: honest measurements that are drawn twice differ by
more in two of 100,000 cases.
"""


@dataclasses.dataclass(frozen=True)
class _Said:
    """What one row says of a pair of atoms; ``file`` is its place among the files."""

    atoms: tuple[Site, Site]
    lower: float
    upper: float
    sigma: float
    file: int
    line: int

    @property
    def least(self) -> float:
        return self.lower - CERTAIN * self.sigma

    @property
    def most(self) -> float:
        return self.upper + CERTAIN * self.sigma


def refuse_contradictions(
    pairs: Pairs, ensemble: Sequence[EnsembleRow], protein: Protein, files: Sequence[str]
) -> None:
    """See that rows of the same two atoms can be true together; rows of weight 0 and of matrices are not looked at.

    Args:
        pairs, ensemble: rows of all ``files``, numbered as these.

    Raises:
        InputError: two rows have no distance that is within ``CERTAIN`` sigmas of both; names files and lines.
    """
    by_atoms: dict[tuple[Site, Site], list[_Said]] = defaultdict(list)
    for said in (*_said(pairs), *_said_of_ensembles(ensemble)):
        by_atoms[said.atoms].append(said)
    for atoms, rows in by_atoms.items():
        lowest, highest = min(rows, key=lambda row: row.most), max(rows, key=lambda row: row.least)
        if highest.least > lowest.most:
            one, two = sorted((lowest, highest), key=lambda row: (row.file, row.line))
            names = " and ".join(f"{protein.residue_ids[s.residue]} {_atom_name(protein, s)}" for s in atoms)
            other = "" if one.file == two.file else f" of {files[one.file]}"
            raise InputError(
                f"line {two.line}: {names} at {_words(two)} Å contradicts line {one.line}{other}, {_words(one)} Å",
                file=files[two.file],
                remedy="Remove one of the two, or give them the sigma they have",
            )


def _said(pairs: Pairs) -> list[_Said]:
    chosen = [k for k, single in enumerate(pairs.single.tolist()) if single and pairs.weight[k] > 0]
    return [
        _Said(
            _ordered(*(Site(int(r), int(s)) for r, s in zip(pairs.residue[k], pairs.slot[k], strict=True))),
            float(pairs.lower[k]), float(pairs.upper[k]), float(pairs.sigma[k]),
            int(pairs.source[k]), int(pairs.line[k]),
        )
        for k in chosen
    ]  # fmt: skip


def _said_of_ensembles(rows: Sequence[EnsembleRow]) -> list[_Said]:
    return [_Said(_ordered(row.first, row.second), *row.bounds, row.sigma, row.source, row.line) for row in rows]


def _ordered(first: Site, second: Site) -> tuple[Site, Site]:
    return (first, second) if first < second else (second, first)


def _atom_name(protein: Protein, site: Site) -> str:
    return protein.atom_names(site.residue)[site.slot]


def _words(said: _Said) -> str:
    bounds = f"{said.lower:g}" if said.lower == said.upper else f"{said.lower:g} to {said.upper:g}"
    return f"{bounds} ± {said.sigma:g}"
