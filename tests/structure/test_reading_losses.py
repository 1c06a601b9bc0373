"""Nothing is lost or misread in silence: what simulation programs, builders and predictors do to the columns."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from refine.errors import InputError
from refine.structure.prepare import prepare
from refine.structure.read import ReadResult, read_structure
from refine.structure.repair import repair
from refine.structure.write import write_cif, write_pdb
from tests.conftest import ROOT
from tests.structure import files
from tests.structure.test_bad_input import columns, xyz

NATIVE = (ROOT / "examples" / "1a8o_native.pdb").read_text()
FIRST = 151
Change = Callable[[str], str]


def example(change: Change = lambda line: line, last: int = 180) -> list[str]:
    """Atom lines of residues 151 to ``last`` of the example, each changed."""
    lines = [line for line in files.atom_lines(NATIVE) if files.number_of(line) <= last]
    return [change(line) for line in lines]


@pytest.fixture
def read(tmp_path: Path):  # noqa: ANN201
    def reader(lines: list[str], name: str = "model.pdb") -> ReadResult:
        path = tmp_path / name
        path.write_text("\n".join([*lines, ""]))
        return read_structure(path)

    return reader


def note(result: ReadResult, kind: str) -> str:
    return " | ".join(str(n) for n in result.notes if n.kind == kind)


def positions(line: str) -> tuple[float, float, float]:
    return float(line[30:38]), float(line[38:46]), float(line[46:54])


def moved(line: str, x: float, y: float = 0.0, z: float = 0.0) -> str:
    at = positions(line)
    return xyz(line, (at[0] + x, at[1] + y, at[2] + z))


def assert_like_example(result: ReadResult, read) -> None:  # noqa: ANN001
    whole = read(example(), "whole.pdb").protein
    assert result.protein.sequence == whole.sequence
    assert np.array_equal(result.protein.mask, whole.mask)
    assert np.array_equal(result.protein.coords, whole.coords)
    assert result.protein.bonded.sum() == len(whole) - 1


# Residue names of four letters.

FOUR_LETTERS = {
    151: "NMET", 152: "ASPH", 154: "ARGN", 158: "LYSH", 159: "GLUH", 174: "NALA", 175: "CGLU", 177: "CALA",
}  # fmt: skip


@pytest.mark.parametrize("chain", ["A", "H", " "])
def test_four_letter_residue_names(read, chain: str) -> None:  # noqa: ANN001
    def change(line: str) -> str:
        name = FOUR_LETTERS.get(files.number_of(line))
        line = columns(line, 21, chain)
        return columns(line, 17, name) if name else line

    result = read(example(change))
    assert_like_example(result, read)
    assert result.protein.chains == (chain.strip(),)
    assert "LYSH is read as LYS" in note(result, "protonation") and "NMET is read as MET" in note(result, "protonation")


@pytest.mark.parametrize("name", ["CYSH", "CYS2", "NCYX", "CHIE", "HISA", "HISB", "HISH", "HISD", "HISE", "HSD"])
def test_force_field_names(read, name: str) -> None:  # noqa: ANN001
    number = files.SEQUENCE.index("C" if "CY" in name else "H") + 1
    lines = [columns(line, 17, name) if files.number_of(line) == number else line for line in files.atom_lines()]
    result = read(lines)
    assert result.protein.sequence == files.SEQUENCE and result.protein.chains == ("A",)


def test_two_letter_chain_ids_stay(read) -> None:  # noqa: ANN001
    """CYS of chain HA is not CYSH of chain A, since other residues of HA tell."""
    lines = [columns(line, 20, "HA") for line in files.atom_lines()] + [
        columns(moved(line, 40.0), 20, "DA") for line in files.atom_lines()
    ]
    result = read(lines)
    assert result.protein.chains == ("HA", "DA") and result.protein.sequence == 2 * files.SEQUENCE


# Serials and numbers that outgrow their columns.


@pytest.mark.parametrize("style", ["from column 6", "pushed to the right", "hetatm"])
def test_serials_of_six_digits(read, style: str) -> None:  # noqa: ANN001
    def change(line: str) -> str:
        if files.number_of(line) < 163:
            return line
        serial = str(100_000 + int(line[6:11]))
        if style == "from column 6":
            return f"ATOM {serial}{line[11:]}"
        return f"ATOM  {serial}{line[11:]}" if style == "pushed to the right" else f"HETATM{serial}{line[11:]}"

    result = read(example(change))
    assert_like_example(result, read)


def test_every_serial_of_six_digits(read) -> None:  # noqa: ANN001
    assert_like_example(read(example(lambda line: f"ATOM 1{int(line[6:11]):05d}{line[11:]}")), read)


@pytest.mark.parametrize("line", ["ATOM x0021  nonsense", "ATOM", "HETATM1234567890123", "ATOMS   12  CA  ALA"])
def test_a_line_of_an_atom_is_never_skipped(read, line: str) -> None:  # noqa: ANN001
    with pytest.raises(InputError, match="line 11"):
        read([*example()[:10], line, *example()[10:]])


def test_residue_numbers_of_five_columns(read) -> None:  # noqa: ANN001
    result = read(example(lambda line: columns(line, 22, f"{files.number_of(line) - FIRST + 9975:5d}")))
    assert_like_example(result, read)
    assert [r.number for r in result.protein.residue_ids] == list(range(9975, 10005))
    assert not any(r.insertion for r in result.protein.residue_ids) and "fifth column" in note(result, "numbering")


def test_residue_numbers_that_grow_into_a_fifth_column(read) -> None:  # noqa: ANN001
    """9998, 9999, 10000 in columns 23-27, in 22-26 of a blank chain, and pushing all that follows."""

    def to_the_right(line: str) -> str:
        number = files.number_of(line) - FIRST + 9975
        return columns(line, 22, f"{number:4d} " if number < 10_000 else f"{number:5d}")

    def to_the_left(line: str) -> str:
        number = files.number_of(line) - FIRST + 9975
        return columns(line, 21, f"{number:5d} ")

    def pushing(line: str) -> str:
        number = files.number_of(line) - FIRST + 9975
        return f"{line[:22]}{number:4d} {line[27:]}"

    for change, chain in ((to_the_right, "A"), (to_the_left, ""), (pushing, "A")):
        ids = read(example(change)).protein.residue_ids
        assert [(r.chain, r.number, r.insertion) for r in ids] == [(chain, n, "") for n in range(9975, 10005)]


def test_digits_as_insertion_codes_stay(read) -> None:  # noqa: ANN001
    numbers = {151: "  52 ", 152: "  521", 153: "  522"}
    result = read(example(lambda line: columns(line, 22, numbers.get(files.number_of(line), line[22:27]))))
    assert [(r.number, r.insertion) for r in result.protein.residue_ids[:4]] == [
        (52, ""),
        (52, "1"),
        (52, "2"),
        (154, ""),
    ]


def test_hexadecimal_water_numbers(read, tmp_path: Path) -> None:  # noqa: ANN001
    waters = []
    for number in range(9996, 10_020):
        text = f"{number:4d}" if number < 10_000 else f"{number:4x}"
        line = files.atom_line(1, "OH2", "HOH", "W", text, (30.0 + 3 * (number - 9996), 0.0, 0.0), element="O")
        waters.append(columns(line, 17, "TIP3"))
    result = read([*example(), *waters])
    assert [h.number for h in result.protein.hetero] == list(range(9996, 10_020))
    assert {(h.chain, h.residue_name) for h in result.protein.hetero} == {("W", "TIP3")}
    assert "hexadecimal" in note(result, "numbering")
    write_cif(result.protein, tmp_path / "out.cif")
    again = read_structure(tmp_path / "out.cif").protein
    assert [h.number for h in again.hetero] == list(range(9996, 10_020))


def waters_numbered(numbers: list[str], chain: str = "W") -> list[str]:
    return [
        files.atom_line(1, "O", "HOH", chain, number, (30.0 + 3 * k, 0.0, 0.0), het=True)
        for k, number in enumerate(numbers)
    ]


@pytest.mark.parametrize("chain", ["W", "A"])
@pytest.mark.parametrize("form", ["4x", "4X"])
def test_numbers_that_begin_hexadecimal_with_digits_alone(read, chain: str, form: str) -> None:  # noqa: ANN001
    """2710 to 2719 are 10000 to 10009 where 271A follows, in a chain of their own or after a gap in the protein's."""
    result = read([*example(), *waters_numbered([format(n, form) for n in range(10_000, 10_020)], chain)])
    assert [h.number for h in result.protein.hetero] == list(range(10_000, 10_020))
    assert "hexadecimal" in note(result, "numbering") and "20 residues" in note(result, "numbering")


