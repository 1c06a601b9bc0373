"""The one rule for cis and trans, and that the stages follow it."""

from __future__ import annotations

import numpy as np
import pytest

from refine.energy.system import System
from refine.finishing.checks import stereo
from refine.structure.chemistry import is_cis
from refine.structure.peptides import peptide_notes
from tests.finishing.peptides import peptide


@pytest.mark.parametrize(
    ("omega", "elsewhere", "before_proline"),
    [(0, True, True), (29, True, True), (31, False, True), (45, False, True), (60, False, True), (80, False, True),
     (89, False, True), (91, False, False), (150, False, False), (180, False, False), (float("nan"), False, False)],
)  # fmt: skip
def test_cis_is_below_30_degrees_and_before_proline_below_90(
    omega: float, elsewhere: bool, before_proline: bool
) -> None:
    for sign in (1, -1):
        assert is_cis(sign * omega, False) == elsewhere and is_cis(sign * omega, True) == before_proline


@pytest.mark.parametrize("omega", [15.0, 31.0, 45.0, 60.0, 80.0, 89.0, -60.0, 100.0])
def test_energy_and_finishing_call_the_same_peptides_cis(omega: float) -> None:
    chain = peptide("AAGPAAPAA", phi=-80.0, psi=140.0, omega=omega)
    expected = {i for i in range(8) if is_cis(omega, chain.sequence[i + 1] == "P")}
    assert stereo(chain).cis == expected
    assert set(np.flatnonzero(System.from_protein(chain).cis.numpy()).tolist()) == expected


def test_a_strained_or_rare_peptide_of_the_input_is_named() -> None:
    def notes(omega: float) -> list[tuple[str, str]]:
        named = peptide_notes(peptide("AGPA", phi=-80.0, psi=140.0, omega=omega))
        return [(note.residue, note.message.split(": ")[1].split()[0]) for note in named]

    assert notes(180.0) == notes(100.0) == []
    assert notes(60.0) == [("1 ALA", "taken"), ("3 PRO", "taken")]
    assert notes(10.0) == [("1 ALA", "cis,"), ("3 PRO", "cis,")]
