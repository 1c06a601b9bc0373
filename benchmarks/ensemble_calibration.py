"""Fits every calibration of the ensemble stage on the tune half of refined150-dev and some natives; shows it on the
check half.

    python benchmarks/ensemble_calibration.py --fit                  all 75 targets: measure, fit, write tables, figures
    and plot python benchmarks/ensemble_calibration.py --fit --tune-only      the same without a look at the check half
    python benchmarks/ensemble_calibration.py --verdicts bench_out   how often the verdicts of a finished ``refine
    bench`` were right

Engine only: the input is relaxed as in a run, but no proposal is finished. Measured targets are kept in ``--cache`` by
networks and settings, so that an interrupted run goes on; relaxed inputs by the settings of the finishing alone. Writes
refine/accuracy/tables/calibration.json, benchmarks/results/ensemble_calibration.json and ensemble_reliability.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from native_manifest import natives
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr
from scipy.stats import t as student_t

from refine.accuracy.calibration import TABLE, Calibration, Change, Pairs, Residues, network_hashes, write_calibration
from refine.accuracy.features import START, residue_features
from refine.accuracy.fit import PairSample, fit_change, fit_linear, fit_pairs
from refine.accuracy.pairs import NetworkPairs, pair_features, separations
from refine.accuracy.rpdd import pair_distances, reference_points, rpdd
from refine.accuracy.verdict import verdict_of
from refine.assess.compare import compare
from refine.bench.manifest import Target, read_manifest
from refine.bench.methods import NO_CAP
from refine.bench.statistics import mean_interval
from refine.engine import Engine, load_networks_of
from refine.ensemble.candidates import Proposal
from refine.ensemble.ensemble import Ensemble, ensemble_of
from refine.files import replacing
from refine.finishing.finish import Finisher
from refine.networks.weights import Networks
from refine.propagation.propagate import propagate
from refine.settings import RunSettings
from refine.structure.prepare import Prepared, prepare
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.ride import ride

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SEPARATION = 3
"""Residues along the chain from which on a pair counts: nearer ones have their distance from the bonds."""
IN_REACH = 22.0
"""Å, pairs whose native distance lies within the histogram."""
_PLACE = ("burial", "burial_wide", "end", "ramachandran_near")
_LEARNED = (
    "expected", "expected_near", "log_distance_b_near", "likelihood_near", "disagreement", "judged", "judged_near", "judged_mean", *_PLACE,
)  # fmt: skip
_RUN = tuple(f"start_{name}" for name in START)
LDDT_NAMES = {"ensemble": (*_RUN, *_PLACE, "log_spread"), "networks": _LEARNED, "geometry": (*_PLACE, "ramachandran")}
PAIR_NAMES = {
    "ensemble": ("log_std", "log_error", "log_distance", "log_separation", "known", "known_log_scale"),
    "geometry": ("log_std", "log_error", "log_distance", "log_separation"),
}
JUDGED = ("input", "replica", "average")
"""Structures of a target that the residue tables are fitted on: the input, the replica of lowest energy, the
average.
"""
NATIVES = 12
"""Natives of the tune half, given as inputs, that the fit sees beside the predicted models: they have nothing to
gain.
"""
FIT_PAIRS = 3000
"""Pairs of each target in the fit, drawn evenly; all are shown."""


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
    trajectory = propagate(engine.energy, engine.coords, settings.propagation, settings.seed, mobile)
    ensemble = ensemble_of(trajectory, engine.energy, engine.coords, mobile)
    native = read_structure(target.native).protein
    given = torch.from_numpy(prepared.protein.coords[:, :, :4].copy())
    models = {"input": given[0].numpy()} | {p.name: p.backbone for p in shown(ensemble)}
    moved = ride(protein, np.stack(list(models.values())))
    found = {name: compare(moved.replica(k), native) for k, name in enumerate(models)}
    rows, columns = found["input"].matching.model_index, found["input"].matching.native_index
    judged = {"input": "input", "replica": lowest(ensemble, "replica").name, "average": "average"}
    coords = torch.from_numpy(np.stack([models[name] for name in judged.values()]))
    features = residue_features(engine.system, coords, engine.learned, engine.context(ensemble.spread))
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
    at_start = pair_distances(reference_points(given.numpy(), protein.sequence)[0])
    energies = dict(zip((p.name for p in ensemble.proposals), ensemble.energies.tolist(), strict=True))
    return Measured(
        name=target.name,
        features={kind: {k: v[rows] for k, v in f.items()} for kind, f in zip(judged, features, strict=True)},
        lddt={kind: found[name].residue_lddt_ca[columns] for kind, name in judged.items()},
        lddt_all={kind: found[name].residue_lddt[columns] for kind, name in judged.items()},
        distance={kind: found[name].residue_distance[columns] for kind, name in judged.items()},
        candidates={name: {"energy": energies.get(name, float("nan")), **c.totals()} for name, c in found.items()},
        mean=plain.mean[within],
        std=plain.std[within],
        start=at_start[within],
        truth=truth,
        apart=apart[within].astype(np.float32),
        network=NetworkPairs(network.target[within], network.log_scale[within], network.known[within]),
        sampling=ensemble.sampling.facts(),
    )


def shown(ensemble: Ensemble) -> list[Proposal]:
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


# ---- fitting
# -----------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Believed:
    """Estimates for one target: structure of ``JUDGED`` → (n,) expected CA lDDT (0–1) and error (Å)."""

    lddt: Mapping[str, NDArray[np.float64]]
    error: Mapping[str, NDArray[np.float64]]


def fit_residues(data: Sequence[Measured], form: str) -> Residues:
    """Tables of one form; the structures of a target count together as much as those of any other.

    The form ``networks`` is for structures that no run has moved, so it sees inputs alone.
    """
    names = LDDT_NAMES[form]
    kinds = JUDGED[:1] if form == "networks" else JUDGED
    features = [joined([m.features[kind] for kind in kinds]) for m in data]
    lddt = [np.concatenate([m.lddt[kind] for kind in kinds]) for m in data]
    error = [np.log(np.maximum(np.concatenate([m.distance[kind] for kind in kinds]), 0.2)) for m in data]
    return Residues(fit_linear(features, lddt, names), fit_linear(features, error, names))


def joined(parts: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """Features of several structures one after the other."""
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def believe(table: Residues, m: Measured) -> Believed:
    """Estimates of a table for a target."""
    lddt = {kind: np.clip(table.lddt(m.features[kind]), 0.0, 1.0) for kind in JUDGED}
    return Believed(lddt, {kind: np.clip(np.exp(table.log_error(m.features[kind])), 0.2, 30.0) for kind in JUDGED})


def left_out(data: Sequence[Measured], natives: Sequence[Measured], form: str) -> list[Believed]:
    """Estimates for every target of ``data`` by tables fitted on the others, and on the natives where the form takes
    them.
    """
    return [believe(fit_residues([*(o for o in data if o is not m), *taken(natives, form)], form), m) for m in data]


def taken(natives: Sequence[Measured], form: str) -> Sequence[Measured]:
    """The natives that the residue tables of a form are fitted on: a run's own tables got worse by them (LOG, 18)."""
    return natives if form == "networks" else ()


