"""Selections of residues."""

from __future__ import annotations

import dataclasses

import pytest

from refine.constants import ONE_TO_THREE
from refine.errors import InputError
from refine.structure.protein import Protein, ResidueId
from refine.structure.selection import parse_selection
from tests.proteins import make_protein, small_protein


def numbered(*ids: ResidueId) -> Protein:
    protein = small_protein(len(ids))
    return dataclasses.replace(protein, residue_ids=ids)


PROTEIN = numbered(
    *(ResidueId("A", n) for n in range(-7, -2)),
    ResidueId("A", 10),
    ResidueId("A", 52),
    ResidueId("A", 52, "A"),
    ResidueId("A", 52, "B"),
    ResidueId("A", 53),
    *(ResidueId("B", n) for n in range(1, 4)),
    ResidueId("12", 1),
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("B", ["B:1", "B:2", "B:3"]),
        ("B:2", ["B:2"]),
        ("A:-5-10", ["A:-5", "A:-4", "A:-3", "A:10"]),
        ("A:-7--6", ["A:-7", "A:-6"]),
        ("A:52", ["A:52"]),
        ("A:52B", ["A:52B"]),
        ("A:52-53", ["A:52", "A:52A", "A:52B", "A:53"]),
        ("A:52A-52B", ["A:52A", "A:52B"]),
        ("A:52-52A, B:3", ["A:52", "A:52A", "B:3"]),
        ("12", ["12:1"]),
        ("B:", ["B:1", "B:2", "B:3"]),
        ("B:2-900", ["B:2", "B:3"]),
        ("B 2", ["B:2"]),
        ("B/2-3", ["B:2", "B:3"]),
        ("B2", ["B:2"]),
        ("A 52B; B3", ["A:52B", "B:3"]),
        ("B:1–2", ["B:1", "B:2"]),
        ("B:1 to 2", ["B:1", "B:2"]),
        ("B 1..2", ["B:1", "B:2"]),
        ("A -5-10", ["A:-5", "A:-4", "A:-3", "A:10"]),
    ],
)
def test_selections(text: str, names: list[str]) -> None:
    chosen = parse_selection(text, PROTEIN)
    assert [str(r) for r, keep in zip(PROTEIN.residue_ids, chosen, strict=True) if keep] == names


def test_a_residue_may_carry_its_name_which_is_checked() -> None:
    protein = numbered(*(ResidueId("X", n) for n in range(1, 6)))
    letter = protein.sequence[2]
    three = ONE_TO_THREE[letter]
    for text in (f"{three}3", f"{three.lower()} 3", f"X:{three}3", f"X {three}3", f"{letter}3", f"X/{letter}3"):
        assert parse_selection(text, protein).tolist() == [False, False, True, False, False], text
    other = "TRP" if three != "TRP" else "GLY"
    with pytest.raises(InputError, match=f"is {three} in this structure"):
        parse_selection(f"{other}3", protein)


@pytest.mark.parametrize("text", [":2-3", "2-3"])
@pytest.mark.parametrize("chain", ["", " ", "X"])
def test_the_blank_or_only_chain_needs_no_name(text: str, chain: str) -> None:
    protein = numbered(*(ResidueId(chain, n) for n in range(1, 6)))
    assert parse_selection(text, protein).tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("A,,B", "empty item"),
        ("Z", "'Z'"),
        ("Z:1-3", "no chain"),
        ("2-3", "no chain"),
        ("A:ten", "cannot be read"),
        ("A:10-", "cannot be read"),
        ("A:20-30", "holds no residue"),
        ("A:53-52", "backwards"),
        ("A:52C", "holds no residue"),
    ],
)
def test_what_cannot_be_selected_is_said_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_selection(text, PROTEIN)
    assert caught.value.remedy


def test_two_chains_of_a_real_shape() -> None:
    protein = make_protein([small_protein(5).coords[0, :, :4], small_protein(4).coords[0, :, :4] + 30])
    assert parse_selection("A:2-3,B", protein).tolist() == [False, True, True, False, False, True, True, True, True]
