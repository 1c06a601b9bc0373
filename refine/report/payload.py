"""The numbers behind the report's pictures, taken from the files of a run folder; what a folder lacks is named, not
guessed.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.accuracy.rpdd import RPDD
from refine.assess.torsions import ramachandran_verdict, torsions
from refine.constants import ATOM14, ONE_TO_THREE, WATERS
from refine.errors import InputError, RefineError
from refine.files import original
from refine.report.encode import in_steps, packed, short
from refine.report.maps import pair_maps, point_distances
from refine.run.result import COMPARISON_FILE, RunResult
from refine.run.shape import COMPARISON, NUMBER, fitted, read_object
from refine.run.trace import TRACE_FILE
from refine.structure.arrays import superpose, transformed
from refine.structure.prepare import immobile
from refine.structure.protein import Protein, ResidueId
from refine.structure.reference import ramachandran

PARTS = ("structure", "traces", "rpdd", "ramachandran", "residues")
"""Parts of the page that are drawn; the others are text."""

MOST_HETERO = 3000
"""Atoms of ligands that are drawn."""

GRID = 120
"""Cells along a side of the Ramachandran background."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """A run folder, read for the report.

    Attributes:
        run: its record and place.
        scores: rows of scores.csv.
        residues: author identities in the order of the run; sequence: one letter each.
        structures: ``input``, ``native`` when compared, ``model_1``, … in the residues' order but ``native``.
        columns: structure → column of per_residue.csv → (L,) values, NaN where empty.
        trace: column of trace.csv → values.
        rpdd: distances of the ensemble.
        comparison: comparison.json, or None.
        absent: sentences about what the folder lacks.
    """

    run: RunResult
    scores: tuple[Mapping[str, str], ...]
    residues: tuple[ResidueId, ...]
    sequence: str
    structures: Mapping[str, Protein]
    columns: Mapping[str, Mapping[str, NDArray[np.float64]]]
    trace: Mapping[str, NDArray[np.float64]]
    rpdd: RPDD | None
    comparison: Mapping[str, Any] | None
    absent: tuple[str, ...]

    @property
    def record(self) -> Mapping[str, Any]:
        """run.json."""
        return self.run.record

    @property
    def missing(self) -> dict[str, str]:
        """Parts that cannot be drawn, and the file each of them lacks."""
        lacking = {"traces": "trace.csv"} if len(self.trace) <= 1 else {}
        return lacking | ({"rpdd": "rpdd.npz"} if self.rpdd is None else {})


def contents(run: RunResult) -> Contents:
    """Read a run folder; files that are missing or damaged end up in ``absent``."""
    absent: list[str] = [f"{name} is damaged and left out" for name in run.damaged]
    scores = _rows(run.out / "scores.csv", absent, text=("name", "file", "source"))
    table = _rows(
        run.out / "per_residue.csv", absent, text=("model", "chain", "insertion", "residue"), whole=("number",)
    )
    trace = _rows(run.out / TRACE_FILE, absent)
    names = ["input", *(model["name"] for model in run.record["models"])]
    structures: dict[str, Protein] = {}
    for name in names:
        try:
            structures[name] = run.structure(name)
        except RefineError as error:
            absent.append(f"{name}: {error}")
    residues, sequence, columns = _per_residue(table, structures)
    structures = {name: _in_order(protein, residues) for name, protein in structures.items()}
    for name in [name for name, protein in structures.items() if protein.sequence != sequence]:
        absent.append(f"{name} has other residues than per_residue.csv and is left out")
        del structures[name]
    comparison = _comparison(run.out / COMPARISON_FILE, absent)
    if comparison is not None:
        try:
            structures["native"] = run.structure("native")
        except RefineError as error:
            absent.append(f"native: {error}")
        columns = _with_native(columns, comparison, residues)
    rpdd = _rpdd(run, len(residues), absent)
    series = {key: _numbers([row[key] for row in trace]) for key in trace[0]} if trace else {}
    return Contents(
        run, tuple(scores), residues, sequence, structures, columns, series, rpdd, comparison, tuple(absent)
    )


def payload(run: Contents, parts: Collection[str] = PARTS, model: str | None = None) -> dict[str, Any]:
    """What ``drawReport`` of assets/ draws into the parts, as JSON's own types.

    Args:
        run: a run folder, read.
        parts: of ``PARTS``; what only the others need is left out.
        model: the one that is chosen at first; None: the first.
    """
    chains = list(dict.fromkeys(r.chain for r in run.residues))
    names = _display_order(run.structures)
    drawing: dict[str, Any] = {
        "title": str(run.record.get("input", "")),
        "model": model,
        "residues": {
            "sequence": run.sequence,
            "chains": chains,
            "chain": [chains.index(r.chain) for r in run.residues],
            "numbers": [f"{r.number}{r.insertion}" for r in run.residues],
            "frozen": _frozen(run),
        },
        "names": ONE_TO_THREE,
        "structures": [_structure(name, run) for name in names],
        "trace": {key: short(values, 6) for key, values in run.trace.items()} if "traces" in parts else {},
        "maps": _maps(run) if "rpdd" in parts else None,
        "ramachandran": _ramachandran(run.structures) if "ramachandran" in parts else None,
    }
    if "structure" in parts:
        places, scale = _places(run.structures)
        drawing |= {"atoms": {aa: list(atoms) for aa, atoms in ATOM14.items()}, "scale": scale}
        drawing["hetero"] = _hetero(run.structures.get("input"), places, scale)
        for name, structure in zip(names, drawing["structures"], strict=True):
            structure |= _atoms(run.structures[name], places[name], scale)
    if "ramachandran" in parts:
        for name, structure in zip(names, drawing["structures"], strict=True):
            structure |= _torsions(run.structures[name])
    return drawing


def _frozen(run: Contents) -> list[int]:
    """Indices of the residues that the run left where they are."""
    start = run.structures.get("input")
    if start is None:
        return []
    selection = str((run.record.get("settings") or {}).get("freeze") or "")
    try:
        mask = immobile(start, selection)
    except InputError:  # run.json is not as a run wrote it
        mask = immobile(start, "")
    return [int(i) for i in np.flatnonzero(mask)]


def _display_order(structures: Mapping[str, Protein]) -> list[str]:
    """Input, models, native."""
    return sorted(structures, key=lambda name: {"input": 0, "native": 2}.get(name, 1))


def _structure(name: str, run: Contents) -> dict[str, Any]:
    """Its name and what is known of its residues."""
    columns = run.columns.get("input_finished" if name == "input" else name, {})
    drawing: dict[str, Any] = {
        "name": name,
        "columns": {key: short(values) for key, values in columns.items() if np.isfinite(values).any()},
    }
    if name == "native":
        native = run.structures[name]
        drawing["sequence"] = native.sequence
        drawing["numbers"] = [f"{r.number}{r.insertion}" for r in native.residue_ids]
        drawing["chains"] = [r.chain for r in native.residue_ids]
    return drawing


def _atoms(protein: Protein, place: NDArray[np.float64], scale: float) -> dict[str, str]:
    """Which atoms there are, a bit for each slot, and where in steps of ``scale`` Å."""
    return {
        "mask": packed((protein.mask * (1 << np.arange(14))).sum(1).astype(np.uint16)),
        "xyz": packed(in_steps(place[protein.mask], scale, np.int16)),
    }


def _torsions(protein: Protein) -> dict[str, Any]:
    """Backbone torsions in degrees and their verdicts."""
    angles = torsions(protein)
    return {
        "phi": short(np.degrees(angles.phi)),
        "psi": short(np.degrees(angles.psi)),
        "verdict": ramachandran_verdict(protein, angles).tolist(),
    }


def _places(structures: Mapping[str, Protein]) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Coordinates (L, 14, 3) Å about the input's centre, models laid onto the input by CA; and the step that fits them
    into int16.
    """
    if not structures:
        return {}, 0.01
    base = structures.get("input") or next(iter(structures.values()))
    centre = base.coords[0, base.mask[:, 1], 1].astype(np.float64).mean(0)
    placed = {}
    for name, protein in structures.items():
        coords = protein.coords[0].astype(np.float64)
        both = base.mask[:, 1] & protein.mask[:, 1] if len(protein) == len(base) else np.zeros(0, np.bool_)
        if name != "native" and protein is not base and both.sum() >= 3:
            coords = transformed(coords, *superpose(coords[both, 1], base.coords[0, both, 1]))
        placed[name] = coords - centre
    extent = max(float(np.abs(x[structures[name].mask]).max()) for name, x in placed.items())
    return placed, max(0.01, math.ceil(extent / 32.0) / 1000.0)


