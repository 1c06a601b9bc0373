"""Processes that were started below another one: found in /proc by a mark in their environment, which is inherited."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

import pytest

MARK = "REFINE_TEST_MARK"
SECONDS = 60.0

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")


def new_mark() -> dict[str, str]:
    """What the environment of the first process needs more."""
    return {MARK: secrets.token_hex(8)}


def marked(mark: dict[str, str]) -> list[str]:
    """Command lines of the processes with this mark that have not ended."""
    wanted = f"{MARK}={mark[MARK]}".encode()
    lines = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                lines.append(f"{place.name} {(place / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return lines


def assert_gone(mark: dict[str, str], seconds: float = SECONDS, *, but: str = "nothing") -> None:
    """No process with this mark is left after a while, ``but`` those whose command holds that; they are killed."""
    end = time.monotonic() + seconds
    while (left := [line for line in marked(mark) if but not in line]) and time.monotonic() < end:
        time.sleep(0.1)
    for line in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    assert not left
