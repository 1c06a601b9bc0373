"""Conformers: chi angles as asked for, bonds of chemical length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from refine.constants import AMINO_ACIDS, ATOM14, CHI_ATOMS
from refine.structure.chemistry import chi_slots, downstream, residue_bonds
from refine.structure.conformers import ideal_residue, likely_rotamers, set_chi
from refine.structure.geometry import dihedral


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
    wanted, _ = likely_rotamers(aa, np.nan, np.nan)
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
