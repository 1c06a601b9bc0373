"""The ranking benchmark: how well scores order the decoys of a target by closeness to its native."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from refine.bench.consensus import add_consensus
from refine.bench.decoys import Decoy
from refine.bench.methods import bench_settings
from refine.bench.result import DONE
from refine.bench.run import check_folder
from refine.bench.scoring import HIGHER_IS_BETTER, ScoreTask, read_score, score_task
from refine.bench.statistics import SEED
from refine.bench.tables import number, table
from refine.bench.work import networks_of
from refine.dispatch import dispatch
from refine.files import csv_text, json_text, plain, write_output
from refine.run.record import versions
from refine.settings import RunSettings

log = logging.getLogger(__name__)

TABLE, SUMMARY, TIDY_FILE = "table.md", "summary.json", "scores.csv"
CLOSENESS = ("bb_lddt", "oligo_gdtts")
NEAR_SHARE = 0.2
"""Without a cutoff the best fifth of a target's decoys by GDT-TS counts as near-native."""
_RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class RankingBench:
    """What to score and where; ``near`` is the GDT-TS of near-native decoys, None for the best fifth."""

    decoys: tuple[Decoy, ...]
    settings: RunSettings
    folder: Path
    label: str = ""
    near: float | None = None
    voromqa: str = ""

    def tasks(self) -> list[ScoreTask]:
        """One task a decoy; full paths, since they travel."""
        full = (dataclasses.replace(d, path=d.path.absolute(), native=d.native.absolute()) for d in self.decoys)
        return [ScoreTask(decoy, bench_settings(self.settings), self.folder.resolve(), self.voromqa) for decoy in full]


def run_ranking(
    ranking: RankingBench,
    *,
    workers: int = 1,
    scheduler: str = "",
    resume: bool = False,
    tell: Callable[[str], None] = log.info,
) -> dict[str, Any]:
    """Score what is missing and write the tables; gives the summary. Arguments and errors as of ``run_bench``."""
    networks_of(ranking.settings)
    check_folder(ranking.folder, resume=resume)
    began, tasks = time.monotonic(), ranking.tasks()
    for count, ended in enumerate(dispatch(score_task, tasks, workers=workers, scheduler=scheduler), start=1):
        if count % 10 == 0 or count == len(tasks) or ended.error:
            outcome = ended.answer or ended.error.strip().splitlines()[-1]
            tell(f"[{count}/{len(tasks)} {time.monotonic() - began:.0f} s] {outcome}")
    rows = [row for row in map(read_score, tasks) if row is not None]
    done = add_consensus(tasks, [row for row in rows if row["status"] == DONE])
    targets = {
        name: target_summary([r for r in done if r["target"] == name], ranking.near)
        for name in sorted({r["target"] for r in done})
    }
    summary = plain(
        {
            "label": ranking.label,
            "expected": len(tasks),
            "scored": len(done),
            "failed": [
                f"{r['target']} {r['decoy']}: {r['error'].splitlines()[0]}" for r in rows if r["status"] != DONE
            ],
            "near": ranking.near if ranking.near is not None else "best fifth by GDT-TS",
            "networks": ranking.settings.networks,
            "wall_seconds": round(time.monotonic() - began, 1),
            "versions": versions(),
            "targets": targets,
            "mean": mean_over(targets),
        }
    )
    write_output(ranking.folder / TIDY_FILE, tidy(done))
    write_output(ranking.folder / SUMMARY, json_text(summary))
    write_output(ranking.folder / TABLE, markdown(summary))
    return summary


def target_summary(rows: Sequence[Mapping[str, Any]], near: float | None) -> dict[str, Any]:
    """Of one target: every score column against closeness to the native."""
    decoys = [row for row in rows if not row["native"]]
    natives = [row for row in rows if row["native"]]
    closeness = {key: np.array([row["closeness"][key] for row in decoys], float) for key in CLOSENESS}
    gdt = closeness["oligo_gdtts"]
    cut = near if near is not None else (float(np.quantile(gdt, 1 - NEAR_SHARE)) if len(gdt) else float("nan"))
    columns = list(dict.fromkeys(name for row in decoys for name in row["scores"]))
    summaries = {}
    for column in columns:
        values = goodness(decoys, column)
        native = goodness(natives, column)
        summaries[column] = column_summary(values, closeness, gdt >= cut, native)
    return {
        "decoys": len(decoys),
        "best_oligo_gdtts": float(gdt.max()) if len(gdt) else None,
        "near_from": cut,
        "columns": summaries,
    }


def goodness(rows: Sequence[Mapping[str, Any]], column: str) -> NDArray[np.float64]:
    """A score column, turned so that more is better; NaN where it is missing."""
    sign = 1.0 if column in HIGHER_IS_BETTER else -1.0
    scores = [row["scores"].get(column) for row in rows]
    return sign * np.array([np.nan if v is None else v for v in scores], float)


