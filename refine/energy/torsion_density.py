"""Densities of phi and psi of one residue from a simulation: what their files hold, and for which residues they stand.

A file (npz, no pickled arrays) has ``residue``, ``energy`` (n, n) float32: −ln of the density relative to a uniform
one, in kT, node (i, j) at phi = −π + i·2π/n, psi = −π + j·2π/n, and ``facts``: how it was made, as JSON. Files of
residues that were simulated already lie beside this module; their name, such as ``ALA``, is enough.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refine.errors import InputError
from refine.files import json_text, replacing
from refine.structure.modified_residues import is_modified, parent
from refine.structure.reference import RamachandranTable

LEAST_NODES, MOST_NODES = 12, 360
_SUM = 0.01
"""How far from 1 the sum of a density may be."""
_PACKAGED = Path(__file__).parent / "tables"


@dataclasses.dataclass(frozen=True)
class TorsionDensity:
    """The density of one residue between caps.

    Attributes:
        residue: three-letter name in the force field; energy: (n, n) kT.
        facts: force field, temperature, settings, cost and what the simulation says of its own errors.
    """

    residue: str
    energy: NDArray[np.float32]
    facts: Mapping[str, Any]

    @property
    def letter(self) -> str:
        """Of the standard residue that the terms take the residue for."""
        letter = parent(self.residue)
        assert letter is not None
        return letter

    def stands_for(self, name: str, letter: str) -> bool:
        """Whether it is that of a residue ``name`` that is taken for ``letter``.

        A modified residue's is that of residues of its name alone; those of standard ones and of protonation states
        are that of all unmodified residues of their letter.
        """
        if is_modified(self.residue):
            return name == self.residue
        return letter == self.letter and not is_modified(name)


def write_density(density: TorsionDensity, path: Path) -> None:
    """Write a file, whole or not at all; raises InputError where that fails."""
    facts = np.array(json_text(density.facts))
    try:
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, residue=np.array(density.residue), energy=density.energy, facts=facts)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", file=str(path), remedy="Give another --out") from error


def read_density(path: Path) -> TorsionDensity:
    """The density of a file.

    Raises:
        InputError: it cannot be read, or holds no normalised density of a residue.
    """
    remedy = "Make one: refine simulate-residue NAME"
    try:
        with np.load(path, allow_pickle=False) as file:
            residue, energy = str(file["residue"]), file["energy"].astype(np.float32)
            facts = json.loads(str(file["facts"]))
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read the torsion density: {error}", file=str(path), remedy=remedy) from error
    if parent(residue) is None:
        raise InputError(f"{residue[:20]!r} is no residue of an L-peptide", file=str(path), remedy=remedy)
    n = len(energy) if energy.ndim == 2 else 0
    if energy.shape != (n, n) or not LEAST_NODES <= n <= MOST_NODES or not np.isfinite(energy).all():
        shape, size = "×".join(map(str, energy.shape)), f"a square of {LEAST_NODES} to {MOST_NODES} numbers"
        raise InputError(f"the energy is {shape} or not all numbers, not {size}", file=str(path), remedy=remedy)
    total = float(np.exp(-energy.astype(np.float64)).mean())
    if abs(total - 1) > _SUM or not isinstance(facts, dict):
        raise InputError(f"the density sums to {total:.3g}, not to 1", file=str(path), remedy=remedy)
    return TorsionDensity(residue, energy, facts)


def densities_of(files: Sequence[str]) -> tuple[TorsionDensity, ...]:
    """The densities of files, or of the names of packaged ones.

    Raises:
        InputError: one cannot be read, or two stand for the same residues.
    """
    found: dict[str, TorsionDensity] = {}
    for file in files:
        packaged = _PACKAGED / f"{file.lower()}.npz"
        one = _read_once(str(packaged if packaged.is_file() else file), _stamp(file))
        key = one.residue if is_modified(one.residue) else one.letter
        if key in found:
            raise InputError(
                f"both {found[key].residue} and {one.residue} are torsion densities of the same residues",
                file=file,
                remedy="Give one of them",
            )
        found[key] = one
    return tuple(found.values())


def _stamp(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except (OSError, ValueError):
        return 0


@functools.lru_cache(64)
def _read_once(file: str, stamp: int) -> TorsionDensity:  # noqa: ARG001 (a file written anew is read anew)
    return read_density(Path(file))


def with_densities(
    table: RamachandranTable,
    kind: NDArray[np.int64],
    densities: Sequence[TorsionDensity],
    names: Sequence[str],
    sequence: str,
    before_proline: NDArray[np.bool_],
) -> tuple[RamachandranTable, NDArray[np.int64]]:
    """A table with a class more for every density, and the classes (L,) of residues.

    Args:
        kind: (L,) classes of ``table``; names: L three-letter names, modified ones as the file has them.
        before_proline: (L,) residues that no density stands for: there is no proline behind the residue simulated.
    """
    kind, values = kind.copy(), [table.values]
    for k, density in enumerate(densities, start=len(table.classes)):
        own = [density.stands_for(name, letter) for name, letter in zip(names, sequence, strict=True)]
        kind[np.array(own, dtype=np.bool_) & ~before_proline] = k
        values.append(_log_density(density, table.values.shape[-1])[None])
    classes = (*table.classes, *(density.residue for density in densities))
    return dataclasses.replace(table, classes=classes, values=np.concatenate(values)), kind


def _log_density(density: TorsionDensity, nodes: int) -> NDArray[np.float32]:
    """(nodes, nodes) log density per rad², bicubic between the nodes of the file."""
    values = -density.energy - np.float32(2 * np.log(2 * np.pi))
    if len(values) == nodes:
        return values
    nothing = np.zeros(1, np.float32)
    table = RamachandranTable((density.residue,), values[None], nothing, nothing)
    angle = torch.arange(nodes, dtype=torch.float64) * (2 * torch.pi / nodes) - torch.pi
    fine = table.interpolate(angle[:, None], angle[None], torch.zeros((), dtype=torch.int64))
    return fine.numpy().astype(np.float32)
