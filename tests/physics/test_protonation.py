"""Hydrogens at a pH against OpenMM's own choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from refine.physics.forcefield import _heavy_topology, _included
from refine.physics.protonation import bound_variants, protonated
from refine.structure.prepare import prepare

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "1a8o_model.pdb"


def described(topology: app.Topology) -> tuple[list[tuple[str, int]], list[tuple[int, int]]]:
    """Atoms with their residues, and bonds, in order."""
    atoms = [(a.name, a.residue.index) for a in topology.atoms()]
    return atoms, [(a.index, b.index) for a, b in topology.bonds()]


@pytest.mark.parametrize("ph", [3.0, 7.0, 11.0])
def test_the_same_hydrogens_as_openmm(ph: float) -> None:
    protein = prepare(EXAMPLE).protein
    included = _included(protein)
    topology, positions = _heavy_topology(protein, included, {})
    modeller = app.Modeller(topology, np.asarray(positions) * 0.1 * unit.nanometer)
    variants = bound_variants(protein, topology, included)
    modeller.addHydrogens(pH=ph, variants=variants, platform=openmm.Platform.getPlatformByName("CPU"))
    assert described(protonated(topology, positions, ph, variants)) == described(modeller.topology)