def _hetero(protein: Protein | None, places: Mapping[str, NDArray[np.float64]], scale: float) -> dict[str, Any]:
    """Atoms of ligands of the input, without water, in the frame of ``_places``."""
    atoms = [a for a in protein.hetero if a.residue_name not in WATERS][:MOST_HETERO] if protein is not None else []
    if protein is None or not atoms:
        return {"elements": [], "xyz": ""}
    shift = places["input"][protein.mask][0] - protein.coords[0][protein.mask][0]
    xyz = np.array([a.position for a in atoms]) + shift
    return {"elements": [a.element for a in atoms], "xyz": packed(in_steps(xyz, scale, np.int16))}


def _maps(run: Contents) -> dict[str, Any] | None:
    if run.rpdd is None:
        return None
    start = run.structures.get("input")
    return pair_maps(run.rpdd, None if start is None else point_distances(start), _native_distances(run))


def _native_distances(run: Contents) -> NDArray[np.floating] | None:
    """The native's distances at the run's residues, NaN where it has no partner; None without a native."""
    native = run.structures.get("native")
    if native is None or run.comparison is None:
        return None
    length = len(run.residues)
    partner = dict(zip(run.comparison["residues"], run.comparison["native_index"], strict=True))
    index = np.array([-1 if (k := partner.get(str(r))) is None else k for r in run.residues], np.int64)
    if index.max(initial=-1) >= len(native):
        return None
    matrix = np.full((length, length), np.nan)
    paired = np.flatnonzero(index >= 0)
    matrix[np.ix_(paired, paired)] = point_distances(native)[np.ix_(index[paired], index[paired])]
    return matrix


