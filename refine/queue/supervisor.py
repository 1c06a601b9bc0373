"""Who starts the jobs: one supervisor for a job folder, whatever comes and goes around it."""

from __future__ import annotations

import fcntl
import logging
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import IO

from refine.errors import RefineError
from refine.queue.folder import remove, size_of
from refine.queue.job import CANCELLED, DONE, FAILED, RUNNING, Job, is_id
from refine.queue.mail import Postman
from refine.queue.process import alive, stop_group
from refine.queue.settings import to_environment
from refine.queue.store import Store

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds a worker may take from its start until it takes its job."""
GRACE = 15.0
"""Seconds a cancelled command has to write what it has, before it is killed."""
CLEAN_EVERY = 600.0


class Supervisor:
    """Starts waiting jobs, stops cancelled ones, takes care of those whose process is gone, and deletes old ones.

    It holds nothing that a new one could not find out from the store and the processes.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._workers: list[subprocess.Popen[bytes]] = []
        self._asked: dict[tuple[str, int], float] = {}
        self._next_cleaning = 0.0
        self._postman = Postman(store)
        self._lock: IO[str] | None = None

    def lock(self) -> bool:
        """Become the only supervisor of the folder; False while another process is."""
        if self._lock is None:
            stream = (self.store.root / "supervisor.lock").open("w")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.close()
                return False
            self._lock = stream
        return True

    def unlock(self) -> None:
        """Let another process supervise."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def tick(self) -> None:
        """One round."""
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        for job in self.store.jobs(states=(RUNNING,)):
            self._look_after(job)
        while (ready := self.store.start_next()) is not None:
            self._start(ready)
        self._postman.tick()
        if time.time() >= self._next_cleaning:
            self._next_cleaning = time.time() + CLEAN_EVERY
            self.clean()

    def _start(self, job: Job) -> None:
        to_environment(self.store.settings)
        command = [sys.executable, "-P", "-m", "refine.queue.worker", job.id]
        null, place = subprocess.DEVNULL, self.store.root
        self._workers.append(
            subprocess.Popen(command, cwd=place, stdin=null, stdout=null, stderr=null, start_new_session=True)
        )

    def _look_after(self, job: Job) -> None:
        if job.pid is None or job.pid_start is None:
            if time.time() - (job.started or 0) > PATIENCE:
                self._lost(job)
        elif not alive(job.pid, job.pid_start):
            again = self.store.find(job.id)  # it may have ended well since it was looked up
            if again is not None and again.state == RUNNING:
                self._lost(again)
        elif job.cancel:
            key = (job.id, job.attempts)
            if key not in self._asked:
                self._asked[key] = time.monotonic()
                stop_group(job.pid, job.pid_start, signal.SIGTERM)
            elif time.monotonic() - self._asked[key] > GRACE:
                stop_group(job.pid, job.pid_start, signal.SIGKILL)

    def _lost(self, job: Job) -> None:
        self.store.lost(job, size_of(self.store.root / "jobs" / job.id))

    def clean(self) -> None:
        """Delete jobs that ended long ago, and job folders that no row knows (a submission that was cut off)."""
        oldest = time.time() - self.store.settings.keep_days * 86400
        for job in self.store.jobs(states=(DONE, FAILED, CANCELLED)):
            if (job.ended or job.submitted) < oldest:
                delete(self.store, job)
        for path in (self.store.root / "jobs").iterdir():
            stray = is_id(path.name) and self.store.find(path.name) is None
            if stray and not path.is_symlink() and path.lstat().st_mtime < time.time() - 3600:
                remove(path)

    def watch(self, stop: threading.Event, every: float = 1.0) -> None:
        """Rounds until ``stop``; an error of one round is logged and the next one tries again."""
        while not stop.wait(every):
            try:
                if self.lock():
                    self.tick()
            except (OSError, sqlite3.Error, RefineError):
                log.exception("supervising the jobs failed, trying again")
        self.unlock()


def delete(store: Store, job: Job) -> None:
    """Delete an ended job: its folder, then its row, so that no folder is left that nobody knows."""
    remove(store.root / "jobs" / job.id)
    store.forget(job.id)
