"""Fits the confidence of inputs, ours alone and combined with the file's own, and shows what it is worth.

    OMP_NUM_THREADS=1 python benchmarks/confidence.py --bench ../shared --cache CACHE
        measure, fit on train clusters of data/predicted, the tune half of refined150-dev and natives; judge on valid
        clusters and the tune half of predicted.tsv; write refine/accuracy/tables/input_accuracy.json and
        benchmarks/results/input_accuracy.json (about four CPU minutes, next to nothing once measured)
    … --networks FOLDER
        the same for other trained files, to be put into models/small with the table
    … --check
        also look at the check halves; nothing is chosen there

The table holds for the networks it was fitted with. The measured inputs are kept in ``--cache`` by the hashes of those.
The control deals the file's column out to other residues of the same model.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from confidence_inputs import LONGEST, MOST_PER_PROGRAM, NATIVES, Measured, cases, measured
from numpy.typing import NDArray
from scipy.stats import spearmanr

from refine.accuracy.calibration import Linear, Residues, estimating_hashes, packaged
from refine.accuracy.confidence import LARGEST, SMALLEST
from refine.accuracy.fit import fit_linear, fit_logistic
from refine.accuracy.input_accuracy import (
    TABLE,
    Expected,
    InputTable,
    as_lddt,
    expected,
    logit,
    sigmoid,
)
from refine.engine import load_networks_of
from refine.settings import RunSettings

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
NAMES = (
    "expected", "expected_near", "log_distance_b_near", "likelihood_near", "disagreement",
    "judged", "judged_near", "judged_mean", "burial", "burial_wide", "end", "ramachandran_near",
)  # fmt: skip
RIDGE, RIDGE_COMBINED = 0.01, 0.0003
FOLDS = 5
"""Parts of the families, of which each is estimated by tables that did not see it."""
STARTS = ((0.0, 60.0), (60.0, 75.0), (75.0, 101.0))
"""GDT-HA of the input, from and below."""

Estimator = Callable[[Measured], NDArray[np.float64]]
"""(n,) expected CA lDDT, 0–1, NaN where nothing is said."""


def fit(data: Sequence[Measured], facts: Mapping[str, Any]) -> InputTable:
    """The table of these inputs; those whose file gives an estimate and those where it gives none go separate ways."""
    given = [m for m in data if m.estimate.given]
    alone = _alone([m for m in data if m.case.group in ("servers tune", "natives")])
    beside = _beside(given)
    as_error = [{"log_error": np.log(np.clip(m.distance, SMALLEST, LARGEST))} for m in given]
    error_as_lddt = fit_logistic(as_error, [m.lddt for m in given], ["log_error"], RIDGE_COMBINED)
    both = _left_out_logits(given, error_as_lddt)
    lddt = fit_logistic(both, [m.lddt for m in given], ["ours", "file"], RIDGE_COMBINED, rising=True)
    log_error = fit_linear(both, [_log_error(m) for m in given], ["log_error", "ours", "file"], RIDGE_COMBINED)
    return InputTable(alone, beside, Expected(lddt, log_error), error_as_lddt, **facts)


def _alone(data: Sequence[Measured]) -> Residues:
    """As ensemble_calibration.py fits structures that no run has moved."""
    features = [m.features for m in data]
    lddt = fit_linear(features, [m.lddt for m in data], NAMES)
    return Residues(lddt, fit_linear(features, [_log_error(m) for m in data], NAMES))


def _beside(data: Sequence[Measured]) -> Expected:
    features = [m.features for m in data]
    lddt = fit_logistic(features, [m.lddt for m in data], NAMES, RIDGE)
    return Expected(lddt, fit_linear(features, [_log_error(m) for m in data], NAMES, RIDGE))


def _log_error(m: Measured) -> NDArray[np.float64]:
    return np.log(np.maximum(m.distance, SMALLEST))


def _left_out_logits(given: Sequence[Measured], error_as_lddt: Linear) -> list[dict[str, NDArray[np.float64]]]:
    """What is combined, ours by tables that have not seen the family, lest it count for more than it is worth."""
    part = folds(given)
    tables = [_beside([m for m in given if part[m.case.family] != k]) for k in range(FOLDS)]
    found = []
    for m in given:
        table, known = tables[part[m.case.family]], np.isfinite(m.estimate.values)
        file = np.where(known, as_lddt(m.estimate, error_as_lddt), np.nanmean(as_lddt(m.estimate, error_as_lddt)))
        ours = sigmoid(table.lddt(m.features))
        found.append({"ours": logit(ours), "file": logit(file), "log_error": table.log_error(m.features)})
    return found


def folds(data: Sequence[Measured]) -> dict[str, int]:
    """Family → its fold."""
    return {family: k % FOLDS for k, family in enumerate(sorted({m.case.family for m in data}))}


def estimators(table: Callable[[Measured], InputTable]) -> dict[str, Estimator]:
    """What is compared; ``table`` gives the table for an input."""
    before = packaged().residues["networks"].lddt

    def control(m: Measured) -> NDArray[np.float64]:
        dealt = np.random.default_rng(len(m.lddt)).permutation(m.estimate.values)
        estimate = dataclasses.replace(m.estimate, values=dealt)
        return expected(m.features, estimate, table(m)).combined / 100.0

    return {
        "ours until now, without a run": lambda m: np.clip(before(m.features), 0.0, 1.0),
        "ours": lambda m: expected(m.features, m.estimate, table(m)).ours / 100.0,
        "file": lambda m: expected(m.features, m.estimate, table(m)).file / 100.0,
        "combined": lambda m: expected(m.features, m.estimate, table(m)).combined / 100.0,
        "combined, column dealt out anew": control,
    }


def figures(data: Sequence[Measured], estimate: Estimator) -> dict[str, float]:
    """What an estimate is worth over the residues of ``data``, and over its models."""
    pairs = [(estimate(m), m.lddt) for m in data]
    known = [(p[np.isfinite(p) & np.isfinite(y)], y[np.isfinite(p) & np.isfinite(y)]) for p, y in pairs]
    p, y = (np.concatenate(v) for v in zip(*known, strict=True))
    means = np.array([(a.mean(), b.mean()) for a, b in known])
    within = [np.corrcoef(a, b)[0, 1] for a, b in known if a.std() > 0 and b.std() > 0]
    off = means[:, 0] - means[:, 1]
    several = len(means) > 2 and bool(np.ptp(means, axis=0).min() > 0)
    return {
        "inputs": len(data), "residues": len(p),
        "pearson": _correlation(p, y), "spearman": float(spearmanr(p, y)[0]) if np.ptp(y) > 0 else float("nan"),
        "pearson_within": float(np.mean(within)) if within else float("nan"),
        "pearson_of_means": float(np.corrcoef(means.T)[0, 1]) if several else float("nan"),
        "mean_absolute_error": float(np.abs(p - y).mean()), "bias": float(off.mean()),
        "absolute_error_of_means": float(np.abs(off).mean()), "mean_lddt": float(means[:, 1].mean()),
    }  # fmt: skip


def _correlation(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    return float(np.corrcoef(one, two)[0, 1]) if np.ptp(one) > 0 and np.ptp(two) > 0 else float("nan")


def reliability(data: Sequence[Measured], estimate: Estimator) -> dict[str, list[float]]:
    """Mean expected and true lDDT of the residues of each of AlphaFold's bands, and how many those are."""
    p, y = (np.concatenate(v) for v in zip(*((estimate(m), m.lddt) for m in data), strict=True))
    band = np.digitize(p, (0.5, 0.7, 0.9))
    parts = [(np.isfinite(p) & np.isfinite(y)) & (band == k) for k in range(4)]
    return {
        "expected": [float(p[k].mean()) if k.any() else float("nan") for k in parts],
        "true": [float(y[k].mean()) if k.any() else float("nan") for k in parts],
        "residues": [int(k.sum()) for k in parts],
    }


