"""Several models of one protein: each is refined with the distances of the others as evidence, and all are ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from refine.batch import BatchItem, Outcome, run_all
from refine.errors import InputError
from refine.files import csv_text, write_output
from refine.pipeline import RunResult, refine_file
from refine.progress import Progress
from refine.settings import RunSettings

TOGETHER_FILE = "together.csv"


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A model of one of the runs.

    Attributes:
        path: of the model; input: name of the file it comes from.
        confidence: its expected CA lDDT × 100, by which models of different inputs are ranked: their free energies hold
            different evidence.
        score: free energy in kcal/mol.
    """

    path: Path
    input: str
    confidence: float
    score: float


def run_together(
    items: Sequence[BatchItem],
    settings: RunSettings,
    progress: Callable[[str], Progress] = lambda label: Progress(),
    *,
    resume: bool = False,
) -> tuple[list[Outcome], list[str]]:
    """Refine models of one protein, each with the others as evidence; one that fails does not stop the others.

    ``together.csv`` beside the run folders has all models, best first.

    Args:
        items: what ``batch.plan`` gave for the models; settings: of all; the others are added to its ``together``.
        progress: a display for each input; resume: as of ``refine_file``.

    Returns:
        how each ended, and a line on the ranking.

    Raises:
        InputError: fewer than two models were given.
    """
    if len(items) < 2:
        raise InputError("--together needs two models or more", remedy="Give several files, or a folder of them")
    results: dict[Path, RunResult] = {}

    def work(item: BatchItem, tell: Progress) -> RunResult:
        others = tuple(str(other.path) for other in items if other.path != item.path)
        own = dataclasses.replace(settings, together=(*settings.together, *others))
        result = refine_file(item.path, item.out, own, tell, resume=resume)
        results[item.path] = result
        return result

    outcomes = run_all(items, work, progress)
    ranking = ranked(results)
    if not ranking:
        return outcomes, []
    root = items[0].out.parent
    rows = [
        (k, str(one.path.relative_to(root)), one.input, f"{one.confidence:.1f}", f"{one.score:.1f}")
        for k, one in enumerate(ranking, start=1)
    ]
    path = root / TOGETHER_FILE
    write_output(path, csv_text(("rank", "model", "input", "confidence", "score"), rows))
    best = ranking[0]
    return outcomes, [f"best of all: {best.path} (confidence {best.confidence:.0f}); ranking in {path}"]


def ranked(results: dict[Path, RunResult]) -> list[Ranked]:
    """All models of runs, by their inputs, best first."""
    models = [
        Ranked(path, source.name, float(facts["confidence"]), float(facts["score"]))
        for source, result in results.items()
        for path, facts in zip(result.models, result.record["models"], strict=True)
    ]
    return sorted(models, key=lambda one: (-one.confidence, one.score))
