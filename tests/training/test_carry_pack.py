"""A pack and real models that were carried to another machine are what they were, side chains apart."""

from __future__ import annotations

from pathlib import Path

import carry_pack
import numpy as np
import pytest

from refine.training.pack import Pack
from refine.training.real_models import RealModels, pack_real_models
from tests.networks.small import small_pack
from tests.training.test_real_models import models


def test_what_was_carried_comes_back(tmp_path: Path) -> None:
    folder, real = small_pack(tmp_path / "data"), tmp_path / "real.npz"
    pack_real_models(models(), real)
    assert carry_pack.main([str(folder), str(real), str(tmp_path / "file")]) == 0
    assert carry_pack.main(["--unpack", str(tmp_path / "file"), str(tmp_path / "there")]) == 0
    before, after = Pack(folder), Pack(tmp_path / "there" / "pack")
    assert after.chains == before.chains
    for k in range(len(before.chains)):
        for name in ("backbone", "residue", "position", "origin", "bonded"):
            np.testing.assert_array_equal(getattr(after, name)(k), getattr(before, name)(k))
    here, there = RealModels(real), RealModels(tmp_path / "there" / "real.npz")
    assert len(there) == len(here) == 4
    for m in range(4):
        np.testing.assert_array_equal(there[m].atoms, here[m].atoms[:, :4])
        np.testing.assert_array_equal(there[m].native, here[m].native)
        assert (there[m].name, there[m].split, there[m].kind) == (here[m].name, here[m].split, here[m].kind)


def test_a_path_too_few_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        carry_pack.main(["pack"])
    assert "PACK REAL FILE" in capsys.readouterr().err
