"""Processes that outlive the app: known by id and start time, so that a reused id is never taken for the old one."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path


def start_time(pid: int) -> str | None:
    """When process ``pid`` was started, as a text to be compared.

    None when there is no such process or it has ended and waits for its parent (a zombie).
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{boot_id()} {fields[19]}"
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    state, _, started = listing.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def boot_id() -> str:
    """What tells this start of the machine from others; start times are counted from it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def alive(pid: int | None, started: str | None) -> bool:
    """Whether exactly that process is still there."""
    return pid is not None and started is not None and start_time(pid) == started


def stop_group(pid: int, started: str, number: signal.Signals) -> None:
    """Send a signal to the process group that ``pid`` leads, if it is still that process."""
    if alive(pid, started):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            pass  # it ended between the two calls
