"""Files of a job folder as the app may show them: plain files by name, links never."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from pathlib import Path

from refine.errors import InputError


def size_of(folder: Path) -> int:
    """Bytes of the files under ``folder``; what goes away meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total


def plain_files(folder: Path) -> list[Path]:
    """The plain files of ``folder``, by name; no links, no hidden or partial files, no sub-folders."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file() and not p.is_symlink())


def read_plain(folder: Path, name: str) -> bytes:
    """Content of one of ``plain_files``.

    Raises:
        InputError: there is none of that name; a name with a path never is one.
    """
    for path in plain_files(folder):
        if path.name == name:
            return path.read_bytes()
    raise InputError("there is no such file in this job", remedy="Choose one of the files that are listed")


def zipped(folder: Path, top: str) -> bytes:
    """A zip archive of ``plain_files``, all in the folder ``top``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in plain_files(folder):
            archive.write(path, f"{top}/{path.name}")
    return buffer.getvalue()


def remove(folder: Path) -> None:
    """Delete a job folder; a link in its place is removed, not followed."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.is_dir():
        shutil.rmtree(folder)
