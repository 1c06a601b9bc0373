"""Processes that end with the one that started them, also when that one is killed (kill -9, out of memory).

A small process waits for the end of a pipe that only the parent holds open. It is no thread of the process it ends,
since OpenMM keeps the interpreter to itself for many seconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys

ENDS_WITH_INPUT = "REFINE_ENDS_WITH_INPUT"
"""Environment variable, not empty for a command that is to be killed when its standard input closes."""
_WAIT = """
import os, signal
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
watched = os.getppid()
os.read(0, 1)
"""
_END_GROUP = f"{_WAIT}os.killpg(0, signal.SIGKILL)"
_END_WATCHED = f"{_WAIT}if os.getppid() == watched: os.kill(watched, signal.SIGKILL)"


def end_with_parent() -> None:
    """In a process of ``multiprocessing``: lead a group of its own, and have the group killed when the parent is gone.

    The group holds whatever this process starts, so that other programs end with it too.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    os.setpgid(0, 0)
    _guard(_END_GROUP, parent.sentinel)


def end_with_input() -> None:
    """Where the environment variable ``ENDS_WITH_INPUT`` says so: be killed when standard input closes.

    The variable is removed, so that it reaches no process that we start.
    """
    if os.environ.pop(ENDS_WITH_INPUT, ""):
        _guard(_END_WATCHED, 0)


def kill_group(leader: int) -> None:
    """Kill what is left of the group that a process led after ``end_with_parent``, if it led one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses a group of zombies
        os.killpg(leader, signal.SIGKILL)


def _guard(code: str, pipe: int) -> None:
    null = subprocess.DEVNULL
    subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdin=pipe, stdout=null, stderr=null)
