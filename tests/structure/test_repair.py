"""Missing atoms come back with the right hand, nothing else changes, and the network is never asked."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from scipy.spatial import cKDTree

from refine.constants import ATOM14
from refine.structure.arrays import place_atom
from refine.structure.backbone import TRANS, place_oxt
from refine.structure.conformers import ideal_residue
from refine.structure.connections import connections
from refine.structure.file_estimate import not_given
from refine.structure.protein import HeteroAtom, Protein
from refine.structure.read import ReadResult, read_structure
from refine.structure.repair import RepairResult, repair
from refine.structure.side_chains import is_natural
from tests.structure import files


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("pdbfixer.pdbfixer.urlopen", refuse)


def without(protein: Protein, lost: np.ndarray) -> Protein:
    """The protein without the atoms ``lost`` (L, 14)."""
    mask = protein.mask & ~lost
    coords = np.where(mask[None, :, :, None], protein.coords, np.float32(0))
    return dataclasses.replace(protein, mask=mask, coords=coords)


def repaired(protein: Protein) -> RepairResult:
    return repair(ReadResult(protein, (), "pdb", 1, not_given(len(protein), ""), "model.pdb"))


def assert_whole(protein: Protein) -> None:
    for i, letter in enumerate(protein.sequence):
        assert protein.mask[i].sum() == len(ATOM14[letter])
        assert is_natural(protein.coords[0, i].astype(np.float64), letter), (i, letter)
    assert np.isfinite(protein.coords).all()
    bonds = np.linalg.norm(protein.coords[0, :, [0, 1, 2]] - protein.coords[0, :, [1, 2, 3]], axis=-1)
    assert 1.1 < bonds.min() and bonds.max() < 1.7


def side_chains(protein: Protein) -> np.ndarray:
    lost = np.zeros(protein.mask.shape, dtype=np.bool_)
    lost[:, 4:] = True
    return lost


def test_complete_protein_comes_back_as_it_is() -> None:
    base = files.base_protein()
    result = repaired(base)
    assert result.protein is not None and result.notes == ()
    assert np.array_equal(result.protein.coords, base.coords)


def test_base_grown_from_alpha_carbons_is_a_sound_helix() -> None:
    base = files.base_protein()
    assert_whole(base)
    assert base.bonded[:-1].all() and base.oxt_mask[-1]
    x = base.coords[0].astype(np.float64)
    n_o = np.linalg.norm(x[4:, 0] - x[:-4, 3], axis=1)
    assert 2.6 < np.median(n_o) < 3.4, "the hydrogen bonds of an alpha helix, N(i+4) to O(i)"


def test_missing_side_chains() -> None:
    base = files.base_protein()
    result = repaired(without(base, side_chains(base)))
    assert_whole(result.protein)
    assert np.array_equal(result.protein.coords[0, :, :4], base.coords[0, :, :4]), "what was there keeps every bit"
    assert {n.kind for n in result.notes} <= {"rebuilt", "chirality"}
    assert {n.residue for n in result.notes if n.kind == "rebuilt"} >= {"1 MET", "2 LYS", "22 LEU"}
    assert result.protein.residue_ids == base.residue_ids and np.array_equal(result.protein.bonded, base.bonded)
    again = repaired(without(base, side_chains(base)))
    assert np.array_equal(again.protein.coords, result.protein.coords), "the same every time"


def test_holes_everywhere() -> None:
    base = files.base_protein()
    lost = np.random.default_rng(0).random(base.mask.shape) < 0.15
    lost[:, 1] = False
    result = repaired(without(base, lost))
    assert_whole(result.protein)
    kept = base.mask & ~lost
    anew = {n.residue for n in result.notes if n.kind == "chirality"}
    for i in range(len(base)):
        if str(base.residue_ids[i].number) not in {a.split()[0] for a in anew}:
            assert np.array_equal(result.protein.coords[0, i][kept[i]], base.coords[0, i][kept[i]])


@pytest.mark.parametrize("slot", [0, 1, 2, 3])
def test_one_backbone_atom_is_placed_within_a_fraction_of_an_angstrom(slot: int) -> None:
    base = files.base_protein()
    lost = np.zeros(base.mask.shape, dtype=np.bool_)
    lost[5:16:5, slot] = True
    result = repaired(without(base, lost))
    moved = np.linalg.norm(result.protein.coords[0] - base.coords[0], axis=-1)
    assert moved[lost].max() < 0.35 and moved[~lost].max() == 0
    assert [n.kind for n in result.notes] == ["backbone"] * 3


def test_gaps_stay_and_no_residue_is_added() -> None:
    base = files.base_protein().select([i for i in range(22) if i not in (8, 9, 10, 11)])
    result = repaired(without(base, side_chains(base)))
    assert result.protein.sequence == base.sequence and not result.protein.bonded[7]
    assert result.protein.oxt_mask.sum() == 1, "no OXT at a gap"
    assert_whole(result.protein)


def test_oxt_is_planar_and_not_put_under_a_cap() -> None:
    base = files.base_protein()
    bare = dataclasses.replace(base, oxt_mask=np.zeros(22, dtype=np.bool_))
    result = repaired(bare)
    n, ca, c, o = result.protein.coords[0, -1, :4].astype(np.float64)
    oxt = result.protein.oxt[0, -1].astype(np.float64)
    assert np.linalg.norm(oxt - c) == pytest.approx(1.25, abs=1e-3)
    assert abs(np.dot(np.cross(ca - c, o - c), oxt - c)) < 1e-3 and np.linalg.norm(oxt - o) > 2.0
    assert "OXT" in result.notes[0].message and np.array_equal(
        place_oxt(n, ca, c, o).astype(np.float32), result.protein.oxt[0, -1]
    )
    cap = HeteroAtom("A", 23, "", "NH2", "N", "N", tuple(float(v) for v in oxt), order=22)  # type: ignore[arg-type]
    capped = dataclasses.replace(bare, hetero=(cap,))
    capped = dataclasses.replace(capped, connections=connections(capped)[0])
    assert not repaired(capped).protein.oxt_mask.any()


def test_hetero_atoms_stay_and_keep_side_chains_out() -> None:
    base = files.base_protein()
    tip = base.coords[0, 1, 8]  # NZ of Lys 2, where the side chain would like to be
    ion = HeteroAtom("A", 301, "", "ZN", "ZN", "Zn", tuple(float(v) for v in tip), order=22)  # type: ignore[arg-type]
    result = repaired(without(dataclasses.replace(base, hetero=(ion,)), side_chains(base)))
    assert result.protein.hetero == (ion,)
    gap = cKDTree(result.protein.coords[0, 1][result.protein.mask[1]]).query(tip)[0]
    assert gap > 2.0


def test_unknown_ligands_do_not_ask_the_network() -> None:
    base = files.base_protein()
    odd = tuple(HeteroAtom("L", 1, "", "ATP", f"C{i}", "C", (20.0 + i, 0.0, 10.0), order=22) for i in range(5))
    assert_whole(repaired(without(dataclasses.replace(base, hetero=odd), side_chains(base))).protein)


def test_disulfide_stays() -> None:
    """Two cysteines at bonding distance: the sulphurs are not moved by the repair of their neighbours."""
    base = files.base_protein()
    lost = side_chains(base)
    lost[20] = False
    result = repaired(without(base, lost))
    assert np.array_equal(result.protein.coords[0, 20], base.coords[0, 20])


@pytest.mark.parametrize("letter", "ACDEFHIKLMNPQRSTVWY")
def test_templates_are_l_residues_and_a_mirror_is_not(letter: str) -> None:
    shape = ideal_residue(letter)
    assert is_natural(shape, letter) and not is_natural(shape * (1, 1, -1), letter)


def test_ideal_peptide_has_engh_huber_geometry() -> None:
    ca, c, o, n, next_ca = TRANS
    assert np.linalg.norm(n - c) == pytest.approx(1.329) and np.linalg.norm(o - c) == pytest.approx(1.231)
    assert np.linalg.norm(next_ca - ca) == pytest.approx(3.80, abs=0.03)
    assert np.linalg.norm(place_atom(ca, c, n, 1.458, 2.124, 0.0) - ca) < 3.1


def test_alpha_carbon_trace_of_real_chains(shared: Path) -> None:
    """Backbones from CA alone lie within 0.5 Å of the crystal's, and whole side chains are natural."""
    for name in ("101m_", "1a07A"):
        result = read_structure(shared / "bench" / "refined150-dev" / name / "native.pdb")
        lost = np.ones(result.protein.mask.shape, dtype=np.bool_)
        lost[:, 1] = False
        traced = repair(dataclasses.replace(result, protein=without(result.protein, lost))).protein
        moved = np.linalg.norm(traced.coords - result.protein.coords, axis=-1)[0, :, :4][result.protein.mask[:, :4]]
        assert np.sqrt((moved**2).mean()) < 0.5
        assert_whole(traced)
