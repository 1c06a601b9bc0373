"""The energy that the relaxation minimises, against an evaluation of the force field that is not OpenMM's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from openmm import app

from refine.finishing.relax import Relaxer
from refine.finishing.settings import FinishSettings
from refine.physics.forces import BONDED, NONBONDED, SOLVENT
from tests.finishing.amber import Peptide, dihedral
from tests.finishing.peptides import peptide

FILE = Path(app.__file__).parent / "data" / "amber14" / "protein.ff14SB.xml"
KJ_PER_KCAL = 4.184
CUTOFF = 1.0
"""nm, of the relaxation's non-bonded forces."""
OMEGA_K = 20.0
"""kcal/mol, of the relaxation's own term on peptide planes."""

RADII = {"C": (0.17, 0.72), "N": (0.155, 0.79), "O": (0.15, 0.85), "HN": (0.13, 0.85), "H": (0.12, 0.85)}
"""nm and scales of mbondi2 with OBC (Onufriev, Bashford & Case 2004): hydrogens on nitrogen are larger."""
RESIDUES = ("NSER", "TRP", "PRO", "GLN", "CLYS")
"""Rings, an amide, hydroxyl and ammonium groups, proline, both charged ends."""


@pytest.fixture(scope="module")
def built() -> tuple[Relaxer, Peptide, np.ndarray]:
    """The relaxation's system of a peptide, the oracle's, and positions (A, 3) in nm a little off every ideal value."""
    chain = peptide("SWPQK")
    relaxer = Relaxer(chain, FinishSettings(device="cpu"), np.ones(len(chain), dtype=np.bool_))
    names = [(atom.residue.index, atom.name) for atom in relaxer._forcefield.topology.atoms()]
    atoms = [(0, "H1") if name == (0, "H") else name for name in names]  # OpenMM and the file call it so
    x = 0.1 * (relaxer._forcefield.positions(chain) + np.random.default_rng(0).normal(0, 0.05, (len(atoms), 3)))
    relaxer._context.setPositions(x)
    return relaxer, Peptide(FILE, RESIDUES, atoms), x


def test_bonds_angles_and_torsions(built: tuple[Relaxer, Peptide, np.ndarray]) -> None:
    relaxer, oracle, x = built
    parts = [oracle.bond_energy(x), oracle.angle_energy(x), oracle.torsion_energy(x), oracle.improper_energy(x)]
    assert min(parts) > 1.0  # kJ/mol: no term is empty
    number = {atom: k for k, atom in enumerate(oracle.atoms)}
    planes = [[(i, "CA"), (i, "C"), (i + 1, "N"), (i + 1, "CA")] for i in range(len(RESIDUES) - 1)]
    own = sum(OMEGA_K * (1 + np.cos(dihedral(*(x[number[a]] for a in plane)))) for plane in planes)
    assert relaxer._energy((BONDED,)) == pytest.approx(sum(parts) / KJ_PER_KCAL + own, rel=1e-6)


def test_lennard_jones_and_coulomb(built: tuple[Relaxer, Peptide, np.ndarray]) -> None:
    relaxer, oracle, x = built
    lennard_jones, coulomb = oracle.nonbonded_energy(x, CUTOFF)
    for scale in (0.0, 1.0):
        relaxer._context.setParameter("charge_scale", scale)
        assert relaxer._energy((NONBONDED,)) == pytest.approx((lennard_jones + scale * coulomb) / KJ_PER_KCAL, abs=1e-3)
    assert abs(coulomb) > 100 and abs(lennard_jones) > 10


def test_generalised_born_solvent(built: tuple[Relaxer, Peptide, np.ndarray]) -> None:
    relaxer, oracle, x = built
    elements = [
        "HN" if name[0] == "H" and on_nitrogen(oracle, k) else name[0] for k, (_, name) in enumerate(oracle.atoms)
    ]
    radii, scales = (np.array(column) for column in zip(*(RADII[e] for e in elements), strict=True))
    expected = oracle.born_energy(x, radii, scales, CUTOFF) / KJ_PER_KCAL
    assert expected < -50
    assert relaxer._energy((SOLVENT,)) == pytest.approx(expected, rel=1e-5)


def on_nitrogen(oracle: Peptide, atom: int) -> bool:
    return any(oracle.atoms[k][1][0] == "N" for k in oracle.neighbours[atom])