@pytest.mark.parametrize("first", [10_000 + 0x20, 0x3000])
def test_they_may_begin_anywhere_and_lack_some(read, first: int) -> None:  # noqa: ANN001
    numbers = [n for n in range(first, first + 40) if n % 7]
    result = read([*example(), *waters_numbered([f"{n:4x}" for n in numbers])])
    assert [h.number for h in result.protein.hetero] == numbers


def test_numbers_that_fall_from_9999_to_2710_in_the_next_chain_are_hexadecimal(read) -> None:  # noqa: ANN001
    lines = [*waters_numbered(["9998", "9999"], "V"), *waters_numbered(["2710", "2711", "2712"], "W")]
    result = read([*example(), *lines])
    assert [h.number for h in result.protein.hetero] == [9998, 9999, 10_000, 10_001, 10_002]


def test_decimal_numbers_stay_decimal(read) -> None:  # noqa: ANN001
    """2700 to 2719 in one chain, and 10000 after 9999 in another: 2710 of the first is what it says."""
    numbers = [f"{n:4d}" for n in range(2700, 2720)]
    wrapped = [*(f"{n:4d}" for n in range(9990, 10_000)), *(f"{n:4x}" for n in range(10_000, 10_012))]
    result = read([*example(), *waters_numbered(numbers), *waters_numbered(wrapped, "V")])
    assert [h.number for h in result.protein.hetero] == [*range(2700, 2720), *range(9990, 10_012)]
    assert "12 residues" in note(result, "numbering")


