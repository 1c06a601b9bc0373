"""The record of a campaign: it only grows, and goes on after a kill as it would have."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from refine.errors import EngineError, InputError
from refine.sampling.campaign import DATABASE, Campaign, Job
from refine.sampling.promotion import Candidates, PromotionSettings

SCRIPT = """
import sys
from pathlib import Path
from tests.sampling.test_campaign import campaign_of
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    from tests.sampling.test_campaign import slow
    campaign_of(folder).run(slow, workers=2)
"""


def candidates_of(count: int) -> Candidates:
    latent = np.random.default_rng(0).normal(size=(count, 3))
    return Candidates(latent, np.zeros(count), np.zeros(count), np.ones(count), np.ones(count, np.bool_))


def quick(job: Job) -> dict[str, int]:
    return {"candidate": job.candidate, "seed": job.seed}


def slow(job: Job) -> dict[str, int]:
    """Leaves a file for each time it is begun."""
    time.sleep(0.15)
    return {"candidate": job.candidate, "pid": os.getpid()}


def failing(job: Job) -> int:
    if job.rank == 1:
        raise ValueError("no force field")
    return job.rank


def campaign_of(folder: Path, seed: int = 0) -> Campaign:
    campaign = Campaign(folder, PromotionSettings(), seed)
    campaign.choose(0, candidates_of(60), 24)
    return campaign


def test_results_are_those_of_the_chosen_and_nothing_is_done_twice(tmp_path: Path) -> None:
    campaign = campaign_of(tmp_path)
    campaign.run(quick)
    results = campaign.results()
    assert sorted(results) == list(range(24))
    assert [results[k]["candidate"] for k in range(24)] == [c["candidate"] for c in campaign.choices()]
    assert len({results[k]["seed"] for k in range(24)}) == 24
    campaign.run(failing)  # nothing is due
    assert campaign.results() == results
    weights = campaign.weights(candidates_of(60))
    assert sum(weights.values()) == pytest.approx(1.0) and len(weights) == 24


def test_later_rounds_add_to_earlier_ones_and_other_inputs_are_refused(tmp_path: Path) -> None:
    campaign = campaign_of(tmp_path)
    first = campaign.choices()
    campaign.choose(1, candidates_of(60).joined(candidates_of(20)), 4)
    assert campaign.choices()[:24] == first and len(campaign.choices()) == 28
    campaign.choose(0, candidates_of(60), 24)
    assert len(campaign.choices()) == 28
    with pytest.raises(InputError, match="other candidates"):
        campaign.choose(1, candidates_of(70), 4)
    with pytest.raises(InputError, match="comes before"):
        campaign.choose(5, candidates_of(60), 4)
    with pytest.raises(InputError, match="other settings or seed"):
        Campaign(tmp_path, PromotionSettings(), 1)


def test_the_record_cannot_be_changed(tmp_path: Path) -> None:
    campaign_of(tmp_path).run(quick)
    with sqlite3.connect(tmp_path / DATABASE) as database:
        for statement in ("DELETE FROM events", "UPDATE events SET content = '{}'"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                database.execute(statement)


def test_a_failed_job_costs_no_other_and_is_due_again(tmp_path: Path) -> None:
    campaign = campaign_of(tmp_path)
    with pytest.raises(EngineError, match="1 simulations failed.*no force field"):
        campaign.run(failing)
    assert sorted(campaign.results()) == [0, *range(2, 24)]
    campaign.run(quick)
    assert len(campaign.results()) == 24


def test_killed_and_resumed_each_job_is_there_once(tmp_path: Path) -> None:
    script = tmp_path / "drive.py"
    script.write_text(SCRIPT)
    folder = tmp_path / "campaign"
    command = [sys.executable, str(script), str(folder)]
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    driver = subprocess.Popen(command, env=environment, start_new_session=True)
    limit = time.monotonic() + 240
    while time.monotonic() < limit and rows(folder) < 4:
        time.sleep(0.1)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    reached = rows(folder)
    assert 4 <= reached < 24
    subprocess.run(command, env=environment, check=True, timeout=300)
    assert rows(folder) == 24
    undisturbed = campaign_of(tmp_path / "other")
    assert campaign_of(folder).choices() == undisturbed.choices()
    results = campaign_of(folder).results()
    assert [results[k]["candidate"] for k in range(24)] == [c["candidate"] for c in undisturbed.choices()]


def rows(folder: Path) -> int:
    """How many results the record holds now."""
    if not (folder / DATABASE).exists():
        return 0
    with sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True) as database:
        try:
            return int(database.execute("SELECT COUNT(*) FROM events WHERE kind = 'result'").fetchone()[0])
        except sqlite3.OperationalError:
            return 0
