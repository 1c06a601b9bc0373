"""``refine states``: metastable states of a trajectory at several lag times, into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refine.errors import InputError
from refine.explore.trajectory import Trajectory, read_trajectory
from refine.files import csv_text, file_hash
from refine.progress import JsonLines, Progress
from refine.run.folder import RunFolder
from refine.run.record import ExplorationRecord, begun
from refine.run.result import RunResult
from refine.sampling.states import States, StateSettings, learn_states, overlap
from refine.settings_checks import at_least, within

MOST_LAGS = 8
_COLUMNS = (
    "lag", "unit", "state", "population", "stay", "lifetime", "representative_frame", "within_state_of_longer_lag",
    "file",
)  # fmt: skip


def states_of(
    path: Path,
    out: Path,
    progress: Progress | None = None,
    *,
    lag: str,
    most: int | None = None,
    seed: int = 0,
    resume: bool = False,
) -> RunResult:
    """Learn the states of a trajectory at each lag time and write them to ``out``.

    Args:
        path: folder of ``refine explore --bias none`` or of ``refine run``, or a file of MODELs.
        lag: lag times, ``2,20,200``; ps of explorations, frames of everything else, which has no time.
        most: largest number of states; seed: of the networks.
        resume: give back what was done with the same input and options.

    Raises:
        InputError: the trajectory or a lag cannot be used; EngineError: a file could not be written.
    """
    at_least("seed", seed, 0)
    within("most", most or 2, 2, 64)
    folder = RunFolder(Path(out))
    folder.check(resume=resume)
    trajectory = read_trajectory(Path(path))
    lags = _lags(lag, trajectory)
    settings = StateSettings() if most is None else StateSettings(most=most)
    values: dict[str, Any] = {"lags": list(lags), "unit": trajectory.unit, "most": settings.most, "seed": seed}
    digest = file_hash(trajectory.source)
    done = folder.finished(digest, values) if resume else None
    if done is not None:
        return RunResult(folder.path, (), False, done.get("verdict", ""), done, True)
    folder.clear()
    tell = progress or Progress()
    with folder.open() as stream:
        record = ExplorationRecord(folder, begun(trajectory.source.name, digest, values, "cpu"))
        record.values["kind"] = "states"
        written = tell.also(JsonLines(stream))
        with record.kept():
            found: list[States] = []
            for k, (text, frames) in enumerate(lags.items()):
                written("sample", k, len(lags), message=f"lag {text} {trajectory.unit}")
                with record.timed(f"lag {text}"):
                    found.append(learn_states([trajectory.features], frames, settings, seed))
            _write(record, trajectory, list(lags), found)
            written("sample", len(lags), len(lags))
    tell("done")
    return RunResult(folder.path, (), False, record.values["verdict"], record.values)


def _lags(text: str, trajectory: Trajectory) -> dict[str, int]:
    """Lag as written → frames, shortest first."""
    try:
        lags = {item.strip(): float(item) for item in text.split(",")}
    except ValueError:
        raise InputError(f"the lag times {text[:60]!r} cannot be read", remedy='Write numbers, "2,20,200"') from None
    frames = {name: round(value / trajectory.spacing) if 0 < value < 1e9 else 0 for name, value in lags.items()}
    if not 1 <= len(frames) <= MOST_LAGS or min(frames.values()) < 1:
        raise InputError(
            f"the lag times {text[:60]!r} are no times of this trajectory",
            remedy=f"Give 1 to {MOST_LAGS} of at least {trajectory.spacing:g} {trajectory.unit}",
        )
    return dict(sorted(frames.items(), key=lambda item: item[1]))


def _write(record: ExplorationRecord, trajectory: Trajectory, lags: Sequence[str], found: Sequence[States]) -> None:
    folder, rows = record.folder, list[list[object]]()
    arrays: dict[str, np.ndarray] = {}
    for n, (lag, states) in enumerate(zip(lags, found, strict=True)):
        longer = found[n + 1] if n + 1 < len(found) else None
        parents = None if longer is None else overlap(states.label, longer.label)[0]
        for k in range(len(states.population)):
            text = _structure(trajectory, states, k)
            name = f"lag_{lag}_state_{k + 1}.pdb" if text else ""
            if text:
                folder.text(name, text)
                record.add_files(name)
            rows.append(
                [lag, trajectory.unit, k + 1, float(states.population[k]), float(states.stay[k]),
                 float(states.lifetime[k] * trajectory.spacing), int(states.representative[k]),
                 "" if parents is None else int(parents[k]) + 1, name]
            )  # fmt: skip
        own: dict[str, np.ndarray] = {
            "label": states.label,
            "plane": states.plane,
            "soft": states.soft,
            "transitions": states.transitions,
        }
        arrays |= {f"lag_{lag}_{key}": values for key, values in own.items()}
    folder.text("states.csv", csv_text(_COLUMNS, rows))
    folder.npz("states.npz", arrays)
    folder.write("states.png", lambda path: _picture(path, trajectory, lags, found))
    record.add_files("states.csv", "states.npz", "states.png")
    record.values["lag_unit"] = trajectory.unit
    record.values["states"] = [
        {"lag": lag, "states": len(s.population), "of_each_seed": s.agreement, "information": s.information}
        for lag, s in zip(lags, found, strict=True)
    ]
    record.values["verdict"] = _verdict(trajectory, lags, found)


def _structure(trajectory: Trajectory, states: States, k: int) -> str:
    """PDB text of the structure of state ``k`` that is nearest to its representative; empty where there is none."""
    places = trajectory.places
    own = np.flatnonzero(states.label[places] == k) if len(places) else places
    if not len(own):
        return ""
    apart = trajectory.features[places[own]] - trajectory.features[states.representative[k]]
    return trajectory.models[own[(apart**2).sum(1).argmin()]]


def _verdict(trajectory: Trajectory, lags: Sequence[str], found: Sequence[States]) -> str:
    parts = []
    for lag, states in zip(lags, found, strict=True):
        count = len(states.population)
        agree = sum(one == count for one in states.agreement)
        doubt = "" if agree == len(states.agreement) else f" (in {agree} of {len(states.agreement)} trainings)"
        parts.append(f"{count} at {lag} {trajectory.unit}{doubt}")
    text = f"States: {', '.join(parts)}."
    for lag, short, long in zip(lags[1:], found, found[1:], strict=False):
        entropy = overlap(short.label, long.label)[1]
        if entropy > 0.15:
            text += f" Those at {lag} {trajectory.unit} are no unions of the shorter lag's ({entropy:.2f} nat)."
    return text


def _picture(path: Path, trajectory: Trajectory, lags: Sequence[str], found: Sequence[States]) -> None:
    """The learned plane of each lag, points coloured by state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.8 * len(lags), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, lag, states in zip(np.atleast_1d(figure.subplots(1, len(lags))), lags, found, strict=True):
        some = np.linspace(0, len(states.label) - 1, min(5000, len(states.label))).astype(int)
        for k, share in enumerate(states.population):
            points = states.plane[some[states.label[some] == k]]
            panel.plot(*points.T, ".", markersize=2, label=f"{k + 1}: {100 * share:.1f} %")
        panel.set_title(f"lag {lag} {trajectory.unit}")
        panel.legend(frameon=False, markerscale=5, fontsize=8)
    figure.savefig(path, dpi=130, format="png", metadata={"Software": None})