def test_waters_without_numbers(read) -> None:  # noqa: ANN001
    names = (
        "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id label_seq_id"
        " Cartn_x Cartn_y Cartn_z"
    )
    rows = [
        f"ATOM {k} {line[13]} {files.name_of(line)} . {line[17:20]} A 1 {files.number_of(line)} {line[30:54]}"
        for k, line in enumerate(example(), 1)
    ]
    rows += [f"HETATM {900 + k} O O . HOH B 2 . {30 + 4 * k} 5 5" for k in range(4)]
    rows += [f"HETATM {950 + k} C C{k} . LIG C 3 . {30 + 2 * k} 9 9" for k in range(3)]
    result = read(["data_x", "loop_", *(f"_atom_site.{name}" for name in names.split()), *rows, "#"], "x.cif")
    assert [(h.chain, h.number) for h in result.protein.hetero] == [("B", n) for n in (1, 2, 3, 4)] + [("C", 1)] * 3
    assert len({h.order for h in result.protein.hetero}) == 5 and "5 residues without a number" in note(
        result, "numbering"
    )


# Chains and models.


def test_end_after_every_chain(read) -> None:  # noqa: ANN001
    second = example(lambda line: columns(moved(line, 40.0), 21, "B"))
    result = read([*example(), "TER", "END", *second, "TER", "END"])
    assert result.models == 1 and result.protein.chains == ("A", "B") and len(result.protein) == 60
    assert "one model" in note(result, "model")
    numbers_on = example(lambda line: columns(moved(line, 40.0), 22, f"{files.number_of(line) + 100:4d}"))
    assert len(read([*example(), "END", *numbers_on, "END"]).protein) == 60
    water = files.water(FIRST, xyz=(70.0, 0.0, 0.0))
    assert len(read([*example(), "END", water, "END"]).protein.hetero) == 1


