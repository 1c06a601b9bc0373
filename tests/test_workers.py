"""Worker processes: answers, errors, preparation, and processes that die."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from refine.errors import InputError
from refine.workers import ATTEMPTS, Workers
from tests import tasks


def test_every_task_is_answered_by_prepared_processes() -> None:
    with Workers(tasks.prepared_value, 2, prepare=tasks.prepare, arguments=(7,)) as workers:
        workers.start()
        for numbers in ([0, 1, 2], [3]):
            ended = list(workers.run(numbers))
            assert sorted(e.task for e in ended) == numbers and {e.answer for e in ended} == {7}


def test_errors_come_back_as_what_they_are() -> None:
    with Workers(tasks.complain, 1) as workers:
        (refused,), (foreign,) = list(workers.run(["refine"])), list(workers.run(["other"]))
    assert isinstance(refused.raised, InputError) and refused.answer is None
    assert str(refused.raised) == "no good (chain A). Mend it" and "in complain" in refused.error
    assert isinstance(foreign.raised, RuntimeError) and str(foreign.raised) == "Unportable: far"


def test_tasks_of_killed_processes_are_done_again(tmp_path: Path) -> None:
    paths = [tmp_path / f"task{i}" for i in range(4)]
    with Workers(tasks.die_once, 2) as workers:
        ended = list(workers.run(paths))
    assert sorted(e.answer for e in ended) == sorted(p.name for p in paths) and not any(e.error for e in ended)


@pytest.mark.parametrize("attempts", [1, ATTEMPTS])
def test_a_task_that_always_kills_its_process_is_given_up(attempts: int, tmp_path: Path) -> None:
    with Workers(tasks.die_always, 1, attempts=attempts) as workers:
        (ended,) = workers.run([tmp_path / "task"])
    assert "took its process down" in ended.error and ended.raised is None
    assert len((tmp_path / "task").read_text()) == attempts


def test_processes_have_one_thread_and_ours_keeps_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with Workers(tasks.threads, 1) as workers:
        (ended,) = workers.run([0])
    assert ended.answer == "1" and os.environ["OMP_NUM_THREADS"] == "7"


def test_leaving_early_ends_what_runs_and_spoils_nothing_later() -> None:
    with Workers(tasks.pid_after_a_while, 2) as workers:
        first = workers.run([0.0, 600.0])
        next(first)
        began = time.monotonic()
        first.close()
        assert [e.task for e in workers.run([0.1])] == [0.1]
    assert time.monotonic() - began < 60
