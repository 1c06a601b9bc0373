"""scores.csv and per_residue.csv: tidy tables, one header line, empty cell for what was not computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from refine.engine import StructureScore
from refine.files import csv_text
from refine.structure.protein import Protein


@dataclasses.dataclass(frozen=True)
class ScoreRow:
    """One row of scores.csv.

    Attributes:
        name: ``input``, ``input_finished``, ``model_1``, …
        file: file of the structure; empty for the input.
        source: where the structure comes from, e.g. ``replica 3``.
        score: the run's own score, free energy in kcal/mol.
        terms: weighted energy of each term, kcal/mol.
        quality: further numbers: confidence, clashscore, Ramachandran, bonds.
    """

    name: str
    file: str
    source: str
    score: float
    terms: Mapping[str, float]
    quality: Mapping[str, float]


def score_row(name: str, file: str, source: str, score: StructureScore) -> ScoreRow:
    """The row of a structure; see ``ScoreRow``."""
    terms = {term: value for term, value in score.terms.items() if term != "total"}
    estimate = score.estimate
    quality = {"confidence": estimate.overall, "predicted_error": float(estimate.error.mean()), **score.quality}
    return ScoreRow(name, file, source, score.total, terms, quality)


def scores_csv(rows: Sequence[ScoreRow]) -> str:
    """The text of scores.csv."""
    terms = list(dict.fromkeys(k for row in rows for k in row.terms))
    quality = list(dict.fromkeys(k for row in rows for k in row.quality))
    header = ["name", "file", "source", "score", *(f"term_{t}" for t in terms), *quality]
    lines = [
        [
            row.name,
            row.file,
            row.source,
            row.score,
            *(row.terms.get(t) for t in terms),
            *(row.quality.get(q) for q in quality),
        ]
        for row in rows
    ]
    return csv_text(header, lines)


def per_residue_csv(protein: Protein, columns: Mapping[str, Mapping[str, NDArray[np.floating]]]) -> str:
    """The text of per_residue.csv.

    Args:
        protein: whose residues the rows are.
        columns: model name → column name → (L,) values; models may have different columns.
    """
    names = list(dict.fromkeys(c for table in columns.values() for c in table))
    header = ["model", "chain", "number", "insertion", "residue", *names]
    lines: list[list[object]] = []
    for model, table in columns.items():
        for i, identity in enumerate(protein.residue_ids):
            values = [float(table[n][i]) if n in table else None for n in names]
            lines.append([model, identity.chain, identity.number, identity.insertion, protein.sequence[i], *values])
    return csv_text(header, lines)
