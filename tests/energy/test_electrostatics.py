"""Screened charges beyond the learned cutoff: against the formula, finite differences, and what they cost."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from refine.energy.electrostatics import COULOMB, CUTOFF, HALF_WIDTH, Electrostatics
from refine.energy.system import System
from refine.physics.conditions import Conditions
from refine.physics.titration import titratable
from refine.settings import RunSettings
from refine.structure.protein import Protein
from tests.proteins import chain_backbone, make_protein, torsions


def charged(length: int = 40) -> Protein:
    """Every residue charged, with all its atoms: two of three lysines, the third an aspartate."""
    protein = make_protein([chain_backbone(*torsions(length))], [("KKD" * length)[:length]])
    coords, mask = protein.coords.copy(), protein.mask.copy()
    for i, aa in enumerate(protein.sequence):
        count = len(protein.atom_names(i))
        outward = coords[0, i, 4] - coords[0, i, 1]
        for slot in range(5, count):
            coords[0, i, slot] = coords[0, i, 4] + 0.7 * (slot - 4) * outward + 0.1 * (slot % 2)
        mask[i, :count] = True
        assert aa in "KD"
    return dataclasses.replace(protein, coords=coords, mask=mask)


def term(protein: Protein, conditions: Conditions | None = None, inner: float = CUTOFF) -> Electrostatics:
    system = System.from_protein(protein, dtype=torch.float64)
    return Electrostatics.of(protein, titratable(protein), conditions or Conditions(), system, inner)


def coords_of(protein: Protein) -> torch.Tensor:
    return torch.from_numpy(protein.coords[:, :, :4].astype(np.float64))


def test_two_charges_are_the_formula() -> None:
    at = term(charged())
    r = torch.tensor([16.0, 20.0, 25.0], dtype=torch.float64)
    product = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    screening = 3.04 / np.sqrt(0.15) * np.sqrt(78.4 * np.exp(-0.0046 * 0.15) * 298.15 / (78.4 * 298.0))
    epsilon = 78.4 * np.exp(-0.0046 * 0.15)
    want = COULOMB * product.numpy() * np.exp(-r.numpy() / screening) / (epsilon * r.numpy())
    np.testing.assert_allclose(at.pair_energy(r, product).numpy(), want, atol=1e-9)


def test_screening_falls_as_debye_and_hueckel_have_it() -> None:
    one, r = torch.ones(1, dtype=torch.float64), torch.tensor([20.0], dtype=torch.float64)
    bare, salt = (term(charged(), Conditions(ionic=ionic)) for ionic in (0.0, 0.15))
    ratio = float(salt.pair_energy(r, one) / bare.pair_energy(r, one))
    assert ratio == pytest.approx(np.exp(-20.0 / (3.04 / np.sqrt(0.15))), rel=0.01)


def test_nothing_is_felt_within_the_learned_cutoff_or_far_away() -> None:
    at, one = term(charged()), torch.ones(3, dtype=torch.float64)
    r = torch.tensor([CUTOFF - HALF_WIDTH, 5.0, at.outer + HALF_WIDTH], dtype=torch.float64)
    assert (at.pair_energy(r, one) == 0.0).all() and float(at.pair_energy(r[:1] + 0.1, one[:1])) > 0.0


@pytest.mark.parametrize("inner", [CUTOFF, -HALF_WIDTH])
def test_the_list_of_neighbours_leaves_no_pair_out(inner: float) -> None:
    protein = charged()
    at = term(protein, inner=inner)
    coords = coords_of(protein).repeat(2, 1, 1, 1)
    coords[1] *= 1.1
    sites, q = at.sites(coords), at.charge
    assert len(q) == 42  # forty side chains and two ends
    i, j = np.triu_indices(len(q), 1)
    every = at.pair_energy((sites[:, i] - sites[:, j]).norm(dim=-1), q[i] * q[j]).sum(1)
    torch.testing.assert_close(at(coords).sum(1), every)
    assert float(every.abs().min()) > 1e-3


def test_forces_are_the_gradient() -> None:
    protein = charged()
    at, coords = term(protein), coords_of(protein)
    x = coords.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(at(x).sum(), x)
    biggest = gradient.abs().flatten().topk(6).indices
    for flat in biggest.tolist():
        index = tuple(int(k) for k in np.unravel_index(flat, coords.shape))
        ends = [coords.clone() for _ in range(2)]
        for sign, end in zip((1, -1), ends, strict=True):
            end[index] += sign * 1e-3
        numeric = float((at(ends[0]).sum() - at(ends[1]).sum()) / 2e-3)
        assert numeric == pytest.approx(float(gradient[index]), abs=1e-4) and abs(numeric) > 1e-3


def test_cost_is_in_proportion_to_the_length() -> None:
    """CPU seconds of energy and force, blocks of a hundred residues far apart as in a long chain: slope of logs."""
    lengths, seconds = (300, 600, 1500, 3000), []
    block = charged(100)
    for length in lengths:
        count = length // 100
        coords = np.concatenate([coords_of(block).numpy()[0] + 60.0 * np.array([k, 0, 0]) for k in range(count)])
        one = term(block)
        residue = torch.cat([one.residue + 100 * k for k in range(count)])
        at = dataclasses.replace(
            one, residue=residue, local=one.local.repeat(count, 1), charge=one.charge.repeat(count)
        )
        times = []
        for _ in range(5):
            x = torch.from_numpy(coords)[None].requires_grad_(True)
            begun = time.process_time()
            torch.autograd.grad(at(x).sum(), x)
            times.append(time.process_time() - begun)
        seconds.append(min(times))
    slope = np.polyfit(np.log(lengths), np.log(seconds), 1)[0]
    assert slope < 1.25, (slope, seconds)


def test_charges_are_off_unless_asked_for() -> None:
    assert RunSettings().electrostatics == 0.0
    assert RunSettings(conditions=Conditions(ph=5.0)).electrostatics == 1.0
    off = dataclasses.replace(RunSettings().energy, electrostatics=0.0)
    assert RunSettings(conditions=Conditions(ph=5.0), energy=off).electrostatics == 0.0
