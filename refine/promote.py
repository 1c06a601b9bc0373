"""Snapshots of a finished run or exploration that get all-atom dynamics: the next one by novelty, disagreement and
energy.

What comes of them is scored by the run's own score, stands beside its models, and goes back as evidence: distances with
the weights of what each snapshot stands for (``sampling.promotion``), as rows that ``refine run --evidence`` reads.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refine.ensemble.average import average
from refine.ensemble.shapes import rmsd_to
from refine.errors import EngineError, InputError
from refine.files import csv_text
from refine.finishing.finish import Finisher
from refine.physics.dynamics import STEP_FS, Dynamics
from refine.physics.forcefield import ForceFieldSystem
from refine.physics.forces import BONDED, NONBONDED, SOLVENT
from refine.progress import Progress
from refine.promotable import Promotable, finished
from refine.run.folder import RunFolder
from refine.run.model import write_structure
from refine.sampling.campaign import Campaign, Job
from refine.sampling.promotion import Candidates, PromotionSettings
from refine.settings_checks import above, within
from refine.structure.protein import Protein
from refine.structure.ride import ride

log = logging.getLogger(__name__)

FOLDER, TABLE, EVIDENCE = "promoted", "promoted.csv", "evidence.tsv"
MOST_ATOMS = 20_000
MOST_PS = 1000.0
FRAMES = 50
"""Of each simulation."""
NEAR, APART, ROWS = 12.0, 3, 5
"""Evidence is on pairs of CA within ``NEAR`` Å and ``APART`` residues or more apart, at most ``ROWS`` a residue."""
LEAST_SIGMA = 1.0
"""Å, least uncertainty of a row: that of the force field, whatever the simulation's own fluctuation."""


@dataclasses.dataclass(frozen=True)
class Simulated:
    """What came of a snapshot.

    Attributes:
        protein: the average of the second half of its dynamics, finished; total: the run's own score, kcal/mol.
        distances, variance: (L, L) Å and Å² of CA atoms over that half; moved: Å, CA RMSD from the snapshot.
    """

    protein: Protein
    total: float
    distances: NDArray[np.float64]
    variance: NDArray[np.float64]
    moved: float