def pair_sample(m: Measured, error: NDArray[np.float64], form: str, most: int | None) -> PairSample:
    """The pairs of a target that count, evenly thinned to ``most``."""
    network = m.network if form == "ensemble" else None
    i, j = chosen_pairs(m, most)
    features = {k: v[i, j] for k, v in pair_features(m.mean, m.std, error, m.apart, network).items()}
    return PairSample(m.mean[i, j], m.truth[i, j], features, m.network.target[i, j], m.network.known[i, j])


def chosen_pairs(m: Measured, most: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices i < j of pairs at least ``SEPARATION`` apart whose native distance is known."""
    i, j = np.triu_indices(len(m.mean), 1)
    good = (m.apart[i, j] >= SEPARATION) & np.isfinite(m.truth[i, j])
    i, j = i[good], j[good]
    if most is None or len(i) <= most:
        return i, j
    take = np.linspace(0, len(i) - 1, most).round().astype(np.int64)
    return i[take], j[take]


def fit_all_pairs(data: Sequence[Measured], believed: Sequence[Believed], form: str) -> Pairs:
    """Table of pairs, with errors estimated by tables that did not see the target."""
    samples = [pair_sample(m, b.error["average"], form, FIT_PAIRS) for m, b in zip(data, believed, strict=True)]
    return fit_pairs(samples, PAIR_NAMES[form], networks=form == "ensemble")


def fit_changes(data: Sequence[Measured], believed: Sequence[Believed], model: str) -> Change:
    """Table of changes from the input to ``model``."""
    estimated, room = estimates(believed, model)
    natives = np.array([m.candidates["input"]["lddt_ca"] == 1.0 for m in data])
    return fit_change(estimated, room, true_changes(data, model), natives)


def estimates(believed: Sequence[Believed], model: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimated change and room of each target, the arguments of ``verdict.verdict_of``."""
    after, before = (np.array([b.lddt[kind].mean() for b in believed]) for kind in (model, "input"))
    return after - before, 1.0 - before


def true_changes(data: Sequence[Measured], model: str, key: str = "lddt_ca") -> NDArray[np.float64]:
    """Change of a whole-structure score from the input to a structure of ``JUDGED``, by target."""
    return np.array([closeness(m, model)[key] - m.candidates["input"][key] for m in data])


def closeness(m: Measured, model: str) -> Mapping[str, float]:
    """Scores of a structure of ``JUDGED``."""
    return lowest_of(of_kind(m.candidates, "replica")) if model == "replica" else m.candidates[model]


# ---- what it is worth
# ----------------------------------------------------------------------------------------------------------


def residue_figures(data: Sequence[Measured], believed: Sequence[Believed], kind: str) -> dict[str, float]:
    """Agreement of expected and true lDDT and error, over all residues and within and between targets."""
    p, y = (
        np.concatenate(v)
        for v in zip(*((b.lddt[kind], m.lddt[kind]) for m, b in zip(data, believed, strict=True)), strict=True)
    )
    every = np.concatenate([m.lddt_all[kind] for m in data])
    e, d = (
        np.concatenate(v)
        for v in zip(*((b.error[kind], m.distance[kind]) for m, b in zip(data, believed, strict=True)), strict=True)
    )
    raw = np.concatenate([1.0 / (1.0 + np.exp(-m.features[kind]["expected"])) for m in data])
    known = np.isfinite(y)
    far = np.isfinite(d)
    means = np.array([(b.lddt[kind].mean(), np.nanmean(m.lddt[kind])) for m, b in zip(data, believed, strict=True)])
    within = [
        np.corrcoef(b.lddt[kind], np.nan_to_num(m.lddt[kind], nan=0.0))[0, 1]
        for m, b in zip(data, believed, strict=True)
    ]
    return {
        "targets": len(data),
        "residues": int(known.sum()),
        "pearson_lddt_ca": float(np.corrcoef(p[known], y[known])[0, 1]),
        "pearson_lddt_all_atoms": float(np.corrcoef(p[known], every[known])[0, 1]),
        "mean_abs_error_lddt_ca": float(np.abs(p - y)[known].mean()),
        "bias_lddt_ca": float((p - y)[known].mean()),
        "mean_lddt_ca": float(y[known].mean()),
        "network_pearson": float(np.corrcoef(raw[known], y[known])[0, 1]),
        "network_mean_abs_error": float(np.abs(raw - y)[known].mean()),
        "network_bias": float((raw - y)[known].mean()),
        "pearson_within_targets": float(np.mean(within)),
        "pearson_of_target_means": float(np.corrcoef(means.T)[0, 1]),
        "mean_abs_error_of_target_means": float(np.abs(means[:, 0] - means[:, 1]).mean()),
        "error_spearman": float(spearmanr(e[far], d[far])[0]),
        "error_log_ratio_median": float(np.median(np.log(e[far] / np.maximum(d[far], 0.05)))),
        "error_ase": float(1.0 - np.mean(np.abs(1 / (1 + (e[far] / 5) ** 2) - 1 / (1 + (d[far] / 5) ** 2)))),
        "error_ase_of_one_value": float(
            1.0 - np.mean(np.abs(1 / (1 + (np.median(d[far]) / 5) ** 2) - 1 / (1 + (d[far] / 5) ** 2)))
        ),
    }


def reliability(
    data: Sequence[Measured], believed: Sequence[Believed], kind: str, bins: int = 10
) -> dict[str, list[float]]:
    """Mean expected and true lDDT of tenths of the residues by expected lDDT."""
    p, y = (
        np.concatenate(v)
        for v in zip(*((b.lddt[kind], m.lddt[kind]) for m, b in zip(data, believed, strict=True)), strict=True)
    )
    p, y = p[np.isfinite(y)], y[np.isfinite(y)]
    parts = np.array_split(np.argsort(p), bins)
    return {"expected": [float(p[k].mean()) for k in parts], "true": [float(y[k].mean()) for k in parts]}


Distribution = Callable[[Measured, Believed], tuple[NDArray[np.float64], NDArray[np.float64], float]]
"""Location and scale of the pairs of ``chosen_pairs`` and degrees of freedom, infinite for a Gaussian."""


def ours(table: Pairs, form: str) -> Distribution:
    """The calibrated ensemble."""

    def at(m: Measured, b: Believed) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        s = pair_sample(m, b.error["average"], form, None)
        return (
            s.mean + table.pull * s.known * (s.target - s.mean),
            np.exp(np.clip(table.log_scale(s.features), -4, 4)),
            table.freedom,
        )

    return at


def bare(m: Measured, b: Believed) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The ensemble as it is: a Gaussian of its mean and deviation, 0.1 Å at least."""
    i, j = chosen_pairs(m)
    return m.mean[i, j].astype(np.float64), np.maximum(m.std[i, j].astype(np.float64), 0.1), np.inf


def fixed_width(data: Sequence[Measured]) -> Distribution:
    """First baseline: a Gaussian about the input's distances, one width of greatest likelihood."""
    squares = []
    for m in data:
        i, j = chosen_pairs(m)
        squares.append(float(((m.start[i, j] - m.truth[i, j]) ** 2).mean()))
    width = float(np.sqrt(np.mean(squares)))

    def at(m: Measured, b: Believed) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        i, j = chosen_pairs(m)
        return m.start[i, j].astype(np.float64), np.full(len(i), width), np.inf

    return at


def width_by_confidence(data: Sequence[Measured], believed: Sequence[Believed], bins: int = 10) -> Distribution:
    """Second baseline: the same with a width for each tenth of the pairs by the mean expected lDDT of both residues."""
    level, square, weight = [], [], []
    for m, b in zip(data, believed, strict=True):
        i, j = chosen_pairs(m)
        level.append(0.5 * (b.lddt["input"][i] + b.lddt["input"][j]))
        square.append((m.start[i, j] - m.truth[i, j]) ** 2)
        weight.append(np.full(len(i), 1.0 / len(i)))
    x, y, w = np.concatenate(level), np.concatenate(square), np.concatenate(weight)
    edges = np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1])
    place = np.searchsorted(edges, x)
    widths = np.sqrt(np.bincount(place, y * w, bins) / np.bincount(place, w, bins))

    def at(m: Measured, b: Believed) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        i, j = chosen_pairs(m)
        conf = 0.5 * (b.lddt["input"][i] + b.lddt["input"][j])
        return m.start[i, j].astype(np.float64), widths[np.searchsorted(edges, conf)], np.inf

    return at


