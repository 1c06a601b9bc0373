"""Finished runs and explorations as promotion takes them: snapshots, what they cost, and how they differ."""

from __future__ import annotations

import csv
import dataclasses
import functools
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from refine.engine import Engine, load_networks_of
from refine.errors import InputError
from refine.networks.weights import Networks
from refine.run.folder import RUN_FILE
from refine.run.inputs import evidence_for, prepared_for
from refine.run.result import read_run
from refine.run.shape import read_object
from refine.sampling.embedding import PrincipalComponents, pair_features
from refine.sampling.promotion import Candidates
from refine.sampling.settings import ExploreSettings
from refine.settings import RunSettings, from_dict
from refine.settings_file import build_settings
from refine.structure.prepare import Prepared
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.ride import ride
from refine.structure.selection import parse_selection

COMPONENTS = 10
"""Of the latent space."""
ENSEMBLE, ENSEMBLE_TABLE = "ensemble.pdb", "ensemble.csv"
_TOGETHER = 8
"""Snapshots whose energies are taken together."""
_BOND = (2.7, 4.1)
"""Å between CA atoms that a peptide joins, cis and trans; snapshots with others are not sound."""


class Promotable:
    """A folder with snapshots of a protein.

    Attributes:
        folder: of the run or exploration; record: its run.json.
        settings: of the run's own score and of finishing.
        prepared: the protein, with what may move of it.
        temperature: K, of the dynamics.
        backbones: (F, L, 4, 3) float32 Å, the snapshots; weight: (F,) of each in the ensemble, of any sum.
    """

    folder: Path
    record: dict[str, Any]
    settings: RunSettings
    prepared: Prepared
    temperature: float
    backbones: NDArray[np.float32]
    weight: NDArray[np.float64]

    def snapshot(self, index: int) -> Protein:
        """All heavy atoms of a snapshot."""
        raise NotImplementedError

    @functools.cached_property
    def engine(self) -> Engine:
        """Of the protein."""
        return self._engine(load_networks_of(self.settings))

    def _engine(self, networks: Networks | None) -> Engine:
        return Engine(self.prepared.protein, networks, self.settings)

    def candidates(self) -> Candidates:
        """The snapshots: principal components of CA distances, the run's energy, disagreement of its networks."""
        engine = self.engine
        energy, disagreement = [], []
        with torch.no_grad():
            for part in torch.from_numpy(self.backbones).split(_TOGETHER):
                x = part.to(engine.coords)
                energy.append(engine.energy.at(x)(x).total)
                apart = engine.applied is not None and len(engine.applied.networks.priors) > 1
                fields = engine.applied.fields(x) if apart and engine.applied is not None else None
                disagreement.append(energy[-1] * 0 if fields is None else fields.disagreement.mean(-1))
        features = pair_features(self.backbones[:, :, 1].astype(np.float64))
        latent = PrincipalComponents.of(features, COMPONENTS)(features)
        values, unsure = (torch.cat(one).double().cpu().numpy() for one in (energy, disagreement))
        finite = np.isfinite(values)
        bonds = np.linalg.norm(np.diff(self.backbones[:, :, 1].astype(np.float64), axis=1), axis=-1)
        joined = self.prepared.protein.bonded[:-1]
        sound = finite & ((bonds > _BOND[0]) & (bonds < _BOND[1]) | ~joined).all(-1)
        return Candidates(latent, np.where(finite, values, 0.0), unsure, self.weight, sound)


