"""Torsion energies of finishing: densities of backbone torsions, staggered methyl groups."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from numpy.typing import NDArray

from refine.assess.torsions import FAVOURED, OUTLIER, ramachandran_verdict, torsions
from refine.errors import InputError
from refine.finishing.checks import stereo
from refine.finishing.finish import Finisher, finish
from refine.finishing.settings import FinishSettings
from refine.finishing.torsions import hand_force, methyl_force, ramachandran_force, ramachandran_maps
from refine.physics.forcefield import ForceFieldSystem
from refine.structure.arrays import turned_about
from refine.structure.chemistry import chiral_volumes
from refine.structure.protein import Protein
from refine.structure.reference import ramachandran
from tests.finishing.peptides import peptide

KT = 0.0019872041 * 300 * 4.184
SETTINGS = FinishSettings(device="cpu")


def energy_of(force: openmm.Force, x: NDArray[np.float64]) -> float:
    """kJ/mol of ``force`` alone at positions in Å."""
    system = openmm.System()
    for _ in x:
        system.addParticle(1.0)
    system.addForce(force)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(0.1 * x)
    return context.getState(energy=True).getPotentialEnergy()._value


def map_energy(chain: Protein, weight: float = 1.0) -> float:
    forcefield = ForceFieldSystem(chain, np.ones(len(chain), np.bool_))
    return energy_of(ramachandran_force(chain, forcefield, weight), forcefield.positions(chain))


def turned_peptide(chain: Protein, i: int, angle: float) -> Protein:
    """The peptide after residue ``i`` turned by ``angle`` degrees about its CA–CA axis; no CA moves."""
    x = chain.coords[0].astype(np.float64)
    axis = x[i + 1, 1] - x[i, 1]
    plane = np.stack((x[i, 2], x[i, 3], x[i + 1, 0]))
    coords = chain.coords.copy()
    coords[0, [i, i, i + 1], [2, 3, 0]] = turned_about(plane, x[i, 1], axis, np.array(np.radians(angle)))
    return chain.with_coords(coords, oxt=chain.oxt)


def verdicts(chain: Protein) -> NDArray[np.int64]:
    return ramachandran_verdict(chain, torsions(chain))


def finished(chain: Protein, ramachandran: float) -> Protein:
    settings = FinishSettings(device="cpu", ramachandran=ramachandran)
    return Finisher(chain, settings).finish(chain, refined=True).protein


def test_the_least_energy_of_each_class_is_favoured_and_outliers_pay() -> None:
    table, maps = ramachandran(), ramachandran_maps(1.0)
    half, every = table.values.shape[-1] // 2, table.values.shape[-1] // maps.shape[-1]
    for values, log_p, favoured, allowed in zip(maps, table.values, table.favoured, table.allowed, strict=True):
        there = np.roll(log_p, (-half, -half), (0, 1))[::every, ::every]
        assert there.flat[values.argmin()] == there.max()
        assert values[there >= favoured + 3].max() < 0.2 * KT
        assert values[there < allowed].min() > favoured + 1 - allowed  # kT log p and more, in kJ/mol
        assert values[there < allowed].min() > values[there >= favoured].max()


@pytest.mark.parametrize(("phi", "psi"), [(-75.0, -45.0), (-75.0, 150.0), (75.0, -120.0), (-180.0, 0.0)])
@pytest.mark.parametrize("sequence", ["AAAA", "AGGA", "AVIA", "AAPA"])
def test_energy_is_that_of_the_table_and_periodic(sequence: str, phi: float, psi: float) -> None:
    chain = peptide(sequence, phi, psi)
    table, angles = ramachandran(), torsions(chain)
    kind = table.classify(sequence, chain.bonded)[1:-1]
    log_p = table.log_density(angles.phi[1:-1], angles.psi[1:-1], kind)
    expected = 2.0 * KT * np.log1p(np.exp(table.favoured[kind] + 1 - log_p)).sum()
    assert map_energy(chain, 2.0) == pytest.approx(expected, abs=0.01 + 0.002 * expected)
    assert map_energy(peptide(sequence, phi + 360, psi - 360), 2.0) == pytest.approx(
        expected, abs=0.01 + 0.002 * expected
    )


def test_residues_beside_a_gap_have_no_energy() -> None:
    chain = peptide("AAAAAAA", 75.0, -120.0)
    whole = map_energy(chain)
    gap = chain.select([0, 1, 2, 4, 5, 6])
    assert not gap.bonded[2]
    assert map_energy(gap) == pytest.approx(whole * 2 / 5, rel=1e-3)


@pytest.mark.parametrize(
    ("sequence", "phi", "psi", "angle"),
    [
        ("GSAAELKKAAEQLKAAG", -63.0, -42.0, 140.0),
        ("GSTAEVKSATEQVKTAG", -120.0, 130.0, -100.0),
        ("GSTAEVKSATEQVKTAG", -120.0, 130.0, -140.0),
    ],
)
def test_turned_peptides_find_back_with_ca_where_they_are(sequence: str, phi: float, psi: float, angle: float) -> None:
    chain = peptide(sequence, phi, psi)
    for i in (4, 10):
        chain = turned_peptide(chain, i, angle)
    without, with_map = finished(chain, 0.0), finished(chain, 3.0)
    assert (verdicts(chain) == OUTLIER).sum() > 0
    assert (verdicts(with_map) > FAVOURED).sum() <= (verdicts(without) > FAVOURED).sum() - 2
    assert (verdicts(with_map) == OUTLIER).sum() <= (verdicts(without) == OUTLIER).sum()
    assert np.linalg.norm(with_map.coords[0, :, 1] - chain.coords[0, :, 1], axis=-1).max() < 0.05
    assert (stereo(with_map).wrong_chirality, stereo(with_map).cis) == (frozenset(), frozenset())


def test_backbones_that_are_not_refined_feel_nothing_of_it() -> None:
    chain = turned_peptide(peptide("GSAAELKKAAEQ"), 4, 60.0)
    with_map = finish(chain, SETTINGS).protein
    without = finish(chain, FinishSettings(device="cpu", ramachandran=0.0)).protein
    assert with_map.coords.tobytes() == without.coords.tobytes()


def test_a_negative_factor_is_refused() -> None:
    with pytest.raises(InputError, match="ramachandran"):
        FinishSettings(ramachandran=-1.0)


def test_methyls_are_least_strained_where_they_are_staggered() -> None:
    chain = peptide("GAVLITMG")
    forcefield = ForceFieldSystem(chain, np.ones(len(chain), np.bool_))
    force, x = methyl_force(forcefield), forcefield.positions(chain)
    assert force.getNumTorsions() == 3 * (1 + 2 + 2 + 2 + 1 + 1)
    placed = energy_of(methyl_force(forcefield), x)
    _, axis, carbon, *_ = force.getTorsionParameters(0)
    hydrogens = [force.getTorsionParameters(k)[3] for k in range(3)]
    turned = x.copy()
    turned[hydrogens] = turned_about(x[hydrogens], x[carbon], x[carbon] - x[axis], np.array(np.pi / 3))
    assert placed == pytest.approx(0.0, abs=0.5)
    assert energy_of(methyl_force(forcefield), turned) - placed == pytest.approx(12 * 4.184, rel=0.02)


def test_a_flat_centre_is_held_up_and_others_feel_nothing() -> None:
    """Pressed flat, a CA costs energy the flatter it is; at rest no centre does, and one of the wrong hand is left."""
    chain = peptide("AIVTA")
    forcefield = ForceFieldSystem(chain, np.ones(len(chain), np.bool_))
    force = hand_force(chain, forcefield)
    residue, slots, volumes = chiral_volumes(chain)
    assert force.getNumBonds() == len(residue) == 7 and volumes.min() > 2.0
    x = forcefield.positions(chain)
    assert energy_of(force, x) == 0.0
    centre, *others = forcefield.particle[2, list(slots[residue == 2][0])]
    towards = x[others].mean(0) - x[centre]
    energies = []
    for part in (0.4, 0.7, 1.0):
        pressed = x.copy()
        pressed[centre] += part * towards
        energies.append(energy_of(hand_force(chain, forcefield), pressed))
    assert 0.0 < energies[0] < energies[1] < energies[2]
    assert energies[2] == pytest.approx(10.0 * 4.184 * 2.0**2, rel=1e-3)
    mirrored = chain.with_coords(chain.coords * np.array([1, 1, -1], np.float32))
    assert hand_force(mirrored, forcefield).getNumBonds() == 0


def test_a_flattened_centre_counts_as_spoiled() -> None:
    """``stereo`` counts what the assessment counts, so a flattened residue is relaxed again with its atoms held."""
    chain = peptide("AIVTA")
    coords = chain.coords.copy()
    coords[0, 2, 1] += 0.6 * (coords[0, 2, [0, 2, 4]].mean(0) - coords[0, 2, 1])
    assert stereo(chain).wrong_chirality == frozenset()
    assert 2 in stereo(chain.with_coords(coords)).wrong_chirality
