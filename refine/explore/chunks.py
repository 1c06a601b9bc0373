"""What an exploration has sampled so far, kept in its folder so that an interrupted one goes on."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from refine.run.folder import RunFolder
from refine.sampling.exploration import Chunk

_PREFIX = "sampled_"


class Chunks:
    """Chunks of one exploration.

    Args:
        folder: of the run; mark: of input and settings; chunks of another mark are not taken.
    """

    def __init__(self, folder: RunFolder, mark: str) -> None:
        self._folder, self._mark = folder, mark

    def read(self) -> list[Chunk]:
        """Whole chunks from the first on, up to the first that is missing, damaged or another run's."""
        chunks: list[Chunk] = []
        while (chunk := self._read(self._folder.path / _name(len(chunks)))) is not None:
            chunks.append(chunk)
        return chunks

    def keep(self, number: int, chunk: Chunk) -> None:
        """Write one; raises EngineError where that is not possible."""
        self._folder.npz(_name(number), chunk.arrays() | {"mark": np.array(self._mark)})

    def remove(self, first: int = 0) -> None:
        """Remove those from number ``first`` on."""
        kept = {_name(k) for k in range(first)}
        for path in self._folder.path.glob(f"{_PREFIX}*.npz"):
            if path.name not in kept:
                path.unlink()

    def _read(self, path: Path) -> Chunk | None:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return Chunk.of_arrays(arrays) if str(arrays["mark"]) == self._mark else None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None


def _name(number: int) -> str:
    return f"{_PREFIX}{number:05d}.npz"
