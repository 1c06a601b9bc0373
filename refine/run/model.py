"""A finished structure with everything the run says about it, and the files it becomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.accuracy.confidence import b_factors
from refine.run.folder import RunFolder
from refine.run.tables import ScoreRow, per_residue_csv, scores_csv
from refine.structure.protein import Protein
from refine.structure.write import fits_pdb, write_cif, write_pdb


@dataclasses.dataclass(frozen=True)
class Finished:
    """One structure and its numbers.

    Attributes:
        source: where it comes from: ``input``, ``replica 3``.
        protein: R = 1.
        terms: weighted energy of each term and their sum ``total``, kcal/mol.
        per_residue: column → (L,), all of them per residue.
        error: (L,) Å; confidence: (L,) 0–100.
        quality: clashscore and the like, by column name of scores.csv.
        report: what finishing did, as plain values for run.json.
    """

    source: str
    protein: Protein
    terms: Mapping[str, float]
    per_residue: Mapping[str, NDArray[np.floating]]
    error: NDArray[np.float32]
    confidence: NDArray[np.float32]
    quality: Mapping[str, float]
    report: Mapping[str, Any]

    @property
    def score(self) -> float:
        """The run's own score: free energy in kcal/mol, lower is better."""
        return self.terms["total"]

    def row(self, name: str, file: str) -> ScoreRow:
        """The row of scores.csv."""
        terms = {k: v for k, v in self.terms.items() if k != "total"}
        quality = {"confidence": float(self.confidence.mean()), "predicted_error": float(self.error.mean()), **self.quality}
        return ScoreRow(name, file, self.source, self.score, terms, quality)

    def b_column(self, kind: str) -> NDArray[np.float32]:
        """(L,) values of the B column: ``score`` (confidence), ``error`` (Å) or ``b`` (Å²)."""
        return {"score": self.confidence, "error": self.error, "b": b_factors(self.error)}[kind]


def write_structure(
    folder: RunFolder,
    name: str,
    protein: Protein,
    b_values: NDArray[np.float32] | None = None,
    confidence: NDArray[np.float32] | None = None,
    remarks: Sequence[str] = (),
) -> dict[str, str]:
    """Write ``name``.cif, and ``name``.pdb where the structure fits that format; gives {"cif": …, "pdb": …}."""
    files = {"cif": f"{name}.cif"}
    folder.write(files["cif"], lambda path: write_cif(protein, path, b_values=b_values, confidence=confidence))
    if fits_pdb(protein) is None:
        files["pdb"] = f"{name}.pdb"
        folder.write(files["pdb"], lambda path: write_pdb(protein, path, b_values=b_values, remarks=remarks))
    return files


def write_model(folder: RunFolder, name: str, model: Finished, bfactor: str) -> dict[str, str]:
    """Write a model with confidence, error or B factor in the B column; gives its files as ``write_structure``."""
    remarks = (f"refine {name}: {model.source}, score {model.score:.2f} kcal/mol", f"B column: {_MEANING[bfactor]}")
    return write_structure(folder, name, model.protein, model.b_column(bfactor), model.confidence, remarks)


_MEANING = {
    "score": "confidence, 0-100, higher is better",
    "error": "predicted error in Angstrom",
    "b": "B factor in Angstrom^2 from the predicted error",
}


def write_tables(folder: RunFolder, start: Finished, models: Sequence[Finished], given: ScoreRow) -> tuple[str, ...]:
    """Write scores.csv and per_residue.csv; gives their names.

    Args:
        start: the input, finished.
        models: best first.
        given: the row of the input as it came.
    """
    rows = [given, start.row("input_finished", "")]
    rows += [model.row(f"model_{k}", f"model_{k}.cif") for k, model in enumerate(models, start=1)]
    columns = {"input_finished": start, **{f"model_{k}": model for k, model in enumerate(models, start=1)}}
    tables = {n: {**m.per_residue, "predicted_error": m.error, "confidence": m.confidence} for n, m in columns.items()}
    folder.text("scores.csv", scores_csv(rows))
    folder.text("per_residue.csv", per_residue_csv(start.protein, tables))
    return "scores.csv", "per_residue.csv"
