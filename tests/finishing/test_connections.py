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
from tests.structure.test_connections import ASN, CYS, HIS, LYS, outward, with_lines, zinc

SER = 15
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
    carbonyl = n + [0.0, 0.0, -1.33]
    amine = c + 1.33 * away
    acetyl = [("C", carbonyl), ("O", carbonyl + [-1.06, 0.0, -0.6]), ("CH3", carbonyl + [1.3, 0.0, -0.8])]
    methyl = [("N", amine), ("C", amine + 1.45 * away)]
    caps = [
        files.atom_line(960 + k, name, residue, "A", number, tuple(place), het=True)
        for residue, number, atoms in (("ACE", "0", acetyl), ("NME", "23", methyl))
        for k, (name, place) in enumerate(atoms)
    ]
    return "\n".join([*body, *caps, "END", ""])


def haem() -> str:
    """Iron in its four nitrogens, the histidine at its axis."""
    iron = np.array(outward(HIS, "NE2", 2.1))
    axis = iron - np.array(outward(HIS, "NE2", 0.0))
    axis /= np.linalg.norm(axis)
    side = np.cross(axis, [0.36, 0.48, 0.8])
    side /= np.linalg.norm(side)
    turn = np.cross(axis, side)
    places = [iron, *(iron + 2.0 * v for v in (side, turn, -side, -turn))]
    names = ("FE", "NA", "NB", "NC", "ND")
    return "\n".join(
        files.atom_line(950 + k, name, "HEM", "A", "401", tuple(place), het=True, element=name[:2] if k == 0 else "N")
        for k, (name, place) in enumerate(zip(names, places, strict=True))
    )


def cluster() -> str:
    """An iron of an iron-sulphur cluster on the cysteine, with one of its sulphides."""
    iron, sulphide = outward(CYS, "SG", 2.3), outward(CYS, "SG", 4.5)
    return "\n".join(
        files.atom_line(950 + k, name, "SF4", "A", "402", place, het=True, element=element)
        for k, (name, element, place) in enumerate((("FE1", "FE", iron), ("S2", "S", sulphide)))
    )


def phosphoserine() -> str:
    """The serine with a phosphate, under the name of the modified residue."""
    named = files.edit(lambda line: line[:17] + "SEP" + line[20:] if files.number_of(line) == SER else line)
    phosphate = files.atom_line(950, "P", "SEP", "A", str(SER), outward(SER, "OG", 1.61))
    last = max(
        k for k, line in enumerate(named.splitlines()) if line.startswith("ATOM") and files.number_of(line) == SER
    )
    lines = named.splitlines()
    return "\n".join([*lines[: last + 1], phosphate, *lines[last + 1 :], ""])


def isopeptide() -> str:
    """The end of a second chain bonded to the lysine of the first, as ubiquitin's is."""
    protein = files.base_protein()
    shift = np.array(outward(LYS, "NZ", 1.33)) - protein.coords[0, -1, 2].astype(float)

    def second(line: str) -> str | None:
        if files.name_of(line) == "OXT":
            return None
        moved = np.array([float(line[k : k + 8]) for k in (30, 38, 46)]) + shift
        return f"{line[:21]}B{line[22:30]}" + "".join(f"{v:8.3f}" for v in moved) + line[54:]

    body = files.edit(second).splitlines()[:-1]
    return "\n".join([*files.atom_lines(), "TER", *body, "END", ""])


INPUTS = {
    "zinc": with_lines(zinc()),
    "sugars": with_lines(sugar()),
    "caps": capped(),
    "haem": with_lines(haem()),
    "iron-sulphur": with_lines(cluster()),
    "phosphoserine": phosphoserine(),
    "isopeptide": isopeptide(),
}
BONDS = {"zinc": 1, "sugars": 1, "caps": 2, "haem": 1, "iron-sulphur": 1, "phosphoserine": 1, "isopeptide": 1}


@pytest.mark.parametrize("name", INPUTS)
def test_finishing_keeps_every_bond(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    path.write_text(INPUTS[name])
    prepared = prepare(path)
    result = finish(prepared.protein, SETTINGS)  # not told what is mobile: the connections hold
    before, after = lengths(read_structure(path).protein), lengths_after(result.protein, tmp_path)
    assert len(before) == BONDS[name] and after.keys() >= before.keys()
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


def test_nucleotides_beside_a_protein_are_neither_bonded_nor_moved(tmp_path: Path) -> None:
    atoms = [("P", "P", 6.0), ("O5'", "O", 7.5), ("C5'", "C", 8.9)]
    strand = "\n".join(
        files.atom_line(950 + k, name, "DA", "N", "1", outward(HIS, "NE2", away), element=element)
        for k, (name, element, away) in enumerate(atoms)
    )
    path = tmp_path / "model.pdb"
    path.write_text(with_lines("TER", strand))
    prepared = prepare(path)
    assert prepared.protein.connections == () and prepared.mobile.all()
    assert finish(prepared.protein, SETTINGS).protein.hetero == prepared.protein.hetero


def test_far_waters_and_hydrogens_of_waters_change_nothing(tmp_path: Path) -> None:
    x, y, z = outward(ASN, "ND2", 3.0)
    near = files.water(400, xyz=(x, y, z))
    hydrogen = files.atom_line(901, "H1", "HOH", "A", "400", (x, y, z + 0.96), het=True)
    far = [files.water(500 + k, xyz=(60.0 + 3 * k, 0.0, 0.0)) for k in range(5)]
    finished = []
    for name, lines in (("dry", (near,)), ("wet", (near, hydrogen, *far))):
        (tmp_path / f"{name}.pdb").write_text(with_lines(*lines))
        protein = prepare(tmp_path / f"{name}.pdb").protein
        finished.append(finish(protein, SETTINGS).protein)
        assert finished[-1].hetero == protein.hetero and len(protein.hetero) == len(lines)
    assert np.array_equal(finished[0].coords, finished[1].coords)


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
