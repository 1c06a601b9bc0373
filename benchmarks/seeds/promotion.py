"""Choosing what is simulated: the choice, its weights, and a campaign under kills.

    python benchmarks/seeds/promotion.py [--jobs 200]

5,000 points of one common mode and five rare ones of 1 %, of which 32 are chosen, beside random choices. Then a
campaign of jobs that only wait (0.5 to 2 s) on two processes: one of them is killed, then the driver, and it is
resumed; every job must be there once, and the choices must be those of one process that nobody disturbs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from limits import write_result
from scipy.spatial.distance import cdist

from refine.sampling.campaign import Campaign, Job
from refine.sampling.promotion import Candidates, PromotionSettings, promote, voronoi_weights

RARE, DIMENSIONS = 5, 8


def candidates_of(latent: np.ndarray) -> Candidates:
    count = len(latent)
    return Candidates(latent, np.zeros(count), np.zeros(count), np.ones(count), np.ones(count, np.bool_))


def modes(seed: int, count: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 8) and the mode of each; 0 is the common one."""
    random = np.random.default_rng(seed)
    mode = np.where(random.random(count) < 0.05, random.integers(1, RARE + 1, count), 0)
    centre = np.concatenate((np.zeros((1, DIMENSIONS)), 9.0 * np.eye(DIMENSIONS)[:RARE]))
    return centre[mode] + random.normal(size=(count, DIMENSIONS)), mode


def check_choice(seeds: int = 5) -> dict[str, float]:
    """Means over data sets; 20 random choices for each."""
    rows = []
    for seed in range(seeds):
        latent, mode = modes(seed)
        candidates = candidates_of(latent)
        chosen = [choice.index for choice in promote(candidates, 32, PromotionSettings())]
        random = np.random.default_rng(100 + seed)
        by_chance = [random.choice(len(latent), 32, replace=False) for _ in range(20)]
        radius = [cdist(latent, latent[list(picked)]).min(1).max() for picked in (chosen, *by_chance)]
        weights = voronoi_weights(candidates, tuple(chosen))
        value = latent[:, 0] + 3.0 * (mode == 1)
        error = [abs(mean - value.mean()) / value.std() for mean in (weights @ value[chosen], value[chosen].mean())]
        found = [len(set(mode[list(picked)]) - {0}) for picked in (chosen, *by_chance)]
        rows.append((found[0], np.mean(found[1:]), radius[0] / np.mean(radius[1:]), *error))
    least, mean = np.min(rows, axis=0), np.mean(rows, axis=0)
    return {
        "rare_modes_least": float(least[0]),
        "rare_modes_random": float(mean[1]),
        "covering_radius_over_random": float(mean[2]),
        "weighted_mean_error_sd": float(mean[3]),
        "unweighted_mean_error_sd": float(mean[4]),
    }


def wait(job: Job) -> dict[str, float]:
    """A job that takes 0.5 to 2 s by its seed; it says when it began and ended."""
    begun = time.time()
    time.sleep(0.5 + 1.5 * (job.seed % 1000) / 1000)
    return {"candidate": job.candidate, "begun": begun, "ended": time.time(), "process": os.getpid()}


def campaign(folder: Path, jobs: int) -> Campaign:
    one = Campaign(folder, PromotionSettings(), 0)
    one.choose(0, candidates_of(modes(0, 5 * jobs)[0]), jobs)
    return one


def check_campaign(jobs: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "campaign"
        record = campaign(folder, jobs)
        driver = _driver(folder, jobs)
        killed = 0
        while len(record.results()) < jobs // 2:
            time.sleep(0.5)
            if not killed and len(record.results()) >= jobs // 4:
                killed = int(max(record.results().items())[1]["process"])
                os.kill(killed, signal.SIGKILL)
            assert driver.poll() is None, "the driver ended early"
        driver.kill()
        driver.wait()
        half = record.results()
        assert _driver(folder, jobs).wait() == 0
        results = record.results()
        chosen = [c["candidate"] for c in record.choices()]
        undisturbed = [c["candidate"] for c in campaign(Path(name) / "other", jobs).choices()]
        sessions = (list(half.values()), [v for k, v in results.items() if k not in half])
    busy = [sum(r["ended"] - r["begun"] for r in rows) for rows in sessions]
    wall = [max(r["ended"] for r in rows) - min(r["begun"] for r in rows) for rows in sessions]
    return {
        "jobs": jobs,
        "jobs_missing": jobs - len(results),
        "results_of_other_candidates": sum(results[k]["candidate"] != c for k, c in enumerate(chosen)),
        "choices_that_differ": sum(a != b for a, b in zip(chosen, undisturbed, strict=True)),
        "utilisation": sum(busy) / (2 * sum(wall)),
    }


def _driver(folder: Path, jobs: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, "--drive", str(folder), "--jobs", str(jobs)])


LIMITS = {
    "rare_modes_least": (">=", 5),
    "rare_modes_random": ("<=", 3.0),
    "covering_radius_over_random": ("<=", 0.7),
    "weighted_mean_error_sd": ("<=", 0.1),
    "unweighted_mean_error_sd": (">=", 0.3),
    "jobs_missing": ("<=", 0),
    "results_of_other_candidates": ("<=", 0),
    "choices_that_differ": ("<=", 0),
    "utilisation": (">=", 0.9),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        campaign(options.drive, options.jobs).run(wait, workers=2)
        return
    write_result("promotion", check_choice() | check_campaign(options.jobs), LIMITS, {"workers": 2, "seed": 0})


if __name__ == "__main__":
    main()
