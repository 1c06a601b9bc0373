"""Evidence from other structures: models of the same protein by other hands, and relatives of known structure.

Both give distances between CA atoms as rows of Student's t, which give way where the structures disagree; sigma is what
the other structure is expected to be wrong by. Of a relative that follows from the identity of sequence around each
residue (Chothia & Lesk 1986, EMBO J. 5:823: rms difference of main chains 0.40 exp(1.87 H) Å at a share H of changed
residues).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices
from numpy.typing import NDArray

from refine.assess.matching import match_residues
from refine.errors import InputError
from refine.evidence.matrices import APART, matrix_rows
from refine.evidence.pairs import Pairs
from refine.structure.notes import Note
from refine.structure.prepare import prepare
from refine.structure.protein import Protein

MODEL, TEMPLATE = "model", "template"
REACH = 15.0
"""Å between CA atoms of the other structure up to which their distance is taken."""
LEAST_SIGMA = 0.5
SAME_PROTEIN = 0.9
"""Identity from which on two models are of one protein."""
WINDOW = 7
"""Residues on either side whose identity counts for one in the middle."""
CHANCE = 1e-3
"""Alignments as good that chance gives, up to which two chains are related."""
_ERROR, _GROWTH = 0.40, 1.87
_K, _LAMBDA = 0.041, 0.267
"""Of the scores of chance, for BLOSUM62 and these gaps."""
_FEWEST = 20


@dataclasses.dataclass(frozen=True)
class OtherModel:
    """Another model of the protein: where it lies, what it is, and (L,) Å by which its residues are expected wrong."""

    path: Path
    protein: Protein
    error: NDArray[np.floating]


def model_rows(protein: Protein, other: OtherModel) -> tuple[Pairs, Note]:
    """What ``other`` says of the distances of ``protein``; pairs between chains count, too.

    Raises:
        InputError: it is of another protein.
    """
    remedy = "Give models of one protein, or a relative as --template"
    try:
        matching = match_residues(protein, other.protein)
    except InputError as error:
        raise InputError(
            "it is another protein: no sequence corresponds", file=str(other.path), remedy=remedy
        ) from error
    if matching.identity < SAME_PROTEIN:
        raise InputError(
            f"it is another protein: {matching.identity:.0%} of the {len(matching)} residues that correspond are alike",
            file=str(other.path),
            remedy=remedy,
        )
    pairs = _rows(MODEL, protein, other.protein, matching.model_index, matching.native_index, other.error, other.path)
    text = f"{other.path.name}: another model, {len(matching)} residues correspond, {len(pairs)} distances"
    return pairs, Note("evidence", text)


def template_rows(protein: Protein, path: Path) -> tuple[Pairs, Note]:
    """What a relative says of the distances within chains of ``protein``.

    Each chain is aligned locally with the chain of the relative that it resembles most (BLOSUM62, gaps of k residues
    −11 − k).

    Raises:
        InputError: the file cannot be read, or no chain is told to be related to one of it, by the score expected of
            chance (Altschul & Gish 1996, Methods Enzymol. 266:460) and by identity (Sander & Schneider 1991, Proteins
            9:56).
    """
    template = prepare(path).protein
    parts = alignments(protein, template)
    trusted = [part for part in parts if part.trusted]
    if not trusted:
        best = min(parts, key=lambda part: part.expected)
        raise InputError(
            f"the relative is too distant: {best.identity:.0%} of {len(best.own)} aligned residues are alike, which "
            f"chance gives {best.expected:.1g} times",
            file=str(path),
            remedy=f"A relative is told by {threshold(len(best.own)):.0%} or more, and {CHANCE:g} times or fewer",
        )
    own, other, error = (np.concatenate([getattr(part, k) for part in trusted]) for k in ("own", "other", "error"))
    wrong = np.zeros(len(template))
    wrong[other] = error
    pairs = _rows(TEMPLATE, protein, template, own, other, wrong, path, within_chains=True)
    alike = sum(protein.sequence[i] == template.sequence[j] for i, j in zip(own, other, strict=True))
    text = f"{path.name}: {len(own)} residues aligned, {alike / len(own):.0%} alike, {len(pairs)} distances"
    return pairs, Note("evidence", text)


def threshold(aligned: int) -> float:
    """Share of equal residues above which an alignment of this length tells structural relationship."""
    return float(2.9015 * np.clip(aligned, 10, 80) ** -0.562)


@dataclasses.dataclass(frozen=True)
class Aligned:
    """A chain on its relative: (n,) residues of either, the Å by which the second is expected to differ, the share of
    equal residues, and how many alignments as good chance would give; ``trusted`` where these tell a relative.
    """

    own: NDArray[np.int64]
    other: NDArray[np.int64]
    error: NDArray[np.float64]
    identity: float
    expected: float

    @property
    def trusted(self) -> bool:
        enough = len(self.own) >= _FEWEST and self.identity >= threshold(len(self.own))
        return enough and self.expected <= CHANCE


def alignments(protein: Protein, template: Protein) -> list[Aligned]:
    """Each chain of ``protein`` on the chain of ``template`` that it resembles most."""
    return [_aligned(protein, chain, template) for chain in protein.chains]


@functools.cache
def _aligner() -> PairwiseAligner:
    aligner = PairwiseAligner(mode="local", open_gap_score=-12.0, extend_gap_score=-1.0)
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    return aligner


def _aligned(protein: Protein, chain: str, template: Protein) -> Aligned:
    """``chain`` on the chain of ``template`` that it resembles most."""
    rows = _residues(protein, chain)
    sequence = "".join(protein.sequence[i] for i in rows)
    every = [_residues(template, name) for name in template.chains]
    texts = ["".join(template.sequence[j] for j in columns) for columns in every]
    k = int(np.argmax([_aligner().score(sequence, text) for text in texts]))
    found = _aligner().align(sequence, texts[k])
    blocks = list(zip(*found[0].aligned, strict=True)) if len(found) else []
    own = np.concatenate([np.zeros(0, np.int64), *(np.arange(a, b) for (a, b), _ in blocks)])
    other = np.concatenate([np.zeros(0, np.int64), *(np.arange(c, d) for _, (c, d) in blocks)])
    same = np.zeros(len(rows))
    same[own] = [sequence[i] == texts[k][j] for i, j in zip(own, other, strict=True)]
    error = _ERROR * np.exp(_GROWTH * (1.0 - _local(same)[own]))
    score = found[0].score if len(found) else 0.0
    expected = float(_K * len(sequence) * len(texts[k]) * np.exp(-_LAMBDA * score))
    return Aligned(rows[own], every[k][other], error, float(same[own].mean()) if len(own) else 0.0, expected)


def _local(same: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) mean of (n,) over ``WINDOW`` places on either side; a gap counts as 0."""
    kernel = np.ones(2 * WINDOW + 1)
    total = np.convolve(np.pad(same, WINDOW), kernel, "valid")
    count = np.convolve(np.pad(np.ones(len(same)), WINDOW), kernel, "valid")
    result: NDArray[np.float64] = total / count
    return result


