"""Real models as training examples: homology models and models of predictors, each with its native and side chains.

They are packed once into one npz file (``pack_real_models``) and mixed with the generated decoys by ``RealExamples``.
Generated decoys then tell nothing of their side chains: those they carry are the native's, which no model has.

The file holds rows of all models one after another, in units of 0.01 Å: ``start`` (N, 14, 3) int16 all heavy atoms of
the model (``ABSENT`` where it has none), ``native`` (N, 4, 3) int16 N, CA, C, O of the native; ``residue`` (N,) int8,
``position`` (N,) int32 place along the model's chain, ``confidence`` (N,) float32 the B column as it came; and for
each of M models ``name``, ``cluster``, ``split``, ``kind`` (of ``REAL``) and ``length``.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.assess.matching import match_residues
from refine.constants import AMINO_ACIDS
from refine.errors import InputError
from refine.structure.read import read_structure
from refine.training import decoys
from refine.training.examples import (
    KINDS,
    REAL,
    SHORTEST,
    Arrays,
    Examples,
    ExampleSettings,
    labelled,
)
from refine.training.pack import ABSENT, COORDINATE_UNIT, Pack
from refine.training.pairs import Pair, cluster_held_out

_WIDEST = 320.0
"""Å from the centre: what the unit of the file can hold."""


@dataclasses.dataclass(frozen=True)
class RealSettings:
    """How real models are mixed with generated decoys.

    Attributes:
        share: fraction of the new examples that are real models; 0 switches them off.
        predicted: fraction of these that predictors made; the others are homology models.
        disguised: fraction of the real models whose local geometry is disguised as that of generated decoys.
    """

    share: float = 0.0
    predicted: float = 0.5
    disguised: float = 0.5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if not 0.0 <= getattr(self, field.name) <= 1.0:
                raise InputError(f"real.{field.name} = {getattr(self, field.name)} is outside 0 to 1")


@dataclasses.dataclass(frozen=True)
class RealModel:
    """One model with its native, over the residues that both have.

    Attributes:
        atoms: (L, 14, 3) float32 Å, NaN where an atom is absent; native: (L, 4, 3) Å, not laid onto the model.
        residue: (L,) identities; position: (L,) place along the chain; confidence: (L,) B column, NaN without.
    """

    name: str
    cluster: str
    split: str
    kind: str
    atoms: NDArray[np.float32]
    native: NDArray[np.float32]
    residue: NDArray[np.int64]
    position: NDArray[np.int64]
    confidence: NDArray[np.float32]


def homology_models(folder: Path, pack: Pack) -> Iterator[RealModel]:
    """Models of ``folder``/npz/ID.npz (see its README) for chains of ``pack``, which has their natives."""
    chain_of = {chain.name: k for k, chain in enumerate(pack.chains)}
    for path in sorted((folder / "npz").glob("*.npz")):
        k = chain_of.get(path.stem)
        if k is None:
            continue
        chain, origin = pack.chains[k], pack.origin(k)
        with np.load(path, allow_pickle=False) as file:
            for template in file.files:
                stored = file[template][origin]
                rows = np.flatnonzero((stored[:, :4] != ABSENT).all((1, 2)))
                atoms = np.where(stored == ABSENT, np.nan, stored * COORDINATE_UNIT)[rows].astype(np.float32)
                yield RealModel(
                    f"{path.stem}_{template}", chain.cluster, chain.split, "homology model", atoms,
                    pack.backbone(k)[rows], pack.residue(k)[rows].astype(np.int64),
                    pack.position(k)[rows].astype(np.int64), np.full(len(rows), np.nan, np.float32),
                )  # fmt: skip


def predicted_models(folder: Path) -> Iterator[RealModel]:
    """Models of ``folder``/index.tsv (see its README), matched with their natives by sequence."""
    with (folder / "index.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        model = read_structure(folder / row["model"]).protein
        native = read_structure(folder / row["protein"] / "native.pdb.gz").protein
        matching = match_residues(model, native)
        i, j = matching.model_index, matching.native_index
        same = np.array([model.sequence[a] == native.sequence[b] for a, b in zip(i, j, strict=True)])
        good = same & model.mask[i, :4].all(1) & native.mask[j, :4].all(1)
        i, j = i[good], j[good]
        atoms = np.where(model.mask[i][..., None], model.coords[0, i], np.nan).astype(np.float32)
        has_plddt = row["plddt"] != "none"
        confidence = model.b_factors[i, 1] * (100.0 if row["plddt"] == "0-1" else 1.0)
        yield RealModel(
            row["model"].removesuffix(".pdb.gz").replace("/", "_"), row["cluster30"], row["split"], "predicted",
            atoms, native.coords[0, j, :4], np.array([AMINO_ACIDS.index(model.sequence[a]) for a in i], np.int64),
            i.astype(np.int64), (confidence if has_plddt else np.full(len(i), np.nan)).astype(np.float32),
        )  # fmt: skip


def pack_real_models(models: Iterator[RealModel], out: Path) -> dict[str, int]:
    """Writes ``out``, an npz file without pickled objects; models of fewer than ``SHORTEST`` residues are left out.

    Returns:
        how many models there are of each kind.
    """
    kept = []
    for model in models:
        centre, native_centre = model.atoms[:, 1].mean(0), model.native[:, 1].mean(0)
        moved = dataclasses.replace(model, atoms=model.atoms - centre, native=model.native - native_centre)
        widest = max(float(np.nanmax(np.abs(moved.atoms))), float(np.abs(moved.native).max()))
        if len(model.residue) >= SHORTEST and widest < _WIDEST:
            kept.append(moved)
    arrays: dict[str, NDArray[Any]] = {
        "start": _units(np.concatenate([m.atoms for m in kept])),
        "native": _units(np.concatenate([m.native for m in kept])),
        "residue": np.concatenate([m.residue for m in kept]).astype(np.int8),
        "position": np.concatenate([m.position for m in kept]).astype(np.int32),
        "confidence": np.concatenate([m.confidence for m in kept]),
        "length": np.array([len(m.residue) for m in kept], np.int64),
    }
    arrays |= {name: np.array([getattr(m, name) for m in kept]) for name in ("name", "cluster", "split", "kind")}
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return {kind: sum(m.kind == kind for m in kept) for kind in REAL}


def _units(coords: NDArray[np.float32]) -> NDArray[np.int16]:
    values = np.round(coords / COORDINATE_UNIT)
    return np.nan_to_num(values, nan=ABSENT).astype(np.int16)


class RealModels:
    """Read access to a file of ``pack_real_models``.

    Attributes:
        hash: sha256 of its arrays, for the record of a training.

    Raises:
        InputError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as file:
                self._arrays = {name: file[name] for name in file.files}
            self._first = np.r_[0, np.cumsum(self._arrays["length"])]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"the real models cannot be read: {error}", file=str(path)) from error
        digest = hashlib.sha256()
        for name in sorted(self._arrays):
            digest.update(self._arrays[name].tobytes())
        self.hash = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._arrays["length"])

    def __getitem__(self, m: int) -> RealModel:
        a, rows = self._arrays, slice(self._first[m], self._first[m + 1])
        unit = np.float32(COORDINATE_UNIT)
        stored = a["start"][rows]
        name, cluster, split, kind = (str(a[key][m]) for key in ("name", "cluster", "split", "kind"))
        return RealModel(
            name,
            cluster,
            split,
            kind,
            atoms=np.where(stored == ABSENT, np.float32(np.nan), stored * unit),
            native=a["native"][rows] * unit,
            residue=a["residue"][rows].astype(np.int64),
            position=a["position"][rows].astype(np.int64),
            confidence=a["confidence"][rows],
        )

    def groups(self, kind: str, split: str) -> list[list[int]]:
        """Models of a kind by cluster; ``valid`` is the valid split and what homologue pairs keep for validation."""
        a = self._arrays
        clusters: dict[str, list[int]] = {}
        for m in np.flatnonzero(a["kind"] == kind).tolist():
            name, own = str(a["cluster"][m]), str(a["split"][m])
            if own == "train" and cluster_held_out(name):
                own = "valid"
            if own == split:
                clusters.setdefault(name, []).append(m)
        return [clusters[name] for name in sorted(clusters)]


