"""Which residue of a model corresponds to which residue of its native structure."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import numpy as np
from Bio.Align import PairwiseAligner
from numpy.typing import NDArray

from refine.errors import InputError
from refine.structure.protein import Protein

MIN_NUMBERING_IDENTITY = 0.9
"""Share of equal residue names among residues of equal number from which on numbering is trusted."""


@dataclasses.dataclass(frozen=True)
class Matching:
    """Corresponding residues, and how they were found.

    Attributes:
        model_index, native_index: (n,) residue indices, ascending in the native.
        method: "numbering" or "alignment" (one word for all chains: alignment if any chain needed it).
        identity: share of the n pairs with the same amino acid.
        chains: (model chain, native chain) pairs.
        model_only, native_only: numbers of residues without a partner.
    """

    model_index: NDArray[np.int64]
    native_index: NDArray[np.int64]
    method: str
    identity: float
    chains: tuple[tuple[str, str], ...]
    model_only: int
    native_only: int

    def __len__(self) -> int:
        return len(self.model_index)

    def summary(self) -> str:
        """One line for logs and reports."""
        chains = ", ".join(f"{m or 'blank'}={n or 'blank'}" for m, n in self.chains)
        return (
            f"{len(self)} residues matched by {self.method} (identity {self.identity:.3f}; chains {chains}); "
            f"{self.model_only} only in the model, {self.native_only} only in the native"
        )


def match_residues(model: Protein, native: Protein) -> Matching:
    """Match residues by author numbering where the names agree, else by global sequence alignment.

    Chains are paired first: equal ids where both structures have them; a single chain on either side pairs with
    whatever fits best; the rest greedily by the number of equal residues. Within a pair, residues with equal number and
    insertion code correspond when at least 90 % of them also have equal names; otherwise, and when an alignment finds
    over 10 % more equal residues, the alignment counts.

    Raises:
        InputError: fewer than three residues correspond.
    """
    model_chains, native_chains = _chain_indices(model), _chain_indices(native)
    pairs = _pair_chains(model, native, model_chains, native_chains)
    parts = [_match_chain(model, native, model_chains[m], native_chains[n]) for m, n in pairs]
    model_index = np.concatenate([p[0] for p in parts]) if parts else np.zeros(0, np.int64)
    native_index = np.concatenate([p[1] for p in parts]) if parts else np.zeros(0, np.int64)
    if len(model_index) < 3:
        raise InputError(
            f"only {len(model_index)} residues of {model.name} correspond to {native.name}",
            remedy="Check that model and native are the same protein",
        )
    order = np.argsort(native_index)
    model_index, native_index = model_index[order], native_index[order]
    same = sum(model.sequence[i] == native.sequence[j] for i, j in zip(model_index, native_index, strict=True))
    return Matching(
        model_index=model_index,
        native_index=native_index,
        method="alignment" if any(p[2] == "alignment" for p in parts) else "numbering",
        identity=same / len(model_index),
        chains=tuple(pairs),
        model_only=len(model) - len(model_index),
        native_only=len(native) - len(native_index),
    )


def _chain_indices(protein: Protein) -> dict[str, NDArray[np.int64]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for i, residue in enumerate(protein.residue_ids):
        rows[residue.chain].append(i)
    return {chain: np.array(index, np.int64) for chain, index in rows.items()}


def _pair_chains(
    model: Protein,
    native: Protein,
    model_chains: dict[str, NDArray[np.int64]],
    native_chains: dict[str, NDArray[np.int64]],
) -> list[tuple[str, str]]:
    if len(model_chains) == len(native_chains) == 1:
        return [(next(iter(model_chains)), next(iter(native_chains)))]
    scores = {
        (m, n): _equal(model, native, *_match_chain(model, native, model_chains[m], native_chains[n])[:2])
        for m in model_chains
        for n in native_chains
    }
    longest = max(scores.values(), default=0)
    pairs: list[tuple[str, str]] = []
    # Among equally good partners the one of the same name wins.
    for (m, n), score in sorted(scores.items(), key=lambda item: (-item[1], item[0][0] != item[0][1])):
        free = all(m != a and n != b for a, b in pairs)
        if free and score >= max(3, 0.02 * longest) and score >= 0.3 * min(len(model_chains[m]), len(native_chains[n])):
            pairs.append((m, n))
    return pairs


def _match_chain(
    model: Protein, native: Protein, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    numbered = _by_numbering(model, native, rows, columns)
    equal = _equal(model, native, *numbered)
    if (
        len(numbered[0]) >= 3
        and equal >= MIN_NUMBERING_IDENTITY * len(numbered[0])
        and equal >= 0.9 * min(len(rows), len(columns))
    ):
        return *numbered, "numbering"
    aligned = _by_alignment(model, native, rows, columns)
    aligned_equal = _equal(model, native, *aligned)
    trusted = len(numbered[0]) >= 3 and equal >= MIN_NUMBERING_IDENTITY * len(numbered[0])
    if trusted and aligned_equal <= 1.1 * equal:
        return *numbered, "numbering"
    return *aligned, "alignment"


def _equal(model: Protein, native: Protein, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> int:
    return sum(model.sequence[i] == native.sequence[j] for i, j in zip(rows, columns, strict=True))


def _by_numbering(
    model: Protein, native: Protein, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    place = {(native.residue_ids[j].number, native.residue_ids[j].insertion): int(j) for j in columns}
    pairs = [(int(i), place.get((model.residue_ids[i].number, model.residue_ids[i].insertion))) for i in rows]
    matched = np.array([(i, j) for i, j in pairs if j is not None], np.int64).reshape(-1, 2)
    return matched[:, 0], matched[:, 1]


def _by_alignment(
    model: Protein, native: Protein, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    aligner = PairwiseAligner(mode="global", match_score=2, mismatch_score=-1, open_gap_score=-5, extend_gap_score=-0.5)
    aligner.end_gap_score = 0.0
    alignment = aligner.align("".join(model.sequence[i] for i in rows), "".join(native.sequence[j] for j in columns))[0]
    blocks = [(rows[a:b], columns[c:d]) for (a, b), (c, d) in zip(*alignment.aligned, strict=True)]
    if not blocks:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate([x for x, _ in blocks]), np.concatenate([y for _, y in blocks])
