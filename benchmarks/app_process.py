"""``refine app`` in a folder, for the scripts that look at it or load it; they import this."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from refine.queue.settings import AppSettings
from refine.queue.store import Store

FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-gpu-compositing", "--disable-gpu-rasterization"]
"""Of Chromium: WebGL in software, and nothing else on that path, which is slow."""
QUICK = """
networks = "none"
workers = 1
models = 1
[propagation]
replicas = 2
steps = 20
[finishing]
relax = false
"""
"""Run settings of jobs that take no time."""


@contextlib.contextmanager
def served(folder: Path, run_settings: str = "") -> Iterator[tuple[int, Store, int]]:
    """Port, queue and process id of the app in ``folder``; jobs that still run at the end are cancelled.

    Args:
        folder: for the app; the jobs are in ``jobs``, what the app says in ``app.txt``.
        run_settings: TOML text of the settings of all runs.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = folder / "base.toml"
    base.write_text(run_settings)
    jobs = folder / "jobs"
    command = [sys.executable, "-m", "refine", "app", "--port", str(port), "--folder", str(jobs), "--base", str(base)]
    with (folder / "app.txt").open("wb") as output:
        app = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        _wait_until_up(port, app)
        store = Store(AppSettings(folder=str(jobs), base=str(base)))
        yield port, store, app.pid
        for job in store.jobs():
            store.cancel(job.id, job.user)
        while any(job.active for job in store.jobs()):
            time.sleep(0.5)
    finally:
        app.terminate()
        app.wait(60)


def _wait_until_up(port: int, app: subprocess.Popen[bytes]) -> None:
    while app.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the app ended")