class FinishedRun(Promotable):
    """The folder of a finished ``refine run``; snapshots have the side chains of its model 1.

    Raises:
        InputError: it is none, or lacks what is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, result = folder, read_run(folder)
        self.record = result.record
        try:
            self.settings = from_dict(self.record.get("settings") or {}).at_conditions
        except InputError as error:
            raise _unreadable(error, folder, "Refine the input again with this version") from error
        self.temperature = self.settings.conditions.temperature or 300.0
        self.prepared = prepared_for(folder / "input.cif", dataclasses.replace(self.settings, model=None))
        self._model = _with_atoms(self.prepared.protein, result.structure("model_1"), folder / "model_1.cif")
        self.backbones = read_backbones(folder / ENSEMBLE, self.prepared.protein)
        self.weight = np.ones(len(self.backbones))

    def snapshot(self, index: int) -> Protein:
        return ride(self._model, self.backbones[index][None])

    def _engine(self, networks: Networks | None) -> Engine:
        known = evidence_for(self.prepared, dataclasses.replace(self.settings, model=None), networks)
        return Engine(self.prepared.protein, networks, self.settings, known)


class FinishedExploration(Promotable):
    """The folder of a finished ``refine explore`` of a model; snapshots are those of its ensemble, with their own side
    chains and weights, and what was free in it is free in their dynamics, which no bias steers.

    Raises:
        InputError: it is none, or that of a peptide, or lacks what is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.record = folder, read_object(folder / RUN_FILE)
        models = self.record.get("models")
        if self.record.get("status") != "done" or not isinstance(models, list) or not models:
            raise InputError("the exploration is not done", file=str(folder), remedy="Go on with --resume")
        if not (folder / "model_1.cif").is_file():
            raise InputError(
                "the exploration has no model_1.cif: promotion is of models, a peptide has no coarser scale",
                file=str(folder),
                remedy="Give the exploration of a structure file",
            )
        values = self.record.get("settings") or {}
        names = {field.name for field in dataclasses.fields(ExploreSettings)}
        try:
            explored = build_settings(ExploreSettings, {k: v for k, v in values.items() if k in names})
        except InputError as error:
            raise _unreadable(error, folder, "Explore again with this version") from error
        self.temperature = explored.temperature
        self.settings = RunSettings(freeze=explored.freeze, keep_hands=True)
        self.prepared = prepared_for(folder / "model_1.cif", self.settings)
        if explored.loop:
            mobile = self.prepared.mobile & parse_selection(explored.loop, self.prepared.protein)
            self.prepared = dataclasses.replace(self.prepared, mobile=mobile)
        self.backbones = read_backbones(folder / ENSEMBLE, self.prepared.protein)
        self.weight = read_weights(folder / ENSEMBLE_TABLE, len(self.backbones))

    def snapshot(self, index: int) -> Protein:
        path = self.folder / ENSEMBLE
        return _with_atoms(self.prepared.protein, read_structure(path, model=index + 1).protein, path)


def finished(folder: Path) -> Promotable:
    """The finished run or exploration of a folder; errors as of ``FinishedRun`` and ``FinishedExploration``."""
    path = folder / RUN_FILE
    explored = path.is_file() and read_object(path).get("kind") == "exploration"
    return FinishedExploration(folder) if explored else FinishedRun(folder)


def _unreadable(error: InputError, folder: Path, remedy: str) -> InputError:
    return InputError(f"the settings in run.json cannot be read: {error.message}", file=str(folder), remedy=remedy)


def _with_atoms(protein: Protein, atoms: Protein, path: Path) -> Protein:
    """``protein`` with the coordinates of ``atoms``, which were read from ``path``."""
    if atoms.sequence != protein.sequence:
        remedy = "Refine or explore the input again"
        raise InputError(f"{path.name} has other residues than the input", file=str(path.parent), remedy=remedy)
    return dataclasses.replace(protein, coords=atoms.coords, mask=atoms.mask, oxt=atoms.oxt, oxt_mask=atoms.oxt_mask)


def read_weights(path: Path, count: int) -> NDArray[np.float64]:
    """(count,) weights of the snapshots of an exploration by its ensemble.csv, all 1 where it gives none.

    Raises:
        InputError: it cannot be read, or has another number of rows.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            texts = [row["weight"] for row in csv.DictReader(stream)]
        weights = np.array([float(text) for text in texts]) if all(texts) else np.ones(len(texts))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{path.name} is damaged: {error}", file=str(path), remedy="Explore again") from error
    if len(weights) != count or not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum() > 0:
        raise InputError(
            f"{path.name} has no weight of 0 or more for each of the {count} snapshots",
            file=str(path),
            remedy="Explore again",
        )
    return weights


def read_backbones(path: Path, protein: Protein) -> NDArray[np.float32]:
    """N, CA, C, O (F, L, 4, 3) Å of the MODELs of a PDB file of ``protein``, by chain and number.

    Raises:
        InputError: it cannot be read, or an atom is missing.
    """
    remedy = "Refine or explore the input again; models that no PDB file can hold have no ensemble.pdb"
    if not path.is_file():
        raise InputError("the run folder holds no ensemble.pdb", file=str(path), remedy=remedy)
    try:
        structure = gemmi.read_pdb(str(path))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path.name} is damaged: {error}", file=str(path), remedy=remedy) from error
    names = [(one.chain.strip(), one.number, one.insertion.strip()) for one in protein.residue_ids]
    backbones = np.zeros((len(structure), len(protein), 4, 3), np.float32)
    for frame, model in zip(backbones, structure, strict=True):
        residues = {(c.name.strip(), r.seqid.num, r.seqid.icode.strip()): r for c in model for r in c}
        for row, name in zip(frame, names, strict=True):
            for slot, atom_name in enumerate(("N", "CA", "C", "O")):
                residue = residues.get(name)
                atom = None if residue is None else residue.find_atom(atom_name, "*")
                if atom is None:
                    where = {"chain": name[0], "residue": f"{name[1]}{name[2]}"}
                    raise InputError(f"{path.name} has no {atom_name}", file=str(path), remedy=remedy, **where)
                row[slot] = atom.pos.tolist()
    return backbones
