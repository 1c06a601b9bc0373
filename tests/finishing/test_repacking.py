"""Clashing side chains turn away and nothing else moves."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from refine.finishing.repacking import repack
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
