"""The numpy side of the geometry: the same numbers, whatever array comes in, and NaN where a point is missing."""

from __future__ import annotations

import numpy as np
import torch

from refine.structure import arrays, geometry

POINTS = np.random.default_rng(0).normal(size=(5, 4, 3))
NAMES = ("unit", "perpendicular", "angle", "dihedral", "chiral_volume", "frames", "virtual_cb", "superposed")
COUNT = {"unit": 1, "perpendicular": 1, "angle": 3, "dihedral": 4, "chiral_volume": 4, "frames": 3, "virtual_cb": 3}


def test_every_adapter_gives_what_geometry_gives() -> None:
    for name in NAMES:
        points = [POINTS[:, k] for k in range(COUNT.get(name, 2))]
        expected = getattr(geometry, name)(*(torch.from_numpy(p.copy()) for p in points)).numpy()
        result = getattr(arrays, name)(*points)
        assert result.dtype == np.float64 and np.array_equal(result, expected), name


def test_read_only_reversed_and_single_precision_arrays_are_taken() -> None:
    fixed = POINTS[0].astype(np.float32)
    fixed.setflags(write=False)
    assert np.array_equal(arrays.unit(fixed[::-1]), arrays.unit(fixed)[::-1])
    rot, shift = arrays.superpose(fixed, fixed[None].repeat(2, 0))
    assert rot.shape == (2, 3, 3) and np.allclose(arrays.transformed(fixed, rot, shift), fixed, atol=1e-6)


def test_nan_stays_nan_and_touches_nothing_else() -> None:
    broken = POINTS.copy()
    broken[2, 1, 0] = np.nan
    n, ca, c, d = broken.swapaxes(0, 1)
    for values in (
        arrays.dihedral(n, ca, c, d),
        arrays.angle(n, ca, c),
        arrays.frames(n, ca, c),
        arrays.unit(ca),
        arrays.place_atom(n, ca, c, 1.5, 2.0, 1.0),
    ):
        assert np.isnan(values[2]).any() and np.isfinite(np.delete(values, 2, axis=0)).all()


def test_atoms_turned_about_a_bond_change_their_dihedral_by_the_turn() -> None:
    a, b, c, d = POINTS.swapaxes(0, 1)
    turn = np.linspace(-3.0, 3.0, 5)
    moved = arrays.turned_about(d[:, None], c, c - b, turn)[:, 0]
    change = arrays.dihedral(a, b, c, moved) - arrays.dihedral(a, b, c, d)
    np.testing.assert_allclose(np.exp(1j * change), np.exp(1j * turn), atol=1e-12)
    np.testing.assert_allclose(arrays.angle(b, c, moved), arrays.angle(b, c, d), atol=1e-12)
