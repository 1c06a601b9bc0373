"""The scores of one decoy, in whatever process: our energy and its terms, our confidence, quality, VoroMQA."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import shutil
import subprocess
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from refine.accuracy.calibration import network_hashes
from refine.assess.compare import compare
from refine.bench.decoys import Decoy
from refine.bench.result import DONE, FAILED
from refine.bench.work import networks_of
from refine.engine import Engine
from refine.errors import EngineError, RefineError
from refine.files import file_hash, json_text, write_text
from refine.settings import from_dict
from refine.structure.prepare import prepare
from refine.structure.protein import Protein
from refine.structure.read import read_structure

SCORES = "scores"
VOROMQA_SECONDS = 300
FORMAT = 5
QUALITY = ("clashscore", "ramachandran_favoured", "rotamer_outliers")
HIGHER_IS_BETTER = (
    "confidence", "judge", "voromqa", "ramachandran_favoured", "compactness",
    "consensus", "judge_consensus", "shuffled_consensus",
)  # fmt: skip
"""Of the score columns; of all others less is better."""


@dataclasses.dataclass(frozen=True)
class ScoreTask:
    """A decoy to score, and where the scores go."""

    decoy: Decoy
    settings: Mapping[str, Any]
    folder: Path
    voromqa: str = ""

    @property
    def name(self) -> str:
        return f"{self.decoy.target} {self.decoy.name}"

    @property
    def path(self) -> Path:
        return self.folder / SCORES / self.decoy.target / f"{self.decoy.name}.json"


@functools.lru_cache(maxsize=8)
def native_of(path: Path) -> Protein:
    """A native, read once a process."""
    return read_structure(path).protein


def score_task(task: ScoreTask) -> str:
    """Score a decoy unless that has been done; a decoy that fails is a result too. The job border."""
    torch.set_num_threads(1)
    try:
        mark = fingerprint(task)
        before = read_score(task)
        if before is not None and before["fingerprint"] == mark and before["status"] == DONE:
            return f"{task.name}: kept"
        values = {"status": DONE, "fingerprint": mark, **scores(task)}
    except RefineError as error:
        values = {"status": FAILED, "fingerprint": "", "error": str(error)}
    except Exception as error:  # the job border
        values = {"status": FAILED, "fingerprint": "", "error": f"a bug in refine: {error}\n{traceback.format_exc()}"}
    head = {"target": task.decoy.target, "decoy": task.decoy.name, "native": task.decoy.is_native}
    task.path.parent.mkdir(parents=True, exist_ok=True)
    write_text(task.path, json_text(head | values))
    return f"{task.name}: {values['status']}"


def fingerprint(task: ScoreTask) -> str:
    """Hash of everything the scores depend on."""
    networks = networks_of(from_dict(task.settings))
    trained = {} if networks is None else network_hashes(networks.folder)
    voromqa = bool(task.voromqa and shutil.which(task.voromqa))
    what = (FORMAT, file_hash(task.decoy.path), file_hash(task.decoy.native), task.settings, trained, voromqa)
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def read_score(task: ScoreTask) -> dict[str, Any] | None:
    """What has been computed for a decoy, or None."""
    try:
        values = json.loads(task.path.read_text(encoding="utf-8"))
        return values if {"status", "fingerprint"} <= set(values) else None
    except (OSError, ValueError, TypeError):
        return None


def scores(task: ScoreTask) -> dict[str, Any]:
    """Closeness to the native, and every score, of the decoy repaired but neither moved nor finished.

    The energy is the run's. A learned term that the run switches off is judged too, by its value at weight 1.
    """
    settings = from_dict(task.settings)
    protein = prepare(
        task.decoy.path, model=settings.model, freeze=settings.freeze, keep_hands=settings.keep_hands
    ).protein
    comparison = compare(protein, native_of(task.decoy.native))
    silent = [name for name, weight in settings.learned.items() if weight == 0]
    heard = dataclasses.replace(settings, learned={**settings.learned, **dict.fromkeys(silent, 1.0)})
    engine = Engine(protein, networks_of(settings), heard)
    score = engine.score()
    columns: dict[str, float] = {name: value for name, value in score.terms.items() if name != "total"}
    columns = {"energy": score.terms["total"] - sum(columns.get(name, 0.0) for name in silent)} | columns
    columns["confidence"] = score.estimate.overall
    columns |= {name: score.quality[name] for name in ("judge", *QUALITY) if name in score.quality}
    columns["compactness"] = -radius_of_gyration(protein)
    if task.voromqa and (program := shutil.which(task.voromqa)):
        columns["voromqa"] = voromqa(program, task.decoy.path)
    closeness = {"oligo_gdtts": comparison.gdt_ts, "oligo_gdtha": comparison.gdt_ha, "bb_lddt": comparison.lddt_ca}
    closeness |= {"lddt_no_stereochecks": comparison.lddt, "tm_score": comparison.tm_score}
    judged = None if engine.applied is None else engine.applied.judged(engine.coords)[0].cpu().numpy().round(4).tolist()
    return {"residues": len(protein), "closeness": closeness, "scores": columns, "judged": judged}


def radius_of_gyration(protein: Protein) -> float:
    """Å, of the CA atoms: the trivial control of a decoy score."""
    ca = protein.coords[0, :, 1].astype(np.float64)
    return float(np.sqrt(((ca - ca.mean(0)) ** 2).sum(-1).mean()))


def voromqa(program: str, path: Path) -> float:
    """Quality score of ``voronota-voromqa`` (Olechnovič & Venclovas 2017, Proteins 85:1131): the second column of its
    line.

    Raises:
        EngineError: it failed.
    """
    try:
        ended = subprocess.run(
            [program, "-i", str(path)], capture_output=True, text=True, timeout=VOROMQA_SECONDS, check=False
        )
        return float(ended.stdout.split()[1])
    except (OSError, subprocess.TimeoutExpired, IndexError, ValueError) as error:
        raise EngineError(
            f"VoroMQA failed: {error}", file=str(path), remedy="Check the program, or give --voromqa ''"
        ) from error
