"""One job in a process of its own, which outlives the app and notes how the job ended.

``python -m refine.queue.worker ID``; the job folder and the limits come with the environment variable that
``queue.settings.to_environment`` sets.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from refine.parent import ENDS_WITH_INPUT
from refine.queue.folder import size_of
from refine.queue.job import DONE, FAILED, Job
from refine.queue.process import start_time
from refine.queue.request import from_dict
from refine.queue.settings import AppSettings, from_environment
from refine.queue.store import Store

CONSOLE = "console.txt"
"""What the command printed, in the job's folder."""
MAX_MESSAGE = 2000

NICE = 10
"""By how much jobs stand back behind the pages, whose users wait."""


def main(job_id: str) -> int:
    """Take the job, run its command, note the end; 0 when the job was taken."""
    os.nice(NICE)
    settings = from_environment()
    store = Store(settings)
    mine = start_time(os.getpid())
    if mine is None or not store.take(job_id, os.getpid(), mine):
        return 1
    stopped: list[int] = []
    # A SIGTERM goes to the whole process group: the command ends by it, and this process stays to note that.
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    job = store.find(job_id)
    assert job is not None
    folder = store.folder(job_id)
    code, late = run(job, folder, settings)
    if code != 0 and stopped:
        store.lost(store.find(job_id) or job, size_of(folder))
        return 0
    message = last_message(folder / CONSOLE) or f"the command ended with exit code {code}"
    if late:
        message = f"stopped after {settings.max_seconds / 3600:g} h, the limit of this server"
    store.end(job_id, DONE if code == 0 else FAILED, message, size_of(folder))
    return 0


def run(job: Job, folder: Path, settings: AppSettings) -> tuple[int, bool]:
    """Run the command of a job in its folder; gives its exit code and whether it was stopped for taking too long."""
    arguments = from_dict(job.options).arguments(job.file, settings.base)
    threads = str(max(1, (os.cpu_count() or 1) // settings.at_once))
    environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads), "PYTHONUNBUFFERED": "1"}
    environment[ENDS_WITH_INPUT] = "yes"  # a job whose worker was killed is started again: never twice at a time
    command = [sys.executable, "-P", "-m", "refine", *arguments, "--resume"]
    with (folder / CONSOLE).open("wb") as console:
        child = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=console, stderr=console, env=environment
        )
        try:
            return child.wait(settings.max_seconds), False
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGTERM)
        try:
            return child.wait(30), True
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait(), True


def last_message(console: Path) -> str:
    """The last thing the command printed: its error, or its verdict."""
    lines = [
        line.strip() for line in console.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
    ]
    errors = [line.removeprefix("refine: ") for line in lines if line.startswith("refine: ")]
    return (errors or lines or [""])[-1][:MAX_MESSAGE]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