def report(data: Sequence[Measured], table: Callable[[Measured], InputTable]) -> dict[str, Any]:
    """Figures of every estimate, by whether the file gives one, by program and by start quality."""
    given = [m for m in data if m.estimate.given]
    parts: dict[str, list[Measured]] = {"given": given, "not given": [m for m in data if not m.estimate.given]}
    parts |= {name: [m for m in given if m.case.program == name] for name in sorted({m.case.program for m in given})}
    for low, high in STARTS:
        parts[f"GDT-HA {low:.0f} to {min(high, 100.0):.0f}"] = [m for m in given if low <= m.gdt_ha < high]
    every = estimators(table)
    found: dict[str, Any] = {}
    for name, part in parts.items():
        names = every if name != "not given" else ("ours until now, without a run", "ours")
        found |= {name: {k: figures(part, every[k]) for k in names}} if part else {}
    if given:
        found["bands"] = reliability(given, every["combined"])
    return found


def run(args: argparse.Namespace) -> int:
    """Measure, fit, judge, write."""
    networks = load_networks_of(RunSettings(device="cpu", networks=args.networks))
    assert networks is not None

    def take(*groups: str) -> list[Measured]:
        return measured(cases(args.bench, groups), networks, args.cache)

    fitted = take("train", "servers tune", "natives")
    facts = {
        "networks": estimating_hashes(networks.folder),
        "source": "python benchmarks/confidence.py",
        "data": {g: sum(m.case.group == g for m in fitted) for g in ("train", "servers tune", "natives")},
        "commit": _commit(),
        "settings": {
            "ridge": RIDGE, "ridge_combined": RIDGE_COMBINED, "longest": LONGEST, "most_per_program": MOST_PER_PROGRAM,
            "natives": NATIVES,
        },
    }  # fmt: skip
    table = fit(fitted, facts)
    part = folds(fitted)
    parts = [fit([m for m in fitted if part[m.case.family] != k], facts) for k in range(FOLDS)]
    found: dict[str, Any] = {"commit": facts["commit"], "networks": facts["networks"]}
    for group in ("train", "servers tune", "natives"):
        inside = [m for m in fitted if m.case.group == group]
        found[f"{group}, left out by family"] = report(inside, lambda m: parts[part[m.case.family]])
    for group in ("valid", "tune", *(("check", "servers check") if args.check else ())):
        found[group] = report(take(group), lambda m: table)
    _write(args.table, dataclasses.asdict(table))
    _write(args.out / "input_accuracy.json", found)
    print(summary(found))
    return 0


