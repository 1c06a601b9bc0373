"""The weighted sum and its table; the system behind it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from refine.energy.assemble import assemble
from refine.energy.free_energy import FreeEnergy
from refine.energy.restraint import start_pull
from refine.energy.settings import EnergySettings
from refine.energy.system import System
from refine.errors import EngineError, InputError
from refine.structure.protein import ResidueId
from tests.proteins import make_protein, small_protein


@dataclasses.dataclass(frozen=True)
class Well:
    """k/2 |x - target|^2, the target held fixed between calls of ``at``."""

    name: str = "well"
    stiffness: float = 2.0
    target: Tensor | None = None

    def __call__(self, coords: Tensor) -> Tensor:
        target = torch.zeros_like(coords) if self.target is None else self.target
        return 0.5 * self.stiffness * ((coords - target) ** 2).sum((-1, -2))

    def at(self, coords: Tensor) -> Well:
        return dataclasses.replace(self, target=coords + 1.0)


def coords(replicas: int = 2) -> Tensor:
    return torch.randn(replicas, 5, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_table_adds_up_and_weights_count() -> None:
    x = coords()
    energy = FreeEnergy((Well("a"), Well("b", 3.0), Well("c")), {"b": 2.0, "c": 0.0})
    table = energy(x)
    square = (x**2).sum((1, 2, 3))
    torch.testing.assert_close(table.per_term["a"], square)
    torch.testing.assert_close(table.per_term["b"], 3 * square)
    assert float(table.per_term["c"].abs().max()) == 0.0
    torch.testing.assert_close(table.total, 4 * square)
    torch.testing.assert_close(sum(value.sum(1) for value in table.per_residue.values()), table.total)
    torch.testing.assert_close(energy.forces(x)[0], -8 * x)


def test_implicit_terms_are_scored_but_exert_no_force() -> None:
    x = coords()
    energy = FreeEnergy((Well("a"), Well("b", 3.0))).with_implicit(frozenset({"b", "unknown"}))
    forces, table = energy.forces(x)
    torch.testing.assert_close(forces, -2 * x)
    torch.testing.assert_close(table.total, 2.5 * (x**2).sum((1, 2, 3)))


def test_at_refreshes_the_terms_and_leaves_the_old_energy_alone() -> None:
    x, energy = coords(), FreeEnergy((Well(),))
    moved = energy.at(x)
    torch.testing.assert_close(moved.forces(x)[0], 2 * torch.ones_like(x))
    torch.testing.assert_close(energy.forces(x)[0], -2 * x)


def test_forces_leave_their_argument_alone() -> None:
    x = coords()
    before = x.clone()
    FreeEnergy((Well(),)).forces(x)
    assert torch.equal(x, before) and not x.requires_grad and x.grad is None


@pytest.mark.parametrize(
    "make", [lambda: FreeEnergy((Well(), Well())), lambda: FreeEnergy(()), lambda: FreeEnergy((Well(),), {"wel": 1.0})]
)
def test_terms_and_weights_that_do_not_fit(make: object) -> None:
    with pytest.raises(InputError):
        make()  # type: ignore[operator]


def test_settings_refuse_what_is_no_weight() -> None:
    with pytest.raises(InputError, match="sterics"):
        EnergySettings(sterics=-1.0)


def test_start_pull_kinds() -> None:
    protein = small_protein(6)
    system = System.from_protein(protein)
    start = torch.from_numpy(protein.coords[0, :, :4])
    assert start_pull(system, start, 0.0) is None
    uniform = start_pull(system, start, 0.3)
    assert uniform is not None and uniform.stiffness.tolist() == pytest.approx([0.3] * 6)
    with pytest.raises(InputError, match="5 restraint weights for 6"):
        start_pull(system, start, torch.ones(5))
    with pytest.raises(InputError, match="negative"):
        start_pull(system, start, -torch.ones(6))


def test_system_of_a_protein() -> None:
    protein = make_protein(
        [small_protein(5).coords[0, :, :4], small_protein(4).coords[0, :, :4] + 30], ["AGPWC", "MMKL"]
    )
    system = System.from_protein(protein)
    assert system.chain_index.tolist() == [0] * 5 + [1] * 4
    assert system.bonded.tolist() == [True] * 4 + [False] + [True] * 3 + [False]
    assert system.has_cb.tolist() == [True, False] + [True] * 7
    assert system.has_centroid.tolist() == [False, False] + [True] * 7
    assert system.residue_index.tolist()[:5] == [0, 5, 12, 18, 1]
    assert not system.centroid_local[1].any()
    assert system.labels[0] == "A:1 A"
    assert system.position.tolist() == [1, 2, 3, 4, 5, 1, 2, 3, 4]


def test_numbers_that_do_not_ascend_are_counted_instead() -> None:
    protein = small_protein(4)
    protein = dataclasses.replace(
        protein, residue_ids=tuple(ResidueId("A", n, c) for n, c in ((9, ""), (9, "A"), (3, ""), (4, "")))
    )
    assert System.from_protein(protein).position.tolist() == [0, 1, 2, 3]


def test_incomplete_or_broken_coordinates_name_the_residue() -> None:
    protein = small_protein(6)
    coords_nan = protein.coords.copy()
    coords_nan[0, 3, 1, 0] = np.nan
    with pytest.raises(EngineError, match="A:4"):
        System.from_protein(dataclasses.replace(protein, coords=coords_nan))
    mask = protein.mask.copy()
    mask[2, 3] = False
    with pytest.raises(EngineError, match="A:3"):
        System.from_protein(dataclasses.replace(protein, mask=mask))


def test_a_short_or_single_residue_protein_has_an_energy() -> None:
    for length in (1, 2, 3):
        protein = small_protein(length)
        energy = assemble(System.from_protein(protein), EnergySettings())
        forces, table = energy.forces(torch.from_numpy(protein.coords[:, :, :4]))
        assert torch.isfinite(forces).all() and torch.isfinite(table.total).all()
