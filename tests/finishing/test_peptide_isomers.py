"""A twisted peptide becomes trans; before proline it stays cis; what is cis or trans stays so."""

from __future__ import annotations

import numpy as np
import pytest

from refine.finishing.finish import Finisher, finish
from refine.finishing.settings import FinishSettings
from refine.structure.arrays import turned_about
from refine.structure.peptides import omega
from refine.structure.protein import Protein
from tests.finishing.peptides import peptide

SETTINGS = FinishSettings(device="cpu")
AT = 4


def with_omega(sequence: str, angle: float) -> Protein:
    """An extended chain, all trans but for the peptide after residue ``AT``."""
    chain = peptide(sequence, phi=-80.0, psi=140.0)
    x = chain.coords[0].astype(np.float64)
    c, n = x[AT, 2], x[AT + 1, 0]
    turn = np.radians(angle - omega(chain)[AT])
    after = turned_about(x[AT + 1 :], n, n - c, np.full(len(x) - AT - 1, turn))
    coords = np.concatenate((x[: AT + 1], after)).astype(np.float32)
    twisted = chain.with_coords(np.where(chain.mask[..., None], coords, 0)[None], oxt=chain.oxt)
    assert omega(twisted)[AT] == pytest.approx(angle, abs=0.1)
    return twisted


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("angle", [31.0, 45.0, 60.0, 80.0, 89.0, -45.0])
def test_a_twisted_peptide_becomes_trans(angle: float, refined: bool) -> None:
    chain = with_omega("AAGAAALAAA", angle)
    result = Finisher(chain, SETTINGS).finish(chain, refined=refined)
    angles = np.abs(omega(result.protein)[:-1])
    assert angles.min() > 150.0 and angles[AT] > 165.0
    assert result.report.flag == "complete" and result.report.checks.introduced == 0
    assert result.report.checks.chirality_after == ()


@pytest.mark.parametrize("angle", [31.0, 45.0, 60.0, 80.0, 89.0, -45.0])
def test_a_twisted_peptide_before_proline_stays_cis(angle: float) -> None:
    result = finish(with_omega("AAGAAPLAAA", angle), SETTINGS)
    assert abs(omega(result.protein)[AT]) < 30.0
    assert result.report.flag == "complete" and result.report.checks.introduced == 0


def test_a_cis_peptide_stays_cis_and_a_trans_one_trans() -> None:
    for sequence, angle, cis in (
        ("AAGAAALAAA", 10.0, True),
        ("AAGAAPLAAA", 100.0, False),
        ("AAGAAALAAA", 110.0, False),
    ):
        result = finish(with_omega(sequence, angle), SETTINGS)
        assert (abs(omega(result.protein)[AT]) < 30.0) == cis, (sequence, angle)
        assert result.report.checks.introduced == 0