def pair_scores(m: Measured, b: Believed, distribution: Distribution) -> dict[str, float]:
    """Coverage of the 50 % and 90 % intervals and mean log-likelihood (nats) of one target's native distances."""
    location, scale, freedom = distribution(m, b)
    i, j = chosen_pairs(m)
    z = (m.truth[i, j] - location) / scale
    of = norm if np.isinf(freedom) else student_t(freedom)
    value = of.logpdf(z) - np.log(scale)
    near = m.truth[i, j] < IN_REACH
    found = {}
    for label, keep in (("", np.ones_like(near)), ("_in_reach", near)):
        for share in (50, 90):
            found[f"cover{share}{label}"] = float((np.abs(z) < of.ppf(0.5 + share / 200))[keep].mean())
        found[f"log_likelihood{label}"] = float(value[keep].mean())
    return found


def pair_figures(
    data: Sequence[Measured], believed: Sequence[Believed], distributions: Mapping[str, Sequence[Distribution]]
) -> dict[str, Any]:
    """Means over targets for each distribution, and of ours minus each baseline with 95 % bootstrap intervals.

    Args:
        distributions: name → one for each target, so that it may be one that did not see the target.
    """
    rows = {
        name: [pair_scores(m, b, d) for m, b, d in zip(data, believed, each, strict=True)]
        for name, each in distributions.items()
    }
    found: dict[str, Any] = {name: {k: float(np.mean([r[k] for r in of])) for k in of[0]} for name, of in rows.items()}
    for name in rows:
        if name == "ours":
            continue
        gain = mean_interval(
            np.array([a["log_likelihood"] - b["log_likelihood"] for a, b in zip(rows["ours"], rows[name], strict=True)])
        )
        found[name]["ours_minus_this_log_likelihood"] = dataclasses.astuple(gain)
    return found


