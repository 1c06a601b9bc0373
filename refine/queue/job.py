"""One job of the queue."""

from __future__ import annotations

import dataclasses
import re
import secrets
from typing import Any

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED"
ACTIVE = (QUEUED, RUNNING)
_ID = re.compile(r"[0-9a-f]{20}")


@dataclasses.dataclass(frozen=True)
class Job:
    """A job as the store knows it.

    Attributes:
        id: 20 hex digits that nobody guesses; also the name of its folder.
        user: who submitted it.
        name: of the input, to be shown.
        file: name of the input file in the job's folder.
        state: QUEUED, RUNNING, DONE, FAILED or CANCELLED.
        options: of ``request.Request``, plain values.
        residues: of the protein.
        estimate: seconds the run was expected to take.
        submitted, started, ended: seconds since the epoch; None where it has not happened.
        pid, pid_start: process and its start time (``process.start_time``), while it runs.
        attempts: how often it was started.
        cancel: whether its user wants it stopped.
        message: what a user of the command line would have been told at the end.
        bytes: disk space of its folder.
        mail: address that is still to be told how it ended; empty for none.
    """

    id: str
    user: str
    name: str
    file: str
    state: str
    options: dict[str, Any]
    residues: int
    estimate: float
    submitted: float
    started: float | None = None
    ended: float | None = None
    pid: int | None = None
    pid_start: str | None = None
    attempts: int = 0
    cancel: bool = False
    message: str = ""
    bytes: int = 0
    mail: str = ""

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ACTIVE


def new_id() -> str:
    """A fresh job id."""
    return secrets.token_hex(10)


def new_token() -> str:
    """A fresh secret for a link that shows a job."""
    return secrets.token_urlsafe(12)


def is_id(text: str) -> bool:
    """Whether ``text`` has the form of a job id; nothing else may become part of a path."""
    return _ID.fullmatch(text) is not None
