"""A run folder made by hand, with everything a finished run leaves, and names that try to become markup."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from refine.accuracy.confidence import AccuracyEstimate
from refine.accuracy.rpdd import rpdd
from refine.engine import StructureScore
from refine.files import csv_text
from refine.run.folder import RunFolder
from refine.run.model import Finished, write_model, write_structure, write_tables
from refine.structure.protein import HeteroAtom, Protein, ResidueId
from refine.structure.ride import ride
from tests.proteins import chain_backbone, make_protein, torsions

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">&"


def two_chains(length: int = 24, chain: str = "B") -> Protein:
    """Two helical chains of ``length`` residues 30 Å apart, an insertion code in the first, an ion, the second chain
    called ``chain``.
    """
    first, second = (chain_backbone(*torsions(length, seed)) for seed in (1, 2))
    ion = HeteroAtom("A", 900, "", "ZN", "ZN", "ZN", (1.0, 2.0, 3.0), order=2 * length + 1)
    protein = make_protein([first, second + [30.0, 0.0, 0.0]], hetero=(ion,))
    ids = [
        ResidueId(r.chain, r.number + 9) if r.chain == "A" else ResidueId(chain, r.number + 9)
        for r in protein.residue_ids
    ]
    ids[5] = ResidueId("A", ids[4].number, "A")
    ids[6:length] = [ResidueId("A", ids[4].number + k) for k in range(1, length - 5)]
    return dataclasses.replace(protein, residue_ids=tuple(ids))


def moved(protein: Protein, size: float, seed: int, frames: int = 1) -> np.ndarray:
    """Backbones (frames, L, 4, 3) with noise of ``size`` Å on every residue."""
    rng = np.random.default_rng(seed)
    return protein.coords[0, None, :, :4] + rng.normal(scale=size, size=(frames, len(protein), 1, 3)).astype(np.float32)


def finished(protein: Protein, source: str, seed: int) -> Finished:
    rng = np.random.default_rng(seed)
    length = len(protein)
    table = {name: rng.normal(size=length).astype(np.float32) for name in ("prior", "sterics")}
    moves = {
        "spread": np.full(length, 0.4, np.float32),
        "displacement": np.abs(rng.normal(size=length)).astype(np.float32),
    }
    confidence = rng.uniform(50, 95, length).astype(np.float32)
    return Finished(
        source=source,
        protein=protein,
        score=StructureScore(
            terms={"prior": -10.0 - seed, "sterics": 2.0, "total": -8.0 - seed},
            per_residue=table,
            quality={"clashscore": 3.0, "ramachandran_favoured": 97.0, "bond_outliers": 1.0},
            estimate=AccuracyEstimate(confidence, np.full(length, 0.8, np.float32), "ensemble"),
        ),
        run_columns=moves,
        report={"flag": "complete", "repacked": ["A:12"], "clashes_before": 4, "clashes_after": 0},
    )


def make_run(path: Path, protein: Protein, *, models: int = 2, name: str = "model.pdb", frames: int = 12) -> Path:
    """A finished run of ``protein`` in ``path``."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    start = finished(protein, "input", 0)
    structures = [finished(ride(protein, moved(protein, 0.3, k)), f"replica {k}", k) for k in range(1, models + 1)]
    record = {
        "status": "done", "input": name, "input_sha256": "0" * 64, "seed": 0,
        "residues": len(protein), "chains": list(protein.chains),
        "improved": True, "verdict": "model_1 is better than the input.", "sampling": {"effective_samples": 7.5},
        "settings": {"seed": 0, "energy": {"bonds": 1.0}},
        "versions": {"refine": "0"},
        "notes": [{"kind": "rebuilt", "message": HOSTILE, "chain": "A", "residue": "12 GLY"}],
        "models": [
            {"name": f"model_{k}", "cif": f"model_{k}.cif", "source": m.source, "score": m.score.total,
             "finishing": m.report} for k, m in enumerate(structures, 1)
        ],
    }  # fmt: skip
    folder.json("run.json", record)
    write_structure(folder, "input", protein)
    for k, model in enumerate(structures, start=1):
        write_model(folder, f"model_{k}", model, "score")
    terms = {"prior": -5.0, "sterics": 2.0, "total": -3.0}
    write_tables(folder, dataclasses.replace(start.score, terms=terms, quality={"clashscore": 30.0}), start, structures)
    folder.npz("rpdd.npz", rpdd(moved(protein, 0.4, 9, frames), protein.sequence).arrays())
    steps = [[k, 300 - 10 * k, -float(k), -2.0 * k, -1.5 * k] for k in range(1, 11)]
    folder.text("trace.csv", csv_text(["step", "temperature", "energy_1", "energy_2", "term_prior"], steps))
    return path
