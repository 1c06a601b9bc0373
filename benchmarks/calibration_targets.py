"""What the engine makes of a target with a native: measured once, and kept in a cache.

Part of benchmarks/ensemble_calibration.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.calibration import network_hashes
from refine.accuracy.features import residue_features
from refine.accuracy.pairs import NetworkPairs, separations
from refine.accuracy.rpdd import pair_distances, reference_points, rpdd
from refine.assess.compare import compare
from refine.bench.manifest import Target
from refine.bench.methods import NO_CAP
from refine.engine import Engine
from refine.ensemble.ensemble import Ensemble, ensemble_of
from refine.ensemble.proposal import Proposal
from refine.files import replacing
from refine.finishing.finish import Finisher
from refine.networks.weights import Networks
from refine.propagation.propagate import propagate
from refine.settings import RunSettings
from refine.structure.prepare import Prepared, prepare
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.ride import ride

JUDGED = ("input", "replica", "average")
"""Structures of a target that the residue tables are fitted on: the input, the replica of lowest energy, the
average.
"""
Candidates = Mapping[str, Mapping[str, float]]
"""Proposal → its energy and what it is worth, with the key ``input``."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One target: what the engine made of it and what its native says.

    Attributes:
        features: structure of ``JUDGED`` → name → (n,) of the n residues that the native has.
        lddt, lddt_all: structure → (n,) 0–1, of CA and of all atoms; distance: structure → (n,) Å.
        candidates: proposal → energy and closeness; with the key ``input``.
        mean, std, start, truth: (n, n) Å of the ensemble, the input and the native; apart: (n, n) residues along the
            chain.
        network: what the networks say of the pairs.
        sampling: facts of the ensemble.
    """

    name: str
    features: Mapping[str, Mapping[str, NDArray[np.float64]]]
    lddt: Mapping[str, NDArray[np.float64]]
    lddt_all: Mapping[str, NDArray[np.float64]]
    distance: Mapping[str, NDArray[np.float64]]
    candidates: Mapping[str, Mapping[str, float]]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    start: NDArray[np.float32]
    truth: NDArray[np.float32]
    apart: NDArray[np.float32]
    network: NetworkPairs
    sampling: Mapping[str, Any]


def engine_settings(networks: str) -> RunSettings:
    """Those of a benchmark run, on the CPU."""
    settings = RunSettings(device="cpu", networks=networks)
    return dataclasses.replace(
        settings, finishing=dataclasses.replace(settings.finishing, threads=1, max_seconds=NO_CAP)
    )


def relaxed(target: Target, settings: RunSettings, cache: Path) -> tuple[Prepared, Protein]:
    """A target's input, and the protein from which its propagation starts; what that costs is kept in ``cache``."""
    prepared = prepare(target.model)
    protein = prepared.protein
    if not settings.relaxes_first:
        return prepared, protein
    matters = {
        name: value for name, value in dataclasses.asdict(settings.finishing).items() if not name.startswith("refined_")
    }
    mark = hashlib.sha256(target.model.read_bytes() + repr(matters).encode()).hexdigest()[:12]
    path = cache / "relaxed" / f"{target.name}-{mark}.npz"
    if not path.is_file():
        finished = Finisher(protein, settings.finishing, prepared.mobile).finish(protein).protein
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            np.savez(temporary, allow_pickle=False, coords=finished.coords, mask=finished.mask)
    with np.load(path, allow_pickle=False) as file:
        return prepared, protein.with_coords(file["coords"], mask=file["mask"])


def measure(target: Target, networks: Networks, settings: RunSettings, cache: Path) -> Measured:
    """Run the engine on a target as ``refine run`` does, and compare what it proposes with the native."""
    prepared, protein = relaxed(target, settings, cache)
    mobile = torch.from_numpy(prepared.mobile)
    engine = Engine(protein, networks, settings, pull=True)
    trajectory = propagate(
        engine.far_drift, engine.coords, settings.propagation, settings.seed, mobile, engine.constraints
    )
    ensemble = ensemble_of(trajectory, engine.energy, engine.coords, mobile, engine.constraints)
    native = read_structure(target.native).protein
    start = torch.from_numpy(prepared.protein.coords[:, :, :4].copy())
    models = {"input": start[0].numpy()} | {p.name: p.backbone for p in compared_proposals(ensemble)}
    moved = ride(protein, np.stack(list(models.values())))
    comparisons = {name: compare(moved.replica(k), native) for k, name in enumerate(models)}
    matching = comparisons["input"].matching
    rows, columns = matching.model_index, matching.native_index
    judged = {"input": "input", "replica": lowest(ensemble, "replica").name, "average": "average"}
    coords = torch.from_numpy(np.stack([models[name] for name in judged.values()]))
    features = residue_features(engine.system, coords, engine.applied, engine.context(ensemble.spread))
    network = engine.network_pairs(ensemble.proposal("average").backbone)
    assert network is not None
    plain = rpdd(ensemble.snapshots, protein.sequence)
    complete = native.mask[columns, :4].all(1)
    truth = pair_distances(
        reference_points(native.coords[:, columns, :4], "".join(native.sequence[k] for k in columns))[0]
    )
    truth[~complete] = truth[:, ~complete] = np.nan
    apart = separations(engine.system.position.numpy(), engine.system.chain_index.numpy())
    within = np.ix_(rows, rows)
    at_start = pair_distances(reference_points(start.numpy(), protein.sequence)[0])
    energies = dict(zip((p.name for p in ensemble.proposals), ensemble.energies.tolist(), strict=True))
    return Measured(
        name=target.name,
        features={kind: {k: v[rows] for k, v in f.items()} for kind, f in zip(judged, features, strict=True)},
        lddt={kind: comparisons[name].residue_lddt_ca[columns] for kind, name in judged.items()},
        lddt_all={kind: comparisons[name].residue_lddt[columns] for kind, name in judged.items()},
        distance={kind: comparisons[name].residue_distance[columns] for kind, name in judged.items()},
        candidates={
            name: {"energy": energies.get(name, float("nan")), **c.totals()} for name, c in comparisons.items()
        },
        mean=plain.mean[within],
        std=plain.std[within],
        start=at_start[within],
        truth=truth,
        apart=apart[within].astype(np.float32),
        network=NetworkPairs(network.target[within], network.log_scale[within], network.known[within]),
        sampling=ensemble.sampling.facts(),
    )


