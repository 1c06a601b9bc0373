"""Whose turn it is, and what those who wait are told of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from refine.queue.job import QUEUED, RUNNING, Job, new_id
from refine.queue.store import Store
from refine.queue.turn import Turn, next_job, turn_of
from tests.queue.places import quick_settings, submitted

NOW = 1000.0


def job(user: str, submitted: float, estimate: float = 60.0, started: float | None = None) -> Job:
    state = QUEUED if started is None else RUNNING
    return Job(new_id(), user, "m", "m.pdb", state, {}, 20, estimate, submitted, started=started)


def test_with_one_at_a_time_the_oldest_is_first() -> None:
    running = [job("anna", 1, 100.0, started=NOW - 30)]
    waiting = [job("anna", 2, 50.0), job("bert", 3, 20.0), job("anna", 4)]
    turns = [turn_of(one, waiting, running, 1, NOW) for one in waiting]
    assert turns == [Turn(0, 70.0), Turn(1, 120.0), Turn(2, 140.0)]


def test_a_user_without_running_jobs_overtakes() -> None:
    running = [job("anna", 1, 100.0, started=NOW), job("anna", 2, 300.0, started=NOW)]
    older, younger = job("anna", 3), job("bert", 4)
    assert next_job([older, younger], running) == younger
    assert turn_of(younger, [older, younger], running, 2, NOW) == Turn(0, 100.0)
    assert turn_of(older, [older, younger], running, 2, NOW) == Turn(1, 160.0)


def test_a_free_place_is_taken_at_once_and_late_jobs_are_not_expected_to_end_now() -> None:
    one = job("anna", 1)
    assert turn_of(one, [one], [], 1, NOW) == Turn(0, 0.0)
    late = job("bert", 0, 10.0, started=NOW - 100)
    assert turn_of(one, [one], [late], 1, NOW).seconds == pytest.approx(10.0)


def test_the_place_that_is_told_is_the_order_in_which_jobs_start(tmp_path: Path) -> None:
    store = Store(dataclasses.replace(quick_settings(tmp_path), at_once=2))
    jobs = [submitted(store, user) for user in ("anna", "anna", "anna", "bert", "carl")]
    store.start_next(), store.start_next()
    waiting = {one.id: store.turn(one) for one in jobs}
    assert [waiting[one.id] is None for one in jobs] == [True, False, False, True, False]  # anna and bert run
    told = sorted((one for one in jobs if waiting[one.id]), key=lambda one: waiting[one.id].ahead)  # type: ignore[union-attr]
    started = []
    for running in (jobs[0], jobs[3]):
        store.end(running.id, "DONE", "", 0)
        started.append(store.start_next())
    assert [one.id for one in started if one] == [one.id for one in told[:2]]
