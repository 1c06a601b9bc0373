"""Atoms without coordinates, however a program says so, are rebuilt, and the rest of their lines is read right."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from refine.errors import InputError
from refine.structure.prepare import Prepared, prepare
from tests.structure import files

NUMBER = 8
"""Of an arginine."""
OF_PDB = [
    "9999.000", "-9999.000", "-9999.999", " 999.999", "   0.000", "     nan", "     NaN", "    -nan", "********",
    "        ", "     inf", "99999.999", "-999999.000", "1.#QNAN0",
]  # fmt: skip
OF_CIF = ["9999.000", "-9999.000", "999.999", "0.000", "nan", "?", ".", "inf", "********", "99999.9", "-999999"]


def prepared(folder: Path, text: str, name: str = "model.pdb") -> Prepared:
    path = folder / name
    path.write_text(text)
    return prepare(path)


def is_lost(line: str, name: str) -> bool:
    return (files.number_of(line), files.name_of(line)) == (NUMBER, name)


def assert_rebuilt(result: Prepared, whole: Prepared, name: str) -> None:
    i = NUMBER - 1
    slot = whole.protein.atom_names(i).index(name)
    assert (result.protein.mask == whole.protein.mask).all() and len(result.protein) == len(whole.protein)
    others = np.array([(k, s) != (i, slot) for k, s in np.ndindex(whole.protein.mask.shape)])
    there = others.reshape(whole.protein.mask.shape)
    assert result.protein.coords[0][there] == pytest.approx(whole.protein.coords[0][there], abs=2e-3)
    near = 0.6 if name in ("N", "CA", "CB", "O") else 8.0
    assert math.dist(result.protein.coords[0, i, slot], whole.protein.coords[0, i, slot]) < near
    assert result.protein.b_factors[0] == pytest.approx(whole.protein.b_factors[0])
    (text,) = [str(note) for note in result.notes if note.kind == "misplaced"]
    assert f"{NUMBER} ARG" in text and name in text


@pytest.mark.parametrize("name", ["CA", "O", "CB", "CZ"])
@pytest.mark.parametrize("text", OF_PDB)
def test_pdb(text: str, name: str, tmp_path: Path) -> None:
    spoilt = files.edit(lambda line: line[:30] + 3 * text + line[54:] if is_lost(line, name) else line)
    assert_rebuilt(prepared(tmp_path, spoilt), prepared(tmp_path, files.base_pdb(), "whole.pdb"), name)


@pytest.mark.parametrize("text", ["-9999.000", "     nan", "********"])
def test_one_coordinate_is_enough(text: str, tmp_path: Path) -> None:
    for column in (30, 38, 46):
        spoilt = files.edit(
            lambda line, c=column: line[:c] + text + line[c + 8 :] if is_lost(line, "CB") else line  # noqa: B023
        )
        assert_rebuilt(prepared(tmp_path, spoilt), prepared(tmp_path, files.base_pdb(), "whole.pdb"), "CB")


@pytest.mark.parametrize("text", OF_CIF)
def test_mmcif(text: str, tmp_path: Path) -> None:
    lines = files.base_cif().splitlines()
    row = next(k for k, line in enumerate(lines) if line.split()[:1] == ["ATOM"] and " CB . ARG" in line)
    fields = lines[row].split()
    lines[row] = " ".join([*fields[:10], *3 * [text], *fields[13:]])
    result = prepared(tmp_path, "\n".join(lines) + "\n", "model.cif")
    assert_rebuilt(result, prepared(tmp_path, files.base_cif(), "whole.cif"), "CB")


def test_a_residue_without_any_is_refused(tmp_path: Path) -> None:
    lost = files.edit(lambda line: line[:30] + 3 * "     nan" + line[54:] if files.number_of(line) == NUMBER else line)
    with pytest.raises(InputError, match="1 residues have no coordinates") as caught:
        prepared(tmp_path, lost)
    assert caught.value.residue == f"{NUMBER} ARG" and "9999" not in str(caught.value)


def test_what_stands_behind_wide_coordinates_is_read_right(tmp_path: Path) -> None:
    """Occupancy, B factor, element and charge of every atom of a model that lies 1200 Å from the origin."""

    def far(line: str) -> str:
        x = "".join(f"{float(line[c : c + 8]) - 1200:8.3f}" for c in (30, 38, 46))
        return f"{line[:30]}{x}  0.50{40 + files.number_of(line):6.2f}{line[66:]}"

    result, whole = prepared(tmp_path, files.edit(far)), prepared(tmp_path, files.base_pdb(), "whole.pdb")
    there = whole.protein.mask
    assert (result.protein.coords + 1200)[0][there] == pytest.approx(whole.protein.coords[0][there], abs=2e-3)
    assert (result.protein.occupancies[there] == 0.5).all()
    assert result.protein.b_factors[:, 1].tolist() == [41.0 + i for i in range(len(whole.protein))]