def _residues(protein: Protein, chain: str) -> NDArray[np.int64]:
    return np.array([i for i, r in enumerate(protein.residue_ids) if r.chain == chain], np.int64)


def _rows(
    kind: str, protein: Protein, other: Protein, own: NDArray[np.int64], theirs: NDArray[np.int64],
    error: NDArray[np.floating], path: Path, *, within_chains: bool = False,
) -> Pairs:  # fmt: skip
    """Distances of ``other`` between its residues ``theirs`` (n,) as rows between ``own`` (n,)."""
    order = np.argsort(own)
    own, theirs = own[order], theirs[order]
    i, j = np.triu_indices(len(own), 1)
    ca = other.coords[0, theirs, 1].astype(np.float64)
    distance = np.linalg.norm(ca[i] - ca[j], axis=1)
    chain = np.array([protein.chains.index(protein.residue_ids[k].chain) for k in own.tolist()])
    same = chain[i] == chain[j]
    keep = (distance <= REACH) & (
        (own[j] - own[i] >= APART) & same if within_chains else (own[j] - own[i] >= APART) | ~same
    )
    i, j, distance = i[keep], j[keep], distance[keep]
    wrong = error[theirs].astype(np.float64)
    sigma = np.maximum(np.hypot(wrong[i], wrong[j]), LEAST_SIGMA)
    residue, slot = np.stack((own[i], own[j]), 1), np.ones((len(i), 2), np.int64)
    return matrix_rows(kind, residue, slot, distance, sigma, len(protein), path.name)


def structure_rows(
    protein: Protein, templates: Sequence[str | Path], models: Sequence[OtherModel]
) -> list[tuple[Pairs, Note]]:
    """Rows and a note of each, templates first; errors as of the two."""
    found = [template_rows(protein, Path(path)) for path in templates]
    return found + [model_rows(protein, model) for model in models]
