"""Internal coordinates of whole molecules."""

from __future__ import annotations

import pytest
import torch
from openmm import app

from refine.errors import EngineError
from refine.physics.peptide import peptide
from refine.physics.zmatrix import ZMatrix


def shaken(count: int) -> tuple[ZMatrix, torch.Tensor]:
    built = peptide("ACE-VAL-NME")
    noise = torch.randn(count, len(built.positions), 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return ZMatrix.of(built.topology), torch.from_numpy(built.positions) + 0.05 * noise


def test_there_and_back() -> None:
    tree, x = shaken(4)
    q = tree.internal(x)
    back = tree.cartesian(q)
    assert q.shape == (4, 3 * x.shape[1] - 6)
    assert float((torch.cdist(x, x) - torch.cdist(back, back)).abs().max()) < 1e-6
    assert float((tree.internal(back) - q).abs().max()) < 1e-6


def test_volume_is_the_determinant_of_all_coordinates() -> None:
    tree, x = shaken(2)
    count = x.shape[1]

    def everything(values: torch.Tensor) -> torch.Tensor:
        """Positions from internal coordinates, three small turns about the axes and a shift."""
        a, b, c = values[-6:-3]
        zero = torch.zeros_like(a)
        turn = torch.stack((zero, -c, b, c, zero, -a, -b, a, zero)).view(3, 3).matrix_exp()
        return (tree.cartesian(values[None, :-6])[0] @ turn.T + values[-3:]).flatten()

    for q in tree.internal(x):
        values = torch.cat((q, torch.zeros(6, dtype=q.dtype)))
        full = torch.autograd.functional.jacobian(everything, values)
        assert full.shape == (3 * count, 3 * count)
        assert float(torch.linalg.slogdet(full)[1]) == pytest.approx(float(tree.log_volume(q[None])), abs=1e-6)


def test_turning_a_bond_changes_one_number_and_keeps_all_others() -> None:
    tree, x = shaken(1)
    q = tree.internal(x)
    for place in tree.rotations:
        turned = q.clone()
        turned[0, tree.torsion_of(place)] += 0.7
        again = tree.internal(tree.cartesian(turned))
        changed = torch.remainder(again - q + 1e-6, 2 * torch.pi) - 1e-6
        assert changed.abs().gt(1e-6).nonzero()[:, 1].tolist() == [tree.torsion_of(place)]


def test_hands_are_kept() -> None:
    tree, x = shaken(1)
    mirrored = tree.cartesian(tree.internal(x * torch.tensor((1.0, 1.0, -1.0), dtype=torch.float64)))
    same = tree.cartesian(tree.internal(x))
    four = list(tree.order[7:11])
    volume = [float(torch.linalg.det(y[0, four[1:]] - y[0, four[0]])) for y in (x, same, mirrored)]
    assert volume[1] == pytest.approx(volume[0], abs=1e-6)
    assert volume[2] == pytest.approx(-volume[0], abs=1e-6)


def test_rings_and_loose_parts_are_refused() -> None:
    with pytest.raises(EngineError, match="without rings"):
        ZMatrix.of(peptide("ACE-PRO-NME").topology)
    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    for name in "ABCD":
        topology.addAtom(name, app.element.carbon, residue)
    with pytest.raises(EngineError, match="one molecule"):
        ZMatrix.of(topology)