class RealExamples(Examples):
    """``Examples`` of which ``real.share`` are real models, as likely of one cluster as of any other.

    Example n remains a function of (seed, n). ``kind`` is a place in ``KINDS``.

    Raises:
        InputError: there is no real model of this split.
    """

    def __init__(
        self,
        pack: Pack,
        pairs: list[list[Pair]],
        split: str,
        settings: ExampleSettings,
        seed: int,
        count: int,
        *,
        models: RealModels,
        real: RealSettings,
    ) -> None:
        super().__init__(pack, pairs, split, settings, seed, count)
        self.models, self.real = models, real
        self.groups = {kind: models.groups(kind, split) for kind in REAL}
        if not all(self.groups.values()):
            raise InputError(
                f"the split '{split}' lacks real models of one kind", remedy="Give more, or real.share = 0."
            )

    def __getitem__(self, n: int) -> Arrays:
        rng = np.random.default_rng((self.seed, n, 1))
        if rng.random() >= self.real.share:
            return super().__getitem__(n)
        groups = self.groups["predicted" if rng.random() < self.real.predicted else "homology model"]
        members = groups[rng.integers(len(groups))]
        return self._real(self.models[members[rng.integers(len(members))]], rng)

    def _real(self, model: RealModel, rng: np.random.Generator) -> Arrays:
        before = model.atoms[:, :4]
        start = before
        if rng.random() < self.real.disguised:
            bonded = np.r_[np.diff(model.position) == 1, False]
            start = decoys.disguised(before, bonded, rng, self.settings.noise, self.settings.inflation)
        present = np.isfinite(model.atoms[:, 4:, 0])
        side_chain = np.where(present[..., None], model.atoms[:, 4:], before[:, 1:2])
        keep = self._crop(start[:, 1], rng, self.settings.crop)
        return labelled(
            start,
            model.native,
            before,
            side_chain,
            present,
            model.residue,
            model.position,
            keep,
            KINDS.index(model.kind),
        )
