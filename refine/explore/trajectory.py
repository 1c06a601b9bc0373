"""Trajectories that states are learned from: an exploration without a bias, or the MODELs of a file."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.sampling.settings import FRAME_PS
from refine.structure.arrays import dihedral

TRAJECTORY, ENSEMBLE = "trajectory.npz", "ensemble.pdb"
MOST_BYTES = 400_000_000
_LONGEST_PEPTIDE = 2.0
"""Å from C to N."""


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """Frames evenly spaced in time, or in steps of the engine.

    Attributes:
        source: the file that was read; features: (F, f) that do not depend on the frame of reference.
        unit: ``ps`` or ``frames``; spacing: of two frames, in it.
        places: (M,) frames whose structures there are; models: PDB text of each.
    """

    source: Path
    features: NDArray[np.float64]
    unit: str
    spacing: float
    places: NDArray[np.int64]
    models: tuple[str, ...]


def read_trajectory(path: Path) -> Trajectory:
    """The folder of an exploration without a bias, that of a run (its ensemble), or a file of MODELs.

    Raises:
        InputError: it cannot be used.
    """
    if not path.is_dir():
        return _of_models(path)
    if (path / TRAJECTORY).is_file():
        return _of_exploration(path)
    if (path / ENSEMBLE).is_file():
        return _of_models(path / ENSEMBLE)
    raise InputError(
        f"the folder holds neither {TRAJECTORY} nor {ENSEMBLE}", file=str(path), remedy="Give the folder of a run"
    )


def _of_exploration(folder: Path) -> Trajectory:
    path = folder / TRAJECTORY
    try:
        with np.load(path, allow_pickle=False) as arrays:
            q, periodic, biased = (np.array(arrays[name]) for name in ("q", "periodic", "biased"))
            kept, frozen = np.array(arrays["kept"]), np.array(arrays["frozen"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{TRAJECTORY} is damaged: {error}", file=str(path), remedy="Run refine explore again"
        ) from error
    if bool(biased):
        raise InputError(
            "the exploration was biased: its frames follow no dynamics of their own, and lag times mean nothing",
            file=str(folder),
            remedy="Explore once more with --bias none",
        )
    turning = q[:, periodic]
    features = np.concatenate((np.sin(turning), np.cos(turning), q[:, ~periodic]), 1)
    models = _texts(folder / ENSEMBLE)
    shown = np.flatnonzero(frozen[kept])
    places = kept[shown[np.unique(np.linspace(0, len(shown) - 1, len(models)).round().astype(int))]]
    return Trajectory(path, features, "ps", FRAME_PS, places, models)


def _of_models(path: Path) -> Trajectory:
    """Sines and cosines of phi and psi of every residue that has them in the first model."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError("the file is larger than 400 MB", file=str(path), remedy="Give fewer frames")
        structure = gemmi.read_structure(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"cannot read the trajectory: {error}", file=str(path), remedy="Give a PDB file") from error
    if len(structure) < 2:
        raise InputError("the file holds one model", file=str(path), remedy="Give a file with a MODEL for each frame")
    names = [_backbone(chain) for chain in structure[0]]
    torsions = [t for chain in names for t in chain]
    if not torsions:
        raise InputError("no residue has phi or psi", file=str(path), remedy="Give a file with backbone atoms")
    points = np.array([_positions(model, torsions, n, path) for n, model in enumerate(structure, start=1)])
    angles = dihedral(*np.moveaxis(points, 2, 0))
    features = np.concatenate((np.sin(angles), np.cos(angles)), 1)
    models = _texts(path) if path.suffix.lower() in (".pdb", ".ent") else ()
    return Trajectory(path, features, "frames", 1.0, np.arange(len(models)), models)


Atom = tuple[str, str, str]
"""Chain, sequence id and atom name."""


def _backbone(chain: gemmi.Chain) -> list[tuple[Atom, Atom, Atom, Atom]]:
    """Atoms of phi and psi along a chain."""
    found, residues = [], list(chain)
    for before, here in zip(residues, residues[1:], strict=False):
        if "C" not in before or "N" not in here or before["C"][0].pos.dist(here["N"][0].pos) > _LONGEST_PEPTIDE:
            continue

        def atom(residue: gemmi.Residue, name: str) -> Atom:
            return chain.name, str(residue.seqid), name

        if "CA" in here and "C" in here:
            found.append((atom(before, "C"), atom(here, "N"), atom(here, "CA"), atom(here, "C")))
        if "CA" in before and "N" in before:
            found.append((atom(before, "N"), atom(before, "CA"), atom(before, "C"), atom(here, "N")))
    return found


def _positions(
    model: gemmi.Model, torsions: list[tuple[Atom, Atom, Atom, Atom]], number: int, path: Path
) -> list[list[list[float]]]:
    """(T, 4, 3) Å of the atoms of the torsions."""
    places = {
        (chain.name, str(residue.seqid), atom.name): atom.pos.tolist()
        for chain in model
        for residue in chain
        for atom in residue
    }
    try:
        return [[places[atom] for atom in torsion] for torsion in torsions]
    except KeyError as error:
        chain, residue, name = error.args[0]
        raise InputError(
            f"model {number} lacks the atom {name}", file=str(path), chain=chain, residue=residue,
            remedy="Give models of the same atoms",
        ) from error  # fmt: skip


def _texts(path: Path) -> tuple[str, ...]:
    """PDB text of each MODEL of a file, empty where there is none."""
    try:
        parts = path.read_text(encoding="ascii", errors="replace").split("\nMODEL ")[1:]
    except OSError:
        return ()
    return tuple(part.partition("\n")[2].partition("ENDMDL")[0] + "END\n" for part in parts)
