"""lDDT: identities, and biotite as oracle."""

from __future__ import annotations

import biotite.structure as struc
import numpy as np
import pytest

from refine.assess.lddt import lddt, swap_symmetric_atoms
from tests.assess.structures import atom_array, model_and_native, structure

PAIRS = ("1a8o", "1lcd", "101m_", "1a00A", "1dxpA", "1b1cA", "1eqmA")


@pytest.mark.parametrize("pair", PAIRS)
def test_equals_biotite(pair: str) -> None:
    model, native = model_and_native(pair)
    assert model.sequence == native.sequence
    both = model.mask & native.mask
    for mask in (both, both & (np.arange(14) == 1)):
        ours = lddt(model.coords[0], native.coords[0], mask, mask)
        reference, subject = atom_array(native, mask), atom_array(model, mask)
        assert ours.score == pytest.approx(struc.lddt(reference, subject), abs=2e-5)
        assert np.allclose(ours.per_residue, struc.lddt(reference, subject, aggregation="residue"), atol=5e-4)


def test_self_and_missing_atoms() -> None:
    native = structure("4cup.pdb")
    assert lddt(native.coords[0], native.coords[0], native.mask, native.mask).score == 1.0
    fewer = native.mask.copy()
    fewer[10, 4:] = False
    score = lddt(native.coords[0], native.coords[0], fewer, native.mask)
    assert score.score < 1 and score.per_residue[10] < 0.9
    assert lddt(native.coords[0], native.coords[0], native.mask, native.mask, excluded=~fewer).score == score.score


def test_swapped_names_of_symmetric_atoms_cost_nothing() -> None:
    native = structure("4cup.pdb")
    model = native.coords[0].copy()
    rings = [i for i, aa in enumerate(native.sequence) if aa in "FY"]
    carboxyls = [i for i, aa in enumerate(native.sequence) if aa == "D"]
    assert rings and carboxyls
    for i in rings:
        model[i, [6, 7, 8, 9]] = model[i, [7, 6, 9, 8]]
    for i in carboxyls:
        model[i, [6, 7]] = model[i, [7, 6]]
    assert lddt(model, native.coords[0], native.mask, native.mask).score < 0.999
    before = model.copy()
    renamed = swap_symmetric_atoms(model, native.coords[0], native.mask, native.mask, native.sequence)
    assert np.array_equal(before, model)
    assert lddt(renamed, native.coords[0], native.mask, native.mask).score == 1.0


def test_two_far_residues_have_no_local_distance() -> None:
    coords = np.zeros((2, 1, 3))
    coords[1, 0, 0] = 40.0
    mask = np.ones((2, 1), dtype=bool)
    result = lddt(coords, coords, mask, mask)
    assert np.isnan(result.score) and np.isnan(result.per_residue).all() and result.pairs == 0
