"""Reference tables: known places of torsion space, normalisation, smooth interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from refine.constants import AMINO_ACIDS, CHI_ATOMS
from refine.structure.reference import ramachandran, rotamers


def log_density(phi: float, psi: float, kind: int) -> float:
    return float(ramachandran().log_density(np.radians([phi]), np.radians([psi]), np.array([kind]))[0])


@pytest.mark.parametrize("kind", range(5))
def test_densities_integrate_to_one(kind: int) -> None:
    values = ramachandran().values[kind].astype(np.float64)
    assert np.exp(values).sum() * (2 * np.pi / len(values)) ** 2 == pytest.approx(1.0, abs=1e-3)


def test_known_regions() -> None:
    table = ramachandran()
    assert log_density(-63, -43, 0) > table.favoured[0] and log_density(-120, 130, 0) > table.favoured[0]
    assert log_density(0, 0, 0) < table.allowed[0] and log_density(120, -60, 0) < table.allowed[0]
    assert log_density(85, 10, 1) > table.favoured[1] > log_density(85, 10, 4)
    assert log_density(-120, 130, 2) < table.allowed[2] and log_density(-65, 145, 2) > table.favoured[2]
    assert log_density(60, 45, 0) > log_density(60, 45, 4)


def test_classes() -> None:
    bonded = np.array([True, True, True, True, False, True, False])
    assert ramachandran().classify("AGPVPIP", bonded).tolist() == [0, 1, 2, 3, 2, 3, 2]
    assert ramachandran().classify("VPI", np.array([False, True, False])).tolist() == [4, 2, 4]


def test_interpolation_meets_nodes_and_wraps() -> None:
    table = ramachandran()
    n = table.values.shape[-1]
    node = -np.pi + 2 * np.pi * np.arange(n) / n
    values = table.log_density(np.repeat(node, n), np.tile(node, n), np.zeros(n * n, np.int64)).reshape(n, n)
    assert np.allclose(values, table.values[0], atol=1e-5)
    assert log_density(180, 170, 0) == pytest.approx(log_density(-180, 170, 0), abs=1e-9)
    assert log_density(-70, 179.999, 0) == pytest.approx(log_density(-70, -179.999, 0), abs=1e-3)
    assert np.isnan(log_density(np.nan, 10, 0))


def test_gradient_equals_finite_differences() -> None:
    rng = np.random.default_rng(0)
    phi, psi = (torch.tensor(rng.uniform(-np.pi, np.pi, 20), requires_grad=True) for _ in range(2))
    kind = torch.tensor(rng.integers(0, 5, 20))
    assert torch.autograd.gradcheck(lambda a, b: ramachandran().interpolate(a, b, kind), (phi, psi))


def test_rotamers_of_every_residue() -> None:
    table = rotamers()
    for aa in AMINO_ACIDS:
        assert (aa in table) == bool(CHI_ATOMS[aa])
        if aa in table:
            r = table[aa]
            assert r.probability.sum() == pytest.approx(1, abs=1e-3) and (np.diff(r.probability) <= 0).all()
            assert r.mean.shape == r.sd.shape == (len(r.probability), len(CHI_ATOMS[aa]))
            assert np.allclose(r.backbone.sum(0), 1, atol=2e-3)
            assert r.log_density(r.mean[0]) > r.favoured > r.allowed


def test_known_rotamers() -> None:
    """The two frequent leucine rotamers (Lovell et al. 2000: mt 59 %, tp 29 %), and valine t."""
    leucine = rotamers()["L"]
    assert np.allclose(np.degrees(leucine.mean[0]) % 360, [295, 175], atol=8)
    assert np.allclose(np.degrees(leucine.mean[1]) % 360, [180, 64], atol=8)
    assert leucine.probability[0] == pytest.approx(0.6, abs=0.06) and leucine.probability[1] == pytest.approx(
        0.29, abs=0.05
    )
    assert np.degrees(rotamers()["V"].mean[0, 0]) == pytest.approx(175, abs=8)
    assert leucine.log_density(np.radians([0.0, 0.0])) < leucine.allowed


def test_density_of_rotamers_integrates_to_one() -> None:
    angle = np.radians(np.arange(-180, 180, 2.0))
    for aa, n in (("S", 1), ("L", 2), ("F", 2)):
        r = rotamers()[aa]
        grid = np.stack(np.meshgrid(*[angle * (p / (2 * np.pi)) for p in r.period], indexing="ij"), -1)
        cell = np.prod(r.period) / len(angle) ** n
        assert np.exp(r.log_density(grid)).sum() * cell == pytest.approx(1, abs=0.01)


def test_backbone_dependence() -> None:
    valine = rotamers()["V"]
    helix, sheet = (valine.given_backbone(*np.radians(a)) for a in ((-63, -43), (-120, 130)))
    assert helix.sum() == pytest.approx(1) and helix[0] > sheet[0]
    assert np.array_equal(valine.given_backbone(float("nan"), 0.0), valine.probability)
