"""Hydroxyproline is a residue of the force field: its oxygen moves with its ring."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from refine.finishing.finish import finish
from refine.finishing.settings import FinishSettings
from refine.physics.forcefield import ForceFieldSystem
from refine.structure.connections import held_residues
from refine.structure.gemmi_model import build_structure
from refine.structure.geometry import rotation_from_vector
from refine.structure.prepare import prepare
from refine.structure.protein import Connection, Protein, Site
from refine.structure.ride import ride
from tests.conftest import ROOT

CONOTOXIN = ROOT / "tests" / "data" / "bonded" / "conotoxin.pdb"
HYDROXYPROLINES = (1, 2, 13)
RING = (4, 5, 6)
"""CB, CG, CD."""


@pytest.fixture(scope="module")
def conotoxin() -> Protein:
    return prepare(CONOTOXIN).protein


def about_the_oxygen(protein: Protein) -> np.ndarray:
    """(3, 4) per hydroxyproline: Å from OD1 to CB, CG, CD, and the volume in Å³ that it spans with them."""
    rows = []
    for k, i, *_ in protein.riders:
        to = protein.coords[0, i, RING].astype(np.float64) - np.array(protein.hetero[k].position)
        rows.append([*np.linalg.norm(to, axis=1), np.linalg.det(to)])
    return np.array(rows)


def turned(protein: Protein, angle: float) -> np.ndarray:
    """Backbone (1, L, 4, 3) turned about the origin."""
    rot = rotation_from_vector(torch.tensor([0.0, 0.6 * angle, 0.8 * angle], dtype=torch.float64)).numpy()
    return (protein.coords[:, :, :4].astype(np.float64) @ rot.T).astype(np.float32)


def test_the_oxygen_follows_the_ring_of_every_replica(conotoxin: Protein) -> None:
    assert tuple(rider.residue for rider in conotoxin.riders) == HYDROXYPROLINES
    before = about_the_oxygen(conotoxin)
    backbone = np.concatenate([turned(conotoxin, angle) for angle in (0.0, 0.7, 2.0)])
    moved = ride(conotoxin, backbone)
    for r, model in enumerate(build_structure(moved)):
        one = moved.replica(r)
        assert about_the_oxygen(one) == pytest.approx(before, abs=1e-3)
        k, i, *_ = one.riders[0]
        assert model["A"][i].name == "HYP"
        (atom,) = [a for a in model["A"][i] if a.name == "OD1"]
        assert atom.pos.tolist() == pytest.approx(one.hetero[k].position)
    places = [moved.replica(r).hetero[conotoxin.riders[0].hetero].position for r in range(3)]
    assert np.linalg.norm(np.subtract(places[1], places[2])) > 1.0


def test_finishing_moves_it_and_keeps_its_bond_and_hand(conotoxin: Protein) -> None:
    held = held_residues(conotoxin)
    assert not held[list(HYDROXYPROLINES)].any()
    result = finish(conotoxin, FinishSettings(device="cpu"))
    assert result.report.flag == "complete" and not result.report.checks.introduced
    before, after = about_the_oxygen(conotoxin), about_the_oxygen(result.protein)
    assert after[:, 1] == pytest.approx(before[:, 1], abs=0.05)
    assert after == pytest.approx(before, abs=0.4) and (np.sign(after[:, 3]) == np.sign(before[:, 3])).all()
    shift = np.linalg.norm(
        result.protein.coords[0, HYDROXYPROLINES, 5] - conotoxin.coords[0, HYDROXYPROLINES, 5], axis=1
    )
    assert shift.min() > 0.1


def test_the_system_has_the_residue_and_its_charges(conotoxin: Protein) -> None:
    system = ForceFieldSystem(conotoxin, ~held_residues(conotoxin))
    own = [residue for residue in system.topology.residues() if residue.name == "HYP"]
    assert len(own) == 3
    names = {atom.name for atom in own[0].atoms()}
    assert {"OD1", "HD1", "HG2"} <= names and "HG3" not in names
    x = system.positions(conotoxin)
    index = {atom.name: atom.index for atom in own[0].atoms()}
    k = conotoxin.riders[0].hetero
    assert x[index["OD1"]] == pytest.approx(conotoxin.hetero[k].position)
    assert np.linalg.norm(x[index["HD1"]] - x[index["OD1"]]) == pytest.approx(0.96, abs=0.01)
    assert (
        not np.isin(x[system.topology.getNumAtoms() :].round(3), np.round(conotoxin.hetero[k].position, 3)).all(1).any()
    )


def test_it_is_held_where_the_force_field_does_not_know_it(conotoxin: Protein) -> None:
    """At the beginning of a chain, and where a sugar is on its oxygen."""
    first = conotoxin.select(range(1, len(conotoxin)))
    assert tuple(rider.residue for rider in first.riders) == (1, 12) and held_residues(first)[0]
    oxygen = conotoxin.riders[2].hetero
    sugar = dataclasses.replace(conotoxin.hetero[oxygen], residue_name="GAL", name="C1", element="C", order=99)
    bond = Connection("covalent", Site(-1, oxygen), Site(-1, len(conotoxin.hetero)), 1.4, "LINK")
    bound = dataclasses.replace(
        conotoxin, hetero=(*conotoxin.hetero, sugar), connections=(*conotoxin.connections, bond)
    )
    assert tuple(rider.residue for rider in bound.riders) == (1, 2) and held_residues(bound)[13]


def test_a_frozen_one_stays(conotoxin: Protein) -> None:
    mobile = ~held_residues(conotoxin)
    mobile[list(HYDROXYPROLINES)] = False
    result = finish(conotoxin, FinishSettings(device="cpu"), mobile)
    for k, i, *_ in conotoxin.riders:
        assert result.protein.hetero[k].position == conotoxin.hetero[k].position
        assert (result.protein.coords[0, i] == conotoxin.coords[0, i]).all()
