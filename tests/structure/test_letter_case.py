"""Names in small letters are read as those in capitals, and said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from refine.structure.prepare import Prepared, prepare
from tests.structure import files


def prepared(folder: Path, text: str, name: str = "model.pdb") -> Prepared:
    path = folder / name
    path.write_text(text)
    return prepare(path)


def with_hetero(*residue_names: str) -> str:
    lines = [
        files.atom_line(1, {"zn": "ZN"}.get(name.lower(), "O"), name, "W", str(k), (50.0, 9.0 * k, 0.0), het=True)
        for k, name in enumerate(residue_names, 1)
    ]
    return "\n".join([*files.atom_lines(), *lines, "END", ""])


@pytest.mark.parametrize("change", [str.lower, str.title], ids=["lower", "title"])
@pytest.mark.parametrize("start", [17, 12], ids=["residue names", "atom names too"])
def test_amino_acids(change: Callable[[str], str], start: int, tmp_path: Path) -> None:
    result = prepared(tmp_path, files.edit(lambda line: line[:start] + change(line[start:20]) + line[20:]))
    whole = prepared(tmp_path, files.base_pdb(), "whole.pdb")
    assert result.protein.sequence == whole.protein.sequence
    assert (result.protein.mask == whole.protein.mask).all() and (result.protein.coords == whole.protein.coords).all()
    texts = [note.message for note in result.notes]
    assert f"{len(whole.protein)} residue names in small letters are read in capitals" in texts[0]
    assert [note.kind for note in result.notes if note.kind != "small_letters"] == [note.kind for note in whole.notes]


@pytest.mark.parametrize("change", [str.lower, str.title])
@pytest.mark.parametrize("which", [range(100), range(4, 6)], ids=["all", "two"])
def test_records(change: Callable[[str], str], which: range, tmp_path: Path) -> None:
    """Lines that begin with atom or hetatm are atoms as well as those that begin with ATOM."""
    lines = [
        change(line[:6]) + line[6:] if line[:3] in ("TER", "END") or files.number_of(line) in which else line
        for line in with_hetero("HOH", "ZN").splitlines()
    ]
    result = prepared(tmp_path, "\n".join(lines) + "\n")
    whole = prepared(tmp_path, with_hetero("HOH", "ZN"), "whole.pdb")
    assert (result.protein.coords == whole.protein.coords).all() and result.protein.hetero == whole.protein.hetero
    assert result.protein.sequence == files.SEQUENCE and result.notes == whole.notes


def test_one_residue(tmp_path: Path) -> None:
    change = lambda line: line.replace("ALA", "ala") if files.number_of(line) == 4 else line  # noqa: E731
    result = prepared(tmp_path, files.edit(change))
    assert result.protein.sequence == files.SEQUENCE
    text = result.notes[0].message
    assert text.startswith("1 residue names in small letters") and "ala is ALA" in text


def test_mmcif(tmp_path: Path) -> None:
    text = files.base_cif().replace(" TRP ", " Trp ")
    result = prepared(tmp_path, text, "model.cif")
    assert result.protein.sequence == files.SEQUENCE and "Trp is TRP" in result.notes[0].message


def test_waters_and_ions(tmp_path: Path) -> None:
    result = prepared(tmp_path, with_hetero("Hoh", "hoh", "Zn", "wat"))
    assert [atom.residue_name for atom in result.protein.hetero] == ["HOH", "HOH", "ZN", "WAT"]
    assert result.protein.hetero[2].element == "Zn" and "4 residue names" in result.notes[0].message


def test_names_that_small_letters_tell_apart_stay(tmp_path: Path) -> None:
    """GLYCAM writes L-sugars small; what is known to nobody stays as it is."""
    result = prepared(tmp_path, with_hetero("0fA", "xq7"))
    assert [atom.residue_name for atom in result.protein.hetero] == ["0fA", "xq7"]
    assert not any(note.kind == "small_letters" for note in result.notes)
