"""Jobs in real processes: done, failed with the message of the command line, cancelled, taking over after a restart."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path

import pytest

from refine.queue.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job
from refine.queue.process import alive, start_time
from refine.queue.request import RUN, Request
from refine.queue.store import Store
from refine.queue.supervisor import Supervisor
from refine.queue.worker import CONSOLE, last_message
from tests.orphans import assert_gone, needs_proc, new_mark
from tests.queue.places import quick_settings, short_model, submitted, wait_for

LONG = Request(steps=5000)
SECONDS = 240.0


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("REFINE_APP", "{}")  # set back to what it was when the test is over


def state(store: Store, job: Job) -> str:
    again = store.find(job.id)
    return again.state if again else "gone"


def progress(store: Store, job: Job) -> list[dict]:
    path = store.root / "jobs" / job.id / RUN / "progress.jsonl"
    return [json.loads(x) for x in path.read_text().splitlines()[:-1]] if path.exists() else []


def test_done_and_failed(tmp_path: Path) -> None:
    store = Store(quick_settings(tmp_path))
    supervisor = Supervisor(store)
    good, bad = (
        submitted(store, data=short_model()),
        submitted(store, data=short_model(), request=Request(freeze="Z:1-9")),
    )
    wait_for(lambda: not any(j.active for j in store.jobs()), SECONDS, supervisor.tick)
    done, failed = store.find(good.id), store.find(bad.id)
    assert done is not None and done.state == DONE and done.message.endswith("-> run") and done.bytes > 10_000
    assert json.loads((store.folder(good.id) / RUN / "run.json").read_text())["status"] == "done"
    assert failed is not None and failed.state == FAILED
    assert failed.message.startswith("the selection 'Z:1-9' names no chain") and str(tmp_path) not in failed.message
    assert failed.message in (store.folder(bad.id) / CONSOLE).read_text()


def test_a_new_supervisor_leaves_a_running_job_alone_and_can_cancel_it(tmp_path: Path) -> None:
    store = Store(quick_settings(tmp_path))
    first = Supervisor(store)
    job = submitted(store, data=short_model(), request=LONG)
    wait_for(
        lambda: any(e["stage"] == "propagate" and e["step"] > 3 for e in progress(store, job)), SECONDS, first.tick
    )
    running = store.find(job.id)
    assert running is not None and running.state == RUNNING and alive(running.pid, running.pid_start)
    second = Supervisor(Store(store.settings))
    second.tick()
    assert store.find(job.id) == running
    assert (store.folder(job.id) / RUN / "current.cif").exists()
    store.cancel(job.id, job.user)
    wait_for(lambda: state(store, job) == CANCELLED, SECONDS, second.tick)
    assert running.pid is not None
    wait_for(lambda: not group(running.pid or 0), 20, first.tick)
    assert not (store.folder(job.id) / RUN / "current.cif").exists()


def test_a_killed_process_makes_its_job_wait_again(tmp_path: Path) -> None:
    store = Store(quick_settings(tmp_path))
    supervisor = Supervisor(store)
    job = submitted(store, data=short_model(), request=LONG)
    wait_for(lambda: (store.find(job.id) or job).pid is not None, SECONDS, supervisor.tick)
    running = store.find(job.id)
    assert running is not None and running.pid
    os.killpg(running.pid, signal.SIGKILL)
    store = Store(dataclasses.replace(store.settings, at_once=1))
    wait_for(lambda: not alive(running.pid, running.pid_start), 20)
    Supervisor(store)._look_after(running)
    again = store.find(job.id)
    assert again is not None and again.state == QUEUED and again.attempts == 1
    store.cancel(job.id, job.user)


def test_a_job_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    store = Store(quick_settings(tmp_path, max_seconds=0.5))
    supervisor = Supervisor(store)
    job = submitted(store, data=short_model(), request=LONG)
    wait_for(lambda: not (store.find(job.id) or job).active, SECONDS, supervisor.tick)
    failed = store.find(job.id)
    assert failed is not None and failed.state == FAILED and "the limit of this server" in failed.message


def test_a_reused_process_id_is_another_process() -> None:
    mine = start_time(os.getpid())
    assert alive(os.getpid(), mine) and not alive(os.getpid(), f"{mine}0") and not alive(None, mine)
    assert start_time(2**22 + 1) is None


def test_one_supervisor_for_a_folder(tmp_path: Path) -> None:
    store = Store(quick_settings(tmp_path))
    one, two = Supervisor(store), Supervisor(store)
    assert one.lock() and one.lock() and not two.lock()
    one.unlock()
    assert two.lock()
    two.unlock()


def test_the_message_is_the_error_else_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / CONSOLE
    path.write_text("warning\nrefine: no good (file x)\nmore\n")
    assert last_message(path) == "no good (file x)"
    path.write_text("read\nx: better -> run\n\n")
    assert last_message(path) == "x: better -> run"


def group(pid: int) -> bool:
    """Whether any process of the group that ``pid`` led is left."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


@needs_proc
def test_a_command_does_not_outlive_its_killed_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = new_mark()
    for name, value in mark.items():
        monkeypatch.setenv(name, value)
    store = Store(quick_settings(tmp_path))
    supervisor = Supervisor(store)
    job = submitted(store, data=short_model(), request=LONG)
    wait_for(lambda: any(e["stage"] == "propagate" for e in progress(store, job)), SECONDS, supervisor.tick)
    running = store.find(job.id)
    assert running is not None and running.pid is not None
    os.kill(running.pid, signal.SIGKILL)
    for worker in supervisor._workers:
        worker.wait()
    assert_gone(mark, 30)
