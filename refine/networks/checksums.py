"""Checksums of trained files: a file ``SHA256SUMS`` in their folder, which ``sha256sum --check`` reads too.

A network whose weights have changed by a few bits still runs and gives other numbers; nothing else would tell.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from refine.errors import ModelError
from refine.files import file_hash, write_text

SUMS_FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\\x00]+)")


def write_checksums(folder: Path) -> Path:
    """Write ``SHA256SUMS`` of the trained files of a folder; gives its path."""
    path = folder / SUMS_FILE
    write_text(path, "".join(f"{file_hash(p)}  {p.name}\n" for p in sorted(folder.glob("*.safetensors"))))
    return path


def read_checksums(folder: Path) -> dict[str, str] | None:
    """File name → SHA-256 in hex digits; None where the folder has no ``SHA256SUMS``.

    Raises:
        ModelError: it cannot be read, or a line of it is none of a checksum.
    """
    path = folder / SUMS_FILE
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the checksums cannot be read: {error}", file=str(path), remedy=remedy_of(folder)) from error
    matches = [_LINE.fullmatch(line) for line in lines]
    sums = {match[2]: match[1] for match in matches if match is not None}
    if len(sums) != len(lines):
        raise ModelError("the file of checksums is damaged", file=str(path), remedy=remedy_of(folder))
    return sums


def verify(path: Path) -> bool:
    """Compare a trained file with the checksum beside it, once a process; False where the folder has no checksums.

    Raises:
        ModelError: the file is another one, or is not listed.
    """
    sums = read_checksums(path.parent)
    if sums is None:
        return False
    status = path.stat()
    if sums.get(path.name) != _hash_of(path, status.st_mtime_ns, status.st_size):
        what = f"its checksum is not that of {SUMS_FILE}" if path.name in sums else f"{SUMS_FILE} does not list it"
        raise ModelError(f"a trained file is damaged: {what}", file=str(path), remedy=remedy_of(path.parent))
    return True


def remedy_of(folder: Path) -> str:
    """What a user can do about a damaged folder of trained files."""
    return (
        "Install refine again, or copy the folder again; where a trained file was replaced on purpose: "
        f"python -m refine.training.card {folder}"
    )


@functools.lru_cache(maxsize=64)
def _hash_of(path: Path, changed: int, size: int) -> str:  # noqa: ARG001 (when the file was last seen to change)
    return file_hash(path)
