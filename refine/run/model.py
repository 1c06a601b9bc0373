"""A finished structure with everything the run says about it, and the files it becomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.accuracy.confidence import b_factors
from refine.engine import StructureScore
from refine.run.folder import RunFolder
from refine.run.tables import per_residue_csv, score_row, scores_csv
from refine.structure.protein import Protein
from refine.structure.write import fits_pdb, write_cif, write_pdb


@dataclasses.dataclass(frozen=True)
class Finished:
    """One finished structure and its numbers.

    Attributes:
        source: where it comes from: ``input``, ``replica 3``.
        protein: R = 1.
        score: its energies, quality and confidence.
        run_columns: what the run says of each residue besides, column of per_residue.csv → (L,).
        report: what finishing did, as plain values for run.json.
    """

    source: str
    protein: Protein
    score: StructureScore
    run_columns: Mapping[str, NDArray[np.floating]]
    report: Mapping[str, Any]

    def columns(self) -> dict[str, NDArray[np.floating]]:
        """Columns of per_residue.csv, each (L,)."""
        estimate = self.score.estimate
        own = {"predicted_error": estimate.error, "confidence": estimate.confidence}
        return {**self.score.per_residue, **self.run_columns, **own}

    def b_column(self, kind: str) -> NDArray[np.float32]:
        """(L,) values of the B column: ``score`` (confidence), ``error`` (Å) or ``b`` (Å²)."""
        estimate = self.score.estimate
        return {"score": estimate.confidence, "error": estimate.error, "b": b_factors(estimate.error)}[kind]


def write_structure(
    folder: RunFolder,
    name: str,
    protein: Protein,
    b_values: NDArray[np.float32] | None = None,
    confidence: NDArray[np.float32] | None = None,
    remarks: Sequence[str] = (),
    basis: str = "",
) -> dict[str, str]:
    """Write ``name``.cif, and ``name``.pdb where the structure fits that format; gives {"cif": …, "pdb": …}.

    ``basis`` says what the ``confidence`` comes from.
    """
    files = {"cif": f"{name}.cif"}
    folder.write(
        files["cif"], lambda path: write_cif(protein, path, b_values=b_values, confidence=confidence, basis=basis)
    )
    if fits_pdb(protein) is None:
        files["pdb"] = f"{name}.pdb"
        folder.write(files["pdb"], lambda path: write_pdb(protein, path, b_values=b_values, remarks=remarks))
    return files


def write_model(folder: RunFolder, name: str, model: Finished, bfactor: str) -> dict[str, str]:
    """Write a model with confidence, error or B factor in the B column; gives its files as ``write_structure``."""
    estimate = model.score.estimate
    remarks = (
        f"refine {name}: {model.source}, score {model.score.total:.2f} kcal/mol",
        f"B column: {_MEANING[bfactor]}",
        f"confidence: {estimate.basis}",
    )
    b_values = model.b_column(bfactor)
    return write_structure(folder, name, model.protein, b_values, estimate.confidence, remarks, estimate.basis)


_MEANING = {
    "score": "confidence, 0-100, higher is better",
    "error": "predicted error in Angstrom",
    "b": "B factor in Angstrom^2 from the predicted error",
}


def write_tables(
    folder: RunFolder, unfinished_input: StructureScore, finished_input: Finished, models: Sequence[Finished]
) -> tuple[str, ...]:
    """Write scores.csv and per_residue.csv; gives their names.

    Args:
        unfinished_input: of the input as it came, repaired and not finished.
        finished_input: the input, finished.
        models: best first.
    """
    structures = {"input_finished": finished_input, **{f"model_{k}": m for k, m in enumerate(models, start=1)}}
    rows = [score_row("input", "", "input", unfinished_input)]
    for name, structure in structures.items():
        file = "" if name == "input_finished" else f"{name}.cif"
        rows.append(score_row(name, file, structure.source, structure.score))
    columns = {name: structure.columns() for name, structure in structures.items()}
    folder.text("scores.csv", scores_csv(rows))
    folder.text("per_residue.csv", per_residue_csv(finished_input.protein, columns))
    return "scores.csv", "per_residue.csv"
