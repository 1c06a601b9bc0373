"""The structure a run is at, for whoever watches it: ``current.cif`` in the run folder, gone when the run has ended."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
from numpy.typing import NDArray

from refine.run.folder import CURRENT_FILE, RunFolder
from refine.structure.protein import Protein
from refine.structure.write import write_cif


class Current:
    """Writes a backbone now and then.

    Args:
        folder: of the run.
        protein: whose residues move; its hetero atoms are left out.
        every: seconds between two files at least; the first is written at once.
    """

    def __init__(self, folder: RunFolder, protein: Protein, every: float = 2.0) -> None:
        mask = np.zeros_like(protein.mask)
        mask[:, :4] = protein.mask[:, :4]
        self._folder, self._every, self._next = folder, every, 0.0
        self._protein = dataclasses.replace(
            protein.replica(0).with_hetero(()), mask=mask, oxt_mask=np.zeros_like(protein.oxt_mask), connections=()
        )

    @property
    def due(self) -> bool:
        """Whether it is time to ``write`` again."""
        return time.monotonic() >= self._next

    def write(self, backbone: NDArray[np.float32]) -> None:
        """Write N, CA, C, O (L, 4, 3) Å as current.cif; raises EngineError when the file cannot be written."""
        coords = np.zeros_like(self._protein.coords)
        coords[0, :, :4] = backbone
        moved = dataclasses.replace(self._protein, coords=coords)
        self._folder.write(CURRENT_FILE, lambda path: write_cif(moved, path))
        self._next = time.monotonic() + self._every

    def remove(self) -> None:
        """Take the file away."""
        (self._folder.path / CURRENT_FILE).unlink(missing_ok=True)
