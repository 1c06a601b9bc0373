"""The system of a protein: every atom has its particle, hydrogens sit where they belong, obstacles stand still."""

from __future__ import annotations

import dataclasses

import numpy as np
import openmm
import pytest
from openmm import unit

from refine.errors import EngineError
from refine.physics.forcefield import ForceFieldSystem
from refine.physics.forces import BONDED, NONBONDED, SOFT, SOLVENT
from refine.structure.arrays import angle
from refine.structure.protein import HeteroAtom, Protein
from tests.finishing.peptides import peptide

CHAIN = peptide("MKSWHPGTIRE")


def system_of(chain: Protein, *, solvent: bool = True) -> ForceFieldSystem:
    return ForceFieldSystem(chain, np.ones(len(chain), np.bool_), solvent=solvent)


@pytest.fixture(scope="module")
def whole() -> ForceFieldSystem:
    return system_of(CHAIN)


def test_positions_of_the_system_give_the_protein_back(whole: ForceFieldSystem) -> None:
    coords, oxt = whole.coordinates(whole.positions(CHAIN), CHAIN)
    assert np.array_equal(coords, CHAIN.coords[0]) and np.array_equal(oxt, CHAIN.oxt[0])
    assert ((whole.particle[:, :14] >= 0) == CHAIN.mask).all()
    assert (whole.residue_of[whole.particle[3][whole.particle[3] >= 0]] == 3).all()


def test_hydrogens_hang_on_their_heavy_atom_at_chemical_lengths_and_angles(whole: ForceFieldSystem) -> None:
    x, neighbours = whole.positions(CHAIN), {a.index: [] for a in whole.topology.atoms()}
    for a, b in whole.topology.bonds():
        neighbours[a.index].append(b.index)
        neighbours[b.index].append(a.index)
    hydrogens = [a.index for a in whole.topology.atoms() if a.element.symbol == "H"]
    assert len(hydrogens) > 60
    for h in hydrogens:
        (parent,) = neighbours[h]
        assert 0.9 < np.linalg.norm(x[h] - x[parent]) < 1.4
        for other in neighbours[parent]:
            assert other == h or 95 < np.degrees(angle(x[h], x[parent], x[other])) < 135


def test_obstacles_are_particles_without_mass_at_the_end() -> None:
    near = tuple(float(v) for v in CHAIN.coords[0, 3, 4] + np.array([4.0, 0.0, 0.0], np.float32))
    far = HeteroAtom("B", 2, "", "HOH", "O", "O", (90.0, 0.0, 0.0))
    ligand = HeteroAtom("B", 1, "", "LIG", "C1", "C", near)
    met = system_of(dataclasses.replace(CHAIN, hetero=(ligand, far)))
    count = met.topology.getNumAtoms()
    assert met.system.getNumParticles() == count + 1
    assert met.system.getParticleMass(count).value_in_unit(unit.dalton) == 0.0
    np.testing.assert_allclose(met.positions(CHAIN)[-1], near, atol=1e-5)


def test_every_force_has_its_group_and_solvent_is_an_option() -> None:
    for solvent in (True, False):
        system = system_of(CHAIN, solvent=solvent)
        restraint = openmm.CustomExternalForce("0")
        restraint.setForceGroup(31)
        platform, context = system.open("cpu", 1, (restraint,))
        groups = {force.getForceGroup() for force in context.getSystem().getForces()}
        assert platform == "CPU" and groups == {BONDED, NONBONDED, SOFT} | ({SOLVENT} if solvent else set())


def test_a_protein_without_two_complete_bonded_residues_is_refused() -> None:
    with pytest.raises(EngineError, match="no bonded stretch"):
        system_of(CHAIN.select([0, 2, 4]))
