"""Peptides from sequences, dynamics in blocks, biases on grids."""

from __future__ import annotations

import numpy as np
import openmm
import pytest

from refine.errors import InputError
from refine.physics.bias import POINTS, Axis, GridBias
from refine.physics.dynamics import Dynamics, peptide_system
from refine.physics.peptide import PHI, PSI, peptide
from refine.structure.arrays import dihedral

PHI_ATOMS, PSI_ATOMS = (4, 6, 8, 10), (6, 8, 10, 16)


def torsion(frames: np.ndarray, atoms: tuple[int, ...]) -> np.ndarray:
    return dihedral(*(frames[:, a].astype(np.float64) for a in atoms))


def test_a_capped_peptide_has_the_atoms_and_torsions_it_should() -> None:
    built = peptide("ace-ala-nme")
    assert [r.name for r in built.topology.residues()] == ["ACE", "ALA", "NME"]
    assert built.topology.getNumAtoms() == 22
    assert torsion(built.positions[None], PHI_ATOMS)[0] == pytest.approx(PHI, abs=0.02)
    assert torsion(built.positions[None], PSI_ATOMS)[0] == pytest.approx(PSI, abs=0.02)


@pytest.mark.parametrize(("sequence", "atoms"), [("GLY-PRO-TRP", 48), ("ACE-CYS-HIS-NH2", 37)])
def test_other_peptides_are_known_to_the_force_field(sequence: str, atoms: int) -> None:
    built = peptide(sequence)
    assert built.topology.getNumAtoms() == atoms
    assert peptide_system(built.topology).getNumParticles() == atoms


@pytest.mark.parametrize(
    "sequence", ["", "ARG", "ACE-NME", "ACE-XYZ-NME", "NME-ALA", "ALA-ACE", "-".join(["ALA"] * 61)]
)
def test_what_is_no_peptide_is_refused(sequence: str) -> None:
    with pytest.raises(InputError):
        peptide(sequence)


def test_a_block_depends_on_its_number_and_its_start_alone() -> None:
    built = peptide("ACE-ALA-NME")
    one = Dynamics(peptide_system(built.topology), seed=3)
    start = one.begin(built.positions)
    first = one.run(start, 0, 100, 25)
    second = one.run(first.end, 1, 100, 25)
    again = Dynamics(peptide_system(built.topology), seed=3).run(first.end, 1, 100, 25)
    other = Dynamics(peptide_system(built.topology), seed=4).run(first.end, 1, 100, 25)
    assert np.array_equal(second.frames, again.frames)
    assert not np.array_equal(second.frames, other.frames)
    assert one.platform == "Reference"


def test_dynamics_have_the_temperature_they_were_given() -> None:
    built = peptide("ACE-ALA-NME")
    system = peptide_system(built.topology)
    dynamics = Dynamics(system, temperature=400.0, friction=20.0)
    phase, kinetic = dynamics.begin(built.positions), []
    masses = np.array([system.getParticleMass(k)._value for k in range(22)])
    for k in range(60):
        phase = dynamics.run(phase, k, 50, 50).end
        kinetic.append(0.5 * (masses[:, None] * phase.velocities**2).sum())
    freedom = 3 * 22 - system.getNumConstraints()
    assert 2 * np.mean(kinetic) / (freedom * 0.0083145) == pytest.approx(400.0, rel=0.08)


@pytest.mark.parametrize("kind", ["torsions", "mixed", "distance", "centres"])
def test_a_grid_bias_has_the_energy_of_its_grid_and_the_force_of_its_energy(kind: str) -> None:
    axes = {
        "torsions": (Axis(PHI_ATOMS), Axis(PSI_ATOMS)),
        "mixed": (Axis((0, 18), 4.0, 10.0), Axis(PSI_ATOMS)),
        "distance": (Axis((0, 18), 4.0, 10.0),),
        "centres": (Axis(((0, 4, 5), (16, 18)), 4.0, 10.0), Axis(PSI_ATOMS)),
    }[kind]
    built, bias = peptide("ACE-ALA-NME"), GridBias(axes)

    def shape(axis: Axis, values: np.ndarray) -> np.ndarray:
        return 2 * np.cos(values - 0.5) if axis.periodic else 0.3 * (values - 5.0) ** 2

    bias.set(sum(np.meshgrid(*(shape(a, a.points()) for a in axes), indexing="ij")))
    system = openmm.System()
    for k in range(22):
        system.addParticle(float(k != 18))  # one is at rest, without mass
    system.addForce(bias.force)
    context = openmm.Context(system, openmm.VerletIntegrator(1e-3), openmm.Platform.getPlatformByName("Reference"))

    def state(x: np.ndarray) -> tuple[float, np.ndarray]:
        context.setPositions(0.1 * x)
        now = context.getState(energy=True, forces=True)
        return now.getPotentialEnergy()._value / 4.184, now.getForces(asNumpy=True)._value / 41.84

    x = built.positions
    first, second = (x[[0, 4, 5]].mean(0), x[[16, 18]].mean(0)) if kind == "centres" else (x[0], x[18])
    value = [torsion(x[None], a.particles)[0] if a.periodic else np.linalg.norm(first - second) for a in axes]
    expected = sum(float(shape(a, np.array(v))) for a, v in zip(axes, value, strict=True))
    energy, forces = state(x)
    assert energy == pytest.approx(expected, abs=2e-3)
    moved = x.copy()
    moved[18, 1] += 1e-3
    below = x.copy()
    below[18, 1] -= 1e-3
    assert forces[18, 1] == pytest.approx(-(state(moved)[0] - state(below)[0]) / 2e-3, abs=1e-4)


def test_cells_of_a_torsion_go_round() -> None:
    axis = Axis(PHI_ATOMS)
    assert len(axis.points()) == POINTS
    assert axis.cell(np.array([-np.pi, np.pi, np.pi - 0.01, 0.0])).tolist() == [0, 0, 0, POINTS // 2]