def compared_proposals(ensemble: Ensemble) -> list[Proposal]:
    """The proposals that are compared with the native."""
    return [p for p in ensemble.proposals if p.kind == "replica" or p.name in ("average", "average 1", "medoid 1")]


def lowest(ensemble: Ensemble, kind: str) -> Proposal:
    """The proposal of a kind with the lowest energy."""
    index = [k for k, p in enumerate(ensemble.proposals) if p.kind == kind]
    return ensemble.proposals[min(index, key=lambda k: ensemble.energies[k])]


def save(measured: Measured, path: Path) -> None:
    """Write a measured target as npz."""
    arrays: dict[str, NDArray[Any]] = {k: getattr(measured, k) for k in ("mean", "std", "start", "truth", "apart")}
    arrays |= {
        f"network_{f.name}": getattr(measured.network, f.name).astype(np.float32)
        for f in dataclasses.fields(NetworkPairs)
    }
    for kind in JUDGED:
        arrays |= {f"lddt/{kind}": measured.lddt[kind], f"lddt_all/{kind}": measured.lddt_all[kind]}
        arrays |= {f"distance/{kind}": measured.distance[kind]}
        arrays |= {f"features/{kind}/{k}": v for k, v in measured.features[kind].items()}
    text = json.dumps({"candidates": measured.candidates, "sampling": measured.sampling})
    with replacing(path) as temporary:
        np.savez(temporary, allow_pickle=False, text=np.array(text), **arrays)


def restore(path: Path) -> Measured:
    """Read what ``save`` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {k: file[k] for k in file.files}
    text = json.loads(str(arrays["text"]))
    per_kind = {name: {kind: arrays[f"{name}/{kind}"] for kind in JUDGED} for name in ("lddt", "lddt_all", "distance")}
    features = {
        kind: {k.split("/")[2]: v for k, v in arrays.items() if k.startswith(f"features/{kind}/")} for kind in JUDGED
    }  # fmt: skip
    network = NetworkPairs(*(arrays[f"network_{f.name}"] for f in dataclasses.fields(NetworkPairs)))
    plain = {k: arrays[k] for k in ("mean", "std", "start", "truth", "apart")}
    return Measured(
        path.stem, features, per_kind["lddt"], per_kind["lddt_all"], per_kind["distance"], text["candidates"],
        network=network, sampling=text["sampling"], **plain,
    )  # fmt: skip


def measured_targets(
    args: argparse.Namespace, split: str, targets: Sequence[Target], networks: Networks
) -> list[Measured]:
    """All ``targets``, which are those of ``split``; those in the cache are not measured again."""
    settings = engine_settings(args.networks)
    key = json.dumps([network_hashes(networks.folder), dataclasses.asdict(settings)], sort_keys=True)
    folder = args.cache / hashlib.sha256(key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    for count, target in enumerate(sorted(targets, key=lambda t: t.model.stat().st_size), start=1):
        path = folder / f"{target.name}.npz"
        if not path.is_file():
            save(measure(target, networks, settings, args.cache), path)
            print(
                f"{split} {count}/{len(targets)} {target.name}, {time.process_time():.0f} CPU s",
                file=sys.stderr,
                flush=True,
            )
    return [restore(folder / f"{target.name}.npz") for target in targets]


def lowest_of(candidates: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    """The candidate of lowest energy."""
    return min(candidates, key=lambda v: v["energy"])


def of_kind(candidates: Candidates, kind: str) -> list[Mapping[str, float]]:
    """The candidates whose name begins with ``kind``."""
    return [v for k, v in candidates.items() if k.startswith(kind)]