def test_end_after_every_model(read) -> None:  # noqa: ANN001
    both = [*example(), "END", *example(lambda line: columns(moved(line, 40.0), 21, "B")), "END"]
    result = read([*both, *both])
    assert result.models == 2 and result.protein.chains == ("A", "B") and "further models" in note(result, "model")


def segment(line: str, segid: str) -> str:
    return columns(line.ljust(80), 72, f"{segid:<4}")


@pytest.mark.parametrize(("chain", "expected"), [(" ", ("A", "B")), ("A", ("A", "B")), ("Q", ("Q", "A"))])
def test_chains_told_apart_by_segid(read, chain: str, expected: tuple[str, ...]) -> None:  # noqa: ANN001
    first = example(lambda line: columns(segment(line, "PROA"), 21, chain))
    second = example(lambda line: columns(segment(moved(line, 40.0), "PROB"), 21, chain))
    result = read([*first, *second])
    assert result.protein.chains == expected and len(result.protein) == 60
    assert f"PROB: chain {expected[1]}" in note(result, "segment")


def test_segids_that_tell_nothing_apart(read) -> None:  # noqa: ANN001
    one = read(example(lambda line: segment(line, "1A8O")))
    assert one.protein.chains == ("A",) and not note(one, "segment")
    halves = read(example(lambda line: segment(line, "PRO1" if files.number_of(line) < 165 else "PRO2")))
    assert halves.protein.chains == ("A",) and halves.protein.bonded.sum() == 29


def test_chains_that_lie_in_each_other_are_named(read) -> None:  # noqa: ANN001
    inside = read([*example(), *example(lambda line: columns(moved(line, 1.0, 0.5), 21, "B"))])
    assert "chains A and B lie in each other" in note(inside, "overlap")
    beside = read([*example(), *example(lambda line: columns(moved(line, 40.0), 21, "B"))])
    assert not note(beside, "overlap")


# Atoms.


def lysine(name: str, extra: list[tuple[str, tuple[float, float, float], str]]) -> list[str]:
    """The example with lysine 158 called ``name``, and with more atoms at offsets from NZ."""
    lines = []
    for line in example():
        if files.number_of(line) != 158:
            lines.append(line)
            continue
        lines.append(columns(columns(line, 0, "HETATM"), 17, name))
        if files.name_of(line) == "NZ":
            place = positions(line)
            for k, (atom, offset, element) in enumerate(extra):
                at = (place[0] + offset[0], place[1] + offset[1], place[2] + offset[2])
                lines.append(files.atom_line(900 + k, atom, name, "A", "158", at, het=True, element=element))
    return lines


PLP = [
    ("C4'", (0.8, 1.0, 0.0), "C"),
    ("C4", (2.1, 1.6, 0.0), "C"),
    ("OP1", (3.4, 2.2, 0.0), "O"),
    ("P", (4.6, 3.0, 0.0), "P"),
]


@pytest.mark.parametrize("writer", [write_pdb, write_cif])
def test_atoms_of_a_modified_residue_are_carried_along(read, tmp_path: Path, writer) -> None:  # noqa: ANN001
    result = read(lysine("LLP", PLP))
    assert_like_example(result, read)
    assert [(h.residue_name, h.chain, h.number, h.name) for h in result.protein.hetero] == [
        ("LLP", "A", 158, name) for name, _, _ in PLP
    ]
    assert "carried along unmoved: C4' C4 OP1 P" in note(result, "modified")
    path = tmp_path / "out.file"
    writer(repair(result).protein, path)
    again = read_structure(path).protein
    assert again.bonded.sum() == 29 and again.sequence == result.protein.sequence
    places = [np.array([h.position for h in of.hetero]) for of in (again, result.protein)]
    assert np.abs(places[0] - places[1]).max() < 1e-3