def simulate(run: Promotable, snapshot: int, ps: float, seed: int) -> Simulated:
    """All-atom dynamics (ff14SB, OBC, 4 fs) of a snapshot, finished first and last.

    Raises:
        EngineError: OpenMM cannot set it up, or it blew up.
    """
    finisher = Finisher(run.prepared.protein, run.settings.finishing, run.prepared.mobile)
    start = finisher.finish(run.snapshot(snapshot), refined=True, settled=True).protein
    forcefield = ForceFieldSystem(start, finisher.mobile, dynamic=True, ph=run.settings.finishing.ph)
    forcefield.add_solvent()
    count = forcefield.system.getNumParticles()
    if count > MOST_ATOMS:
        raise EngineError(f"the simulation would have {count:,} atoms; {MOST_ATOMS:,} are the most")
    groups = frozenset((BONDED, NONBONDED, SOLVENT))
    dynamics = Dynamics(forcefield.system, temperature=run.temperature, seed=seed, groups=groups)
    every = max(1, round(1000 * ps / STEP_FS / FRAMES))
    block = dynamics.run(dynamics.begin(forcefield.positions(start)), 0, every * FRAMES, every)
    late = block.frames[FRAMES // 2 :].astype(np.float64)
    bodies = np.stack([forcefield.coordinates(x, start)[0][:, :4] for x in late])
    mean = average(bodies, anchored=not finisher.mobile.all())
    ended = finisher.finish(ride(start, mean[None]), refined=True).protein
    ca = bodies[:, :, 1].astype(np.float64)
    apart = np.linalg.norm(ca[:, :, None] - ca[:, None], axis=-1)
    moved = float(
        rmsd_to(ended.coords[:, :, 1].astype(np.float64), run.backbones[snapshot, :, 1].astype(np.float64))[0]
    )
    return Simulated(ended, run.engine.of(ended).score().total, apart.mean(0), apart.var(0), moved)


@functools.lru_cache(maxsize=1)
def _opened(folder: Path) -> Promotable:
    torch.set_num_threads(1)
    return finished(folder)


@dataclasses.dataclass(frozen=True)
class Work:
    """What a process does with one chosen snapshot: simulate it and write what came of it beside the campaign."""

    folder: Path
    ps: float

    def __call__(self, job: Job) -> dict[str, Any]:
        run, out = _opened(self.folder), RunFolder(self.folder / FOLDER)
        simulated = simulate(run, job.candidate, self.ps, job.seed)
        name = f"promoted_{job.rank + 1}"
        files = write_structure(
            out,
            name,
            simulated.protein,
            remarks=(f"snapshot {job.candidate + 1} of the ensemble after {self.ps:g} ps of dynamics, finished",),
        )
        out.npz(f"{name}.npz", {"distances": simulated.distances, "variance": simulated.variance})
        return {"candidate": job.candidate, "total": simulated.total, "moved": simulated.moved, **files}


def promote_run(
    folder: Path,
    count: int,
    *,
    ps: float = 5.0,
    seed: int = 0,
    workers: int = 1,
    scheduler: str = "",
    settings: PromotionSettings | None = None,
    progress: Progress | None = None,
) -> Path:
    """Simulate ``count`` snapshots of a finished run or exploration; gives the table of what came of them.

    Every choice and every result stands in promoted/campaign.sqlite, which only grows: a promotion that was stopped
    goes on where it was, with the same choices, whatever the number of processes.

    Args:
        folder: of the run; count: of snapshots; ps: length of each simulation; seed: of their noise.
        workers: processes, one thread each; scheduler: of a running Dask cluster, used instead.

    Raises:
        InputError: the folder is that of neither, or holds a promotion with another count, length or seed.
        EngineError: a simulation failed; the others are kept.
    """
    within("count", count, 1, 1000)
    above("ps", ps, 0.0)
    within("ps", ps, 0.0, MOST_PS)
    folder, tell = Path(folder), progress or Progress()
    run, out = finished(folder.resolve()), folder.resolve() / FOLDER
    candidates = run.candidates()
    campaign = Campaign(out, settings or PromotionSettings(), seed, how={"ps": ps, "count": count})
    chosen = campaign.choose(0, candidates, count)
    if not chosen:
        raise InputError(
            "no snapshot of the run is sound", file=str(folder), remedy="Refine with more replicas, or explore longer"
        )
    tell("promote", len(campaign.results()), len(chosen))
    campaign.run(Work(folder.resolve(), ps), workers=workers, scheduler=scheduler)
    return _written(run, campaign, candidates, tell)


def _written(run: Promotable, campaign: Campaign, candidates: Candidates, tell: Progress) -> Path:
    out, results = RunFolder(run.folder / FOLDER), campaign.results()
    weights, choices = campaign.weights(candidates), campaign.choices()
    rows = [
        (f"promoted_{rank + 1}", answer.get("cif", ""), answer["candidate"] + 1, f"{weights[rank]:.4f}",
         _number(choices[rank]["novelty"]), f"{candidates.energy[answer['candidate']]:.2f}",
         f"{candidates.disagreement[answer['candidate']]:.3f}", f"{answer['total']:.2f}", f"{answer['moved']:.2f}")
        for rank, answer in sorted(results.items())
    ]  # fmt: skip
    head = ("name", "file", "snapshot", "weight", "novelty", "energy", "disagreement", "score", "moved")
    path = out.text(TABLE, csv_text(head, rows))
    out.text(EVIDENCE, evidence_rows(run.prepared.protein, *_averages(run.folder / FOLDER, weights)))
    first = next((m["score"] for m in run.record["models"] if m.get("score") is not None), None)
    best = min(results.items(), key=lambda one: one[1]["total"])
    against = "" if first is None else f", model_1 {first:.1f}"
    tell("done", message=f"promoted_{best[0] + 1} scores best: {best[1]['total']:.1f} kcal/mol{against}")
    return path


def _averages(folder: Path, weights: Mapping[int, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean distances (L, L) Å and their variances over all simulations, each with its weight."""
    shares, means, variances = [], [], []
    for rank, weight in sorted(weights.items()):
        with np.load(folder / f"promoted_{rank + 1}.npz", allow_pickle=False) as arrays:
            means.append(arrays["distances"])
            variances.append(arrays["variance"])
        shares.append(weight)
    mean = np.average(means, axis=0, weights=shares)
    return mean, np.average(variances + (np.stack(means) - mean) ** 2, axis=0, weights=shares)


def evidence_rows(protein: Protein, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> str:
    """Rows of evidence (tsv) on CA distances: their means (L, L) Å with the spread over simulations as sigma."""
    i, j = np.triu_indices(len(protein), APART)
    near = np.flatnonzero(mean[i, j] < NEAR)
    take = near[np.unique(np.linspace(0, len(near) - 1, min(len(near), ROWS * len(protein))).round().astype(int))]
    lines = ["kind\tfirst\tsecond\tvalue\tsigma"]
    for a, b in zip(i[take], j[take], strict=True):
        sigma = max(LEAST_SIGMA, float(np.sqrt(variance[a, b])))
        lines.append(f"distance\t{_atom(protein, a)}\t{_atom(protein, b)}\t{mean[a, b]:.2f}\t{sigma:.2f}")
    return "\n".join((*lines, ""))


def _atom(protein: Protein, i: int) -> str:
    one = protein.residue_ids[i]
    return f"{one.chain.strip() or 'blank'}:{one.number}{one.insertion.strip()} CA"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
