"""Work for the tests of the worker processes; functions of a module, so that they travel."""

from __future__ import annotations

import os
import signal
from pathlib import Path


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
