"""Every static term: forces against finite differences, symmetries, shares, smoothness at contact."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from refine.energy.assemble import assemble
from refine.energy.free_energy import FreeEnergy
from refine.energy.settings import EnergySettings
from refine.energy.sterics import _CONTACT, _HETERO_SITE, SITES, STIFFNESS, Sterics
from refine.energy.system import System
from refine.structure.geometry import rotation_from_vector
from refine.structure.protein import HeteroAtom, Protein
from tests.proteins import chain_backbone, make_protein, small_protein, torsions

TERMS = ("bonds", "angles", "omega", "chirality", "sterics", "ramachandran", "start")
ZINC = HeteroAtom("A", 90, "", "ZN", "ZN", "ZN", (2.0, 1.0, 0.5))


def coords_of(protein: Protein) -> Tensor:
    return torch.from_numpy(protein.coords[:, :, :4].astype(np.float64))


def energy_of(protein: Protein, start: Tensor | None = None) -> FreeEnergy:
    system = System.from_protein(protein, dtype=torch.float64)
    return assemble(
        system, EnergySettings(start_pull=0.5, ramachandran=1.0), coords_of(protein)[0] if start is None else start
    )


def only(energy: FreeEnergy, name: str) -> FreeEnergy:
    return FreeEnergy(tuple(term for term in energy.terms if term.name == name))


def compact(replicas: int = 2, noise: float = 0.15) -> tuple[Protein, Tensor]:
    """A chain with a break and a second chain pushed into it, so that every term has something to say."""
    first, second = chain_backbone(*torsions(16)), chain_backbone(*torsions(12, 3))
    protein = make_protein([first, second + np.array([3.0, 3.0, 0.0])], hetero=(ZINC,))
    bonded = protein.bonded.copy()
    bonded[7] = False
    protein = dataclasses.replace(protein, bonded=bonded)
    generator = torch.Generator().manual_seed(0)
    x = coords_of(protein).repeat(replicas, 1, 1, 1)
    return protein, x + noise * torch.randn(x.shape, dtype=x.dtype, generator=generator)


@pytest.mark.parametrize("name", TERMS)
def test_forces_equal_finite_differences(name: str) -> None:
    protein, x = compact()
    energy = only(energy_of(protein), name)
    forces, table = energy.forces(x)
    assert table.per_term[name].abs().min() > 1e-3
    step, generator = 1e-5, torch.Generator().manual_seed(1)
    for _ in range(12):  # random directions see every component
        direction = torch.randn(x.shape, dtype=x.dtype, generator=generator)
        slope = (energy(x + step * direction).total - energy(x - step * direction).total) / (2 * step)
        torch.testing.assert_close(slope, -(forces * direction).sum((1, 2, 3)), rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_single_components_equal_finite_differences(name: str) -> None:
    protein, x = compact(replicas=1)
    energy = only(energy_of(protein), name)
    forces, _ = energy.forces(x)
    for residue, atom, axis in [(0, 0, 0), (6, 3, 1), (7, 2, 2), (8, 0, 0), (15, 2, 1), (16, 1, 2), (27, 3, 0)]:
        nudge = torch.zeros_like(x)
        nudge[0, residue, atom, axis] = 1e-5
        slope = (energy(x + nudge).total - energy(x - nudge).total) / 2e-5
        assert float(slope) == pytest.approx(-float(forces[0, residue, atom, axis]), rel=1e-5, abs=1e-5)


def test_rotation_and_translation_change_nothing() -> None:
    protein, x = compact()
    turn = rotation_from_vector(torch.tensor([1.0, -0.4, 2.0], dtype=torch.float64))
    shift = torch.tensor([12.0, -7.0, 3.0], dtype=torch.float64)
    place = tuple((turn @ torch.tensor(ZINC.position, dtype=torch.float64) + shift).tolist())
    moved = dataclasses.replace(protein, hetero=(dataclasses.replace(ZINC, position=place),))
    here, there = energy_of(protein), energy_of(moved, coords_of(protein)[0])
    forces, table = here.forces(x)
    forces_there, table_there = there.forces(x @ turn.T + shift)
    for name in TERMS:
        torch.testing.assert_close(table_there.per_residue[name], table.per_residue[name], rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(forces_there, forces @ turn.T, rtol=1e-7, atol=1e-7)


def test_the_order_of_chains_changes_nothing() -> None:
    a, b = chain_backbone(*torsions(16)), chain_backbone(*torsions(12, 3)) + np.array([3.0, 3.0, 0.0])
    sequences = ["ADEGKLSTVFNPQRWY", "MKTAYIAKQRGP"]
    one, two = make_protein([a, b], sequences), make_protein([b, a], sequences[::-1])
    order = [*range(16, 28), *range(16)]
    table, swapped = energy_of(one)(coords_of(one)), energy_of(two)(coords_of(two))
    for name in TERMS:
        torch.testing.assert_close(swapped.per_residue[name], table.per_residue[name][:, order], rtol=1e-9, atol=1e-9)


def test_replicas_do_not_see_each_other() -> None:
    protein, x = compact(replicas=3)
    energy = energy_of(protein)
    forces, table = energy.forces(x)
    for r in range(3):
        alone, single = energy_of(protein).forces(x[r : r + 1])
        torch.testing.assert_close(single.total[0], table.total[r])
        torch.testing.assert_close(alone[0], forces[r])


def test_a_mirrored_structure_scores_worse() -> None:
    protein = small_protein(40)
    mirrored = dataclasses.replace(protein, coords=protein.coords * np.array([1, 1, -1], np.float32))
    table = energy_of(protein)(coords_of(protein)).replica(0)
    reflected = energy_of(mirrored)(coords_of(mirrored)).replica(0)
    assert reflected["chirality"] > table["chirality"] + 500
    assert reflected["ramachandran"] > table["ramachandran"] + 20
    backbone_only = energy_of(protein)(coords_of(mirrored)).replica(
        0
    )  # side chains of the right hand on a mirrored backbone
    assert backbone_only["total"] > table["total"] + 20


def test_an_ideal_chain_costs_next_to_nothing() -> None:
    protein = small_protein(40)
    table = energy_of(protein)(coords_of(protein)).replica(0)
    for name in ("bonds", "angles", "omega", "chirality", "start"):
        assert table[name] == pytest.approx(0.0, abs=0.2), name
    assert table["ramachandran"] < -40


@pytest.mark.parametrize("name", ["bonds", "angles", "omega"])
def test_a_chain_break_carries_no_bonded_energy(name: str) -> None:
    protein = small_protein(12)
    bonded = protein.bonded.copy()
    bonded[5] = False
    broken = dataclasses.replace(protein, bonded=bonded)
    x = coords_of(protein)
    pulled = x.clone()
    turn = rotation_from_vector(torch.tensor([1.0, -0.4, 2.0], dtype=torch.float64))
    pulled[:, 6:] = pulled[:, 6:] @ turn.T + 3.0
    assert float(only(energy_of(broken), name)(pulled).total) == pytest.approx(
        float(only(energy_of(broken), name)(x).total), abs=1e-9
    )
    assert float(only(energy_of(protein), name)(pulled).total) > 10


def test_a_cis_peptide_of_the_start_stays_cis() -> None:
    phi, psi = torsions(6)
    trans, cis = make_protein([chain_backbone(phi, psi)]), make_protein([chain_backbone(phi, psi, omega=0.05)])
    assert not System.from_protein(trans).cis.any()
    assert System.from_protein(cis).cis.tolist() == [True] * 5 + [False]
    assert float(only(energy_of(cis), "omega")(coords_of(cis)).total) < 1.0
    assert float(only(energy_of(trans), "omega")(coords_of(cis)).total) > 150


def pair_at(distance: float) -> tuple[FreeEnergy, Tensor]:
    """Two glycines in two chains, CA to CA at ``distance`` and everything else far apart."""
    one = chain_backbone(np.array([-1.1]), np.array([2.4]))
    two = one * np.array([-1.0, 1.0, 1.0]) * np.array([1.0, -1.0, 1.0])
    one, two = one - one[0, 1], two - two[0, 1]
    away = -(one[0, [0, 2, 3]].mean(0))
    two = two @ np.diag([1.0, 1.0, 1.0]) + distance * away / np.linalg.norm(away)
    protein = make_protein([one, two], ["G", "G"])
    return only(energy_of(protein), "sterics"), coords_of(protein)


def test_sterics_has_no_jump_in_energy_force_or_curvature_at_contact() -> None:
    grid = np.linspace(2.0, 9.0, 14001)
    energy, x = pair_at(2.0)
    axis = (x[0, 1, 1] - x[0, 0, 1]) / 2.0
    values = []
    batch = x.repeat(len(grid), 1, 1, 1)
    batch[:, 1] += torch.from_numpy(grid - 2.0)[:, None, None] * axis
    values = energy(batch).total.numpy()
    h = grid[1] - grid[0]
    slope, curvature = np.diff(values) / h, np.diff(values, 2) / h**2
    assert values[0] > 0.5 and values[-1] == 0.0
    assert np.abs(np.diff(values)).max() < 0.2
    assert np.abs(np.diff(slope)).max() < 0.2  # would be of the order of the force for a jump
    assert np.abs(np.diff(curvature)).max() < 1.5  # curvature of a C1 potential would jump by tens
    assert slope.max() <= 1e-9


def test_sterics_is_finite_on_top_of_each_other_and_bounded() -> None:
    protein = make_protein([chain_backbone(*torsions(3)), chain_backbone(*torsions(3))], ["GGG", "GGG"])
    energy = only(energy_of(protein), "sterics")
    forces, table = energy.forces(coords_of(protein))
    assert torch.isfinite(forces).all()
    assert 12 * STIFFNESS <= float(table.total) < 200 * STIFFNESS


def test_pair_lists_change_no_bit_of_the_result() -> None:
    protein, x = compact(noise=0.05)
    used, generator = energy_of(protein), torch.Generator().manual_seed(4)
    for _ in range(25):
        x = x + 0.08 * torch.randn(x.shape, dtype=x.dtype, generator=generator)
        forces, table = used.forces(x)
        fresh, new = energy_of(protein).forces(x)
        assert torch.equal(table.per_residue["sterics"], new.per_residue["sterics"]) and torch.equal(forces, fresh)


def test_sterics_equals_the_sum_over_all_pairs() -> None:
    protein, x = compact(replicas=1)
    term = next(t for t in energy_of(protein).terms if isinstance(t, Sterics))
    sites = term.sites(x)[0].reshape(-1, 3).numpy()
    present = np.flatnonzero(term._present)
    total = 0.0
    for a, i in enumerate(present):
        for j in present[a + 1 :]:
            ri, rj = sorted((i // SITES, j // SITES))
            if ri == rj or (rj == ri + 1 and protein.bonded[ri]):
                continue
            contact = _CONTACT[i % SITES, j % SITES] + term._centroid[i] + term._centroid[j]
            total += STIFFNESS * max(0.0, 1 - ((sites[i] - sites[j]) ** 2).sum() / contact**2) ** 3
        contact = _HETERO_SITE[i % SITES] + term._centroid[i] + 0.70
        total += STIFFNESS * max(0.0, 1 - ((sites[i] - np.array(ZINC.position)) ** 2).sum() / contact**2) ** 3
    assert float(term(x).sum()) == pytest.approx(total, rel=1e-10)


def test_hetero_atoms_obstruct() -> None:
    protein = small_protein(20)
    target = protein.coords[0, 10, 1]
    blocked = dataclasses.replace(
        protein, hetero=(dataclasses.replace(ZINC, position=tuple(target + np.float32(0.5)), element="C"),)
    )
    x = coords_of(protein)
    clear, hit = only(energy_of(protein), "sterics")(x), only(energy_of(blocked), "sterics")(x)
    assert float(hit.total - clear.total) > 20
    assert int(sum(hit.per_residue[name] - clear.per_residue[name] for name in hit.per_residue).argmax()) == 10


def test_start_pull_pulls_by_residue_and_not_as_a_whole() -> None:
    protein = small_protein(20)
    system, x = System.from_protein(protein, dtype=torch.float64), coords_of(protein)
    stiffness = torch.zeros(20, dtype=torch.float64)
    stiffness[:10] = 2.0
    energy = only(assemble(system, EnergySettings(), x[0], pull=stiffness), "start")
    moved = x.clone()
    moved[0, 3] += 0.5
    moved[0, 15] += 5.0
    forces, table = energy.forces(moved)
    assert torch.all(forces[0, 10:] == 0)
    assert forces.sum((1, 2)).abs().max() < 1e-9
    assert torch.linalg.cross(moved.reshape(-1, 3), forces.reshape(-1, 3)).sum(0).abs().max() < 1e-8
    assert 0 < float(table.total) < 0.5 * 2.0 * 4 * 0.75 + 1e-9
