"""Clashing side chains turn away and nothing else moves."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from refine.finishing.finish import Finisher
from refine.finishing.repacking import chosen_anew, repack
from refine.finishing.settings import FinishSettings
from refine.structure.atom_list import AtomList
from refine.structure.chemistry import CLASH_OVERLAP
from refine.structure.protein import HeteroAtom, Protein
from tests.finishing.peptides import peptide


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
    turned, residues = repack(chain, free, time.monotonic() + 60)
    assert residues == (3,)
    assert worst_overlap(turned) < worst_overlap(chain) - 0.5
    moved = np.abs(turned.coords - chain.coords).max(-1)[0] > 0
    assert moved.any() and set(np.argwhere(moved)[:, 0]) == {3} and (np.argwhere(moved)[:, 1] >= 5).all()


def test_frozen_side_chains_and_an_expired_deadline_change_nothing() -> None:
    chain, _ = _blocked()
    frozen = np.ones(len(chain), dtype=np.bool_)
    frozen[3] = False
    assert repack(chain, frozen, time.monotonic() + 60)[1] == ()
    assert repack(chain, ~np.zeros(len(chain), dtype=np.bool_), time.monotonic() - 1)[1] == ()


def test_overlaps_leave_out_bonded_neighbours_and_count_a_planted_one() -> None:
    helix = peptide("A" * 12)
    atoms = AtomList.from_protein(helix)
    assert len(atoms.overlaps(atoms.positions(helix), CLASH_OVERLAP)[0]) == 0
    atom = tuple(float(v) for v in helix.coords[0, 5, 4] + np.array([0.0, 0.0, 1.5], np.float32))
    planted = dataclasses.replace(helix, hetero=(HeteroAtom("A", 99, "", "LIG", "C1", "C", atom),))
    atoms = AtomList.from_protein(planted)
    pairs, depth = atoms.overlaps(atoms.positions(planted), 0.4)
    assert (pairs == len(atoms.residue) - 1).any(1).all() and depth.max() == pytest.approx(2.0, abs=1e-4)


def test_side_chains_chosen_anew_are_only_those_that_gain_more_than_the_bonus() -> None:
    chain, _ = _blocked()
    free = np.ones(len(chain), dtype=np.bool_)
    same, none = chosen_anew(chain, free, 1000.0)
    assert same is chain and none == ()
    turned, residues = chosen_anew(chain, free, 2.0)
    assert residues == (3,) and worst_overlap(turned) < worst_overlap(chain) - 0.5
    moved = np.abs(turned.coords - chain.coords).max(-1)[0] > 0
    assert set(np.argwhere(moved)[:, 0]) == {3} and (np.argwhere(moved)[:, 1] >= 5).all()
    bond = np.linalg.norm(turned.coords[0, 3, 5] - turned.coords[0, 3, 4])
    assert bond == pytest.approx(np.linalg.norm(chain.coords[0, 3, 5] - chain.coords[0, 3, 4]), abs=0.03)
    frozen = free.copy()
    frozen[3] = False
    assert chosen_anew(chain, frozen, 2.0) == (chain, ())
    assert chosen_anew(chain, ~free, 2.0) == (chain, ())


def test_two_side_chains_that_only_move_out_of_each_others_way_together_do_so() -> None:
    """Two phenylalanines of one helix turned into the same place: each has room once the other has gone."""
    helix = peptide("AAAFAAAFAAA")
    coords = helix.coords.copy()
    free = np.ones(len(helix), dtype=np.bool_)
    towards = coords[0, 3, 1] - coords[0, 7, 1]
    assert 5.0 < np.linalg.norm(towards) < 7.0
    coords[0, 7, 5:11] = coords[0, 3, 5:11] + 0.8 * (coords[0, 7, 4] - coords[0, 3, 4]) / 5.0
    clashing = helix.with_coords(coords)
    atoms = AtomList.from_protein(clashing)
    assert len(atoms.overlaps(atoms.positions(clashing), 1.0)[0]) > 0
    turned, residues = chosen_anew(clashing, free, 2.0)
    assert 7 in residues and len(atoms.overlaps(atoms.positions(turned), 0.5)[0]) == 0


@pytest.mark.parametrize(("how", "turns"), [({}, False), ({"refined": True}, True)])
def test_only_refined_backbones_get_their_side_chains_chosen_anew(how: dict[str, bool], turns: bool) -> None:
    """Nothing clashes in the templates of serine and valine, but other rotamers are likelier in a helix."""
    chain = peptide("AASAAVAAA")
    finisher = Finisher(chain, FinishSettings(relax=False, conformer_bonus=0.0))
    done = finisher.finish(chain, **how).report.repacked
    kept = finisher.finish(chain, refined=True, keep=True).report.repacked
    assert kept == () and (bool(done) == turns)