def test_a_modified_residue_that_is_not_whole_keeps_what_it_has(read) -> None:  # noqa: ANN001
    without_ce = [line for line in lysine("LLP", PLP) if line[12:20] != " CE  LLP"]
    result = read(without_ce)
    assert [h.name for h in result.protein.hetero] == [*"N CA C O CB CG CD NZ".split(), *(name for name, _, _ in PLP)]
    assert "LLP has other atoms than LYS" in note(result, "unknown")
    assert {(c.first.slot, result.protein.hetero[c.second.slot].name) for c in result.protein.connections} == {
        (0, "C"), (2, "N"),
    }  # fmt: skip


def test_the_oxygen_of_a_formyl_group_is_no_carbonyl_oxygen(read) -> None:  # noqa: ANN001
    lines = [
        columns(columns(line, 0, "HETATM"), 17, "FME") if files.number_of(line) == 151 else line for line in example()
    ]
    at = positions(lines[0])
    cap = [
        files.atom_line(900, "CN", "FME", "A", "151", (at[0] - 1.0, at[1], at[2] + 0.9), het=True, element="C"),
        files.atom_line(901, "O1", "FME", "A", "151", (at[0] - 2.1, at[1], at[2] + 0.6), het=True, element="O"),
    ]
    result = read([lines[0], *cap, *lines[1:]])
    assert_like_example(result, read)
    assert [h.name for h in result.protein.hetero] == ["CN", "O1"]


@pytest.mark.parametrize("residue_name", ["TYS", "TYR"])
def test_oxygens_of_a_sulfate_are_no_carboxyl_oxygens(read, residue_name: str) -> None:  # noqa: ANN001
    """Sulfotyrosine's are O1, O2 and O3, and O2 is what some programs call OXT."""
    number = next(files.number_of(line) for line in example() if line[17:20] == "TYR")
    mine = [line for line in example() if files.number_of(line) == number]
    oh = np.array(positions(next(line for line in mine if files.name_of(line) == "OH")))
    cz = np.array(positions(next(line for line in mine if files.name_of(line) == "CZ")))
    sulfur = oh + 1.6 * (oh - cz) / np.linalg.norm(oh - cz)
    across = np.cross(oh - cz, (1.0, 2.0, 3.0))
    across *= 1.2 / np.linalg.norm(across)
    at = [sulfur, sulfur + across, sulfur - across, sulfur + 1.45 * (oh - cz) / np.linalg.norm(oh - cz)]
    more = [
        files.atom_line(900 + k, name, residue_name, mine[0][21], str(number), tuple(x), element=name[0])
        for k, (name, x) in enumerate(zip(("S", "O1", "O2", "O3"), at, strict=True))
    ]
    lines = [columns(line, 17, residue_name) if line in mine else line for line in example()]
    last = max(k for k, line in enumerate(lines) if files.number_of(line) == number)
    result = read([*lines[: last + 1], *more, *lines[last + 1 :]])
    assert_like_example(result, read)
    assert [h.name for h in result.protein.hetero] == ["S", "O1", "O2", "O3"]


