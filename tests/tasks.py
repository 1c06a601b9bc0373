"""Work for the tests of the worker processes; functions of a module, so that they travel."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from refine.errors import InputError

prepared = 0
"""Set by ``prepare``, in a worker process."""


def square(value: int) -> int:
    return value * value


def fail_on_three(value: int) -> int:
    if value == 3:
        raise ValueError("three")
    return value


def die_once(path: Path) -> str:
    """Killed with -9 the first time, done the second."""
    if not path.exists():
        path.write_text("was here")
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def die_always(path: Path) -> str:
    with path.open("a") as stream:
        stream.write("x")
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def threads(_: int) -> str:
    return os.environ.get("OMP_NUM_THREADS", "")


class Unportable(Exception):
    """Cannot be made from its message alone, and so not sent to another process."""

    def __init__(self, message: str, more: str) -> None:
        super().__init__(message)
        self.more = more


def complain(kind: str) -> None:
    if kind == "refine":
        raise InputError("no good", chain="A", remedy="Mend it")
    raise Unportable("far", "away")


def pid_after_a_while(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def prepare(value: int) -> None:
    global prepared
    prepared = value


def prepared_value(_: int) -> int:
    return prepared


def wait_beside_a_program(_: int) -> None:
    """For ten minutes, with another program that does the same and does not mind SIGTERM."""
    subprocess.run(["sh", "-c", "trap '' TERM; sleep 600; true"], check=False)
