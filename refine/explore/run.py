"""The order of an exploration: read, sample, profile, write. The only place that states it."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refine.constants import BOLTZMANN
from refine.explore.chunks import Chunks
from refine.explore.input import Explored, explored_input
from refine.explore.page import PAGE, write_page
from refine.explore.picture import write_picture
from refine.explore.tables import ENSEMBLE_COLUMNS, ensemble_rows, grid_arrays, state_facts, states_csv
from refine.files import csv_text, json_text
from refine.physics.dynamics import REFERENCE_ATOMS
from refine.progress import JsonLines, Progress
from refine.run.folder import RunFolder
from refine.run.record import ExplorationRecord, begun
from refine.run.result import RunResult
from refine.sampling.exploration import Sampled, explore
from refine.sampling.profile import Profile, profile
from refine.sampling.reweight import LEAST_KISH
from refine.sampling.settings import ExploreSettings
from refine.settings_file import build_settings, read_toml
from refine.structure.notes import summary_lines

log = logging.getLogger(__name__)


def settings_with(file: Path | None, values: Mapping[str, Any]) -> ExploreSettings:
    """Settings of a TOML file, None for none, and of ``values`` that are not None, which win.

    Raises:
        InputError: the file cannot be read, or a value is out of its limits.
    """
    settings = read_toml(file, lambda v: build_settings(ExploreSettings, v)) if file else ExploreSettings()
    return dataclasses.replace(settings, **{name: v for name, v in values.items() if v is not None})


def explore_file(
    path: Path | None,
    out: Path,
    settings: ExploreSettings | None = None,
    progress: Progress | None = None,
    *,
    sequence: str | None = None,
    variables: Path | None = None,
    towards: Path | None = None,
    resume: bool = False,
) -> RunResult:
    """Explore a structure file, model 1 of a run folder, or a peptide, into the run folder ``out``.

    Args:
        path: PDB or mmCIF file, or a run folder; None with ``sequence``.
        out: folder, made when missing; it must be empty unless ``resume``.
        settings: how; None for the defaults.
        progress: told of every block; progress.jsonl is written in any case.
        sequence: of a peptide, ``ACE-ALA-NME``.
        variables: file of one to six variables; a peptide has phi and psi of its middle residue by default.
        towards: a second structure, for the bias ``adversary``.
        resume: give back a finished run of the same input and settings, or go on with an interrupted one.

    Raises:
        InputError: bad input, variables, settings or folder; nothing has been written.
        EngineError: the simulation or writing failed; what was sampled stays in ``out``.
    """
    settings, folder = settings or ExploreSettings(), RunFolder(Path(out))
    folder.check(resume=resume)
    given = explored_input(path, sequence, variables, towards, settings)
    values = settings.to_dict() | {"variables": [v.name for v in given.variables], "force_field": _force_field(given)}
    values["towards"] = given.towards
    done = folder.finished(given.digest, values) if resume else None
    if done is not None:
        return _result(folder, done, skipped=True)
    tell = progress or Progress()
    for line in summary_lines(given.notes):
        tell("repair", message=line)
    mark = hashlib.sha256((given.digest + json_text(values)).encode()).hexdigest()
    folder.clear()
    with folder.open() as stream:
        record = ExplorationRecord(folder, begun(given.name, given.digest, values, "cpu"))
        record.values |= _facts(given)
        with record.kept():
            _go(given, settings, record, Chunks(folder, mark), tell.also(JsonLines(stream)))
    Chunks(folder, mark).remove()
    tell("done")
    return _result(folder, record.values)


def _go(given: Explored, settings: ExploreSettings, record: ExplorationRecord, chunks: Chunks, tell: Progress) -> None:
    done = chunks.read()
    chunks.remove(len(done))
    with record.timed("sample"):
        run = explore(
            given.subject,
            given.variables,
            settings,
            done=done,
            keep=chunks.keep,
            tell=lambda k, of: tell("sample", k, of),
            towards=given.towards,
        )
    with record.timed("profile"):
        found = profile(run, given.variables, BOLTZMANN * settings.temperature)
    with record.timed("write"):
        _write(given, settings, run, found, record)


def _write(given: Explored, settings: ExploreSettings, run: Sampled, found: Profile, record: ExplorationRecord) -> None:
    folder, variables = record.folder, given.variables
    states = found.states[: settings.models]
    models = []
    for k, state in enumerate(states, start=1):
        frame = run.frames[np.searchsorted(run.kept, state.frame)]
        facts = state_facts(states, k, run, variables, settings.temperature)
        files = {}
        for ending, writer in given.subject.writers(frame, [facts["source"]]).items():
            files[ending] = folder.write(f"model_{k}.{ending}", writer).name
        models.append(facts | files)
        record.add_files(*files.values())
    record.values["models"] = models
    shown = _shown(run, settings.snapshots)
    remarks = [f"ensemble of refine explore, {len(shown)} snapshots under the frozen bias; weights are in ensemble.csv"]
    frames = run.frames[shown]
    folder.write("ensemble.pdb", lambda path: given.subject.write(frames, path, remarks))
    rows = ensemble_rows(shown, run, found, variables)
    columns = (*ENSEMBLE_COLUMNS, *(f"{v.name} ({v.unit})" for v in variables))
    folder.text("ensemble.csv", csv_text(columns, rows))
    folder.text("states.csv", states_csv(states, models, variables))
    folder.npz("pmf.npz", grid_arrays(found, variables))
    folder.npz(
        "trajectory.npz",
        {"variables": np.array([v.name for v in variables]), "periodic": np.array([v.axis.periodic for v in variables]),
         "q": run.q, "bias": run.bias, "frozen": run.frozen, "label": found.label, "frames": run.frames,
         "kept": run.kept, "biased": np.array(settings.bias != "none")},
    )  # fmt: skip
    record.values["sampling"] = {
        "frames": len(run.q),
        "averaged_frames": int(run.frozen.sum()),
        "kish": round(found.weights.kish, 1),
        "kish_least": LEAST_KISH,
        "weights_refused": found.weights.refused,
    }
    record.values["doubts"] = list(found.doubts)
    record.values["verdict"] = _verdict(found, settings)
    folder.write("pmf.png", lambda path: write_picture(found, run, variables, path))
    write_page(folder, given, settings, run, found, record.values, shown)
    record.add_files("ensemble.pdb", "ensemble.csv", "states.csv", "pmf.npz", "pmf.png", "trajectory.npz", PAGE)


def _shown(run: Sampled, most: int) -> np.ndarray:
    """Places among the kept frames of evenly spaced snapshots under the frozen bias."""
    frozen = np.flatnonzero(run.frozen[run.kept])
    return frozen[np.unique(np.linspace(0, len(frozen) - 1, min(most, len(frozen))).round().astype(int))]


def _verdict(found: Profile, settings: ExploreSettings) -> str:
    count = len(found.states)
    if found.weights.refused:
        shares = ", ".join(f"{100 * s.learned:.1f} %" for s in found.states[:5]) + " (learned)"
    else:
        shares = ", ".join(f"{100 * s.population:.1f} ± {100 * s.error:.1f} %" for s in found.states[:5])
    sentence = f"{count} state{'' if count == 1 else 's'} in {settings.ns:g} ns: {shares}."
    return " ".join((sentence, *found.doubts))


def _force_field(given: Explored) -> str:
    return given.subject.force_field


def _facts(given: Explored) -> dict[str, Any]:
    """What run.json says of the input."""
    particles = given.subject.system.getNumParticles()
    chains = list(dict.fromkeys(label.chain for label in given.subject.labels if label is not None))
    return {
        "kind": "exploration",
        "residues": given.subject.topology.getNumResidues(),
        "chains": chains,
        "atoms": particles,
        "platform": "Reference" if particles < REFERENCE_ATOMS else "CPU",
        "notes": [dataclasses.asdict(note) for note in given.notes],
    }


def _result(folder: RunFolder, values: dict[str, Any], *, skipped: bool = False) -> RunResult:
    models = tuple(folder.path / (m.get("cif") or m["pdb"]) for m in values["models"])
    return RunResult(folder.path, models, False, values.get("verdict", ""), values, skipped)