Candidates = Mapping[str, Mapping[str, float]]
LOWEST_REPLICA = "replica of lowest energy"
RULES: Mapping[str, Callable[[Candidates], Mapping[str, float]]] = {
    LOWEST_REPLICA: lambda c: lowest_of(of_kind(c, "replica")),
    "medoid of the largest cluster": lambda c: c["medoid 1"],
    "average": lambda c: c["average"],
    "average of the largest cluster": lambda c: c.get("average 1", c["average"]),
    "lowest energy of all": lambda c: lowest_of(v for k, v in c.items() if k != "input"),
}
"""What may become model 1."""


def candidate_figures(data: Sequence[Measured]) -> dict[str, Any]:
    """Change against the input of what each rule would submit as model 1, engine only: mean, 95 % bootstrap interval,
    share improved.
    """
    found: dict[str, Any] = {}

    def note(name: str, key: str, change: Callable[[Candidates], float]) -> None:
        values = np.array([change(m.candidates) for m in data])
        found.setdefault(name, {})[key] = (*dataclasses.astuple(mean_interval(values)), float((values > 1e-9).mean()))

    for key in ("gdt_ha", "lddt_ca"):
        for name, rule in RULES.items():
            note(name, key, lambda c, rule=rule, key=key: rule(c)[key] - c["input"][key])
        note(
            "any replica (control)",
            key,
            lambda c, key=key: float(np.mean([v[key] for v in of_kind(c, "replica")])) - c["input"][key],
        )
        note("oracle", key, lambda c, key=key: max(v[key] for v in c.values()) - c["input"][key])
        note(
            "average minus replica of lowest energy",
            key,
            lambda c, key=key: c["average"][key] - RULES[LOWEST_REPLICA](c)[key],
        )
    return found


