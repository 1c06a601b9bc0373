"""Inputs as simulation programs, builders and predictors write them, through ``finish`` and a run as they are used:
what gemmi reads in the written files is what the input meant. Steps and models of the run alone are few.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from refine.pipeline import RunResult, finish_file, refine_file
from refine.settings import RunSettings
from refine.structure.arrays import chiral_volume
from refine.structure.chemistry import chiral_volumes, prochiral_centre
from refine.structure.prepare import prepare
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.write import write_cif, write_pdb
from tests.finishing.test_connections import isopeptide
from tests.structure import files
from tests.structure.test_bad_input import columns, xyz
from tests.structure.test_connections import binary_cif
from tests.structure.test_hands import d_handed, inverted_cb, swapped
from tests.structure.test_periodic_box import CELLS, cryst1, wrapped
from tests.structure.test_reading_losses import FOUR_LETTERS, LONG, example, moved, positions, segment, with_ligand
from tests.test_bonded_structures import FOLDER

Residues = list[tuple[str, str, str]]
"""Chain, number and name."""


HOW = pytest.mark.parametrize("how", ["finish", "run"])


def done(how: str, source: str | Path, folder: Path, name: str = "model.pdb", **changes: object) -> RunResult:
    path = source if isinstance(source, Path) else folder / name
    if isinstance(source, str):
        path.write_text(source)
    short = dataclasses.replace(RunSettings().propagation, steps=3)
    settings = dataclasses.replace(RunSettings(), device="cpu", models=1, workers=1, propagation=short, **changes)  # type: ignore[arg-type]
    if how == "finish":
        return finish_file(path, folder / "out", settings)
    return refine_file(path, folder / "out", settings, report=False)


def model(folder: Path, kind: str) -> gemmi.Model:
    """The model that a run or ``finish`` has written."""
    (path,) = [path for name in ("model_1", "finished") for path in (folder / "out").glob(f"{name}.{kind}")]
    return gemmi.read_structure(str(path))[0]


def residues(where: gemmi.Model) -> Residues:
    return [(chain.name, str(residue.seqid), residue.name) for chain in where for residue in chain]


def place(where: gemmi.Model, chain: str, number: int, atom: str) -> np.ndarray:
    (found,) = (r for r in where[chain] if r.seqid.num == number)
    return np.array(found.find_atom(atom, "*").pos.tolist())


def apart(where: gemmi.Model, one: tuple[str, int, str], two: tuple[str, int, str]) -> float:
    return float(np.linalg.norm(place(where, *one) - place(where, *two)))


def joined(lines: list[str]) -> str:
    return "\n".join([*lines, ""])


def four_letters(line: str) -> str:
    name = FOUR_LETTERS.get(files.number_of(line))
    return columns(line, 17, name) if name else line


def water_rows() -> str:
    """mmCIF of the helix with four waters that have no number."""
    names = "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id"
    names += " label_seq_id Cartn_x Cartn_y Cartn_z"
    rows = [
        f"ATOM {k} {line[13]} {files.name_of(line)} . {line[17:20]} A 1 {files.number_of(line)} {line[30:54]}"
        for k, line in enumerate(example(), 1)
    ]
    rows += [f"HETATM {900 + k} O O . HOH B 2 . {30 + 4 * k} 5 5" for k in range(4)]
    return joined(["data_x", "loop_", *(f"_atom_site.{name}" for name in names.split()), *rows, "#"])


def hexadecimal_waters() -> list[str]:
    numbers = [f"{n:4d}" if n < 10_000 else f"{n:4x}" for n in range(9998, 10_004)]
    return [files.atom_line(1, "O", "HOH", "W", n, (3.0 * k, 60.0, 0.0)) for k, n in enumerate(numbers)]


HELIX: Residues = [("A", str(files.number_of(line)), line[17:20]) for line in example() if files.name_of(line) == "CA"]
SECOND: Residues = [("B", number, name) for _, number, name in HELIX]


def on_second(line: str) -> str:
    return columns(moved(line, 40.0), 21, "B")


@functools.cache
def gap() -> np.ndarray:
    """By what the residues after 165 are moved to make the peptide there 2.9 Å long."""
    at = {(files.number_of(one), files.name_of(one)): np.array(positions(one)) for one in example()}
    bond = at[166, "N"] - at[165, "C"]
    return bond * (2.9 / np.linalg.norm(bond) - 1)


def stretched(line: str) -> str:
    return moved(line, *gap()) if files.number_of(line) > 165 else line


INPUTS: dict[str, tuple[str, Residues]] = {
    "four-letter names": (joined(example(four_letters)), HELIX),
    "six-digit serials": (joined(example(lambda line: f"ATOM 1{int(line[6:11]):05d}{line[11:]}")), HELIX),
    "five-column numbers": (
        joined(example(lambda line: columns(line, 22, f"{files.number_of(line) + 9824:5d}"))),
        [("A", str(int(number) + 9824), name) for _, number, name in HELIX],
    ),
    "END between chains": (joined([*example(), "END", *example(on_second), "END"]), HELIX + SECOND),
    "segids": (
        joined(
            [columns(segment(line, "PROA"), 21, " ") for line in example()]
            + [columns(segment(moved(line, 40.0), "PROB"), 21, " ") for line in example()]
        ),
        HELIX + SECOND,
    ),
    "hexadecimal waters": (
        joined([*example(), *hexadecimal_waters()]),
        HELIX + [("W", str(n), "HOH") for n in range(9998, 10_004)],
    ),
    "wrapped box": (joined([cryst1(CELLS["cube"]), *wrapped(example(), CELLS["cube"])]), HELIX),
    "stretched peptide": (joined(example(stretched)), HELIX),
    "waters of four letters": (
        joined([*example(), *(columns(line, 17, "TIP3") for line in hexadecimal_waters()[:2])]),
        HELIX + [("W", "9998", "TIP3"), ("W", "9999", "TIP3")],
    ),
}


@HOW
@pytest.mark.parametrize("name", INPUTS)
def test_residues_are_those_that_the_file_means(how: str, name: str, tmp_path: Path) -> None:
    text, expected = INPUTS[name]
    done(how, text, tmp_path)
    for kind in ("pdb", "cif"):
        out = model(tmp_path, kind)
        water = "HOH" if kind == "pdb" else "TIP3"
        assert residues(out) == [(*rest, water if name == "TIP3" else name) for *rest, name in expected]
        for chain in {chain for chain, _, name in expected if chain != "W"}:
            numbers = [int(number) for one, number, _ in expected if one == chain]
            lengths = [apart(out, (chain, n, "C"), (chain, n + 1, "N")) for n in numbers[:-1]]
            assert 1.28 < min(lengths) and max(lengths) < 1.4


@HOW
def test_waters_without_numbers_get_some(how: str, tmp_path: Path) -> None:
    done(how, water_rows(), tmp_path, "model.cif")
    expected = HELIX + [("B", str(n), "HOH") for n in (1, 2, 3, 4)]
    assert residues(model(tmp_path, "pdb")) == residues(model(tmp_path, "cif")) == expected


@HOW
@pytest.mark.parametrize("names", [LONG, [f"C1_1{k}" for k in range(8)]])
def test_every_atom_of_a_ligand_has_a_name_of_its_own(how: str, names: list[str], tmp_path: Path) -> None:
    done(how, with_ligand(names), tmp_path, "model.cif")
    for kind, kept in (("cif", True), ("pdb", False)):
        (ligand,) = model(tmp_path, kind)["B"]
        written = [atom.name for atom in ligand]
        assert len(set(written)) == len(names) and max(map(len, written)) <= (6 if kept else 4)
        assert (written == names) == kept


@HOW
def test_an_open_disulfide_is_closed(how: str, tmp_path: Path) -> None:
    lines = files.atom_lines((FOLDER / "conotoxin.pdb").read_text())
    sulfur = {files.number_of(line): np.array(positions(line)) for line in lines if files.name_of(line) == "SG"}
    bond = sulfur[16] - sulfur[4]
    opened = tuple(sulfur[4] + bond / np.linalg.norm(bond) * 2.81)
    is_it: Callable[[str], bool] = lambda line: files.number_of(line) == 16 and files.name_of(line) == "SG"  # noqa: E731
    result = done(how, joined([xyz(line, opened) if is_it(line) else line for line in lines]), tmp_path)
    for kind in ("pdb", "cif"):
        out = model(tmp_path, kind)
        for one, two in ((4, 16), (5, 21), (10, 22)):
            assert apart(out, ("A", one, "SG"), ("A", two, "SG")) == pytest.approx(2.05, abs=0.1)
    checks = result.record["models"][0]["finishing"]["checks"]
    assert not checks["lost_disulfides"] and not checks["lost_connections"]


@HOW
def test_an_isopeptide_between_chains_stays(how: str, tmp_path: Path) -> None:
    done(how, isopeptide(), tmp_path)
    before = gemmi.read_structure(str(tmp_path / "model.pdb"))[0]
    bond = ("A", 2, "NZ"), ("B", len(files.SEQUENCE), "C")
    assert apart(before, *bond) == pytest.approx(1.33, abs=0.01)
    for kind in ("pdb", "cif"):
        out = model(tmp_path, kind)
        assert apart(out, *bond) == pytest.approx(1.33, abs=0.05)
        assert all(residue.find_atom("OXT", "*") is None for residue in out["B"])


def wrong_hands() -> Protein:
    """The helix with leucine 172 D-handed, threonine 171 with an inverted CB, names of valine 165 swapped."""
    lines = {f"A:{number}": k for k, (_, number, _) in enumerate(HELIX)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pdb"
        path.write_text(joined(example()))
        protein = read_structure(path).protein
    protein = inverted_cb(d_handed(protein, lines["A:172"]), lines["A:171"])
    return swapped(protein, lines["A:165"], "CG1", "CG2")


@pytest.mark.parametrize(("how", "keep_hands"), [("finish", False), ("finish", True), ("run", False)])
def test_wrong_hands_are_mended_or_kept_and_named(how: str, keep_hands: bool, tmp_path: Path) -> None:
    write_pdb(wrong_hands(), tmp_path / "wrong.pdb")
    result = done(how, (tmp_path / "wrong.pdb").read_text(), tmp_path, keep_hands=keep_hands)
    named = {note["residue"][:3] for note in result.record["notes"] if note["kind"] == "chirality"}
    assert named == {"165", "171", "172"}
    for kind in ("pdb", "cif"):
        path = next((tmp_path / "out").glob(f"[mf]*[1d].{kind}"))
        protein = read_structure(path).protein
        places, _, volumes = chiral_volumes(protein)
        wrong = {protein.residue_ids[i].number for i in places[volumes < 0]}
        valine = 165 - protein.residue_ids[0].number
        names = chiral_volume(*protein.coords[0, valine, list(prochiral_centre("V") or ())])
        assert wrong == ({171, 172} if keep_hands else set()) and (names < 0) == keep_hands


@HOW
def test_chains_that_lie_in_each_other_are_told(how: str, tmp_path: Path) -> None:
    second = [columns(moved(line, 0.9, 0.7, 0.5), 21, "B") for line in example()]
    result = done(how, joined([*example(), "TER", *second]), tmp_path)
    assert any("lie in each other" in note["message"] for note in result.record["notes"])
    assert residues(model(tmp_path, "pdb")) == residues(model(tmp_path, "cif")) == HELIX + SECOND


@HOW
def test_binary_cif_is_read_where_mmcif_is(how: str, tmp_path: Path) -> None:
    write_cif(prepare(FOLDER / "zinc.pdb").protein, tmp_path / "zinc.cif")
    (tmp_path / "zinc.bcif").write_bytes(binary_cif(tmp_path / "zinc.cif"))
    done(how, tmp_path / "zinc.bcif", tmp_path)
    for kind in ("pdb", "cif"):
        out = model(tmp_path, kind)
        for number, atom in ((374, "NE2"), (378, "NE2"), (402, "OE1")):
            before = apart(gemmi.read_structure(str(FOLDER / "zinc.pdb"))[0], ("A", number, atom), ("A", 901, "ZN"))
            assert apart(out, ("A", number, atom), ("A", 901, "ZN")) == pytest.approx(before, abs=0.02)
