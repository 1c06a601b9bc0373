"""``refine compare``: a run's structures against the native, kept in the run folder so that the report shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.assess.compare import Comparison, compare
from refine.assess.validate import validate
from refine.errors import InputError
from refine.report.encode import short
from refine.report.page import write_report
from refine.run.folder import RunFolder
from refine.run.result import COMPARISON_FILE, read_run
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.write import write_cif

METRICS = ("gdt_ha", "gdt_ts", "tm_score", "lddt_ca", "lddt", "rmsd")


@dataclasses.dataclass(frozen=True)
class NativeComparison:
    """What a comparison found.

    Attributes:
        scores: ``input``, ``model_1``, … → metric of ``Comparison.totals`` (GDT 0–100; TM-score and lDDT 0–1; RMSD Å).
        matching: a line about the residues that were compared.
        report: report.html, which now shows the native.
        unread: sentences about models whose files are missing or damaged.
    """

    scores: Mapping[str, Mapping[str, float]]
    matching: str
    report: Path
    unread: tuple[str, ...] = ()

    def table(self) -> str:
        """Plain text: a row for each structure, the change against the input in brackets."""
        lines = ["".join(["structure".ljust(12), *(m.rjust(18) for m in METRICS)])]
        start = self.scores["input"]
        for name, totals in self.scores.items():
            cells = [f"{totals[m]:.{_digits(m)}f}" for m in METRICS]
            if name != "input":
                cells = [
                    f"{cell} ({totals[m] - start[m]:+.{_digits(m)}f})" for cell, m in zip(cells, METRICS, strict=True)
                ]
            lines.append("".join([name.ljust(12), *(cell.rjust(18) for cell in cells)]))
        return "\n".join([*lines, f"residues: {self.matching}", *self.unread, ""])


def compare_run(folder: Path, native: Path) -> NativeComparison:
    """Compare input and models of a finished run with the native; writes comparison.json and native.cif and the report
    anew.

    native.cif is laid onto the input, in whose frame the models are.

    Args:
        folder: a run folder.
        native: PDB or mmCIF; its first model.

    Raises:
        InputError: no finished run, an unreadable input or native, or fewer than three residues in common.
        EngineError: the folder cannot be written.
    """
    run, truth = read_run(Path(folder)), read_structure(Path(native)).protein
    structures = {"input": run.structure("input")}
    unread: list[str] = []
    for name in (model["name"] for model in run.record["models"]):
        try:
            structures[name] = run.structure(name)
        except InputError as error:
            unread.append(f"{name} is left out: {error}")
    comparisons = {name: compare(protein, truth) for name, protein in structures.items()}
    place = RunFolder(run.out)
    place.json(COMPARISON_FILE, _record(Path(native).name, truth, structures["input"], comparisons))
    place.write("native.cif", lambda path: write_cif(_laid_onto_input(truth, comparisons["input"]), path))
    matching = comparisons["input"].matching.summary()
    scores = {name: c.totals() for name, c in comparisons.items()}
    return NativeComparison(scores, matching, write_report(run.out), tuple(unread))


def _record(file: str, truth: Protein, start: Protein, comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    """comparison.json: per-residue values stand at the input's residues, null where the native has no partner."""
    index = _partner(len(start), comparisons["input"])
    return {
        "format": 1,
        "native": file,
        "native_residues": len(truth),
        "matching": comparisons["input"].matching.summary(),
        "native_quality": validate(truth).totals(),
        "scores": {name: c.totals() for name, c in comparisons.items()},
        "residues": [str(identity) for identity in start.residue_ids],
        "native_index": [None if k < 0 else int(k) for k in index],
        "per_residue": {
            name: {
                "lddt": _at(index, c.residue_lddt),
                "lddt_ca": _at(index, c.residue_lddt_ca),
                "distance": _at(index, c.residue_distance),
            }
            for name, c in comparisons.items()
        },
    }


def _partner(length: int, comparison: Comparison) -> NDArray[np.int64]:
    """(L,) index of the native's residue, -1 for none."""
    index = np.full(length, -1)
    index[comparison.matching.model_index] = comparison.matching.native_index
    return index


def _at(index: NDArray[np.int64], values: NDArray[np.float64]) -> Sequence[float | None]:
    return short(np.where(index >= 0, values[np.maximum(index, 0)], np.nan))


def _laid_onto_input(truth: Protein, comparison: Comparison) -> Protein:
    """The native and its hetero atoms moved by the inverse of the motion that lays the input onto it."""
    rot, shift = comparison.rotation, comparison.shift

    def moved(points: NDArray[Any]) -> NDArray[np.float32]:
        return ((points.astype(np.float64) - shift) @ rot).astype(np.float32)

    coords = np.where(truth.mask[None, :, :, None], moved(truth.coords), np.float32(0))
    hetero = tuple(dataclasses.replace(a, position=tuple(moved(np.array(a.position)).tolist())) for a in truth.hetero)
    oxt = np.where(truth.oxt_mask[None, :, None], moved(truth.oxt), np.float32(0))
    return dataclasses.replace(truth, coords=coords, oxt=oxt, hetero=hetero)


def _digits(metric: str) -> int:
    return {"gdt_ha": 2, "gdt_ts": 2, "rmsd": 2}.get(metric, 4)
