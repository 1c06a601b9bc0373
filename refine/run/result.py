"""What a run gave: its folder read back as tables, distributions and structures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.accuracy.rpdd import RPDD
from refine.errors import InputError
from refine.files import original
from refine.run.folder import RUN_FILE
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
    """

    out: Path
    models: tuple[Path, ...]
    improved: bool
    verdict: str
    record: dict[str, Any]
    skipped: bool = False

    @cached_property
    def scores(self) -> pandas.DataFrame:
        """scores.csv: a row for ``input``, ``input_finished``, ``model_1``, …, by name; energies in kcal/mol."""
        return self._table("scores.csv").set_index("name")

    @cached_property
    def per_residue(self) -> pandas.DataFrame:
        """per_residue.csv: a row for each model and residue."""
        return self._table("per_residue.csv")

    @cached_property
    def trace(self) -> pandas.DataFrame:
        """trace.csv: a row for each step of the propagation."""
        return self._table("trace.csv").set_index("step")

    @cached_property
    def rpdd(self) -> RPDD:
        """Residue-pair distance distributions of the ensemble."""
        return read_rpdd(self._file("rpdd.npz"))

    def structure(self, name: str) -> Protein:
        """The structure ``input`` (repaired, as the run began), ``model_1``, …, or ``native`` after ``refine
        compare``.
        """
        return read_structure(self._file(f"{name}.cif")).protein

    def _table(self, name: str) -> pandas.DataFrame:
        import pandas

        text = {"chain": str, "insertion": str, "residue": str, "name": str, "file": str, "source": str, "model": str}
        table = pandas.read_csv(
            self._file(name), dtype=text, keep_default_na=False, na_values={c: [""] for c in self._numbers(name, text)}
        )
        for column in text.keys() & set(table.columns):
            table[column] = table[column].map(original)
        return table

    def _numbers(self, name: str, text: Mapping[str, type]) -> list[str]:
        with (self.out / name).open(encoding="utf-8") as stream:
            return [column for column in stream.readline().strip().split(",") if column not in text]

    def _file(self, name: str) -> Path:
        path = self.out / name
        if not path.is_file():
            raise InputError(f"the run folder holds no {name}", file=str(self.out), remedy="Run refine again")
        return path


def read_run(folder: Path) -> RunResult:
    """The result of a finished run from its folder.

    Raises:
        InputError: it is no run folder, or the run is not done.
    """
    record = read_record(Path(folder))
    if record.get("status") != "done":
        raise InputError(
            f"the run is not done, its status is {record.get('status')!r}",
            file=str(folder),
            remedy="Finish it with refine run --resume",
        )
    models = tuple(Path(folder) / str(model["cif"]) for model in record.get("models", ()))
    return RunResult(Path(folder), models, bool(record.get("improved")), str(record.get("verdict", "")), record)


def read_record(folder: Path) -> dict[str, Any]:
    """run.json of a folder; raises InputError when there is none or it is no run's."""
    path = folder / RUN_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"no run folder: cannot read {RUN_FILE}: {error.strerror}",
            file=str(folder),
            remedy="Give the folder of refine run --out",
        ) from error
    except ValueError as error:
        raise InputError(
            f"{RUN_FILE} is not valid JSON: {error}", file=str(folder), remedy="Run refine again"
        ) from error
    if not isinstance(record, dict) or "models" not in record:
        raise InputError(
            f"{RUN_FILE} is not that of a run", file=str(folder), remedy="Give the folder of refine run --out"
        )
    return record


def read_rpdd(path: Path) -> RPDD:
    """Distributions of an ``rpdd.npz``; raises InputError when it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return RPDD.of_arrays(arrays)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"cannot read the distance distributions: {error}", file=str(path), remedy="Run refine again"
        ) from error
