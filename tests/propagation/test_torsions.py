"""Torsion space: its Jacobian, the recursion against dense least squares, what it keeps, what it holds, and a run."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from refine import cli
from refine.energy.assemble import assemble
from refine.energy.settings import EnergySettings
from refine.energy.system import System
from refine.errors import InputError
from refine.finishing.settings import FinishSettings
from refine.pipeline import refine_file
from refine.propagation.constraints import Constraints
from refine.propagation.internal import to_internal
from refine.propagation.propagate import propagate
from refine.propagation.settings import PropagationSettings
from refine.propagation.torsions import BRIDGED, DAMPING, HELD, TorsionSpace, twists
from refine.settings import RunSettings, read_settings
from refine.structure.protein import Connection, Protein, Site
from tests.conftest import ROOT
from tests.proteins import chain_backbone, make_protein, small_protein, torsions

LENGTHS = ("n_ca", "ca_c", "c_o", "c_n")
ANGLES = ("n_ca_c", "ca_c_o", "ca_c_n", "c_n_ca")


def space(protein: Protein, still: tuple[int, ...] = ()) -> TorsionSpace:
    mobile = torch.ones(len(protein), dtype=torch.bool)
    mobile[list(still)] = False
    return TorsionSpace.of(Constraints.of(System.from_protein(protein)), mobile)


def backbone(protein: Protein) -> torch.Tensor:
    return torch.from_numpy(protein.coords[:, :, :4].astype(np.float64))


def coordinates(of: TorsionSpace) -> list[tuple[int, int]]:
    """(residue, column) of all that is free: columns 0 to 2 are phi, psi, omega, 3 to 8 the twist of a segment."""
    joined = of.bonded.numpy().copy()
    joined[-1] = False
    out = []
    for i in range(len(joined)):
        begins = not (i and joined[i - 1])
        out += [(i, 3 + k) for k in range(6)] if begins else [(i, 0)]
        out += [(i, 1), (i, 2)] if joined[i] else [(i, 1)]
    return out


def dense_jacobian(of: TorsionSpace, x: torch.Tensor, step: float = 1e-5) -> np.ndarray:
    """∂x/∂q (12 L, K) by central differences of ``turned``."""
    columns = []
    for i, k in coordinates(of):
        ends = []
        for sign in (1, -1):
            q = np.zeros((1, x.shape[1], 9))
            q[0, i, k] = sign * step
            ends.append(of.turned(x, q[..., :3], q[..., 3:]).numpy().ravel())
        columns.append((ends[0] - ends[1]) / (2 * step))
    return np.stack(columns, 1)


def two_chains() -> Protein:
    return make_protein([chain_backbone(*torsions(7)), chain_backbone(*torsions(5, 1)) + 15.0])


def move_of(x: torch.Tensor, size: float, seed: int = 0) -> torch.Tensor:
    """A displacement (1, L, 4, 3) Å that changes slowly along the chain."""
    phase = torch.linspace(0, 6, x.shape[1], dtype=x.dtype)[:, None, None]
    axis = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    return size * (torch.sin(phase + torch.arange(3)) * axis).expand_as(x)


def test_the_motion_of_each_torsion_is_that_of_finite_differences() -> None:
    protein = two_chains()
    of, x = space(protein), backbone(protein)
    dense, axes = dense_jacobian(of, x), twists(x.numpy())
    for column, (i, k) in enumerate(coordinates(of)):
        twist = axes[0, i, k] if k < 3 else np.eye(6)[k - 3]
        expected = np.zeros((12, 4, 3))
        end = 7 if i < 7 else 12
        after = [(j, a) for j in range(i, end) for a in range(4)]
        if k < 3:  # what lies on the axis does not move in any case
            after = [(j, a) for j, a in after if j > i or a >= (2, 3, 4)[k]]
        for j, a in after:
            expected[j, a] = np.cross(twist[:3], x[0, j, a].numpy()) + twist[3:]
        np.testing.assert_allclose(dense[:, column].reshape(12, 4, 3), expected, atol=1e-7)


def test_the_recursion_gives_what_dense_damped_least_squares_give() -> None:
    protein = two_chains()
    of, x = space(protein, still=(5,)), backbone(protein)
    d = move_of(x, 0.5) + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    jacobian, free = dense_jacobian(of, x), coordinates(of)
    weight = np.repeat(of.weight, 12)
    damping = np.array([DAMPING[k] if k < 3 else 0.0 for _, k in free])
    left = jacobian.T @ (weight[:, None] * jacobian) + np.diag(damping)
    expected = np.linalg.solve(left, jacobian.T @ (weight * d.numpy().ravel()))
    turns, rigid = of.nearest(x.numpy(), d.numpy())
    q = np.concatenate((turns, rigid), -1)[0]
    np.testing.assert_allclose([q[place] for place in free], expected, atol=1e-5)
    assert np.count_nonzero(q) == len(free)


def test_a_step_leaves_lengths_and_angles_as_they_are_and_is_not_longer_than_what_it_follows() -> None:
    protein = small_protein(60)
    of, x = space(protein), backbone(protein)
    for size in (0.05, 0.3, 1.0):
        moved = of.follow(x, x + move_of(x, size))
        before, after = to_internal(x, of.bonded), to_internal(moved, of.bonded)
        for name in (*LENGTHS, *ANGLES):
            torch.testing.assert_close(getattr(after, name)[:, :-1], getattr(before, name)[:, :-1], rtol=0, atol=1e-9)
        assert (moved - x).square().sum() <= move_of(x, size).square().sum()
        assert (moved - x).norm(dim=-1).max() < 2 * move_of(x, size).norm(dim=-1).max()  # no lever arm


def test_what_torsions_can_do_is_done_exactly() -> None:
    x = torch.from_numpy(chain_backbone(*torsions(40)))[None]
    turned = torch.from_numpy(chain_backbone(*(t + 0.01 for t in torsions(40))))[None]
    of = space(make_protein([x[0].numpy()]))
    reached = x
    for _ in range(20):
        reached = of.follow(reached, turned)
    assert (reached - turned).norm(dim=-1).max() < 0.02 < 0.2 < (x - turned).norm(dim=-1).max()


def test_towards_the_native_the_deviation_falls_with_every_step() -> None:
    native = small_protein(50)
    target = backbone(native)
    of = space(native)
    start = of.follow(target, target + move_of(target, 1.5))
    x, deviations = start, []
    for _ in range(6):
        deviations.append(float((x - target)[:, :, 1].square().sum(-1).mean().sqrt()))
        x = of.follow(x, x + 0.4 * (target - x))
    assert all(b < a for a, b in itertools.pairwise(deviations))
    assert deviations[-1] < 0.2 * deviations[0]


def test_flat_peptides_stay_flat_and_twisted_ones_come_back() -> None:
    protein = small_protein(30)
    of, x = space(protein), backbone(protein)
    turns = np.zeros((1, 30, 3))
    turns[0, 10, 2] = np.radians(20.0)
    twisted = of.turned(x, turns, np.zeros((1, 30, 6)))
    omega = to_internal(of.follow(twisted, twisted), of.bonded).omega[0, :-1]
    away = (torch.remainder(omega, 2 * torch.pi) - torch.pi).abs().rad2deg()
    assert away[10] < 18.0 and away[[*range(10), *range(11, 29)]].max() < 5.0


@pytest.mark.parametrize("still", [(0, 1), (20, 21, 22), (10, 30), tuple(range(0, 40, 5))])
def test_residues_at_rest_stay_and_the_chain_between_them_stays_whole(still: tuple[int, ...]) -> None:
    protein = small_protein(40)
    of, x = space(protein, still), backbone(protein)
    d = move_of(x, 0.4)
    d[:, list(still)] = 0.0
    moved = of.follow(x, x + d)
    assert (moved - x)[:, list(still)].norm(dim=-1).max() < 0.01
    others = [i for i in range(40) if i not in still]
    assert (moved - x)[:, others].norm(dim=-1).max() > 0.05


def bridged() -> Protein:
    protein = small_protein(40)
    one = Connection("disulfide", Site(4, 5), Site(32, 5), 2.05, "SSBOND")
    return dataclasses.replace(protein, connections=(one,))


def test_disulfides_follow_the_step_closely() -> None:
    protein, plain = bridged(), small_protein(40)
    x = backbone(protein)
    d = torch.randn((1, 40, 1, 3), generator=torch.Generator().manual_seed(3), dtype=x.dtype).expand_as(x) * 0.3
    assert set(space(protein).weight) == {1.0, BRIDGED} and set(space(plain, (3,)).weight) == {1.0, HELD}
    apart = []
    for of in (space(protein), space(plain)):
        moved = of.follow(x, x + d)
        apart.append(float((moved - x - d)[0, [4, 32], 1].norm(dim=-1).max()))
    assert apart[0] < 0.5 * apart[1]


def test_no_bond_opens_in_a_propagation_and_the_default_is_untouched() -> None:
    protein = make_protein([chain_backbone(*torsions(25)), chain_backbone(*torsions(15, 2)) + 18.0])
    system = System.from_protein(protein)
    energy = assemble(system, EnergySettings())
    mobile = torch.ones(40, dtype=torch.bool)
    mobile[7:9] = False
    constraints, start = Constraints.of(system), torch.from_numpy(protein.coords[:, :, :4].copy())
    plan = PropagationSettings(steps=10, replicas=2, noise=0.01, schedule="constant", space="torsions")
    ended = propagate(energy, start, plan, 0, mobile, constraints).final
    again = propagate(energy, start, plan, 0, mobile, constraints).final
    assert torch.equal(ended, again) and torch.isfinite(ended).all()
    assert torch.equal(ended[:, 7:9], start.expand(2, -1, -1, -1)[:, 7:9])
    assert (ended - start).norm(dim=-1).max() > 0.3
    before, after = (to_internal(x, system.bonded) for x in (start, ended))
    inside = system.bonded.clone()
    inside[5:10] = False  # beside what rests the projection mends, within its tolerance
    for name in LENGTHS:
        off = (getattr(after, name) - getattr(before, name)).abs()
        assert off[:, inside].max() < 1e-5 and off[:, system.bonded].max() < 0.05
    plain = propagate(energy, start, dataclasses.replace(plan, space="cartesian"), 0, mobile, constraints).final
    assert not torch.equal(plain, ended)


def test_inertia_has_no_torsion_space() -> None:
    with pytest.raises(InputError, match="baoab"):
        PropagationSettings(space="torsions", method="baoab")
    with pytest.raises(InputError, match="space"):
        PropagationSettings(space="internal")


def test_the_option_is_one_of_the_command_line_of_settings_files_and_of_python(tmp_path: Path) -> None:
    assert PropagationSettings().space == "cartesian" and cli.parser().parse_args(["run", "x.pdb"]).space is None
    file = tmp_path / "settings.toml"
    file.write_text('[propagation]\nspace = "torsions"\nsteps = 3\n')
    assert read_settings(file).propagation == PropagationSettings(space="torsions", steps=3)
    options = cli.parser().parse_args(["run", "x.pdb", "--space", "torsions", "--steps", "5"])
    assert cli.settings_of(options).propagation == PropagationSettings(space="torsions", steps=5)


def test_a_run_in_torsion_space_ends_and_says_so(tmp_path: Path) -> None:
    lines = (ROOT / "examples" / "1a8o_model.pdb").read_text().splitlines()
    piece = tmp_path / "piece.pdb"
    piece.write_text("\n".join([t for t in lines if t.startswith("ATOM") and int(t[22:26]) <= 166] + ["END", ""]))
    settings = RunSettings(
        networks="none",
        models=1,
        propagation=PropagationSettings(space="torsions", steps=3),
        finishing=FinishSettings(max_iterations=3),
    )
    result = refine_file(piece, tmp_path / "run", settings, report=False)
    assert result.record["settings"]["propagation"]["space"] == "torsions" and result.models[0].is_file()
