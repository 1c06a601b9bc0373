"""What is bonded stays bonded, and where it is, through finishing and through a whole run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.energy.sterics import sterics
from refine.energy.system import System
from refine.finishing.finish import FinishReport, finish
from refine.finishing.settings import FinishSettings
from refine.pipeline import refine_file
from refine.settings import RunSettings
from refine.structure.connections import described, held_residues
from refine.structure.prepare import prepare
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.write import write_pdb
from tests.structure import files
from tests.structure.test_connections import ASN, HIS, outward, with_lines, zinc

SETTINGS = FinishSettings(device="cpu", max_iterations=20)


def lengths(protein: Protein) -> dict[tuple[str, str], float]:
    return {(row["first"], row["second"]): row["distance"] for row in described(protein)}


def sugar() -> str:
    """Two sugars in a row on the asparagine, the second bonded to the first alone."""
    first, second = outward(ASN, "ND2", 1.45), outward(ASN, "ND2", 2.88)
    oxygen = outward(ASN, "ND2", 2.2)
    atoms = [("C1", "NAG", "501", first), ("O4", "NAG", "501", oxygen), ("C1", "NAG", "502", second)]
    return "\n".join(
        files.atom_line(950 + k, name, residue, "A", number, place, het=True)
        for k, (name, residue, number, place) in enumerate(atoms)
    )


def capped() -> str:
    protein = files.base_protein()
    c, n = protein.coords[0, -1, 2].astype(float), protein.coords[0, 0, 0].astype(float)
    away = (protein.oxt[0, -1] - c) / np.linalg.norm(protein.oxt[0, -1] - c)
    body = [line for line in files.atom_lines() if files.name_of(line) != "OXT"]
    caps = [
        files.atom_line(960, "C", "ACE", "A", "0", tuple(n + [0.0, 0.0, -1.33]), het=True),
        files.atom_line(961, "N", "NME", "A", "23", tuple(c + 1.33 * away), het=True),
    ]
    return "\n".join([*body, *caps, "END", ""])


INPUTS = {"zinc": with_lines(zinc()), "sugars": with_lines(sugar()), "caps": capped()}


@pytest.mark.parametrize("name", INPUTS)
def test_finishing_keeps_every_bond(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    path.write_text(INPUTS[name])
    prepared = prepare(path)
    result = finish(prepared.protein, SETTINGS)  # not told what is mobile: the connections hold
    before, after = lengths(read_structure(path).protein), lengths_after(result.protein, tmp_path)
    assert before and after.keys() >= before.keys()
    assert all(after[pair] == pytest.approx(length, abs=0.01) for pair, length in before.items())
    assert result.report.level == "solvent" and moved_elsewhere(prepared.protein, result.protein, result.report)


def lengths_after(protein: Protein, folder: Path) -> dict[tuple[str, str], float]:
    """As they are measured in the written file."""
    write_pdb(protein, folder / "after.pdb")
    return lengths(read_structure(folder / "after.pdb").protein)


def moved_elsewhere(before: Protein, after: Protein, report: FinishReport) -> bool:
    """Whether residues that nothing holds did move: keeping everything where it is would pass the other checks."""
    free = ~held_residues(before)
    return bool(np.abs(after.coords - before.coords)[0, free].max() > 0.02) and report.flag in ("complete", "time")


def test_energies_of_what_is_held_do_not_drown_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    path.write_text(INPUTS["caps"])
    stages = finish(prepare(path).protein, SETTINGS).report.stages
    assert all(abs(stage.energy) < 1e5 for stage in stages)


def test_the_engine_does_not_repel_what_a_residue_is_bonded_to(tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    path.write_text(INPUTS["sugars"])
    protein = read_structure(path).protein
    loose = dataclasses.replace(protein, connections=())
    energy = []
    for one in (protein, loose):
        system = System.from_protein(one)
        energy.append(float(sterics(system)(backbone(one))[0, ASN - 1]))
    assert energy[0] < energy[1] - 0.1


def backbone(protein: Protein) -> torch.Tensor:
    return torch.from_numpy(protein.coords[:, :, :4].copy())


@pytest.mark.parametrize("name", ["zinc", "caps"])
def test_a_run_keeps_every_bond_and_writes_the_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    path.write_text(INPUTS[name])
    settings = RunSettings(device="cpu", networks="none", models=1, workers=1, finishing=SETTINGS)
    propagation = dataclasses.replace(settings.propagation, steps=4, replicas=2)
    result = refine_file(path, tmp_path / "run", dataclasses.replace(settings, propagation=propagation), report=False)
    before = lengths(read_structure(path).protein)
    for model in result.models:
        after = lengths(read_structure(model).protein)
        assert all(after[pair] == pytest.approx(length, abs=0.01) for pair, length in before.items())
    assert {(row["first"], row["second"]) for row in result.record["connections"]} == set(before)
    note = next(note for note in result.record["notes"] if note["kind"] == "connections")
    assert str(HIS if name == "zinc" else 1) in note["message"]