@pytest.mark.parametrize("place", [(9999.0, 9999.0, 9999.0), (0.0, 0.0, 0.0), (60.0, -40.0, 12.0)])
@pytest.mark.parametrize("name", ["CB", "NE", "O", "CA"])
def test_an_atom_far_from_its_residue_is_rebuilt(
    read: Callable[..., ReadResult], place: tuple[float, float, float], name: str
) -> None:
    """Arginine 154."""
    lost = lambda line: (files.number_of(line), files.name_of(line)) == (154, name)  # noqa: E731
    result = read(example(lambda line: xyz(line, place) if lost(line) else line))
    assert not result.protein.mask[3, result.protein.atom_names(3).index(name)]
    assert name in note(result, "misplaced") and "154 ARG" in note(result, "misplaced")
    rebuilt, whole = repair(result).protein, read(example(), "whole.pdb").protein
    slot = whole.atom_names(3).index(name)
    assert rebuilt.mask.sum() == whole.mask.sum()
    assert math.dist(rebuilt.coords[0, 3, slot], whole.coords[0, 3, slot]) < (0.5 if name != "NE" else 4.0)
    assert np.delete(rebuilt.coords[0, 3], slot, 0) == pytest.approx(np.delete(whole.coords[0, 3], slot, 0))


def test_two_placeholders_in_one_residue(read) -> None:  # noqa: ANN001
    lost = [(155, "CD"), (155, "NE2"), (160, "CB")]
    place = (9999.0, 9999.0, 9999.0)
    at = lambda line: (files.number_of(line), files.name_of(line))  # noqa: E731
    result = read(example(lambda line: xyz(line, place) if at(line) in lost else line))
    assert repair(result).protein.mask.sum() == read(example(), "whole.pdb").protein.mask.sum()
    assert np.abs(repair(result).protein.coords).max() < 100
    assert "155 GLN: CD NE2 lie far" in note(result, "misplaced") and "160 PRO" in note(result, "misplaced")


@pytest.mark.parametrize("place", [(9999.0, 9999.0, 9999.0), (0.0, 0.0, 0.0)])
def test_a_residue_of_placeholders_alone_is_refused(read, place: tuple[float, float, float]) -> None:  # noqa: ANN001
    with pytest.raises(InputError, match="1 residues have no coordinates") as caught:
        read(example(lambda line: xyz(line, place) if files.number_of(line) == 160 else line))
    assert caught.value.residue == "160 PRO" and "Remove" in (caught.value.remedy or "")


def test_a_model_around_the_origin_keeps_its_atoms(read) -> None:  # noqa: ANN001
    at = positions(next(line for line in example() if line[12:26] == " CB  ARG A 154"))
    result = read(example(lambda line: moved(line, -at[0], -at[1], -at[2])))
    assert not note(result, "misplaced") and result.protein.mask.all(1).sum() == 0 and result.protein.mask[3, 4]


# Peptide bonds.


def with_gap(length: float, step: int = 0) -> list[str]:
    """Residues after 165 moved along the bond C to N until it is ``length`` long, their numbers higher by ``step``."""
    lines = example()
    c = np.array(positions(next(line for line in lines if line[12:26] == " C   VAL A 165")))
    n = np.array(positions(next(line for line in lines if line[12:16] == " N  " and files.number_of(line) == 166)))
    shift = (n - c) / np.linalg.norm(n - c) * length - (n - c)
    moved_on = lambda line: columns(moved(line, *shift), 22, f"{files.number_of(line) + step:4d}")  # noqa: E731
    return [moved_on(line) if files.number_of(line) > 165 else line for line in lines]


def test_a_stretched_peptide_at_consecutive_numbers_is_one(read) -> None:  # noqa: ANN001
    result = read(with_gap(2.9))
    assert result.protein.bonded.sum() == 29 and not note(result, "gap")
    assert "consecutive numbers, 2.9 Å apart" in note(result, "stretched") and "165 VAL" in note(result, "stretched")


@pytest.mark.parametrize(("length", "step"), [(3.2, 0), (2.9, 4)])
def test_a_wider_gap_or_a_jump_in_the_numbers_is_a_break(read, length: float, step: int) -> None:  # noqa: ANN001
    result = read(with_gap(length, step))
    assert result.protein.bonded.sum() == 28 and "broken after" in note(result, "gap")


# What the PDB format cannot hold.


