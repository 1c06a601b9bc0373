"""current.cif: a backbone that can be read while the run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refine.run.current import Current
from refine.run.folder import RunFolder
from refine.structure.read import read_structure
from tests.proteins import small_protein


def test_it_holds_the_backbone_where_it_is_and_goes_away(tmp_path: Path) -> None:
    protein = small_protein(24)
    current = Current(RunFolder(tmp_path), protein, every=3600)
    assert current.due
    current.write(protein.coords[0, :, :4] + np.float32(1))
    assert not current.due
    read = read_structure(tmp_path / "current.cif").protein
    assert [r.number for r in read.residue_ids] == [r.number for r in protein.residue_ids]
    np.testing.assert_allclose(read.coords[0, :, :4], protein.coords[0, :, :4] + 1, atol=2e-3)
    assert not read.mask[:, 4:].any()
    current.remove()
    current.remove()
    assert list(tmp_path.iterdir()) == []