def lowest_of(candidates: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    """The candidate of lowest energy."""
    return min(candidates, key=lambda v: v["energy"])


def of_kind(candidates: Candidates, kind: str) -> list[Mapping[str, float]]:
    """The candidates whose name begins with ``kind``."""
    return [v for k, v in candidates.items() if k.startswith(kind)]


def verdict_figures(
    data: Sequence[Measured], believed: Sequence[Believed], tables: Sequence[Change], model: str
) -> dict[str, Any]:
    """How often the verdict on ``model`` is right, by CA lDDT; tables: one for each target."""
    true = true_changes(data, model)
    estimated, room = estimates(believed, model)
    said = [verdict_of(x, r, t) for x, r, t in zip(estimated, room, tables, strict=True)]
    told = np.array([v.expected is not None for v in said])
    expected = np.array([v.expected for v in said if v.expected is not None])
    agreement = {
        "pearson_estimated_true": float(np.corrcoef(estimated, true)[0, 1]),
        "pearson_expected_true": float(np.corrcoef(expected, true[told])[0, 1]),
    }
    return count_verdicts([v.word for v in said], true) | agreement | {"mean_true": float(true.mean())}


def count_verdicts(words: Sequence[str], true: NDArray[np.float64]) -> dict[str, Any]:
    """Verdicts against what happened."""
    gained = np.asarray(true) > 0
    said = np.array(words)
    right = int(((said == "better") & gained).sum() + ((said == "no better") & ~gained).sum())
    definite = int((said != "uncertain").sum())
    return {
        "n": len(words),
        "said": {word: int((said == word).sum()) for word in ("better", "no better", "uncertain")},
        "definite_right": right,
        "definite": definite,
        "gained_among_better": int(((said == "better") & gained).sum()),
        "gained_among_no_better": int(((said == "no better") & gained).sum()),
        "gained_among_uncertain": int(((said == "uncertain") & gained).sum()),
        "gained": int(gained.sum()),
    }


# ---- the commands
# ----------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Half:
    """Figures of one half: what is said of a target comes from tables that did not see it."""

    residues: Mapping[str, Any]
    pairs: Mapping[str, Any]
    candidates: Mapping[str, Any]
    verdict: Mapping[str, Any]
    reliability: Mapping[str, Any]
    sampling: Mapping[str, Any]


SAMPLED = ("burn_in", "stride", "kept", "effective_samples", "autocorrelation_snapshots")


def half(
    data: Sequence[Measured],
    tables: Callable[[int], Calibration],
    base: Callable[[int], Mapping[str, Distribution]],
    model: str,
) -> Half:
    """Figures of a half.

    Args:
        tables, base: the calibration and the baselines for target k.
    """
    believed = {form: [believe(tables(k).residues[form], m) for k, m in enumerate(data)] for form in LDDT_NAMES}
    main = believed["ensemble"]
    each: dict[str, list[Distribution]] = {
        "ours": [ours(tables(k).pairs["ensemble"], "ensemble") for k in range(len(data))]
    }
    each["ensemble as it is"] = [bare] * len(data)
    for name in base(0):
        each[name] = [base(k)[name] for k in range(len(data))]
    return Half(
        residues={form: {kind: residue_figures(data, b, kind) for kind in JUDGED} for form, b in believed.items()},
        pairs=pair_figures(data, main, each),
        candidates=candidate_figures(data),
        verdict=verdict_figures(data, main, [tables(k).change["ensemble"] for k in range(len(data))], model),
        reliability={kind: reliability(data, main, kind) for kind in ("input", model)},
        sampling={key: float(np.mean([m.sampling[key] for m in data])) for key in SAMPLED},
    )


def calibrate(
    data: Sequence[Measured], natives: Sequence[Measured], hashes: Mapping[str, str], model: str
) -> tuple[Calibration, dict[str, Distribution]]:
    """All tables of these targets, and the baselines of the pairs; the ``natives`` tell what has no room to gain."""
    outside = {form: left_out(data, natives, form) for form in LDDT_NAMES}
    residues = {form: fit_residues([*data, *taken(natives, form)], form) for form in LDDT_NAMES}
    right = [believe(residues["ensemble"], m) for m in natives]
    calibration = Calibration(
        residues=residues,
        pairs={form: fit_all_pairs(data, outside[form], form) for form in PAIR_NAMES},
        change={"ensemble": fit_changes([*data, *natives], [*outside["ensemble"], *right], model)},
        networks=dict(hashes),
        source="python benchmarks/ensemble_calibration.py --fit",
    )
    return calibration, {
        "Gaussian about the input, one width": fixed_width(data),
        "Gaussian about the input, width by confidence": width_by_confidence(data, outside["ensemble"]),
    }


def fit(args: argparse.Namespace) -> int:
    """Measure, fit on tune, cross-validate there, show on check; write everything."""
    networks = load_networks_of(RunSettings(device="cpu", networks=args.networks))
    assert networks is not None

    def halves(split: str) -> Sequence[Target]:
        return read_manifest(args.bench / "targets.tsv", chosen_set="refined150-dev", split=split)

    hashes = network_hashes(networks.folder)
    tune = measured_targets(args, "tune", halves("tune"), networks)
    right = [Target(t.name, args.bench / t.model, args.bench / t.native) for t in natives(args.bench, "tune", NATIVES)]
    stay = measured_targets(args, "natives", right, networks)
    calibration, base = calibrate(tune, stay, hashes, args.model)
    folds = [k % args.folds for k in range(len(tune))]
    parts = [
        calibrate([m for m, f in zip(tune, folds, strict=True) if f != fold], stay, hashes, args.model)
        for fold in range(args.folds)
    ]
    figures: dict[str, Any] = {
        "networks": hashes,
        "tune_cross_validated": dataclasses.asdict(
            half(tune, lambda k: parts[folds[k]][0], lambda k: parts[folds[k]][1], args.model)
        ),
    }
    if not args.tune_only:
        check = measured_targets(args, "check", halves("check"), networks)
        figures["check"] = dataclasses.asdict(half(check, lambda k: calibration, lambda k: base, args.model))
    figures["cpu_seconds"] = round(time.process_time(), 1)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "ensemble_calibration.json").write_text(json.dumps(rounded(figures), indent=1) + "\n", encoding="utf-8")
    write_calibration(calibration, args.table)
    plot(figures, args.out / "ensemble_reliability.png", args.model)
    print(summary(figures))
    return 0


