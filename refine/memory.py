"""Memory that a run needs and that there is: a protein too large for the machine is refused before anything is done."""

from __future__ import annotations

from pathlib import Path

from refine.errors import InputError

GB = 1e9
_MEMORY_INFO = Path("/proc/meminfo")
_GROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""Files of control groups (version 2, then 1): limit and use in bytes."""


def required_bytes(residues: int) -> float:
    """Peak resident bytes of a default run, with a fifth to spare.

    Measured (benchmarks/speed.py): 0.44 GB for 128 residues, 1.20 for 1,000, 2.60 for 3,000. The square is of the
    tables of residue pairs, counted and not measured.
    """
    return 1.2 * (0.4 * GB + 0.55e6 * residues + 75.0 * residues**2)


def available_bytes() -> float | None:
    """Bytes that this process may still take, by the kernel and the limits set for it; None where nothing tells."""
    told: list[float] = []
    if _MEMORY_INFO.is_file():
        lines = [line.split() for line in _MEMORY_INFO.read_text().splitlines()]
        told += [1024.0 * float(words[1]) for words in lines if words[0] == "MemAvailable:"]
    for limit, used in _GROUP_LIMITS:
        if limit.is_file() and used.is_file() and limit.read_text().strip().isdigit():  # "max" is no limit
            told.append(float(limit.read_text()) - float(used.read_text()))
    return min(told) if told else None


def check_memory(residues: int, file: str) -> None:
    """Refuse a protein that does not fit.

    Raises:
        InputError: says how much is needed and how much there is.
    """
    available, required = available_bytes(), required_bytes(residues)
    if available is not None and required > available:
        raise InputError(
            f"The protein has {residues:,} residues, for which about {required / GB:.1f} GB of memory are needed;"
            f" {max(available, 0.0) / GB:.1f} GB are free",
            file=file, remedy="Free memory, use a larger machine, or refine its chains or domains one by one",
        )  # fmt: skip
