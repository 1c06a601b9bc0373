"""Energies that finishing adds to the force field for backbones that the propagation has refined: densities of phi and
psi, staggered methyl groups, and a floor under the volume of chiral centres.

The input is relaxed without them: it is what the propagation begins from, and with them complete runs ended 0.08 ± 0.06
GDT-HA lower (18 targets; benchmarks/LOG.md).
"""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray

from refine.constants import BOLTZMANN
from refine.physics.forcefield import KJ_PER_KCAL, ForceFieldSystem
from refine.physics.forces import TORSIONS
from refine.structure.chemistry import chiral_volumes
from refine.structure.protein import Protein
from refine.structure.reference import ramachandran

TEMPERATURE = 300.0
"""K, at which a log density becomes an energy."""
_MARGIN = 1.0
"""Log density above the edge of the favoured region at which the energy goes over into nothing."""
_EVERY = 5
"""Nodes of the table to one of the map. OpenMM copies its maps at every evaluation on a CPU: all 120 nodes a side would
double the time of finishing, 24 cost nothing that can be measured, with the same result.
"""
_LEAST_VOLUME = 2.0
"""Å³, of the 2.6 that a chiral centre spans with three neighbours."""
_HAND_K = 10.0 * KJ_PER_KCAL
"""Per Å⁶ below that."""
_METHYL_K = 2.0 * KJ_PER_KCAL
"""Of each hydrogen. Turned out of their staggered place, methyls would hide that their neighbours are too near."""


def ramachandran_maps(weight: float) -> NDArray[np.float64]:
    """Energies (5, n, n) in kJ/mol of the classes of ``RamachandranTable``; node (i, j) lies at phi = i·2π/n, psi =
    j·2π/n.

    E = weight · kT · log(1 + p₀ / p(phi, psi | class)), p₀ = e · density at the edge of the favoured region. Outside it
    this is −kT log p and a constant; inside it is next to nothing, as the force field knows more of a residue that is
    there than a density of all proteins does.
    """
    table = ramachandran()
    half = table.values.shape[-1] // 2  # the table's nodes begin at −π, OpenMM's at 0
    log_p = np.roll(table.values.astype(np.float64), (-half, -half), (1, 2))[:, ::_EVERY, ::_EVERY]
    depth = np.logaddexp(0.0, table.favoured.astype(np.float64)[:, None, None] + _MARGIN - log_p)
    return weight * BOLTZMANN * TEMPERATURE * KJ_PER_KCAL * depth


def ramachandran_force(protein: Protein, forcefield: ForceFieldSystem, weight: float) -> openmm.CMAPTorsionForce:
    """A map for each residue of the system that is bonded to two others of it, in the group ``TORSIONS``."""
    force = openmm.CMAPTorsionForce()
    for values in ramachandran_maps(weight):
        force.addMap(len(values), values.T.ravel().tolist())  # phi runs first
    kind = ramachandran().classify(protein.sequence, protein.bonded)
    included, p = forcefield.included, forcefield.particle
    joined = protein.bonded[:-1] & included[:-1] & included[1:]
    for i in (np.flatnonzero(joined[:-1] & joined[1:]) + 1).tolist():
        phi = (p[i - 1, 2], p[i, 0], p[i, 1], p[i, 2])
        psi = (p[i, 0], p[i, 1], p[i, 2], p[i + 1, 0])
        force.addTorsion(int(kind[i]), *(int(a) for a in (*phi, *psi)))
    force.setForceGroup(TORSIONS)
    return force


def hand_force(protein: Protein, forcefield: ForceFieldSystem) -> openmm.CustomCompoundBondForce:
    """Holds up the volumes of the chiral centres that ``protein`` has right, in the group ``TORSIONS``.

    A CA that is held while phi and psi are pulled about it can be pressed flat instead.
    """
    axes = ("x", "y", "z")
    a, b, c = ([f"({axis}{k}-{axis}1)" for axis in axes] for k in (2, 3, 4))
    cross = [f"({b[i]}*{c[j]}-{b[j]}*{c[i]})" for i, j in ((1, 2), (2, 0), (0, 1))]
    volume = "+".join(f"{one}*{other}" for one, other in zip(a, cross, strict=True))
    force = openmm.CustomCompoundBondForce(4, f"{_HAND_K}*max(0, {_LEAST_VOLUME}-1000*({volume}))^2")
    residue, slots, volumes = chiral_volumes(protein)
    for i, four, here in zip(residue.tolist(), slots, volumes.tolist(), strict=True):
        particles = forcefield.particle[i, four]
        if here > _LEAST_VOLUME and forcefield.included[i] and (particles >= 0).all():
            force.addBond([int(p) for p in particles])
    force.setForceGroup(TORSIONS)
    return force


def methyl_force(forcefield: ForceFieldSystem) -> openmm.PeriodicTorsionForce:
    """Threefold torsions that hold the hydrogens of methyl groups staggered, in the group ``TORSIONS``."""
    atoms = list(forcefield.topology.atoms())
    bonded: list[list[int]] = [[] for _ in atoms]
    for one, other in forcefield.topology.bonds():
        bonded[one.index].append(other.index)
        bonded[other.index].append(one.index)
    force = openmm.PeriodicTorsionForce()
    for carbon in (atom.index for atom in atoms if atom.element.symbol == "C"):
        hydrogens = [a for a in bonded[carbon] if atoms[a].element.symbol == "H"]
        if len(hydrogens) == 3:
            (axis,) = set(bonded[carbon]) - set(hydrogens)
            behind = min(a for a in bonded[axis] if a != carbon)
            for hydrogen in hydrogens:
                force.addTorsion(behind, axis, carbon, hydrogen, 3, 0.0, _METHYL_K)
    force.setForceGroup(TORSIONS)
    return force