def with_ligand(names: list[str]) -> str:
    """An mmCIF of the helix with a ligand of these atoms."""
    lines = files.base_cif().split("\n")
    head = [line.split(".")[1].strip() for line in lines if line.startswith("_atom_site.")]
    last = max(k for k, line in enumerate(lines) if line.startswith("ATOM "))
    values = dict.fromkeys(("label_comp_id", "auth_comp_id"), "LIG") | {"label_asym_id": "Bx", "auth_asym_id": "B"}
    values |= {"group_PDB": "HETATM", "type_symbol": "C", "auth_seq_id": "1", "pdbx_PDB_model_num": "1"}
    values |= {"Cartn_y": "9.0", "Cartn_z": "9.0", "occupancy": "1", "B_iso_or_equiv": "20"}
    rows = []
    for k, name in enumerate(names):
        own = {"id": str(900 + k), "label_atom_id": name, "auth_atom_id": name, "Cartn_x": f"{20 + 1.5 * k:.3f}"}
        rows.append(" ".join((values | own).get(column, ".") for column in head))
    return "\n".join([*lines[: last + 1], *rows, *lines[last + 1 :]])


LONG = ["C1_1", "C1_10", "C1_11", "C1_12", "C1", "C106A"]


def test_long_atom_names_are_unique_in_pdb_and_kept_in_mmcif(tmp_path: Path) -> None:
    (tmp_path / "in.cif").write_text(with_ligand(LONG))
    prepared = prepare(tmp_path / "in.cif")
    assert [h.name for h in prepared.protein.hetero] == LONG
    assert any("4 atom names are longer than four letters" in str(n) for n in prepared.notes)
    write_cif(prepared.protein, tmp_path / "out.cif")
    write_pdb(prepared.protein, tmp_path / "out.pdb")
    assert [h.name for h in read_structure(tmp_path / "out.cif").protein.hetero] == LONG
    short = [h.name for h in read_structure(tmp_path / "out.pdb").protein.hetero]
    assert short == ["C1_1", "C2", "C3", "C4", "C1", "C5"]
    assert "LIG B 1: C1_10 is C2" in (tmp_path / "out.pdb").read_text()


def test_why_there_is_no_pdb_is_said(tmp_path: Path) -> None:
    (tmp_path / "in.cif").write_text(files.base_cif().replace(" A 1\n", " AbC1 1\n"))
    notes = [str(n) for n in prepare(tmp_path / "in.cif").notes if n.kind == "format"]
    assert len(notes) == 1 and "no PDB files" in notes[0] and "'AbC1'" in notes[0]


def test_more_than_one_data_block_is_said(read) -> None:  # noqa: ANN001
    second = files.base_cif().replace("data_base", "data_two")
    assert "the first of 2 data blocks" in note(read([files.base_cif(), second], "x.cif"), "model")


# The rarer conformation is the one that a ligand is bonded to.


@pytest.mark.parametrize("apart", [1.6, 3.2])
def test_the_conformation_that_a_ligand_is_bonded_to_is_kept(read, apart: float) -> None:  # noqa: ANN001
    lines = example()
    k = next(n for n, line in enumerate(lines) if line[12:16] == " CB " and files.number_of(line) == 154)
    place = np.array(positions(lines[k]))
    rare, likely = (line[:16] + letter + line[17:] for letter, line in (("A", lines[k]), ("B", moved(lines[k], 0.6))))
    rare, likely = (line[:54] + part + line[60:] for line, part in ((rare, "  0.40"), (likely, "  0.60")))
    at = tuple(place + apart * np.array([-1.0, 0.0, 0.0]))
    ligand = files.atom_line(9001, "C1", "LIG", "A", "901", at, het=True, altloc="A", occupancy="  0.40")
    result = read([*lines[:k], rare, likely, *lines[k + 1 :], ligand])
    kept = result.protein.coords[0, 154 - FIRST, 4]
    assert np.allclose(kept, place if apart < 2 else place + [0.6, 0, 0], atol=1e-3)
    assert ("conformation A is kept" in note(result, "altloc")) == (apart < 2)
