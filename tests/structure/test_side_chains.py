"""Missing side-chain atoms are built with the right hand, and what is there stays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from refine.constants import ATOM14
from refine.finishing.checks import stereo
from refine.structure.chemistry import chi_slots, residue_bonds
from refine.structure.conformers import set_chi
from refine.structure.geometry import dihedral
from refine.structure.side_chains import complete_side_chains
from tests.finishing.peptides import peptide


def test_missing_side_chains_are_completed_on_the_right_hand_and_present_atoms_stay() -> None:
    whole = peptide("ACDEFGHIKLMNPQRSTVWY", phi=-120.0, psi=130.0)
    mask = whole.mask.copy()
    mask[:, 5:] = False
    mask[7, 4:] = False
    stripped = whole.with_coords(np.where(mask[None, :, :, None], whole.coords, 0), oxt=whole.oxt, mask=mask)
    completion = complete_side_chains(stripped)
    done = completion.protein
    assert completion.replaced == () and completion.built == tuple(
        i for i, aa in enumerate(whole.sequence) if len(ATOM14[aa]) > 5
    )
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
    done = complete_side_chains(whole.with_coords(coords, oxt=whole.oxt, mask=mask)).protein
    got = [dihedral(*(torch.from_numpy(done.coords[0, 2, s]) for s in q)).rad2deg().item() for q in chi_slots("K")]
    assert got[0] == pytest.approx(60.0, abs=0.1) and got[1] == pytest.approx(60.0, abs=0.1)
    assert done.mask[2].sum() == 9


def test_a_side_chain_hangs_on_the_atoms_that_are_there() -> None:
    """Lysine without its CD: the built atom bridges CG and CE, though both were moved a little."""
    whole = peptide("AAKAA")
    coords, mask = whole.coords.copy(), whole.mask.copy()
    coords[0, 2, 5:9] += np.array([0.1, -0.1, 0.05], np.float32)
    mask[2, 6] = False
    coords[0, 2, 6] = 0
    completion = complete_side_chains(whole.with_coords(coords, oxt=whole.oxt, mask=mask))
    x = completion.protein.coords[0, 2]
    assert completion.built == (2,) and np.array_equal(x[mask[2]], coords[0, 2][mask[2]])
    assert [np.linalg.norm(x[6] - x[slot]) for slot in (5, 7)] == pytest.approx([1.52, 1.49], abs=0.08)


def test_residues_without_a_backbone_are_left_alone_and_a_whole_protein_comes_back() -> None:
    whole = peptide("AKA")
    assert complete_side_chains(whole).protein is whole
    mask = whole.mask.copy()
    mask[1] = False
    mask[1, 1] = True
    stripped = whole.with_coords(np.where(mask[None, :, :, None], whole.coords, 0), oxt=whole.oxt, mask=mask)
    assert complete_side_chains(stripped).built == ()