def rounded(value: Any) -> Any:
    """Floats to four figures."""
    if isinstance(value, Mapping):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def summary(figures: Mapping[str, Any]) -> str:
    """The figures that decide, as text."""
    lines = []
    for name in ("tune_cross_validated", "check"):
        if name in figures:
            of = figures[name]
            lines.append(f"== {name}")
            lines += [
                residue_line(form, kind, r) for form, kinds in of["residues"].items() for kind, r in kinds.items()
            ]
            lines += [pair_line(kind, p) for kind, p in of["pairs"].items()]
            lines += [rule_line(rule, c) for rule, c in of["candidates"].items()]
            lines += [
                f"verdict {json.dumps(rounded(of['verdict']))}",
                f"sampling {json.dumps(rounded(of['sampling']))}",
            ]
    return "\n".join([*lines, f"{figures['cpu_seconds']} CPU s"])


def residue_line(form: str, kind: str, r: Mapping[str, float]) -> str:
    """Of one table and structure."""
    return (
        f"lDDT {form:9s} {kind:8s} r {r['pearson_lddt_ca']:.3f} (all atoms {r['pearson_lddt_all_atoms']:.3f}, within targets"
        f" {r['pearson_within_targets']:.2f}, of means {r['pearson_of_target_means']:.2f}) mean error {r['mean_abs_error_lddt_ca']:.3f}"
        f" bias {r['bias_lddt_ca']:+.3f} | network alone r {r['network_pearson']:.3f} mean error {r['network_mean_abs_error']:.3f}"
        f" bias {r['network_bias']:+.3f} | error in Å: rank correlation {r['error_spearman']:.2f},"
        f" ASE {r['error_ase']:.3f} (one value for all {r['error_ase_of_one_value']:.3f})"
    )


