"""run.json: what was run, with what, on what, and how it ended."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from refine import __version__
from refine.errors import InputError

FORMAT = 1
"""Raised when a key of run.json changes its meaning."""

_LIBRARIES = ("torch", "numpy", "scipy", "biopython", "gemmi", "openmm", "pdbfixer", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python and of every library that has a hand in the result; ``"missing"`` where one is not installed."""
    found = {"refine": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"cannot read the input: {error.strerror}", file=str(path), remedy="Give an existing, readable file") from error


def new_record(path: Path, settings: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The part of run.json that is known before work starts; status is ``running``."""
    return {
        "format": FORMAT,
        "status": "running",
        "input": path.name,
        "input_sha256": file_hash(path),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "torch_threads": torch.get_num_threads()},
        "device": device_name(device),
        "seed": settings.get("seed"),
        "settings": dict(settings),
    }


def device_name(device: torch.device) -> str:
    """``cpu``, or the name of the GPU."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