def _commit() -> str:
    git = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return git.stdout.strip() or "unknown"


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(values), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    return value


def summary(found: Mapping[str, Any]) -> str:
    """The figures as a table."""
    lines = ["| group | inputs of | estimate | n | r | Spearman | r within | r of means | error | bias |"]
    lines.append("|" + "---|" * 10)
    for group, parts in found.items():
        if group in ("commit", "networks"):
            continue
        for part, kinds in parts.items():
            for name, f in kinds.items() if part != "bands" else ():
                cells = [f[k] for k in ("pearson", "spearman", "pearson_within", "pearson_of_means")]
                numbers = [*(f"{v:.3f}" for v in cells), f"{f['mean_absolute_error']:.3f}", f"{f['bias']:+.3f}"]
                lines.append(f"| {group} | {part} | {name} | {f['inputs']} | " + " | ".join(numbers) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Options in, exit code out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=RunSettings().networks, help="trained files, a name or a folder")
    shared = Path(os.environ.get("REFINE_SHARED") or ROOT.parent / "shared")
    parser.add_argument("--bench", type=Path, default=shared, help="folder with bench/ and data/")
    parser.add_argument("--cache", type=Path, default=Path("confidence_cache"), help="measured inputs")
    parser.add_argument("--check", action="store_true", help="also look at the check halves")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the figures")
    parser.add_argument("--table", type=Path, default=TABLE, help="where the table goes")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