def _ramachandran(structures: Mapping[str, Protein]) -> dict[str, Any]:
    """Where residues are favoured (2), allowed (1) or neither (0), by class, rows of psi from -180° up; and the
    residues' classes.
    """
    table = ramachandran()
    centres = (np.arange(GRID) + 0.5) * (2 * np.pi / GRID) - np.pi
    psi, phi = np.meshgrid(centres, centres, indexing="ij")
    levels = []
    for kind in range(len(table.classes)):
        value = table.log_density(phi.ravel(), psi.ravel(), np.full(phi.size, kind))
        levels.append((value >= table.allowed[kind]).astype(np.uint8) + (value >= table.favoured[kind]))
    classes = {name: table.classify(p.sequence, p.bonded).tolist() for name, p in structures.items()}
    return {"grid": GRID, "names": list(table.classes), "background": packed(np.concatenate(levels)), "class": classes}


def _rows(
    path: Path, absent: list[str], *, text: Sequence[str] = (), whole: Sequence[str] = ()
) -> list[dict[str, str]]:
    """Rows of a table with the columns ``text``, integers under ``whole`` and numbers, or nothing, under all others."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows: list[dict[str, str]] = [dict(row) for row in reader]
        header = reader.fieldnames or ()
        if lacking := [name for name in (*text, *whole) if name not in header]:
            raise ValueError(f"it has no column {', '.join(lacking)}")
        for row in rows:
            if None in row or None in row.values():
                raise ValueError("its rows have different lengths")
            for key, cell in row.items():
                if key not in text and cell:
                    (int if key in whole else float)(cell)
    except (OSError, ValueError, csv.Error) as error:
        absent.append(f"{path.name} could not be read: {error.strerror if isinstance(error, OSError) else error}")
        return []
    return [{key: original(cell) for key, cell in row.items()} for row in rows]


def _per_residue(
    table: Sequence[Mapping[str, str]], structures: Mapping[str, Protein]
) -> tuple[tuple[ResidueId, ...], str, dict[str, dict[str, NDArray[np.float64]]]]:
    """The residues in the order of the run, their letters, and the columns of each structure."""
    by_model: dict[str, list[Mapping[str, str]]] = {}
    for row in table:
        by_model.setdefault(row["model"], []).append(row)
    first = next(iter(by_model.values()), None)
    if first is None:
        protein = next(iter(structures.values()), None)
        return (protein.residue_ids, protein.sequence, {}) if protein is not None else ((), "", {})
    residues = tuple(ResidueId(row["chain"], int(row["number"]), row["insertion"]) for row in first)
    names = [key for key in first[0] if key not in ("model", "chain", "number", "insertion", "residue")]
    columns = {
        model: {n: _numbers([row[n] for row in rows]) for n in names}
        for model, rows in by_model.items()
        if len(rows) == len(first)
    }
    return residues, "".join(row["residue"] for row in first), columns


def _numbers(cells: Sequence[str]) -> NDArray[np.float64]:
    return np.array([float(cell) if cell else np.nan for cell in cells])


def _in_order(protein: Protein, residues: Sequence[ResidueId]) -> Protein:
    """The protein's residues in the order of the run; as they are where the identities do not correspond."""
    place = {identity: i for i, identity in enumerate(protein.residue_ids)}
    order = [place.get(identity, -1) for identity in residues]
    if -1 in order or len(order) != len(protein) or order == sorted(order):
        return protein
    return protein.select(order)


