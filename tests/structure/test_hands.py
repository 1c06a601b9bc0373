"""Wrong hands of an input are mended and named, or kept and named, and nothing else moves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from refine import cli
from refine.constants import ATOM14
from refine.settings import from_dict
from refine.structure.arrays import chiral_volume
from refine.structure.chemistry import chiral_volumes, prochiral_centre, residue_bonds
from refine.structure.connections import connections
from refine.structure.file_estimate import not_given
from refine.structure.hands import mend_hands
from refine.structure.prepare import prepare
from refine.structure.protein import HeteroAtom, Protein
from refine.structure.read import ReadResult
from refine.structure.repair import RepairResult, repair
from refine.structure.side_chains import is_natural
from refine.structure.write import write_pdb
from tests.finishing.peptides import peptide
from tests.structure import files

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "1a8o_native.pdb"


def reflected(protein: Protein, i: int, plane: tuple[int, int, int], first: int) -> Protein:
    """Atoms of residue ``i`` from slot ``first`` on reflected in the plane of three of its atoms."""
    coords = protein.coords.copy()
    x = coords[0, i].astype(np.float64)
    a, b, c = (x[slot] for slot in plane)
    normal = np.cross(b - a, c - a) / np.linalg.norm(np.cross(b - a, c - a))
    moving = np.flatnonzero(protein.mask[i] & (np.arange(14) >= first))
    coords[0, i, moving] = x[moving] - 2 * ((x[moving] - a) @ normal)[:, None] * normal
    return dataclasses.replace(protein, coords=coords)


def d_handed(protein: Protein, i: int) -> Protein:
    return reflected(protein, i, (0, 1, 2), 4)


def inverted_cb(protein: Protein, i: int) -> Protein:
    return reflected(protein, i, (0, 1, 4), 5)


def swapped(protein: Protein, i: int, first: str, second: str) -> Protein:
    pair = [ATOM14[protein.sequence[i]].index(name) for name in (first, second)]
    coords, b = protein.coords.copy(), protein.b_factors.copy()
    coords[0, i, pair], b[i, pair] = coords[0, i, pair[::-1]], b[i, pair[::-1]]
    return dataclasses.replace(protein, coords=coords, b_factors=b)


def repaired(protein: Protein, keep: np.ndarray | None = None) -> RepairResult:
    return repair(ReadResult(protein, (), "pdb", 1, not_given(len(protein), ""), "model.pdb"), keep)


def number(letter: str) -> int:
    return files.SEQUENCE.index(letter)


def assert_only_moved(after: Protein, before: Protein, i: int, first: int) -> None:
    """Nothing but atoms of residue ``i`` from slot ``first`` on moved."""
    same = (after.coords[0] == before.coords[0]).all(-1)
    same[i, first:] = True
    assert same.all() and np.array_equal(after.mask, before.mask)


def assert_natural(protein: Protein) -> None:
    assert (chiral_volumes(protein)[2] > 0).all()
    for i, aa in enumerate(protein.sequence):
        assert is_natural(protein.coords[0, i].astype(np.float64), aa)
        centre = prochiral_centre(aa)
        assert centre is None or chiral_volume(*protein.coords[0, i, list(centre)]) > 0
        for a, b in residue_bonds(aa):
            assert np.linalg.norm(protein.coords[0, i, a] - protein.coords[0, i, b]) == pytest.approx(1.5, abs=0.35)


@pytest.mark.parametrize("letter", "ACDEFHIKLMNPQRSTVWY")
def test_a_d_centre_under_an_l_name_gets_an_l_side_chain(letter: str) -> None:
    base, i = files.base_protein(), number(letter)
    wrong = d_handed(base, i)
    result = repaired(wrong)
    assert_natural(result.protein)
    assert_only_moved(result.protein, wrong, i, 4)
    (note,) = result.notes
    assert (note.kind, note.chain, note.residue.split()[0]) == ("chirality", "A", str(i + 1))
    assert "D-handed" in note.message and "built anew" in note.message


@pytest.mark.parametrize("letter", "TI")
def test_an_inverted_cb_is_built_anew_from_cb_on(letter: str) -> None:
    base, i = files.base_protein(), number(letter)
    wrong = inverted_cb(base, i)
    assert (chiral_volumes(wrong)[2] < 0).sum() == 1
    result = repaired(wrong)
    assert_natural(result.protein)
    assert_only_moved(result.protein, wrong, i, 5)
    assert [n.kind for n in result.notes] == ["chirality"] and "CB is inverted" in result.notes[0].message


SWAPS = [("V", "CG1", "CG2"), ("L", "CD1", "CD2"), ("I", "CG1", "CG2"), ("T", "OG1", "CG2")]


@pytest.mark.parametrize(("letter", "first", "second"), SWAPS)
def test_swapped_names_change_places_and_no_atom_moves(letter: str, first: str, second: str) -> None:
    base, i = files.base_protein(), number(letter)
    base = dataclasses.replace(base, b_factors=np.arange(base.b_factors.size, dtype=np.float32).reshape(-1, 14))
    result = repaired(swapped(base, i, first, second))
    assert np.array_equal(result.protein.coords, base.coords)
    assert np.array_equal(result.protein.b_factors, base.b_factors), "a B factor goes with its atom"
    (note,) = result.notes
    assert note.kind == "chirality" and f"{first} and {second} are swapped" in note.message


def test_swapped_names_of_an_isoleucine_without_its_tip() -> None:
    base, i = files.base_protein(), number("I")
    mask = base.mask.copy()
    mask[i, ATOM14["I"].index("CD1")] = False
    short = base.with_coords(np.where(mask[None, ..., None], base.coords, 0), oxt=base.oxt, mask=mask)
    result = repaired(swapped(short, i, "CG1", "CG2"))
    assert np.array_equal(result.protein.coords[0, i, :7], base.coords[0, i, :7])
    assert_natural(result.protein)


def test_swapped_names_on_an_inverted_cb_are_both_mended() -> None:
    base, i = files.base_protein(), number("I")
    result = repaired(swapped(inverted_cb(base, i), i, "CG1", "CG2"))
    assert_natural(result.protein)
    assert "swapped" in result.notes[0].message and "inverted" in result.notes[0].message


def wrong_everywhere() -> Protein:
    protein = swapped(files.base_protein(), number("V"), "CG1", "CG2")
    return inverted_cb(d_handed(protein, number("F")), number("T"))


def test_kept_hands_are_named_and_keep_every_bit(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pdb"
    write_pdb(wrong_everywhere(), path)
    mended, kept = prepare(path), prepare(path, keep_hands=True)
    assert_natural(mended.protein)
    assert np.array_equal(kept.protein.coords, prepare(path, keep_hands=True).protein.coords)
    assert np.abs(kept.protein.coords - wrong_everywhere().coords).max() < 0.001
    assert (chiral_volumes(kept.protein)[2] < 0).sum() == 2
    for prepared, word in ((mended, "anew"), (kept, "kept, as asked for")):
        notes = [n for n in prepared.notes if n.kind == "chirality"]
        assert [n.residue for n in notes] == ["3 THR", "13 PHE", "14 VAL"]
        assert word in notes[0].message and word in notes[1].message


def test_the_option_reaches_the_settings() -> None:
    options = cli.parser().parse_args(["run", "model.pdb", "--keep-hands"])
    assert cli.settings_of(options).keep_hands
    assert not cli.settings_of(cli.parser().parse_args(["finish", "model.pdb"])).keep_hands
    assert from_dict({"keep_hands": True}).keep_hands


def test_frozen_residues_keep_their_hand(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pdb"
    write_pdb(wrong_everywhere(), path)
    prepared = prepare(path, freeze="A:13")
    wrong = np.unique(chiral_volumes(prepared.protein)[0][chiral_volumes(prepared.protein)[2] < 0])
    assert wrong.tolist() == [number("F")]


def test_what_a_kept_d_residue_lacks_is_built_with_its_hand() -> None:
    base, i = files.base_protein(), number("F")
    wrong = d_handed(base, i)
    mask = wrong.mask.copy()
    mask[i, 6:] = False
    short = wrong.with_coords(np.where(mask[None, ..., None], wrong.coords, 0), oxt=wrong.oxt, mask=mask)
    after = repaired(short, np.ones(len(base), np.bool_)).protein
    assert np.array_equal(after.coords[0][mask], wrong.coords[0][mask]) and np.array_equal(after.mask, base.mask)
    mirror = after.coords * np.array([1, 1, -1], np.float32)
    for a, b in residue_bonds("F"):
        assert np.linalg.norm(mirror[0, i, a] - mirror[0, i, b]) == pytest.approx(1.4, abs=0.2)
    assert is_natural(mirror[0, i].astype(np.float64), "F")
    assert is_natural(repaired(short).protein.coords[0, i].astype(np.float64), "F")


def test_a_side_chain_that_is_bonded_is_named_and_kept() -> None:
    base, i = files.base_protein(), number("N")
    wrong = d_handed(base, i)
    tip, middle = wrong.coords[0, i, ATOM14["N"].index("ND2")], wrong.coords[0, i, 1]
    place = tip + 1.45 * (tip - middle) / np.linalg.norm(tip - middle)
    position = tuple(float(v) for v in place)
    sugar = HeteroAtom("A", 301, "", "NAG", "C1", "C", position, order=30)  # type: ignore[arg-type]
    bonded = dataclasses.replace(wrong, hetero=(sugar,))
    bonded = dataclasses.replace(bonded, connections=connections(bonded)[0])
    assert len(bonded.connections) == 1
    result = repaired(bonded)
    assert np.array_equal(result.protein.coords, wrong.coords)
    assert "kept, because its side chain is bonded" in result.notes[0].message


def bridged() -> Protein:
    """A helix whose cysteine 5 has its sulfur brought to that of cysteine 1, natural there."""
    chain = peptide("CAAACAAA")
    coords = chain.coords.copy()
    along = coords[0, 0, 5] - coords[0, 0, 1]
    coords[0, 4, 5] = coords[0, 0, 5] + 2.05 * along / np.linalg.norm(along)
    return dataclasses.replace(chain, coords=coords)


def test_a_half_cystine_is_built_towards_its_partner_or_kept() -> None:
    chain = bridged()
    wrong = reflected(chain, 0, (0, 1, 2), 4)
    wrong.coords[0, 0, 5] = chain.coords[0, 0, 5]
    wrong = dataclasses.replace(wrong, connections=connections(wrong)[0])
    after = mend_hands(wrong)
    assert is_natural(after.protein.coords[0, 0].astype(np.float64), "C")
    assert np.linalg.norm(after.protein.coords[0, 0, 5] - after.protein.coords[0, 4, 5]) < 3.0
    away = wrong.coords.copy()
    away[0, 0, 5], away[0, 4, 5] = away[0, 0, 4] + [0, 0, 9.0], away[0, 0, 4] + [0, 0, 11.0]
    far = dataclasses.replace(wrong, coords=away)
    kept = mend_hands(far)
    assert np.array_equal(kept.protein.coords, away) and kept.d_residues == {0}
    assert "disulfide" in kept.notes[0].message


def test_a_proline_on_the_backbone_of_a_d_residue_is_told_to_have_little_room() -> None:
    chain = peptide("AAPAA", phi=-80.0, psi=140.0)
    mirror = np.array([1, 1, -1], np.float32)
    d_chain = dataclasses.replace(chain, coords=chain.coords * mirror)
    note = next(n for n in repaired(d_chain).notes if n.residue == "3 PRO")
    assert "anew" in note.message and "from A:2 C: there is little room" in note.message


def test_a_mirror_image_is_called_one() -> None:
    base = files.base_protein()
    mirror = np.array([1, 1, -1], np.float32)
    result = repaired(dataclasses.replace(base, coords=base.coords * mirror, oxt=base.oxt * mirror))
    assert "21 of the 21 residues of chain A" in result.notes[0].message and "mirror image" in result.notes[0].message
    assert len(result.notes) == 22
    assert_natural(result.protein)


def test_a_crystal_structure_has_no_wrong_hand() -> None:
    prepared = prepare(EXAMPLE)
    assert not [n for n in prepared.notes if n.kind == "chirality"]
