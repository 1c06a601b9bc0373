"""Charges at a pH, and conditions as the stages take them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from refine.constants import BOLTZMANN
from refine.errors import InputError
from refine.physics.conditions import Conditions
from refine.physics.titration import C_END, MODEL_PKA, N_END, Group, charges, predicted, titratable
from refine.propagation.settings import PropagationSettings
from refine.settings import RunSettings
from refine.structure.protein import Connection, Site
from tests.energy.test_electrostatics import charged


@pytest.mark.parametrize("kind", sorted(MODEL_PKA))
def test_a_group_is_half_charged_at_its_pka(kind: str) -> None:
    group = Group(0, kind, (4,), MODEL_PKA[kind])
    sign = 1.0 if kind in ("H", "K", "R", N_END) else -1.0
    assert group.charge(group.pka) == pytest.approx(0.5 * sign)
    states = [abs(group.charge(group.pka + shift)) > 0.5 for shift in (-0.1, 0.1)]
    assert states == ([True, False] if sign > 0 else [False, True])
    assert charges((group,), group.pka + sign * -2).round(2).tolist() == [0.99 * sign]


def test_groups_are_those_with_all_atoms_and_nothing_bonded_to_them() -> None:
    protein = charged(12)
    kinds = [g.kind for g in titratable(protein)]
    assert kinds.count("K") == 8 and kinds.count("D") == 4 and kinds.count(N_END) == kinds.count(C_END) == 1
    slot = protein.atom_names(3).index("NZ")
    bonded = dataclasses.replace(protein, connections=(Connection("covalent", Site(3, slot), Site(5, 7), 1.5, "LINK"),))
    assert 3 not in {g.residue for g in titratable(bonded) if g.kind == "K"}
    mask = protein.mask.copy()
    mask[4, slot] = False
    assert 4 not in {g.residue for g in titratable(dataclasses.replace(protein, mask=mask)) if g.kind == "K"}


def test_without_propka_values_are_those_in_water(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refine.physics.titration.find_spec", lambda name: None)
    groups, source = predicted(charged(12))
    assert "not installed" in source and {g.pka for g in groups if g.kind == "K"} == {MODEL_PKA["K"]}


def test_propka_tells_groups_of_a_structure_apart() -> None:
    pytest.importorskip("propka", reason="the extra 'conditions' is not installed")
    protein = charged(24)
    groups, source = predicted(protein)
    assert source == "predicted by propka"
    lysines = np.array([g.pka for g in groups if g.kind == "K"])
    assert len(lysines) == 16 and np.ptp(lysines) > 0.01 and (np.abs(lysines - MODEL_PKA["K"]) < 6).all()


def test_conditions_reach_the_stages_that_have_them() -> None:
    given = Conditions(temperature=350.0, ph=5.0, ionic=0.0)
    plain = RunSettings(conditions=given)
    assert plain.at_conditions.finishing.ph == 5.0 and plain.at_conditions.propagation == plain.propagation
    over = dataclasses.replace(plain, propagation=PropagationSettings(method="overdamped", step_size=0.02))
    assert over.at_conditions.propagation.noise_variance == pytest.approx(2 * 0.02 * BOLTZMANN * 350.0)
    inertial = dataclasses.replace(plain, propagation=PropagationSettings(method="baoab"))
    assert inertial.at_conditions.propagation.temperature == 350.0
    assert RunSettings().at_conditions == RunSettings()
    assert given.screening == float("inf") and given.permittivity < Conditions().permittivity


@pytest.mark.parametrize("values", [{"temperature": 100.0}, {"ph": 15.0}, {"ionic": -0.1}, {"ph": float("nan")}])
def test_conditions_that_cannot_be_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"conditions.{next(iter(values))}"):
        Conditions(**values)
