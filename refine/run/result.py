"""What a run gave: its folder read back as tables, distributions and structures."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refine.accuracy.rpdd import RPDD
from refine.errors import InputError
from refine.files import original
from refine.run.folder import RUN_FILE
from refine.run.rpdd_file import read_rpdd
from refine.run.shape import RECORD, fitted, read_object
from refine.structure.protein import Protein
from refine.structure.read import read_structure

if TYPE_CHECKING:  # pandas takes a second to load and only the tables need it
    import pandas

COMPARISON_FILE = "comparison.json"
"""What ``refine compare`` found."""


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run gave; tables and arrays are read from its folder when first asked for.

    Attributes:
        out: its folder.
        models: files of the ranked models in mmCIF, best first.
        improved: whether the verdict on model 1 is ``better``: nearer to the native than the input, as far as the run
            can tell; a model that only scores better than the input by the run's own score may fall short of that.
        verdict: on model 1, one sentence.
        record: run.json.
        skipped: the run was done already (``resume``).
        damaged: parts of run.json that do not have the form they should have, and are left out.
    """

    out: Path
    models: tuple[Path, ...]
    improved: bool
    verdict: str
    record: dict[str, Any]
    skipped: bool = False
    damaged: tuple[str, ...] = ()

    @cached_property
    def scores(self) -> pandas.DataFrame:
        """scores.csv: a row for ``input``, ``input_finished``, ``model_1``, …, by name; energies in kcal/mol."""
        return self._table("scores.csv", "name").set_index("name")

    @cached_property
    def per_residue(self) -> pandas.DataFrame:
        """per_residue.csv: a row for each model and residue."""
        return self._table("per_residue.csv", "model", "chain", "number", "insertion", "residue")

    @cached_property
    def trace(self) -> pandas.DataFrame:
        """trace.csv: a row for each step of the propagation."""
        return self._table("trace.csv", "step").set_index("step")

    @cached_property
    def rpdd(self) -> RPDD:
        """Residue-pair distance distributions of the ensemble."""
        return read_rpdd(self._file("rpdd.npz"))

    def structure(self, name: str) -> Protein:
        """The structure ``input`` (repaired, as the run began), ``model_1``, …, or ``native`` after ``refine
        compare``.
        """
        return read_structure(self._file(f"{name}.cif")).protein

    def _table(self, name: str, *needed: str) -> pandas.DataFrame:
        import pandas

        path = self._file(name)
        text = {"chain": str, "insertion": str, "residue": str, "name": str, "file": str, "source": str, "model": str}
        try:
            empty: dict[str, list[str]] = {c: [""] for c in _header(path) if c not in text}
            table = pandas.read_csv(path, dtype=text, keep_default_na=False, na_values=empty)
            lacking = [column for column in needed if column not in table]
            words = [c for c in table if c not in text and not pandas.api.types.is_numeric_dtype(table[c])]
            if lacking or words:
                raise ValueError(f"no {', '.join(lacking)}" if lacking else f"no numbers under {', '.join(words)}")
        except (OSError, ValueError, OverflowError) as error:
            raise InputError(f"{name} is damaged: {error}", file=str(path), remedy="Run refine again") from error
        for column in text.keys() & set(table.columns):
            table[column] = table[column].map(original)
        return table

    def _file(self, name: str) -> Path:
        path = self.out / name
        if not path.is_file():
            raise InputError(f"the run folder holds no {name}", file=str(self.out), remedy="Run refine again")
        return path


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as stream:
        return stream.readline().strip().split(",")


def read_run(folder: Path) -> RunResult:
    """The result of a finished run from its folder.

    Raises:
        InputError: it is no run folder, or the run is not done.
    """
    folder, taken_out = Path(folder), list[str]()
    record = read_record(folder, taken_out)
    if record.get("status") != "done":
        raise InputError(
            f"the run is not done, its status is {record.get('status')!r}",
            file=str(folder),
            remedy="Finish it with refine run --resume",
        )
    models = tuple(folder / model["cif"] for model in record["models"])
    improved, verdict = bool(record.get("improved")), record.get("verdict") or ""
    return RunResult(folder, models, improved, verdict, record, damaged=tuple(taken_out))


def read_record(folder: Path, taken_out: list[str] | None = None) -> dict[str, Any]:
    """run.json of a folder, without what is damaged in it, whose names go to ``taken_out``.

    Raises:
        InputError: there is none, or it is no run's.
    """
    path, names = folder / RUN_FILE, [] if taken_out is None else taken_out
    try:
        values = read_object(path)
    except OSError as error:
        raise InputError(
            f"no run folder: cannot read {RUN_FILE}: {error.strerror}",
            file=str(folder),
            remedy="Give the folder of refine run --out",
        ) from error
    record: dict[str, Any] = fitted(values, RECORD, RUN_FILE, names)
    if record.get("kind") in ("exploration", "states"):
        raise InputError(
            "the folder is that of refine explore or refine states, not of a run",
            file=str(folder),
            remedy="Look at its explore.html, or give the folder of refine run --out",
        )
    if not isinstance(record.get("models"), list):
        raise InputError(
            f"{RUN_FILE} is not that of a run", file=str(folder), remedy="Give the folder of refine run --out"
        )
    whole = [m for m in record["models"] if m is not None and m.get("name") and m.get("cif")]
    if len(whole) < len(record["models"]):
        names.append(f"{RUN_FILE}.models")
    return record | {"models": whole}