def pair_line(kind: str, p: Mapping[str, Any]) -> str:
    """Of one distribution of the pairs."""
    gain = p.get("ours_minus_this_log_likelihood")
    return (
        f"pairs {kind:46s} cover50 {p['cover50']:.3f} cover90 {p['cover90']:.3f} log-likelihood {p['log_likelihood']:.3f}; below"
        f" {IN_REACH:.0f} Å {p['cover50_in_reach']:.3f} {p['cover90_in_reach']:.3f} {p['log_likelihood_in_reach']:.3f}"
        + (f"; ours better by {gain[0]:.3f} ({gain[1]:.3f} … {gain[2]:.3f})" if gain else "")
    )


def rule_line(rule: str, c: Mapping[str, Sequence[float]]) -> str:
    """Of one rule for model 1."""
    parts = []
    for key, label, factor in (("gdt_ha", "GDT-HA", 1), ("lddt_ca", "lDDT CA × 100", 100)):
        mean, low, high, share = c[key]
        parts.append(f"{label} {factor * mean:+.2f} ({factor * low:+.2f} … {factor * high:+.2f}) {100 * share:.0f} %")
    return f"model 1: {rule:40s} {'; '.join(parts)}"


def plot(figures: Mapping[str, Any], path: Path, model: str) -> None:
    """Reliability of the confidence: expected against true lDDT of tenths of the residues."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    halves = [name for name in ("tune_cross_validated", "check") if name in figures]
    figure, axes = plt.subplots(1, len(halves), figsize=(4.6 * len(halves), 4.4), squeeze=False)
    for ax, name in zip(axes[0], halves, strict=True):
        ax.plot((30, 100), (30, 100), color="0.7", linewidth=1, label="perfect")
        for kind, colour, marker in (("input", "#1f77b4", "o"), (model, "#d62728", "s")):
            r = figures[name]["reliability"][kind]
            label = "input" if kind == "input" else f"after the engine ({kind})"
            ax.plot(
                100 * np.array(r["expected"]),
                100 * np.array(r["true"]),
                color=colour,
                marker=marker,
                markersize=4,
                label=label,
            )
        n = figures[name]["residues"]["ensemble"]["input"]
        title = "tune, left out of the fit" if name.startswith("tune") else "check, never fitted"
        worth = f"r = {n['pearson_lddt_ca']:.2f}, mean error {100 * n['mean_abs_error_lddt_ca']:.1f}"
        ax.set_title(f"{title}: {n['targets']} targets, {n['residues']} residues\n{worth}", fontsize=9)
        ax.set(
            xlabel="confidence (tenths of the residues)",
            ylabel="true CA lDDT × 100",
            xlim=(25, 100),
            ylim=(25, 100),
            aspect="equal",
        )
        ax.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def verdicts(folder: Path) -> int:
    """Print how the verdicts of a finished bench compare with the change of its model 1, finished."""
    words: list[str] = []
    change: dict[str, list[float]] = {"bb_lddt": [], "oligo_gdtha": []}
    for path in sorted((folder / "results").glob("*/ours.json")):
        ours_, start = (
            json.loads((path.parent / f"{name}.json").read_text(encoding="utf-8")) for name in ("ours", "start")
        )
        if ours_["status"] == start["status"] == "done":
            words.append(str(ours_["details"]["verdict"]).split(":")[0].lower())
            for key, values in change.items():
                values.append(ours_["models"][0][key] - start["models"][0][key])
    print(json.dumps({key: count_verdicts(words, np.array(v)) for key, v in change.items()}, indent=1))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Options in, exit code out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="measure, fit and show")
    parser.add_argument("--tune-only", action="store_true", help="no look at the check half")
    parser.add_argument(
        "--verdicts", type=Path, metavar="BENCH_OUT", help="judge the verdicts of a finished refine bench"
    )
    parser.add_argument("--networks", default=RunSettings().networks, help="trained files, a name or a folder")
    parser.add_argument("--model", choices=JUDGED[1:], default="average", help="what stands for model 1 in the verdict")
    parser.add_argument("--folds", type=int, default=5, help="of the cross-validation within tune")
    shared = Path(os.environ.get("REFINE_SHARED") or ROOT.parent / "shared")
    parser.add_argument("--bench", type=Path, default=shared / "bench", help="folder of targets.tsv")
    parser.add_argument(
        "--cache", type=Path, default=Path("calibration_cache"), help="measured targets (default calibration_cache)"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of figures and plot")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the tables go")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.verdicts:
        return verdicts(args.verdicts)
    if not args.fit:
        parser.error("give --fit or --verdicts")
    return fit(args)


if __name__ == "__main__":
    sys.exit(main())
