"""The queue: jobs in an SQLite file beside their folders.

Every change is one transaction, from whichever process it comes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from refine.errors import InputError
from refine.queue.job import ACTIVE, CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job, is_id, new_token
from refine.queue.settings import AppSettings
from refine.queue.turn import Turn, next_job, turn_of

DATABASE = "jobs.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, state TEXT NOT NULL,
    options TEXT NOT NULL, residues INTEGER NOT NULL, estimate REAL NOT NULL,
    submitted REAL NOT NULL, started REAL, ended REAL, pid INTEGER, pid_start TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0, mail TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS shares (token TEXT PRIMARY KEY, job TEXT NOT NULL UNIQUE);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state);
CREATE INDEX IF NOT EXISTS jobs_user ON jobs (user);
"""
_WAIT = 20.0
"""Seconds a transaction waits for those of other processes."""
MAX_ATTEMPTS = 3


def make_private(root: Path, jobs: Path, database: Path) -> None:
    """Make what is missing of a job folder, and close it to all other accounts of the machine.

    Raises:
        OSError: it cannot be made, or belongs to another account.
    """
    for folder in (root, jobs):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    database.chmod(0o600)


class Store:
    """The jobs of one folder.

    Args:
        settings: folder and limits; the folder is made when missing. Only its owner can read it then, also one that
            was there before: names in the database are the keys of the users' jobs.
    """

    def __init__(self, settings: AppSettings) -> None:
        self.settings = settings
        self.root = settings.root
        try:
            make_private(self.root, self.root / "jobs", self.root / DATABASE)
            with self._change() as database:
                database.executescript(_SCHEMA)
                if "mail" not in {row["name"] for row in database.execute("PRAGMA table_info(jobs)")}:
                    database.execute("ALTER TABLE jobs ADD COLUMN mail TEXT NOT NULL DEFAULT ''")
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                f"the job folder cannot be used: {error}", file=str(self.root), remedy="Give another --folder"
            ) from error

    def folder(self, job_id: str) -> Path:
        """Folder of a job that the queue knows.

        Raises:
            InputError: no job id, no such job, or something else than our folder lies in its place.
        """
        if self.find(job_id) is None:
            raise InputError(
                "there is no such job", remedy="It may have been deleted: jobs are kept for a limited time"
            )
        path = self.root / "jobs" / job_id
        if path.is_symlink() or not path.is_dir() or path.resolve().parent != (self.root / "jobs").resolve():
            raise InputError("the folder of this job is gone", remedy="Submit the model again")
        return path

    def find(self, job_id: str) -> Job | None:
        """A job, or None; any text may be asked for."""
        if not is_id(job_id):
            return None
        with self._read() as database:
            row = database.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job(row)

    def jobs(self, *, user: str | None = None, states: tuple[str, ...] = ()) -> list[Job]:
        """Jobs of a user (None: of all) in given states (none: in any), newest first."""
        wanted = [("user = ?", [user])] if user is not None else []
        if states:
            wanted.append((f"state IN ({', '.join('?' * len(states))})", list(states)))
        where = " AND ".join(text for text, _ in wanted) or "1"
        values = [value for _, some in wanted for value in some]
        with self._read() as database:
            rows = database.execute(f"SELECT * FROM jobs WHERE {where} ORDER BY submitted DESC", values).fetchall()
        return [_job(row) for row in rows]

    def submit(self, job: Job, files: Mapping[str, bytes]) -> None:
        """Take a job in: its folder with the input and other ``files``, then its row: no row is without a folder.

        Raises:
            InputError: a limit of jobs or of disk space is reached; nothing was kept.
        """
        assert is_id(job.id) and job.file in files
        assert all(Path(name).name == name and not name.startswith(".") for name in files)
        size = sum(map(len, files.values()))
        path = self.root / "jobs" / job.id
        path.mkdir(mode=0o700)
        try:
            for name, data in files.items():
                (path / name).write_bytes(data)
            with self._change() as database:
                self._check_limits(database, job, size)
                row = {
                    name: getattr(job, name)
                    for name in ("id", "user", "name", "file", "residues", "estimate", "submitted", "mail")
                }
                row |= {"state": QUEUED, "options": json.dumps(job.options), "bytes": size}
                names = ", ".join(row)
                database.execute(f"INSERT INTO jobs ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
        except BaseException:
            shutil.rmtree(path)
            raise

    def _check_limits(self, database: sqlite3.Connection, job: Job, size: int) -> None:
        limits = self.settings
        active = "SELECT COUNT(*) FROM jobs WHERE state IN ('QUEUED', 'RUNNING')"
        if database.execute(f"{active} AND user = ?", (job.user,)).fetchone()[0] >= limits.user_jobs:
            raise InputError(
                f"you have {limits.user_jobs} jobs waiting or running", remedy="Wait for one to end, or cancel one"
            )
        if database.execute(active).fetchone()[0] >= limits.all_jobs:
            raise InputError(f"the queue is full ({limits.all_jobs} jobs)", remedy="Try again later")
        used = database.execute("SELECT COALESCE(SUM(bytes), 0) FROM jobs WHERE user = ?", (job.user,)).fetchone()[0]
        if used + size > limits.user_mb * 1e6:
            raise InputError(f"your jobs fill the {limits.user_mb} MB you may use", remedy="Delete some of your jobs")
        used = database.execute("SELECT COALESCE(SUM(bytes), 0) FROM jobs").fetchone()[0]
        if used + size > limits.all_mb * 1e6:
            raise InputError(
                f"the jobs of all users fill the {limits.all_mb} MB of this server",
                remedy="Delete jobs, or ask its keeper",
            )

    def start_next(self) -> Job | None:
        """Mark the next waiting job RUNNING, if one may run; ``turn`` says which."""
        with self._change() as database:
            waiting, running = _active(database)
            job = next_job(waiting, running)
            if job is None or len(running) >= self.settings.at_once:
                return None
            database.execute(
                "UPDATE jobs SET state = 'RUNNING', started = ?, pid = NULL, pid_start = NULL,"
                " attempts = attempts + 1 WHERE id = ?",
                (time.time(), job.id),
            )
        return self.find(job.id)

    def take(self, job_id: str, pid: int, pid_start: str) -> bool:
        """Let a worker process take a job that was started; only the first one gets it."""
        with self._change() as database:
            done = database.execute(
                "UPDATE jobs SET pid = ?, pid_start = ? WHERE id = ? AND state = 'RUNNING' AND pid IS NULL",
                (pid, pid_start, job_id),
            )
            return done.rowcount == 1

    def end(self, job_id: str, state: str, message: str, size: int) -> None:
        """Note how a running job ended; one that its user wanted stopped and that is not DONE is CANCELLED."""
        with self._change() as database:
            database.execute(
                "UPDATE jobs SET state = CASE WHEN cancel AND ? != 'DONE' THEN 'CANCELLED' ELSE ? END,"
                " message = ?, bytes = ?, ended = ?, pid = NULL, pid_start = NULL WHERE id = ? AND state = 'RUNNING'",
                (state, state, message, size, time.time(), job_id),
            )

    def lost(self, job: Job, size: int) -> None:
        """A running job whose process was killed or went down with the machine: it waits again, or has FAILED after the
        third time.
        """
        again = job.attempts < MAX_ATTEMPTS and not job.cancel
        state = CANCELLED if job.cancel else QUEUED if again else FAILED
        failure = "the process ended without a result, and so it did each time before"
        message = {CANCELLED: "cancelled", FAILED: failure, QUEUED: ""}[state]
        with self._change() as database:
            database.execute(
                "UPDATE jobs SET state = ?, message = ?, bytes = ?, ended = ?, pid = NULL, pid_start = NULL"
                " WHERE id = ? AND state = 'RUNNING' AND attempts = ? AND pid IS ?",
                (state, message, size, None if again else time.time(), job.id, job.attempts, job.pid),
            )

    def cancel(self, job_id: str, user: str) -> None:
        """Cancel a job of ``user``: at once when it waits; when it runs, whoever supervises stops it.

        Raises:
            InputError: it is not a job of ``user``.
        """
        self._own(job_id, user)
        with self._change() as database:
            database.execute(
                "UPDATE jobs SET state = 'CANCELLED', message = 'cancelled', ended = ?, cancel = 1"
                " WHERE id = ? AND state = 'QUEUED'",
                (time.time(), job_id),
            )
            database.execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'RUNNING'", (job_id,))

    def forget(self, job_id: str) -> None:
        """Remove the row of a job that is not active."""
        with self._change() as database:
            database.execute(f"DELETE FROM jobs WHERE id = ? AND state NOT IN {ACTIVE}", (job_id,))
            database.execute("DELETE FROM shares WHERE job NOT IN (SELECT id FROM jobs)")

    def share(self, job_id: str, user: str) -> str:
        """The token of a link that shows a job of ``user`` to others, made when there is none.

        Raises:
            InputError: it is not a job of ``user``.
        """
        self._own(job_id, user)
        with self._change() as database:
            database.execute("INSERT OR IGNORE INTO shares (token, job) VALUES (?, ?)", (new_token(), job_id))
        return self.token_of(job_id)

    def unshare(self, job_id: str, user: str) -> None:
        """Let the link that shows a job of ``user`` lead nowhere; raises as ``share``."""
        self._own(job_id, user)
        with self._change() as database:
            database.execute("DELETE FROM shares WHERE job = ?", (job_id,))

    def token_of(self, job_id: str) -> str:
        """The token of the link that shows a job; empty when there is none."""
        with self._read() as database:
            row = database.execute("SELECT token FROM shares WHERE job = ?", (job_id,)).fetchone()
        return "" if row is None else str(row["token"])

    def shared(self, token: str) -> Job | None:
        """The job that a link shows, or None; any text may be asked for."""
        with self._read() as database:
            row = database.execute("SELECT job FROM shares WHERE token = ?", (token,)).fetchone()
        return None if row is None else self.find(row["job"])

    def to_be_told(self) -> list[Job]:
        """Jobs that have ended and whose users are still to be told by e-mail."""
        return [job for job in self.jobs(states=(DONE, FAILED, CANCELLED)) if job.mail]

    def told(self, job_id: str) -> None:
        """Forget the address of a job: its user knows, or could not be told."""
        with self._change() as database:
            database.execute("UPDATE jobs SET mail = '' WHERE id = ?", (job_id,))

    def _own(self, job_id: str, user: str) -> Job:
        job = self.find(job_id)
        if job is None or job.user != user:
            raise InputError("this is not one of your jobs", remedy="Ask who submitted it")
        return job

    def deletable(self, job_id: str, user: str) -> Job:
        """A job of ``user`` that has ended.

        Raises:
            InputError: it is not a job of ``user``, or still active.
        """
        job = self._own(job_id, user)
        if job.active:
            raise InputError("the job has not ended", remedy="Cancel it first")
        return job

    def turn(self, job: Job) -> Turn | None:
        """When a job starts; None where it waits no longer."""
        with self._read() as database:
            waiting, running = _active(database)
        if job.id not in {one.id for one in waiting}:
            return None
        return turn_of(job, waiting, running, self.settings.at_once, time.time())

    @contextlib.contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.root / DATABASE, timeout=_WAIT, isolation_level=None)
        database.row_factory = sqlite3.Row
        try:
            yield database
        finally:
            database.close()

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._read() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
            if database.in_transaction:
                database.execute("COMMIT")


def _active(database: sqlite3.Connection) -> tuple[list[Job], list[Job]]:
    """Jobs that wait, and jobs that run, as of one moment."""
    rows = database.execute("SELECT * FROM jobs WHERE state IN (?, ?) ORDER BY submitted", (QUEUED, RUNNING)).fetchall()
    jobs = [_job(row) for row in rows]
    return [job for job in jobs if job.state == QUEUED], [job for job in jobs if job.state == RUNNING]


def _job(row: sqlite3.Row) -> Job:
    values: dict[str, Any] = {key: row[key] for key in row.keys()}  # noqa: SIM118
    return Job(**values | {"options": json.loads(values["options"]), "cancel": bool(values["cancel"])})


__all__ = ["ACTIVE", "CANCELLED", "DATABASE", "DONE", "FAILED", "MAX_ATTEMPTS", "QUEUED", "RUNNING", "Store"]