def _comparison(path: Path, absent: list[str]) -> dict[str, Any] | None:
    """comparison.json where it is there and whole, else None."""
    if not path.is_file():
        return None
    taken_out: list[str] = []
    try:
        comparison: dict[str, Any] = fitted(read_object(path), COMPARISON, path.name, taken_out)
        if taken_out or not set(COMPARISON) <= set(comparison) or not _consistent(comparison):
            raise InputError(f"{', '.join(taken_out) or path.name} is not as refine compare writes it")
    except OSError as error:
        absent.append(f"{path.name} could not be read: {error.strerror}")
    except InputError as error:
        absent.append(f"{path.name} could not be read: {error}")
    else:
        return comparison
    return None


def _consistent(comparison: Mapping[str, Any]) -> bool:
    """Whether the lists of comparison.json are as long as its residues, and its scores are numbers."""
    length = len(comparison["residues"])
    tables = [table for table in comparison["per_residue"].values() if isinstance(table, dict)]
    series = [comparison["native_index"], *(table.get(key) for table in tables for key in ("lddt", "distance"))]
    scores = [comparison["native_quality"], *comparison["scores"].values()]
    return (
        len(tables) == len(comparison["per_residue"])
        and all(isinstance(one, list) and len(one) == length and _numbers_or_none(one) for one in series)
        and all(isinstance(one, dict) and _numbers_or_none(one.values()) for one in scores)
    )


def _numbers_or_none(values: Iterable[Any]) -> bool:
    return all(value is None or isinstance(value, NUMBER) for value in values)


def _with_native(
    columns: Mapping[str, Mapping[str, NDArray[np.float64]]],
    comparison: Mapping[str, Any],
    residues: Sequence[ResidueId],
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """The columns with lDDT (0–100) and distance to the native; those of the input stand with ``input_finished``, whose
    line is drawn.
    """
    extended = {name: dict(table) for name, table in columns.items()}
    for name, table in comparison["per_residue"].items():
        for key in ("lddt", "distance"):
            at = dict(zip(comparison["residues"], table[key], strict=True))
            values = [at.get(str(identity)) for identity in residues]
            target = extended.setdefault("input_finished" if name == "input" else name, {})
            points = 100.0 if key == "lddt" else 1.0
            target[f"native_{key}"] = points * np.array([np.nan if v is None else v for v in values])
    return extended


def _rpdd(run: RunResult, length: int, absent: list[str]) -> RPDD | None:
    try:
        rpdd = run.rpdd
    except RefineError as error:
        absent.append(str(error))
        return None
    if len(rpdd.mean) != length:
        absent.append(f"rpdd.npz has {len(rpdd.mean)} residues, the models have {length}: no maps")
        return None
    return rpdd