def column_summary(
    values: NDArray[np.float64],
    closeness: Mapping[str, NDArray[np.float64]],
    near: NDArray[np.bool_],
    native: NDArray[np.float64],
) -> dict[str, Any]:
    """One score column of one target: correlations, what its choice loses, where the native comes, area under the
    ROC.
    """
    scored = np.isfinite(values)
    values, near = values[scored], near[scored]
    summary: dict[str, Any] = {"n": int(scored.sum())}
    for key, of in closeness.items():
        x = of[scored]
        summary[f"spearman_{key}"] = spearman(values, x)
        summary[f"spearman_{key}_interval"] = spearman_interval(values, x)
        summary[f"pearson_{key}"] = correlation(values, x)
        summary[f"top1_loss_{key}"] = float(x.max() - x[values == values.max()].mean()) if len(x) else None
    beaten = (
        float((values > native[0]).sum() + 0.5 * (values == native[0]).sum())
        if len(native) and np.isfinite(native[0])
        else np.nan
    )
    return summary | {"native_rank": 1 + beaten, "roc_auc": area_under_roc(values, near)}


def correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Pearson's r; NaN when either is constant or there are fewer than three."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Correlation of ranks, ties by their mean rank."""
    return correlation(rankdata(x), rankdata(y)) if len(x) else float("nan")


def spearman_interval(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[float]:
    """95 % bootstrap interval of Spearman's correlation over the decoys of a target; decoys of one group are not
    independent.
    """
    if not np.isfinite(spearman(x, y)):
        return [float("nan"), float("nan")]
    index = np.random.default_rng(SEED).integers(0, len(x), (_RESAMPLES, len(x)))
    a, b = rankdata(x[index], axis=1), rankdata(y[index], axis=1)
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    r = (a * b).sum(1)[size > 0] / size[size > 0]
    return [float(v) for v in np.percentile(r, (2.5, 97.5))]


def area_under_roc(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Chance that a near-native decoy has the better score than another; NaN when there is only one kind. Ties count
    half.
    """
    n, m = int(positive.sum()), int((~positive).sum())
    if n == 0 or m == 0:
        return float("nan")
    return float((rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * m))


def mean_over(targets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean of every number over targets, by column."""
    collected: dict[str, dict[str, list[float]]] = {}
    for of in targets.values():
        for column, values in of["columns"].items():
            for key, value in values.items():
                if isinstance(value, (int, float)):
                    collected.setdefault(column, {}).setdefault(key, []).append(float(value))
    return {column: {key: float(np.mean(values)) for key, values in keys.items()} for column, keys in collected.items()}


def tidy(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per decoy."""
    close = list(dict.fromkeys(key for row in rows for key in row["closeness"]))
    columns = list(dict.fromkeys(key for row in rows for key in row["scores"]))
    head = ("target", "decoy", "native", "residues", *close, *columns)
    lines = [
        (
            row["target"],
            row["decoy"],
            int(row["native"]),
            row["residues"],
            *(row["closeness"].get(k, "") for k in close),
            *(row["scores"].get(k, "") for k in columns),
        )
        for row in rows
    ]
    return csv_text(head, lines)


def markdown(summary: Mapping[str, Any]) -> str:
    """Table of all score columns, by target and as a mean."""
    head = [
        "score",
        "Spearman lDDT Cα",
        "Spearman GDT-TS",
        "Pearson lDDT Cα",
        "Pearson GDT-TS",
        "top-1 loss GDT-TS",
        "native rank",
        "ROC AUC",
    ]
    keys = [
        "spearman_bb_lddt",
        "spearman_oligo_gdtts",
        "pearson_bb_lddt",
        "pearson_oligo_gdtts",
        "top1_loss_oligo_gdtts",
    ]
    parts = []
    for name, of in [
        *summary["targets"].items(),
        ("mean over targets", {"columns": summary["mean"], "decoys": summary["scored"]}),
    ]:
        lines = []
        for column, v in of["columns"].items():
            interval = v.get("spearman_bb_lddt_interval")
            low = f" [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval and interval[0] is not None else ""
            cells = [
                column,
                number(v[keys[0]], 2, signed=True) + low,
                *(number(v[k], 2, signed=True) for k in keys[1:4]),
            ]
            lines.append([*cells, number(v[keys[4]], 2), number(v["native_rank"], 1), number(v["roc_auc"], 2)])
        parts.append(
            f"{name}, {of['decoys']} decoys:\n\n{table(head, lines)}"
            if name in summary["targets"]
            else f"{name}:\n\n{table(head, lines)}"
        )
    failed = (
        [f"{len(summary['failed'])} decoys could not be scored, e.g. {summary['failed'][0]}"]
        if summary["failed"]
        else []
    )
    return "\n\n".join(parts + failed) + "\n"
