"""Fits every calibration of the ensemble stage on the tune half of refined150-dev and some natives; shows it on check.

    python benchmarks/ensemble_calibration.py --fit
        all 75 targets: measure, fit, write tables, figures and plot
    python benchmarks/ensemble_calibration.py --fit --tune-only
        the same without a look at the check half
    python benchmarks/ensemble_calibration.py --verdicts BENCH_OUT
        how often the verdicts of a finished ``refine bench`` were right

Engine only: the input is relaxed as in a run, but no proposal is finished. Measured targets are kept in ``--cache`` by
networks and settings, so that an interrupted run goes on; relaxed inputs by the settings of the finishing alone. Writes
refine/accuracy/tables/calibration.json, benchmarks/results/ensemble_calibration.json and ensemble_reliability.png. The
steps are calibration_targets.py, calibration_fits.py, calibration_figures.py and calibration_report.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibration_figures import (
    Distribution,
    bare,
    candidate_figures,
    count_verdicts,
    fixed_width,
    ours,
    pair_figures,
    reliability,
    residue_figures,
    verdict_figures,
    width_by_confidence,
)
from calibration_fits import (
    LDDT_NAMES,
    PAIR_NAMES,
    believe,
    fit_all_pairs,
    fit_changes,
    fit_residues,
    left_out,
    natives_of,
)
from calibration_report import plot, rounded, summary
from calibration_targets import (
    JUDGED,
    Measured,
    measured_targets,
)
from native_manifest import natives

from refine.accuracy.calibration import TABLE, Calibration, estimating_hashes, write_calibration
from refine.bench.manifest import Target, read_manifest
from refine.engine import load_networks_of
from refine.settings import RunSettings

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
NATIVES = 12
"""Natives of the tune half, given as inputs, that the fit sees beside the predicted models: they have nothing to
gain.
"""


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
    residues = {form: fit_residues([*data, *natives_of(natives, form)], form) for form in LDDT_NAMES}
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

    hashes = estimating_hashes(networks.folder)
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
