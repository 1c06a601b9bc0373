"""Tasks of a benchmark, in processes of this machine and on a Dask cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from refine.dispatch import dispatch
from refine.errors import EngineError, InputError
from tests import tasks


def test_every_task_is_answered_once() -> None:
    ended = list(dispatch(tasks.square, list(range(12)), workers=2))
    assert sorted((e.task, e.answer) for e in ended) == [(i, i * i) for i in range(12)]


def test_a_task_that_raises_does_not_stop_the_others() -> None:
    ended = {e.task: e for e in dispatch(tasks.fail_on_three, [1, 2, 3, 4], workers=2)}
    assert set(ended) == {1, 2, 3, 4} and "ValueError: three" in ended[3].error
    assert [ended[k].answer for k in (1, 2, 4)] == [1, 2, 4]


def test_no_workers_is_an_error() -> None:
    with pytest.raises(InputError, match="workers = 0 must be a number of at least 1"):
        list(dispatch(tasks.square, [1], workers=0))


def test_a_dask_cluster_gives_the_same_answers() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        ended = list(dispatch(tasks.fail_on_three, [1, 2, 3], scheduler=cluster.scheduler_address))
    assert {e.task: e.answer for e in ended} == {1: 1, 2: 2, 3: None}
    assert "three" in next(e for e in ended if e.task == 3).error


def test_a_killed_dask_worker_loses_nothing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    paths = [tmp_path / f"task{i}" for i in range(3)]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        ended = list(dispatch(tasks.die_once, paths, scheduler=cluster.scheduler_address))
    assert sorted(e.answer for e in ended if not e.error) == [p.name for p in paths]


def test_a_scheduler_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("refine.dispatch.CONNECT_SECONDS", 1)
    with pytest.raises(EngineError, match="cannot reach"):
        list(dispatch(tasks.square, [1], scheduler="tcp://127.0.0.1:9"))
