"""Real bonds through the program as it is used: lengths in the written files, read by gemmi, against the input's.

``finish`` and a run with the shipped networks, short in steps and replicas alone. The structures: data/make_bonded.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from refine.pipeline import finish_file, refine_file
from refine.settings import RunSettings
from tests.conftest import ROOT

FOLDER = ROOT / "tests" / "data" / "bonded"
Address = tuple[str, str, str]
Bond = tuple[Address, Address]


def at(text: str) -> Address:
    """``A:374 NE2``: chain, number with insertion code, atom."""
    where, name = text.split()
    chain, number = where.split(":")
    return chain, number, name


def bonds(*pairs: str) -> list[Bond]:
    return [(at(first), at(second)) for first, second in (pair.split(" - ") for pair in pairs)]


INPUTS = {
    "zinc": bonds("A:374 NE2 - A:901 ZN", "A:378 NE2 - A:901 ZN", "A:402 OE1 - A:901 ZN"),
    "zinc_cys4": bonds(*(f"{chain}:307 SG - Z:400 ZN" for chain in "ABCD")),
    "calcium": bonds("A:70 OE1 - A:701 CA", "A:72 O - A:701 CA", "A:75 O - A:701 CA", "A:80 OE2 - A:701 CA",
                     "A:274 O - A:701 CA"),
    "glycan": bonds("C:343 ND2 - C:601 C1", "C:336 SG - C:361 SG"),
    "sugars": bonds("E:303 ND2 - S:1 C1", "S:1 O4 - S:2 C1", "S:2 O4 - S:3 C1"),
    "haem": bonds("E:297 NE2 - H:401 FE", "H:401 FE - H:401 NA"),
    "iron_sulphur": bonds("E:307 SG - H:401 FE1", "H:401 FE1 - H:401 S2"),
    "phosphoserine": bonds("E:313 OG - E:313 P", "E:313 P - E:313 O1P", "E:312 C - E:313 N"),
    "caps": bonds("E:290 C - E:291 N", "E:330 C - E:331 N"),
    "d_alanine": bonds("E:301 C - E:302 N", "E:302 C - E:303 N"),
    "cycle": bonds("A:10 C - A:1 N"),
    "lactam": bonds("A:5 NZ - A:9 CD", "A:1 C - A:2 N", "A:2 C - A:3 N", "A:9A C - A:11 N", "A:11 C - A:12 N"),
    "conotoxin": bonds("A:4 SG - A:16 SG", "A:5 SG - A:21 SG", "A:10 SG - A:22 SG", "A:24 C - A:25 N",
                       "A:2 CG - A:2 OD1", "A:3 CG - A:3 OD1", "A:14 CG - A:14 OD1"),
    "dna": bonds("B:1 O3' - B:2 P"),
    "modified": bonds("E:291 C - E:292 N", "E:291 N - E:291 CD", "E:302 CG - E:302 SD",
                      "E:306 NZ - E:306 C4'", "E:306 C5' - E:306 OP4", "E:307 CB - E:307 SG",
                      "E:310 OH - E:310 P", "E:310 P - E:310 O1P", "E:314 NZ - E:314 CH", "E:314 CH - E:314 CH3"),
    "lanthionine": bonds("A:5 CB - A:21 SG", "A:4 SG - A:16 SG", "A:10 SG - A:22 SG"),
    "selenium": bonds("A:4 SG - A:16 SE", "A:5 SG - A:21 SG", "A:10 SG - A:22 SG"),
}  # fmt: skip
BUILT_ENDS = {
    "zinc", "zinc_cys4", "calcium", "glycan", "sugars", "haem", "iron_sulphur", "phosphoserine", "d_alanine",
    "modified",
}  # fmt: skip
"""Cut out of chains: their ends get an OXT, nothing else is ever added."""
SELENIUM = {"MSE": ("MET", "SD"), "SEC": ("CYS", "SG")}
"""Residues that become those with sulphur, and what their selenium is called then."""
SULPHUR_LENGTHS = {"E:302 CG - E:302 SD": 1.81, "E:307 CB - E:307 SG": 1.81}
"""Å of bonds to sulphur that were bonds to selenium."""


def heavy_atoms(path: Path) -> dict[Address, tuple[str, np.ndarray]]:
    """Residue name and position by address, sulphur in place of selenium in the residues that are read so."""
    found: dict[Address, tuple[str, np.ndarray]] = {}
    for chain in gemmi.read_structure(str(path))[0]:
        for residue in chain:
            name, sulphur = SELENIUM.get(residue.name, (residue.name, "SE"))
            for atom in residue:
                key = chain.name, str(residue.seqid), sulphur if atom.name == "SE" else atom.name
                found[key] = name, np.array(atom.pos.tolist())
    return found


def length(atoms: dict[Address, tuple[str, np.ndarray]], bond: Bond) -> float:
    return float(np.linalg.norm(atoms[bond[0]][1] - atoms[bond[1]][1]))


def peptides(atoms: dict[Address, tuple[str, np.ndarray]]) -> dict[Bond, float]:
    """C to N of the next residue of the chain, where they are bonded."""
    chains: dict[str, list[str]] = {}
    for chain, number, name in atoms:
        if name == "CA" and atoms[chain, number, name][0] != "CA":
            chains.setdefault(chain, []).append(number)
    near: dict[Bond, float] = {}
    for chain, numbers in chains.items():
        for one, two in zip(numbers, numbers[1:], strict=False):
            bond = ((chain, one, "C"), (chain, two, "N"))
            if bond[0] in atoms and bond[1] in atoms and length(atoms, bond) < 1.8:
                near[bond] = length(atoms, bond)
    return near


def assert_nothing_is_lost(name: str, source: Path, outputs: Iterable[Path]) -> None:
    before = heavy_atoms(source)
    for path in outputs:
        after = heavy_atoms(path)
        assert set(before) <= set(after), (path.name, set(before) - set(after))
        added = {address[2] for address in set(after) - set(before)}
        assert added <= ({"OXT"} if name in BUILT_ENDS else set()), (path.name, added)
        assert all(after[address][0] == residue for address, (residue, _) in before.items())
        for bond in INPUTS[name]:
            disulfide = bond[0][2] == bond[1][2] == "SG"
            known = dict(zip(map(tuple, bonds(*SULPHUR_LENGTHS)), SULPHUR_LENGTHS.values(), strict=True))
            expected, within = (2.05, 0.1) if disulfide else (known.get(tuple(bond), length(before, bond)), 0.05)
            assert length(after, bond) == pytest.approx(expected, abs=within), (path.name, bond)
        joints = peptides(before)
        assert all(
            1.25 < length(after, bond) < 1.45 or abs(length(after, bond) - d) < 0.01 for bond, d in joints.items()
        )


def settings(**changes: object) -> RunSettings:
    return dataclasses.replace(RunSettings(), device="cpu", models=1, workers=1, **changes)  # type: ignore[arg-type]


def written(folder: Path, stem: str) -> list[Path]:
    found = [folder / f"{stem}.{kind}" for kind in ("pdb", "cif")]
    assert all(path.is_file() for path in found)
    return found


@pytest.mark.parametrize("name", INPUTS)
def test_finishing_keeps_bonds_atoms_and_names(name: str, tmp_path: Path) -> None:
    result = finish_file(FOLDER / f"{name}.pdb", tmp_path / "out", settings())
    assert_nothing_is_lost(name, FOLDER / f"{name}.pdb", written(tmp_path / "out", "finished"))
    assert result.record["models"][0]["finishing"]["level"] == "solvent"


@pytest.mark.parametrize("name", INPUTS)
def test_a_run_keeps_bonds_atoms_and_names(name: str, tmp_path: Path) -> None:
    short = dataclasses.replace(RunSettings().propagation, steps=4, replicas=2)
    refine_file(FOLDER / f"{name}.pdb", tmp_path / "out", settings(propagation=short), report=False)
    source, (model, _) = FOLDER / f"{name}.pdb", written(tmp_path / "out", "model_1")
    assert_nothing_is_lost(name, source, written(tmp_path / "out", "model_1"))
    before, after = heavy_atoms(source), heavy_atoms(model)
    moved = [float(np.linalg.norm(after[key][1] - place)) for key, (_, place) in before.items() if key[2] == "CA"]
    assert max(moved) > 0.01, "nothing was refined: the bonds would be kept by that alone"
