"""Whatever a process started is gone when it was killed with -9, at whatever moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from refine.parent import ENDS_WITH_INPUT
from refine.workers import Workers
from tests import tasks
from tests.orphans import assert_gone, marked, needs_proc, new_mark

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
from refine.workers import Workers
from tests import tasks
if __name__ == "__main__":
    with Workers({work}, 2) as workers:
        workers.start()
        list(workers.run({given}))
"""


def started(code: str, mark: dict[str, str], place: Path, **more: str) -> subprocess.Popen[bytes]:
    script = place / "script.py"
    script.write_text(code)
    environment = {**os.environ, **mark, **more, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL)


@needs_proc
@pytest.mark.parametrize("kill", range(6))
def test_killed_at_a_random_moment_leaves_no_process(kill: int, tmp_path: Path) -> None:
    mark = new_mark()
    code = SCRIPT.format(work="tasks.wait_beside_a_program", given="[0, 1, 2]")
    process = started(code, mark, tmp_path)
    time.sleep(random.Random(kill).uniform(0.0, 2.0))
    process.kill()
    process.wait()
    assert_gone(mark)


@needs_proc
def test_a_pool_that_waits_ends_too_and_so_do_other_programs(tmp_path: Path) -> None:
    mark = new_mark()
    process = started(SCRIPT.format(work="tasks.wait_beside_a_program", given="[0]"), mark, tmp_path)
    end = time.monotonic() + 60
    while not any("sleep 600" in line for line in marked(mark)):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert_gone(mark)


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_takes_its_programs_along(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = new_mark()
    for name, value in mark.items():
        monkeypatch.setenv(name, value)
    with Workers(tasks.wait_beside_a_program, 1, attempts=1) as workers:
        workers.start()
        (worker,) = workers._workers
        running = workers.run([0])

        def kill_it() -> None:
            end = time.monotonic() + 60
            while not any("sleep 600" in line for line in marked(mark)) and time.monotonic() < end:
                time.sleep(0.1)
            os.kill(worker.leader, number)

        killer = threading.Thread(target=kill_it)
        killer.start()
        (ended,) = running
        killer.join()
    assert "took its process down" in ended.error
    assert_gone(mark, but="resource_tracker")  # which is of this process, and serves all its pools


@needs_proc
def test_a_command_ends_when_its_input_closes_if_it_is_told_to(tmp_path: Path) -> None:
    mark = new_mark()
    code = (
        "import os, subprocess, sys\n"
        f"os.environ['{ENDS_WITH_INPUT}'] = 'yes'\n"
        "command = 'import time; from refine.parent import end_with_input; end_with_input(); time.sleep(600)'\n"
        "subprocess.Popen([sys.executable, '-c', command], stdin=subprocess.PIPE).wait()\n"
    )
    process = started(code, mark, tmp_path)
    end = time.monotonic() + 60
    while len(marked(mark)) < 3:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert_gone(mark)
