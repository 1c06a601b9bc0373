"""Models of one protein, ranked by what the judge expects of each and by how far the others agree with it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.consensus import consensus, mutual_lddt
from refine.assess.compare import CA
from refine.assess.matching import Matching, match_residues
from refine.batch import BatchItem, Outcome, plan, run_all
from refine.device import choose_device
from refine.energy.learned import AppliedNetworks
from refine.energy.system import System
from refine.engine import load_networks_of
from refine.errors import InputError
from refine.files import csv_text
from refine.networks.weights import Networks
from refine.pipeline import RunResult
from refine.progress import Progress
from refine.run.inputs import prepared_for
from refine.settings import RunSettings
from refine.structure.protein import Protein

COLUMNS = ("rank", "model", "score", "judge", "agreement", "voters", "residues", "missing")
LEAST_IDENTITY, LEAST_COVERAGE = 0.9, 0.5
"""Of matched residues equal, and of the shorter model matched, from which on two models are of one protein."""
_REFERENCES = 10
"""Sequences, the longest first, that are tried as the one all models are matched to."""


@dataclasses.dataclass(frozen=True)
class JudgedModel:
    """A model, the CA lDDT (L,) in [0, 1] that the judge expects of its residues."""

    path: Path
    protein: Protein
    judged: NDArray[np.floating]


@dataclasses.dataclass(frozen=True)
class RankedModel:
    """A model with its place.

    Attributes:
        score: CA lDDT × 100 by judge and agreement, over the residues that more than half of the models have; a residue
            that this one lacks counts as 0.
        judge, agreement: what each of the two alone says, over the same residues; agreement is NaN for a single model.
        voters: models that it is compared with: those that are no copies of it.
        residues: of the model; missing: residues of most of the others that it lacks.
    """

    path: Path
    score: float
    judge: float
    agreement: float
    voters: int
    residues: int
    missing: int


def rank_files(
    inputs: Sequence[Path], settings: RunSettings, progress: Callable[[str], Progress] = lambda label: Progress()
) -> tuple[str, list[Outcome], list[str]]:
    """Judge and rank files and folders of files, models of one protein; one that fails does not stop the others.

    Returns:
        the ranking as csv, empty when nothing could be ranked; how each input ended; lines on what the ranking rests
        on.

    Raises:
        InputError: an input does not exist, or the settings have no networks.
    """
    networks = load_networks_of(settings)
    if networks is None:
        raise InputError("ranking needs the networks", remedy='Leave out networks = "none"')
    judged: dict[Path, JudgedModel] = {}

    def work(item: BatchItem, tell: Progress) -> RunResult:
        judged[item.path] = judged_model(item.path, settings, networks)
        tell("done")
        return RunResult(item.out, (), False, "judged", {})

    outcomes = run_all(plan(inputs, None), work, progress, folders=False)
    models = [judged[o.item.path] for o in outcomes if o.item.path in judged]
    if not models:
        return "", outcomes, []
    ranking, refused = rank_models(models)
    outcomes = [
        dataclasses.replace(o, error=str(refused[o.item.path]), exit_code=InputError.exit_code)
        if o.item.path in refused
        else o
        for o in outcomes
    ]
    return csv_text(COLUMNS, [_line(placed) for placed in enumerate(ranking, start=1)]), outcomes, notes(ranking)


def judged_model(path: Path, settings: RunSettings, networks: Networks) -> JudgedModel:
    """A file as it came (repaired, neither moved nor finished), judged; errors as of ``prepared_for``."""
    protein = prepared_for(path, settings).protein.replica(0)
    system = System.from_protein(protein, choose_device(settings.device))
    coords = torch.from_numpy(protein.coords[:, :, :4].copy()).to(system.device)
    judged = AppliedNetworks(networks, system, settings.whole).judged(coords)[0].cpu().numpy()
    return JudgedModel(path, protein, judged)


def rank_models(models: Sequence[JudgedModel]) -> tuple[list[RankedModel], dict[Path, InputError]]:
    """Models, best first, and why any were refused: those of another protein than most."""
    ca, judged, refused = on_one_sequence(models)
    kept = [model for model in models if model.path not in refused]
    result = consensus(mutual_lddt(ca), judged)
    score, own, agreement = (100.0 * result.score(v) for v in (result.expected, judged, result.agreement))
    agreement = agreement if len(kept) > 1 else np.full(1, np.nan)
    missing = (~np.isfinite(judged[:, result.core])).sum(1)
    rows = [
        RankedModel(
            model.path, float(score[k]), float(own[k]), float(agreement[k]), int(result.voters[k]),
            len(model.protein), int(missing[k]),
        )
        for k, model in enumerate(kept)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -row.score), refused


def on_one_sequence(
    models: Sequence[JudgedModel],
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[Path, InputError]]:
    """CA atoms (N, L, 3) Å and judged lDDT (N, L) of N models on the L residues of one of them, NaN where one lacks a
    residue, and why others were refused. Residues that only others have are left out.
    """
    reference = reference_of([model.protein for model in models])
    matched = {model.path: _of_one_protein(model.protein, reference) for model in models}
    kept = [model for model in models if matched[model.path] is not None]
    ca = np.full((len(kept), len(reference), 3), np.nan)
    judged = np.full(ca.shape[:2], np.nan)
    for k, model in enumerate(kept):
        matching = matched[model.path]
        assert matching is not None
        has = model.protein.mask[matching.model_index, CA]
        rows, columns = matching.model_index[has], matching.native_index[has]
        ca[k, columns], judged[k, columns] = model.protein.coords[0, rows, CA], model.judged[rows]
    refused = {
        path: InputError(
            f"this is a model of another protein than {reference.name}, to which {len(kept)} of {len(models)} belong",
            file=str(path),
            remedy="Rank models of one protein at a time",
        )
        for path, matching in matched.items()
        if matching is None
    }
    return ca, judged, refused


def reference_of(proteins: Sequence[Protein]) -> Protein:
    """The protein whose sequence most of the others have, of equally many the longest."""
    counts = Counter(protein.sequence for protein in proteins)
    first = {protein.sequence: protein for protein in reversed(proteins)}
    longest = sorted(first, key=lambda sequence: (-len(sequence), sequence))[:_REFERENCES]

    def like(sequence: str) -> int:
        return sum(n for other, n in counts.items() if _of_one_protein(first[other], first[sequence]) is not None)

    return first[max(longest, key=lambda sequence: (like(sequence), len(sequence)))]


def _of_one_protein(model: Protein, reference: Protein) -> Matching | None:
    """How a model's residues correspond to the reference's; None where it is another protein."""
    try:
        matching = match_residues(model, reference)
    except InputError:
        return None
    enough = len(matching) >= LEAST_COVERAGE * min(len(model), len(reference))
    return matching if enough and matching.identity >= LEAST_IDENTITY else None


def notes(ranking: Sequence[RankedModel]) -> list[str]:
    """What the reader must know of a ranking."""
    if len(ranking) == 1:
        return ["one model: its score is the judge's alone, there is no other to agree with"]
    if not any(row.voters for row in ranking):
        return ["all models are copies of one another: their agreement says nothing, the score is the judge's alone"]
    return []


def _line(placed: tuple[int, RankedModel]) -> tuple[object, ...]:
    place, row = placed
    agreement = f"{row.agreement:.1f}" if np.isfinite(row.agreement) else ""
    return place, row.path, f"{row.score:.1f}", f"{row.judge:.1f}", agreement, row.voters, row.residues, row.missing
