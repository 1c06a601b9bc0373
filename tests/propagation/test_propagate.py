"""The whole loop on a small protein: bytes, clocks, schedules, frozen residues, bonded geometry."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from refine.energy.assemble import assemble
from refine.energy.bonds import CA, NEXT_CA
from refine.energy.free_energy import EnergyTable, FreeEnergy
from refine.energy.settings import EnergySettings
from refine.energy.system import System
from refine.errors import EngineError, InputError
from refine.propagation.constraints import CA_CA, O_CA, Constraints
from refine.propagation.propagate import Trajectory, propagate
from refine.propagation.schedules import annealing, constant, cycles, schedule_of
from refine.propagation.settings import FURTHER, STEPS, PropagationSettings
from refine.structure.geometry import dihedral, rotation_from_vector
from tests.proteins import small_protein

PROTEIN = small_protein(24)
COORDS = torch.from_numpy(PROTEIN.coords[:, :, :4])
ALL = torch.ones(24, dtype=torch.bool)
SYSTEM = System.from_protein(PROTEIN)
SHORT = PropagationSettings(replicas=2, steps=12, further=0, keep_every=5, refresh_every=4)


@dataclasses.dataclass(frozen=True)
class Learned:
    """A target 1 Å beside where each residue was at the last refresh: it moves on for ever."""

    calls: list[int]
    target: Tensor | None = None
    name: str = "learned"

    def __call__(self, coords: Tensor) -> Tensor:
        target = coords.detach() if self.target is None else self.target
        return 1.0 * ((coords - target) ** 2).sum((-1, -2))

    def at(self, coords: Tensor) -> Learned:
        self.calls.append(1)
        return dataclasses.replace(self, target=coords + torch.tensor([1.0, 0, 0]))


def energy() -> FreeEnergy:
    return assemble(SYSTEM, EnergySettings())


def go(
    settings: PropagationSettings = SHORT, seed: int = 0, f: FreeEnergy | None = None, mobile: Tensor = ALL
) -> Trajectory:
    return propagate(f or energy(), COORDS, settings, seed, mobile, Constraints.of(SYSTEM))


@pytest.mark.parametrize("method", ["overdamped", "baoab"])
def test_same_seed_same_bytes_even_with_a_used_energy(method: str) -> None:
    settings, used = dataclasses.replace(SHORT, method=method), energy()
    first = go(settings, f=used)
    assert go(settings, f=used).final.numpy().tobytes() == first.final.numpy().tobytes()
    assert go(settings).final.numpy().tobytes() == first.final.numpy().tobytes()


def test_zero_is_a_seed_like_any_other() -> None:
    ends = [go(seed=seed).final for seed in (0, 1, 0)]
    assert torch.equal(ends[0], ends[2]) and not torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0][0], ends[0][1])  # replicas differ


def test_snapshots_energies_and_progress() -> None:
    reports: list[tuple[int, int, float]] = []

    def on_step(step: int, total: int, table: EnergyTable, at: Tensor) -> None:
        reports.append((step, total, float(table.total[0])))
        places.append(at)

    places: list[Tensor] = []
    result = propagate(energy(), COORDS, SHORT, 0, ALL, Constraints.of(SYSTEM), on_step)
    assert torch.equal(places[-1], result.final)
    assert result.snapshots.shape == (3, 2, 24, 4, 3)  # steps 5, 10 and the last
    assert torch.equal(result.snapshots[-1], result.final)
    assert [s for s, _, _ in reports] == list(range(1, 13)) and reports[0][1] == 12
    assert reports[4][2] == pytest.approx(float(result.energies[0, 0]))
    torch.testing.assert_close(result.energies[-1], energy()(result.final).total)


@pytest.mark.parametrize(("settled", "steps"), [(1.0, 20), (0.0, 12)])
def test_a_way_whose_steps_have_become_small_goes_on(settled: float, steps: int) -> None:
    totals: list[int] = []

    def on_step(step: int, total: int, table: EnergyTable, at: Tensor) -> None:
        totals.append(total)

    usual = go(dataclasses.replace(SHORT, keep_every=1))
    settings = dataclasses.replace(SHORT, keep_every=1, further=8, settled=settled)
    result = propagate(energy(), COORDS, settings, 0, ALL, Constraints.of(SYSTEM), on_step)
    assert len(result.snapshots) == len(totals) == steps
    assert torch.equal(result.snapshots[:12], usual.snapshots)
    assert totals == [20] * 11 + [steps] * (steps - 11)


def test_the_last_step_before_decides_by_what_may_move() -> None:
    """A step of 0.05 Å a residue, of which one may move: nothing counts that stands still."""

    @dataclasses.dataclass(frozen=True)
    class Pull:
        name: str = "pull"

        def __call__(self, coords: Tensor) -> Tensor:
            return (coords - COORDS - 10.0).sum((-1, -2))

        def at(self, coords: Tensor) -> Pull:
            return self

    one = torch.zeros_like(ALL)
    one[7] = True
    settings = PropagationSettings(steps=2, further=3, sweeps=0, step_size=0.03)
    f = FreeEnergy((Pull(),))
    for settled, steps in ((0.04, 2), (0.06, 5)):
        plan = dataclasses.replace(settings, settled=settled)
        assert len(propagate(f, COORDS, plan, 0, one, None).snapshots) == steps
    assert len(propagate(f, COORDS, settings, 0, torch.zeros_like(ALL), None).snapshots) == 2


def test_a_settled_way_ends_where_its_steps_grow() -> None:
    """Steps of 0.010, 0.008, 0.006 Å and, from the fourth on, half as long again as the one before."""

    @dataclasses.dataclass(frozen=True)
    class Pull:
        made: list[int]
        name: str = "pull"

        def __call__(self, coords: Tensor) -> Tensor:
            sizes = (0.010, 0.008, 0.006, 0.0065, 0.009, 0.0135, 0.02)
            return sizes[len(self.made) - 1] / 0.01 / math.sqrt(3.0) * coords.sum((-1, -2))

        def at(self, coords: Tensor) -> Pull:
            self.made.append(1)
            return self

    settings = PropagationSettings(steps=1, further=5, settled=0.02, sweeps=0)
    result = propagate(FreeEnergy((Pull([]),)), COORDS, settings, 0, ALL, None)
    steps = torch.cat((COORDS[None], result.snapshots)).diff(dim=0)[:, 0, :, 1].norm(dim=-1).mean(-1)
    assert steps.tolist() == pytest.approx([0.010, 0.008, 0.006, 0.0065, 0.009], rel=1e-3)


@pytest.mark.parametrize("method", ["overdamped", "baoab"])
def test_other_methods_make_the_steps_that_were_asked_for(method: str) -> None:
    settings = dataclasses.replace(SHORT, method=method, keep_every=1, further=8, settled=1.0)
    assert len(go(settings).snapshots) == 12


def test_another_number_of_steps_than_the_default_is_that_number() -> None:
    assert PropagationSettings().further_steps == FURTHER == PropagationSettings(steps=STEPS).further_steps
    assert (
        PropagationSettings(steps=STEPS + 1).further_steps == PropagationSettings(steps=0, further=5).further_steps == 0
    )
    assert PropagationSettings(steps=5, further=7).further_steps == 7
    with pytest.raises(InputError, match="further"):
        PropagationSettings(further=-1)


def test_no_steps_gives_back_the_start() -> None:
    result = go(dataclasses.replace(SHORT, steps=0))
    assert result.snapshots.shape[0] == 1 and torch.equal(result.final, COORDS.expand(2, -1, -1, -1))


def test_the_two_clocks() -> None:
    calls: list[int] = []
    f = FreeEnergy((Learned(calls), *energy().terms))
    go(f=f)
    assert len(calls) == 1 + 12 // 4


@pytest.mark.parametrize("method", ["overdamped", "baoab"])
def test_frozen_residues_keep_every_bit_through_everything(method: str) -> None:
    mobile = ALL.clone()
    mobile[5:9] = False
    settings = dataclasses.replace(SHORT, method=method, steps=30)
    f = FreeEnergy((Learned([]), *energy().terms))
    result = go(settings, f=f, mobile=mobile)
    frozen = COORDS[0, 5:9].numpy().tobytes()
    for snapshot in result.snapshots.flatten(0, 1):
        assert snapshot[5:9].numpy().tobytes() == frozen
    assert (result.final[:, :5] - COORDS[:, :5]).norm(dim=-1).min() > 1e-4


def test_large_learned_steps_keep_the_bonded_geometry() -> None:
    """A drift of 0.3 Å a step in random directions, residue by residue: plain steps would tear the chain apart."""

    @dataclasses.dataclass(frozen=True)
    class Shove:
        name: str = "shove"
        target: Tensor | None = None

        def __call__(self, coords: Tensor) -> Tensor:
            target = coords.detach() if self.target is None else self.target
            return 0.5 * ((coords - target) ** 2).sum((-1, -2))

        def at(self, coords: Tensor) -> Shove:
            shift = torch.randn(*coords.shape[:2], 1, 3, generator=torch.Generator().manual_seed(0))
            return dataclasses.replace(self, target=coords + shift)

    settings = PropagationSettings(
        replicas=2, steps=30, step_size=0.2, noise=0.0, refresh_every=5, sweeps=8, max_step=0.3
    )
    result = go(settings, f=FreeEnergy((Shove(), *energy().terms)))
    n, ca, c = (result.final[:, :, k] for k in range(3))
    assert ((ca - n).norm(dim=-1) - 1.458).abs().max() < 0.1
    assert ((c[:, :-1] - n[:, 1:]).norm(dim=-1) - 1.329).abs().max() < 0.1
    omega = dihedral(ca[:, :-1], c[:, :-1], n[:, 1:], ca[:, 1:]).abs()
    assert omega.min() > np.radians(150)
    assert (result.final - COORDS).norm(dim=-1).mean() > 0.5
    torn = go(dataclasses.replace(settings, sweeps=0), f=FreeEnergy((Shove(), *energy().terms))).final
    assert ((torn[:, :, 1] - torn[:, :, 0]).norm(dim=-1) - 1.458).abs().max() > 0.2


def test_projection_of_torn_bonds() -> None:
    generator = torch.Generator().manual_seed(0)
    turn = rotation_from_vector(0.1 * torch.randn(1, 24, 3, generator=generator))
    ca = COORDS[:, :, 1:2]
    torn = (COORDS - ca) @ turn.transpose(-1, -2) + ca + 0.17 * torch.randn(1, 24, 1, 3, generator=generator)
    constraints = Constraints.of(SYSTEM)
    fixed = constraints.restore(torn, ALL, 8)
    assert float(constraints.worst(torn)) > 0.4 and float(constraints.worst(fixed)) < 0.05
    assert float((fixed.mean((1, 2)) - torn.mean((1, 2))).abs().max()) < 1e-4  # no push
    before, after = energy()(torn).replica(0), energy()(fixed).replica(0)
    for name in ("bonds", "angles", "omega"):
        assert after[name] < 0.25 * before[name], name


def test_projection_leaves_good_geometry_alone_to_the_bit_and_does_not_see_rotation() -> None:
    constraints = Constraints.of(SYSTEM)
    assert torch.equal(constraints.restore(COORDS, ALL, 4), COORDS)
    torn = COORDS.double() + 0.2 * torch.randn(
        COORDS.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    turn = rotation_from_vector(torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64))
    torch.testing.assert_close(
        constraints.restore(torn @ turn.T, ALL, 4), constraints.restore(torn, ALL, 4) @ turn.T, atol=1e-5, rtol=0
    )


def test_constraints_know_cis_peptides_and_chain_breaks() -> None:
    cis, bonded = SYSTEM.cis.clone(), SYSTEM.bonded.clone()
    cis[3], bonded[7] = True, False
    constraints = Constraints.of(dataclasses.replace(SYSTEM, cis=cis, bonded=bonded))
    assert constraints.sign[3] == 1 and constraints.sign[4] == -1 and constraints.sign[7] == 0
    between_ca = next(kind for kind in constraints.kinds if (kind.first, kind.second) == (CA, NEXT_CA))
    assert between_ca.upper[3] < between_ca.lower[4] and between_ca.upper[7] == float("inf")


def test_peptide_distances_are_those_of_the_textbook() -> None:
    assert CA_CA[False] == pytest.approx(3.80, abs=0.02) and CA_CA[True] == pytest.approx(2.94, abs=0.2)
    assert O_CA[False] == pytest.approx(2.78, abs=0.05) and O_CA[True] == pytest.approx(3.58, abs=0.15)


def test_schedules() -> None:
    assert [constant()(t) for t in (0.0, 0.5, 1.0)] == [1, 1, 1]
    cooling = annealing(0.1)
    assert [cooling(t) for t in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.55, 0.1])
    cycle = cycles(3, 0.0)
    assert [cycle(t) for t in (0.0, 1 / 6, 1 / 3, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 1.0, 0.5, 0.0])
    for name in ("annealing", "cycles"):
        at = schedule_of(PropagationSettings(steps=30, schedule=name, noise=0.4, cold=0.25, step_size=0.1, cycles=2))
        points = [at(i) for i in range(30)]
        assert points[0].alpha_b == pytest.approx(0.4) and points[0].temperature == pytest.approx(300)
        assert points[-1].alpha_b == pytest.approx(0.1, abs=0.005)
        assert all(p.alpha_a == 0.1 for p in points)
        assert max(p.alpha_b for p in points[10:20]) > (0.35 if name == "cycles" else 0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "warp"},
        {"schedule": "x"},
        {"steps": -1},
        {"noise": -0.1},
        {"step_size": float("nan")},
        {"keep_every": 0},
    ],
)
def test_settings_refuse_nonsense(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        PropagationSettings(**wrong)  # type: ignore[arg-type]


def test_replicas_must_fit() -> None:
    with pytest.raises(EngineError, match="3 structures for 2"):
        propagate(energy(), COORDS.repeat(3, 1, 1, 1), SHORT, 0, ALL, None)
