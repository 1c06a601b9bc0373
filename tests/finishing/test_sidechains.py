"""Side chains: chi angles as asked for, missing atoms rebuilt, clashes turned away."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from refine.constants import AMINO_ACIDS, ATOM14, CHI_ATOMS
from refine.finishing.checks import stereo
from refine.finishing.sidechains import candidates, complete_side_chains, ideal_residue, repack, set_chi
from refine.structure.atom_list import AtomList
from refine.structure.chemistry import CLASH_OVERLAP, chi_slots, downstream, residue_bonds
from refine.structure.geometry import dihedral
from refine.structure.protein import HeteroAtom, Protein
from tests.finishing.peptides import peptide


@pytest.mark.parametrize("aa", AMINO_ACIDS)
def test_every_heavy_atom_hangs_on_the_residue_by_a_bond_of_chemical_length(aa: str) -> None:
    seen, x = {1}, ideal_residue(aa)
    for _ in range(14):
        seen |= {j for pair in residue_bonds(aa) for j in pair if seen & set(pair)}
    assert seen == set(range(len(ATOM14[aa])))
    lengths = [np.linalg.norm(x[i] - x[j]) for i, j in residue_bonds(aa)]
    assert 1.1 < min(lengths) and max(lengths) < 1.9


@pytest.mark.parametrize("aa", [a for a in AMINO_ACIDS if CHI_ATOMS[a] and a != "P"])
def test_set_chi_gives_the_angles_asked_for_and_keeps_bonds(aa: str) -> None:
    wanted, _ = candidates(aa, np.nan, np.nan)
    x = set_chi(aa, ideal_residue(aa), wanted)
    for k, slots in enumerate(chi_slots(aa)):
        got = dihedral(*(torch.from_numpy(x[:, s]) for s in slots)).numpy()
        assert np.abs(np.angle(np.exp(1j * (got - wanted[:, k])))).max() < 1e-6
    for i, j in residue_bonds(aa):
        assert np.allclose(
            np.linalg.norm(x[:, i] - x[:, j], axis=-1), np.linalg.norm(ideal_residue(aa)[i] - ideal_residue(aa)[j])
        )


def test_nan_leaves_a_chi_angle_alone() -> None:
    x = set_chi("M", ideal_residue("M"), np.array([[np.nan, 1.0, np.nan]]))[0]
    assert np.allclose(x[:6], ideal_residue("M")[:6])
    assert not np.allclose(x[6], ideal_residue("M")[6])


def test_downstream_of_leucine_chi2_is_both_methyls() -> None:
    assert [ATOM14["L"][k] for k in downstream("L", 1)] == ["CD1", "CD2"]


def test_missing_side_chains_are_completed_on_the_right_hand_and_present_atoms_stay() -> None:
    whole = peptide("ACDEFGHIKLMNPQRSTVWY", phi=-120.0, psi=130.0)
    mask = whole.mask.copy()
    mask[:, 5:] = False
    mask[7, 4:] = False
    stripped = whole.with_coords(np.where(mask[None, :, :, None], whole.coords, 0), oxt=whole.oxt, mask=mask)
    done, residues = complete_side_chains(stripped)
    assert residues == tuple(i for i, aa in enumerate(whole.sequence) if len(ATOM14[aa]) > 5)
    assert np.array_equal(done.mask, whole.mask)
    assert np.array_equal(done.coords[0][mask], whole.coords[0][mask])
    assert not stereo(done).wrong_chirality
    for i, aa in enumerate(whole.sequence):
        for a, b in residue_bonds(aa):
            assert np.linalg.norm(done.coords[0, i, a] - done.coords[0, i, b]) == pytest.approx(1.5, abs=0.45)


def test_a_known_chi_angle_is_kept_when_the_rest_is_missing() -> None:
    whole = peptide("AAKAA")
    turned = set_chi("K", whole.coords[0, 2], np.radians([[60.0, 60.0, 180.0, 180.0]]))[0]
    coords, mask = whole.coords.copy(), whole.mask.copy()
    coords[0, 2] = turned
    mask[2, 7:] = False
    done, _ = complete_side_chains(whole.with_coords(coords, oxt=whole.oxt, mask=mask))
    got = [dihedral(*(torch.from_numpy(done.coords[0, 2, s]) for s in q)).rad2deg().item() for q in chi_slots("K")]
    assert got[0] == pytest.approx(60.0, abs=0.1) and got[1] == pytest.approx(60.0, abs=0.1)
    assert done.mask[2].sum() == 9


def worst_overlap(chain: Protein) -> float:
    """Deepest overlap in Å with the hetero atom."""
    atoms = AtomList.from_protein(chain)
    pairs, depth = atoms.overlaps(atoms.positions(chain), 0.0)
    return float(depth[(atoms.residue[pairs] < 0).any(1)].max())


def _blocked() -> tuple[Protein, tuple[float, ...]]:
    """A leucine whose CG sits on a fixed hetero atom."""
    chain = peptide("AAALAAA")
    at = tuple(float(v) for v in chain.coords[0, 3, 6] + np.float32(0.4))
    return dataclasses.replace(chain, hetero=(HeteroAtom("A", 99, "", "LIG", "C1", "C", at),)), at


def test_a_side_chain_turns_away_from_a_ligand_and_nothing_else_moves() -> None:
    chain, _ = _blocked()
    free = np.ones(len(chain), dtype=np.bool_)
    turned, residues = repack(chain, free, (), time.monotonic() + 60)
    assert residues == (3,)
    assert worst_overlap(turned) < worst_overlap(chain) - 0.5
    moved = np.abs(turned.coords - chain.coords).max(-1)[0] > 0
    assert moved.any() and set(np.argwhere(moved)[:, 0]) == {3} and (np.argwhere(moved)[:, 1] >= 5).all()


def test_frozen_side_chains_and_an_expired_deadline_change_nothing() -> None:
    chain, _ = _blocked()
    frozen = np.ones(len(chain), dtype=np.bool_)
    frozen[3] = False
    assert repack(chain, frozen, (), time.monotonic() + 60)[1] == ()
    assert repack(chain, ~np.zeros(len(chain), dtype=np.bool_), (), time.monotonic() - 1)[1] == ()


def test_overlaps_leave_out_bonded_neighbours_and_count_a_planted_one() -> None:
    helix = peptide("A" * 12)
    atoms = AtomList.from_protein(helix)
    assert len(atoms.overlaps(atoms.positions(helix), CLASH_OVERLAP)[0]) == 0
    atom = tuple(float(v) for v in helix.coords[0, 5, 4] + np.array([0.0, 0.0, 1.5], np.float32))
    planted = dataclasses.replace(helix, hetero=(HeteroAtom("A", 99, "", "LIG", "C1", "C", atom),))
    atoms = AtomList.from_protein(planted)
    pairs, depth = atoms.overlaps(atoms.positions(planted), 0.4)
    assert (pairs == len(atoms.residue) - 1).any(1).all() and depth.max() == pytest.approx(2.0, abs=1e-4)
