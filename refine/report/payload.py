"""The numbers behind the report's pictures, taken from the files of a run folder; what a folder lacks is named, not
guessed.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.accuracy.rpdd import RPDD, pair_distances, reference_points
from refine.assess.torsions import ramachandran_verdict, torsions
from refine.constants import ATOM14, ONE_TO_THREE
from refine.errors import RefineError
from refine.report.encode import in_steps, packed, short
from refine.report.maps import pair_maps
from refine.run.result import COMPARISON_FILE, RunResult
from refine.run.trace import TRACE_FILE
from refine.structure.arrays import superpose, transformed
from refine.structure.protein import Protein, ResidueId
from refine.structure.reference import ramachandran

WATER = frozenset({"HOH", "WAT", "DOD"})
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


def contents(run: RunResult) -> Contents:
    """Read a run folder; files that are missing or damaged end up in ``absent``."""
    absent: list[str] = []
    scores = _rows(run.out / "scores.csv", absent)
    table = _rows(run.out / "per_residue.csv", absent)
    trace = _rows(run.out / TRACE_FILE, absent)
    names = ["input", *(str(model["name"]) for model in run.record["models"])]
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


def payload(found: Contents) -> dict[str, Any]:
    """Everything report.js draws, as JSON's own types."""
    chains = list(dict.fromkeys(r.chain for r in found.residues))
    places, scale = _places(found.structures)
    return {
        "title": str(found.run.record.get("input", "")),
        "residues": {
            "sequence": found.sequence,
            "chains": chains,
            "chain": [chains.index(r.chain) for r in found.residues],
            "numbers": [f"{r.number}{r.insertion}" for r in found.residues],
        },
        "names": ONE_TO_THREE,
        "atoms": {aa: list(atoms) for aa, atoms in ATOM14.items()},
        "scale": scale,
        "structures": [_structure(name, found, places[name], scale) for name in _display_order(found.structures)],
        "hetero": _hetero(found.structures.get("input"), places, scale),
        "trace": {key: short(values, 6) for key, values in found.trace.items()},
        "maps": _maps(found),
        "ramachandran": _ramachandran(found.structures),
    }


def _display_order(structures: Mapping[str, Protein]) -> list[str]:
    """Input, models, native."""
    return sorted(structures, key=lambda name: {"input": 0, "native": 2}.get(name, 1))


def _structure(name: str, found: Contents, place: NDArray[np.float64], scale: float) -> dict[str, Any]:
    protein = found.structures[name]
    angles = torsions(protein)
    columns = found.columns.get("input_finished" if name == "input" else name, {})
    made: dict[str, Any] = {
        "name": name,
        "mask": packed((protein.mask * (1 << np.arange(14))).sum(1).astype(np.uint16)),
        "xyz": packed(in_steps(place[protein.mask], scale, np.int16)),
        "phi": short(np.degrees(angles.phi)),
        "psi": short(np.degrees(angles.psi)),
        "verdict": ramachandran_verdict(protein, angles).tolist(),
        "columns": {key: short(values) for key, values in columns.items() if np.isfinite(values).any()},
    }
    if name == "native":
        made["sequence"], made["numbers"] = protein.sequence, [f"{r.number}{r.insertion}" for r in protein.residue_ids]
        made["chains"] = [r.chain for r in protein.residue_ids]
    return made


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
    atoms = [a for a in protein.hetero if a.residue_name not in WATER][:MOST_HETERO] if protein is not None else []
    if protein is None or not atoms:
        return {"elements": [], "xyz": ""}
    shift = places["input"][protein.mask][0] - protein.coords[0][protein.mask][0]
    xyz = np.array([a.position for a in atoms]) + shift
    return {"elements": [a.element for a in atoms], "xyz": packed(in_steps(xyz, scale, np.int16))}


def _maps(found: Contents) -> dict[str, Any] | None:
    if found.rpdd is None:
        return None
    return pair_maps(found.rpdd, _distances(found.structures.get("input")), _native_distances(found))


def _distances(protein: Protein | None) -> NDArray[np.floating] | None:
    """(L, L) Å between the points of the RPDD; None without a structure."""
    if protein is None:
        return None
    matrix = pair_distances(reference_points(protein.coords[:, :, :4], protein.sequence)[0])
    unknown = ~protein.mask[:, :3].all(1)
    matrix[unknown], matrix[:, unknown] = np.nan, np.nan
    return matrix


def _native_distances(found: Contents) -> NDArray[np.floating] | None:
    """The native's distances at the run's residues, NaN where it has no partner."""
    native = _distances(found.structures.get("native"))
    if native is None or found.comparison is None:
        return None
    length = len(found.residues)
    partner = dict(zip(found.comparison["residues"], found.comparison["native_index"], strict=True))
    index = np.array([-1 if (k := partner.get(str(r))) is None else k for r in found.residues], np.int64)
    if index.max(initial=-1) >= len(native):
        return None
    matrix = np.full((length, length), np.nan)
    known = np.flatnonzero(index >= 0)
    matrix[np.ix_(known, known)] = native[np.ix_(index[known], index[known])]
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


def _rows(path: Path, absent: list[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [dict(row) for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        absent.append(f"{path.name} could not be read: {error.strerror if isinstance(error, OSError) else error}")
        return []


def _per_residue(
    table: Sequence[Mapping[str, str]], structures: Mapping[str, Protein]
) -> tuple[tuple[ResidueId, ...], str, dict[str, dict[str, NDArray[np.float64]]]]:
    """The residues in the order of the run, their letters, and the columns of each structure."""
    by_model: dict[str, list[Mapping[str, str]]] = {}
    for row in table:
        by_model.setdefault(row["model"], []).append(row)
    first = next(iter(by_model.values()), None)
    if first is None:
        some = next(iter(structures.values()), None)
        return (some.residue_ids, some.sequence, {}) if some is not None else ((), "", {})
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
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        absent.append(f"{path.name} could not be read: {error}")
        return None
    return found if isinstance(found, dict) else None


def _with_native(
    columns: Mapping[str, Mapping[str, NDArray[np.float64]]],
    comparison: Mapping[str, Any],
    residues: Sequence[ResidueId],
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """The columns with lDDT and distance to the native; those of the input stand with ``input_finished``, whose line is
    drawn.
    """
    made = {name: dict(table) for name, table in columns.items()}
    for name, table in comparison["per_residue"].items():
        for key in ("lddt", "distance"):
            at = dict(zip(comparison["residues"], table[key], strict=True))
            values = [at.get(str(identity)) for identity in residues]
            target = made.setdefault("input_finished" if name == "input" else name, {})
            target[f"native_{key}"] = np.array([np.nan if v is None else v for v in values])
    return made


def _rpdd(run: RunResult, length: int, absent: list[str]) -> RPDD | None:
    try:
        found = run.rpdd
    except RefineError as error:
        absent.append(str(error))
        return None
    if len(found.mean) != length:
        absent.append(f"rpdd.npz has {len(found.mean)} residues, the models have {length}: no maps")
        return None
    return found
