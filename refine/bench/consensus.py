"""Scores of a decoy by the other decoys of its target: they see all models, where every other score sees one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refine.accuracy.consensus import consensus, mutual_lddt
from refine.bench.scoring import ScoreTask
from refine.bench.statistics import SEED
from refine.ranking import JudgedModel, on_one_sequence
from refine.settings import from_dict
from refine.structure.prepare import prepare

COLUMNS = ("consensus", "judge_consensus", "shuffled_consensus")
"""Mean CA lDDT to the other decoys, copies sharing a vote; with the judge (``accuracy.consensus``); the control, the
agreement alone with weights of votes by the judge's values of other decoys. In points.
"""
FEWEST = 3


def add_consensus(tasks: Sequence[ScoreTask], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of ``read_score`` with the columns of ``COLUMNS`` for the decoys of every target that has ``FEWEST``.

    The native neither votes nor is compared. Without a judge there is ``consensus`` alone.
    """
    added = {(row["target"], row["decoy"]): dict(row) for row in rows}
    path_of = {(task.decoy.target, task.decoy.name): task for task in tasks}
    for target in dict.fromkeys(row["target"] for row in rows):
        names = [name for name, row in added.items() if name[0] == target and not row["native"]]
        if len(names) < FEWEST:
            continue
        models = [_judged(path_of[name], added[name]) for name in names]
        scores = _scores(models, with_judge=all(added[name].get("judged") for name in names))
        for name, columns in zip(names, scores, strict=True):
            added[name]["scores"] = {**added[name]["scores"], **columns}
    return list(added.values())


def _judged(task: ScoreTask, row: Mapping[str, Any]) -> JudgedModel:
    settings = from_dict(task.settings)
    protein = prepare(
        task.decoy.path, model=settings.model, freeze=settings.freeze, keep_hands=settings.keep_hands
    ).protein
    judged = np.array(row.get("judged") or np.ones(len(protein)), np.float64)
    return JudgedModel(task.decoy.path, protein, judged)


def _scores(models: Sequence[JudgedModel], *, with_judge: bool) -> list[dict[str, float]]:
    """Columns of each model, in order; none for one that is refused as another protein's."""
    ca, judged, refused = on_one_sequence(models)
    kept = [model for model in models if model.path not in refused]
    mutual = mutual_lddt(ca)
    plain = consensus(mutual, judged, sharpness=0.0)
    columns = {"consensus": plain.score(plain.agreement)}
    if with_judge:
        result = consensus(mutual, judged)
        columns["judge_consensus"] = result.score(result.expected)
        means = np.nanmean(judged, 1)
        others = np.random.default_rng(SEED).permutation(means)
        shuffled = consensus(mutual, judged * (others / means)[:, None])
        columns["shuffled_consensus"] = shuffled.score(shuffled.agreement)
    of = {model.path: {name: 100.0 * float(v[k]) for name, v in columns.items()} for k, model in enumerate(kept)}
    return [of.get(model.path, {}) for model in models]
