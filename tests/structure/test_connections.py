"""What is bonded besides the chain is found by records and by distance, survives repair, and is written back."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import gemmi
import numpy as np
import pytest
from biotite.structure.io import pdbx

from refine.constants import ATOM14
from refine.structure.arrays import place_atom
from refine.structure.connections import connections, described, disulfide_pairs, held_residues, left_atoms
from refine.structure.prepare import prepare
from refine.structure.protein import Connection, HeteroAtom, Protein, ResidueId
from refine.structure.read import read_structure
from refine.structure.write import write_cif, write_ensemble_pdb, write_pdb
from tests.conftest import ROOT
from tests.proteins import chain_backbone, make_protein, torsions
from tests.structure import files

HIS, ASN, LYS, CYS, LEU = 20, 16, 2, 21, 10  # residue numbers in files.SEQUENCE


DATA = ROOT / "tests" / "data" / "bonded"


def outward(number: int, name: str, length: float) -> tuple[float, float, float]:
    """A point ``length`` Å beyond an atom of the base protein, away from the helix axis and its neighbours."""
    protein = files.base_protein()
    i = number - 1
    x = protein.coords[0, i].astype(np.float64)
    tip = x[ATOM14[protein.sequence[i]].index(name)]
    middle = protein.coords[0, :, 1].mean(0) * [1, 1, 0] + tip * [0, 0, 1]
    direction = (tip - middle) / np.linalg.norm(tip - middle)
    point = tip + length * direction
    return float(point[0]), float(point[1]), float(point[2])


def with_lines(*lines: str, records: tuple[str, ...] = ()) -> str:
    return "\n".join([*records, *files.atom_lines(), *lines, "END", ""])


def zinc(number: int = 301) -> str:
    return files.atom_line(901, "ZN", "ZN", "A", str(number), outward(HIS, "NE2", 2.1), het=True, element="ZN")


def read(tmp_path: Path, text: str) -> Protein:
    path = tmp_path / "model.pdb"
    path.write_text(text)
    return read_structure(path).protein


def table(protein: Protein) -> list[tuple[str, str, str]]:
    return [(row["kind"], row["first"], row["second"]) for row in described(protein)]


def test_a_metal_is_coordinated_by_distance_and_its_residue_is_held(tmp_path: Path) -> None:
    protein = read(tmp_path, with_lines(zinc()))
    assert table(protein) == [("metal", "A:20 HIS NE2", "A:301 ZN ZN")]
    assert np.flatnonzero(held_residues(protein)).tolist() == [HIS - 1]
    assert described(protein)[0]["distance"] == pytest.approx(2.1, abs=0.01)
    far = files.atom_line(901, "ZN", "ZN", "A", "301", outward(HIS, "NE2", 3.2), het=True, element="ZN")
    assert table(read(tmp_path, with_lines(far))) == []


def test_a_water_as_near_as_a_bond_is_none(tmp_path: Path) -> None:
    close = files.water(400, xyz=outward(ASN, "ND2", 1.45))
    assert table(read(tmp_path, with_lines(close))) == []


@pytest.mark.parametrize("record", ["", "LINK", "CONECT"])
def test_a_sugar_is_linked_whatever_says_so(record: str, tmp_path: Path) -> None:
    serial = next(int(s[6:11]) for s in files.atom_lines() if files.number_of(s) == ASN and files.name_of(s) == "ND2")
    length = 1.45 if not record else 2.2
    sugar = files.atom_line(950, "C1", "NAG", "A", "501", outward(ASN, "ND2", length), het=True)
    link = "LINK         ND2 ASN A  16                 C1  NAG A 501     1555   1555  1.45"
    records = {"": (), "LINK": (link,), "CONECT": ()}[record]
    tail = (f"CONECT  950{serial:5d}",) if record == "CONECT" else ()
    protein = read(tmp_path, with_lines(sugar, *tail, records=records))
    assert table(protein) == [("covalent", "A:16 ASN ND2", "A:501 NAG C1")]
    assert protein.connections[0].source == (record or "distance")
    assert np.flatnonzero(held_residues(protein)).tolist() == [ASN - 1]


def test_a_water_on_a_metal_is_bonded_where_the_file_says_so(tmp_path: Path) -> None:
    x, y, z = outward(HIS, "NE2", 2.1)
    water = files.water(400, xyz=(x + 1.2, y + 1.2, z + 1.2))
    link = "LINK        ZN    ZN A 301                 O   HOH A 400     1555   1555  2.08"
    assert len(table(read(tmp_path, with_lines(zinc(), water)))) == 1
    protein = read(tmp_path, with_lines(zinc(), water, records=(link,)))
    assert ("metal", "A:301 ZN ZN", "A:400 HOH O") in table(protein)
    for writer, name in ((write_pdb, "out.pdb"), (write_cif, "out.cif")):
        writer(protein, tmp_path / name)
        assert ("metal", "A:301 ZN ZN", "A:400 HOH O") in table(read_structure(tmp_path / name).protein)


def test_conect_records_hold_where_segment_names_become_chains(tmp_path: Path) -> None:
    def segment(line: str, segid: str, shift: float = 0.0) -> str:
        line = f"{line[:21]} {line[22:30]}{float(line[30:38]) + shift:8.3f}{line[38:]}"
        return f"{line[:72].ljust(72)}{segid}{line[76:]}"

    own = [segment(line, "PROA") for line in files.atom_lines()]
    others = [segment(line, "PROB", 60.0) for line in files.atom_lines()]
    serial = next(int(s[6:11]) for s in own if files.number_of(s) == ASN and files.name_of(s) == "ND2")
    sugar = files.atom_line(950, "C1", "NAG", " ", "501", outward(ASN, "ND2", 2.2), het=True)
    conect = f"CONECT  950{serial:5d}"
    lines = [*own, *[f"{line[:6]} 1{line[8:]}" for line in others], segment(sugar, "CARA"), conect, "END", ""]
    (bond,) = table(read(tmp_path, "\n".join(lines)))
    assert bond == ("covalent", "A:16 ASN ND2", "C:501 NAG C1")


def test_a_lanthionine_is_a_bond_and_a_sulfur_in_contact_is_none(tmp_path: Path) -> None:
    """Ala 5 in place of a cysteine of the conotoxin, its CB and that of Cys 21 drawn to the sulfur."""
    text = (DATA / "conotoxin.pdb").read_text()
    at = {
        (files.number_of(line), files.name_of(line)): np.array([float(line[k : k + 8]) for k in (30, 38, 46)])
        for line in files.atom_lines(text)
    }
    along = at[21, "CB"] - at[5, "CB"]
    width = np.linalg.norm(along)
    along /= width
    middle = (at[21, "CB"] + at[5, "CB"]) / 2
    aside = at[21, "SG"] - middle - ((at[21, "SG"] - middle) @ along) * along
    aside /= np.linalg.norm(aside)

    def lanthionine(length: float) -> Protein:
        places = {
            (5, "CB"): middle - 1.5 * along,
            (21, "CB"): middle + 1.5 * along,
            (21, "SG"): middle + np.sqrt(length**2 - 1.5**2) * aside,
        }

        def change(line: str) -> str | None:
            key = files.number_of(line), files.name_of(line)
            if key == (5, "SG"):
                return None
            line = f"{line[:17]}ALA{line[20:]}" if key[0] == 5 else line
            return line if key not in places else line[:30] + "".join(f"{v:8.3f}" for v in places[key]) + line[54:]

        return read(tmp_path, files.edit(change, text))

    bond = ("covalent", "A:5 ALA CB", "A:21 CYS SG")
    assert bond in table(lanthionine(1.81)) and held_residues(lanthionine(1.81))[[4, 20]].all()
    assert bond not in table(lanthionine(2.4))


def test_a_stated_bond_that_has_come_apart_is_told_and_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    sugar = files.atom_line(950, "C1", "NAG", "A", "501", outward(ASN, "ND2", 6.0), het=True)
    link = "LINK         ND2 ASN A  16                 C1  NAG A 501     1555   1555  1.45"
    path.write_text(with_lines(sugar, records=(link,)))
    result = read_structure(path)
    assert result.protein.connections == ()
    assert any("6.0 Å away" in str(note) and "16" in str(note) for note in result.notes)


@pytest.mark.parametrize("length", [1.45, 2.2])
def test_a_stated_bond_that_is_stretched_is_believed_and_told(tmp_path: Path, length: float) -> None:
    path = tmp_path / "model.pdb"
    ligand = files.atom_line(950, "C1", "LIG", "A", "501", outward(ASN, "ND2", length), het=True)
    link = "LINK         ND2 ASN A  16                 C1  LIG A 501     1555   1555  1.45"
    path.write_text(with_lines(ligand, records=(link,)))
    result = read_structure(path)
    assert table(result.protein) == [("covalent", "A:16 ASN ND2", "A:501 LIG C1")]
    told = [str(note) for note in result.notes if note.kind == "link"]
    assert [f"ND2 is bonded to A:501 LIG C1, {length:.1f} Å away" in text for text in told] == [True] * (length > 2)


@pytest.mark.parametrize(("kind", "bonds"), [("", 1), ("ASN-LIG", 1), ("gap", 0)])
def test_refmac_writes_linkr(tmp_path: Path, kind: str, bonds: int) -> None:
    ligand = files.atom_line(950, "C1", "LIG", "A", "501", outward(ASN, "ND2", 2.2), het=True)
    link = "LINKR        ND2 ASN A  16                 C1  LIG A 501".ljust(72) + kind
    assert len(table(read(tmp_path, with_lines(ligand, records=(link,))))) == bonds


def test_a_stated_bond_to_a_residue_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    ligand = files.atom_line(950, "C1", "LIG", "A", "501", outward(ASN, "ND2", 6.0), het=True)
    ends = ("ND2 ASN A  16", "C1  LIG A 501"), ("ND2 ASN A  16", "C1  LIG B 501"), ("SG  CYS C   1", "C1  LIG B 501")
    links = tuple(f"LINK         {one}                 {two}     1555   1555  1.45" for one, two in ends)
    path.write_text(with_lines(ligand, records=links))
    told = [str(note) for note in read_structure(path).notes if note.kind == "link"]
    assert len(told) == 2 and "6.0 Å away" in told[0]
    assert "16 ASN: LINK bonds its ND2 to B:501 C1, which the file does not have" in told[1]


def test_a_link_to_a_symmetry_mate_is_none_of_ours(tmp_path: Path) -> None:
    sugar = files.atom_line(950, "C1", "NAG", "A", "501", outward(ASN, "ND2", 2.2), het=True)
    link = "LINK         ND2 ASN A  16                 C1  NAG A 501     1555   3655  1.45"
    assert table(read(tmp_path, with_lines(sugar, records=(link,)))) == []


def test_caps_are_bonds_and_leave_no_terminal_oxygen(tmp_path: Path) -> None:
    protein = files.base_protein()
    c = protein.coords[0, -1, 2].astype(float)
    n1 = protein.coords[0, 0, 0].astype(float)
    away = (protein.oxt[0, -1] - c) / np.linalg.norm(protein.oxt[0, -1] - c)
    before = n1 + 1.33 * np.array([0.0, 0.0, -1.0])
    body = [line for line in files.atom_lines() if files.name_of(line) != "OXT"]
    caps = [
        files.atom_line(960, "C", "ACE", "A", "0", tuple(before), het=True),
        files.atom_line(961, "N", "NME", "A", "23", tuple(c + 1.33 * away), het=True),
    ]
    path = tmp_path / "model.pdb"
    path.write_text("\n".join([*body, *caps, "END", ""]))
    prepared = prepare(path)
    assert {(kind, second) for kind, _, second in table(prepared.protein)} == {
        ("covalent", "A:0 ACE C"),
        ("covalent", "A:23 NME N"),
    }
    assert not prepared.protein.oxt_mask.any()
    assert np.flatnonzero(~prepared.mobile).tolist() == [0, len(protein) - 1]
    note = next(note for note in prepared.notes if note.kind == "connections")
    assert "A:1" in note.message and "A:22" in note.message


def chain(sequence: str, seed: int = 0) -> Protein:
    return make_protein([chain_backbone(*torsions(len(sequence), seed))], [sequence])


def moved_atom(protein: Protein, i: int, name: str, place: np.ndarray) -> Protein:
    coords, mask = protein.coords.copy(), protein.mask.copy()
    slot = ATOM14[protein.sequence[i]].index(name)
    coords[0, i, slot], mask[i, slot] = place, True
    return dataclasses.replace(protein, coords=coords, mask=mask)


def test_a_cycle_is_closed_by_its_ends_and_holds_them() -> None:
    protein = chain("AGSAGSAGSA")
    c = protein.coords[0, -1, 2].astype(float)
    cyclic = moved_atom(protein, 0, "N", c + [0.0, 0.0, 1.33])
    bonds, _ = connections(cyclic)
    assert [(b.kind, b.first, b.second) for b in bonds] == [("covalent", (0, 0), (9, 2))]
    carboxylate = dataclasses.replace(cyclic, oxt_mask=np.arange(10) == 9)
    assert connections(carboxylate)[0] == ()  # an OXT says that the end is free
    assert connections(protein)[0] == ()


def test_an_isopeptide_between_chains_needs_the_leaving_atom_gone() -> None:
    first, second = chain("AAAAGG"), chain("AAKAAA", seed=3)
    both = make_protein([first.coords[0, :, :4], second.coords[0, :, :4] + 25.0], ["AAAAGG", "AAKAAA"])
    lysine, end = 8, 5
    both = moved_atom(both, lysine, "NZ", both.coords[0, end, 2] + np.array([0.0, 1.33, 0.0]))
    assert [(b.kind, b.first, b.second) for b in connections(both)[0]] == [("covalent", (5, 2), (8, 8))]
    held = held_residues(dataclasses.replace(both, connections=connections(both)[0]))
    assert np.flatnonzero(held).tolist() == [5, 8]
    acid = chain("AADAAAAKAA")
    side = moved_atom(acid, 2, "CG", acid.coords[0, 2, 5])
    near = moved_atom(side, 7, "NZ", side.coords[0, 2, 5] + np.array([1.33, 0.0, 0.0]))
    assert len(connections(near)[0]) == 1
    whole = moved_atom(near, 2, "OD2", near.coords[0, 2, 5] + np.array([-1.25, 0.0, 0.0]))
    assert connections(whole)[0] == ()


@pytest.mark.parametrize(("gap", "bonded"), [(2.03, True), (2.8, True), (3.4, False)])
def test_disulfides_are_found_open_too_and_hold_nothing(gap: float, bonded: bool) -> None:
    protein = chain("AACAAAACAA")
    place = protein.coords[0, 2, 5] + np.array([gap, 0.0, 0.0])
    protein = moved_atom(protein, 7, "SG", place)
    protein = dataclasses.replace(protein, connections=connections(protein)[0])
    assert disulfide_pairs(protein) == (((2, 7),) if bonded else ())
    assert not held_residues(protein).any()


def test_a_sulfur_on_a_metal_is_in_no_disulfide() -> None:
    protein = chain("AACAAAACAA")
    first = protein.coords[0, 2, 5].astype(float)
    protein = moved_atom(protein, 7, "SG", first + [2.9, 0.0, 0.0])
    metal = HeteroAtom("A", 99, "", "ZN", "ZN", "Zn", tuple(first + [1.45, 1.8, 0.0]))
    bonds, _ = connections(dataclasses.replace(protein, hetero=(metal,)))
    assert [b.kind for b in bonds] == ["metal", "metal"]


@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_the_table_is_written_and_read_back(kind: str, tmp_path: Path) -> None:
    sugar = files.atom_line(950, "C1", "NAG", "A", "501", outward(ASN, "ND2", 2.2), het=True)
    link = "LINK         ND2 ASN A  16                 C1  NAG A 501     1555   1555  1.45"
    protein = read(tmp_path, with_lines(zinc(), sugar, records=(link,)))
    path = tmp_path / f"written.{kind}"
    (write_pdb if kind == "pdb" else write_cif)(protein, path)
    again = read_structure(path).protein
    assert table(again) == table(protein) and len(table(protein)) == 2
    assert {c.source for c in again.connections} == {"LINK" if kind == "pdb" else "struct_conn"}
    types = {c.type for c in gemmi.read_structure(str(path)).connections}
    if kind == "cif":
        assert types == {gemmi.ConnectionType.MetalC, gemmi.ConnectionType.Covale}


def test_selected_residues_keep_the_bonds_among_them() -> None:
    protein = chain("AACAAAACAA")
    protein = moved_atom(protein, 7, "SG", protein.coords[0, 2, 5] + np.array([2.0, 0.0, 0.0]))
    protein = dataclasses.replace(protein, connections=connections(protein)[0])
    kept = protein.select([2, 3, 7])
    assert kept.connections == (Connection("disulfide", (0, 5), (2, 5), pytest.approx(2.0), "distance"),)
    assert protein.select([1, 2, 3]).connections == ()
    assert kept.residue_ids[0] == ResidueId("A", 3)


def binary_cif(path: Path) -> bytes:
    """An mmCIF file as BinaryCIF."""
    binary = pdbx.BinaryCIFFile()
    for name, block in pdbx.CIFFile.read(path).items():
        binary[name] = pdbx.BinaryCIFBlock(
            {
                category: pdbx.BinaryCIFCategory({column: data.as_array() for column, data in table.items()})
                for category, table in block.items()
            }
        )
    out = io.BytesIO()
    binary.write(out)
    return out.getvalue()


def test_bonds_of_binary_cif_are_those_of_mmcif(tmp_path: Path) -> None:
    write_cif(prepare(DATA / "zinc.pdb").protein, tmp_path / "model.cif")
    (tmp_path / "model.bcif").write_bytes(binary_cif(tmp_path / "model.cif"))
    one, two = (read_structure(tmp_path / f"model.{kind}").protein for kind in ("cif", "bcif"))
    assert one.connections == two.connections and {bond.source for bond in two.connections} == {"struct_conn"}
    assert len(two.connections) == 3


# CONECT.


def conect_pairs(path: Path) -> set[tuple[str, str]]:
    """Serials of bonded atoms, both ways."""
    fields = [line.split("CONECT")[1] for line in path.read_text().splitlines() if line.startswith("CONECT")]
    split = [[text[k : k + 5].strip() for k in range(0, len(text.rstrip()), 5)] for text in fields]
    return {(first, other) for first, *others in split for other in others}


def serials(path: Path) -> dict[tuple[str, str], str]:
    """By residue name and atom name; the last of several."""
    lines = files.atom_lines(path.read_text())
    return {(line[17:20].strip(), files.name_of(line)): line[6:11].strip() for line in lines}


@pytest.mark.parametrize("name", ["sugars", "haem", "phosphoserine", "zinc_cys4", "lactam"])
def test_bonds_of_hetero_groups_are_conect_records(name: str, tmp_path: Path) -> None:
    protein = prepare(DATA / f"{name}.pdb").protein
    write_pdb(protein, tmp_path / "out.pdb")
    pairs, serial = conect_pairs(tmp_path / "out.pdb"), serials(tmp_path / "out.pdb")
    for residue, bonded, apart in {
        "sugars": [("BMA", "C1 C2", "C1 C3"), ("BMA", "C5 O5", "C1 O4")],
        "haem": [("HEM", "FE NA", "FE CHA"), ("HEM", "CAA CBA", "NA NB")],
        "phosphoserine": [("SEP", "OG P", "CB P")],
        "zinc_cys4": [],
        "lactam": [("PH8", "CA CB", "N CB")],
    }[name]:
        for text, there in ((bonded, True), (apart, False)):
            one, two = (serial[residue, atom] for atom in text.split())
            assert ((one, two) in pairs) == ((two, one) in pairs) == there, text
    zincs = {"zinc_cys4": 4}
    assert sum(one == serial.get(("ZN", "ZN")) for one, _ in pairs) == zincs.get(name, 0)
    again = read_structure(tmp_path / "out.pdb").protein
    assert table(again) == table(protein)


def test_conect_records_of_serials_beyond_99999_are_those_of_the_atoms(tmp_path: Path) -> None:
    protein = prepare(DATA / "zinc.pdb").protein
    waters = tuple(
        HeteroAtom("W", k % 9999, "", "HOH", "O", "O", (900.0, 10.0 * (k % 900), 10.0 * (k // 900)), order=k // 9999)
        for k in range(100_000)
    )
    zinc = dataclasses.replace(protein.hetero[0], order=1000)
    crowded = dataclasses.replace(protein, hetero=waters)
    crowded = dataclasses.replace(crowded, hetero=(*waters, zinc))
    crowded = dataclasses.replace(crowded, connections=connections(crowded)[0])
    write_pdb(crowded, tmp_path / "out.pdb")
    serial = serials(tmp_path / "out.pdb")["ZN", "ZN"]
    assert serial.startswith("A") and sum(one == serial for one, _ in conect_pairs(tmp_path / "out.pdb")) == 3
    links = read_structure(tmp_path / "out.pdb").links
    assert {link.second.name for link in links if link.record == "CONECT" and link.first.name != "ZN"} == {"ZN"}


def test_the_bonds_of_an_ensemble_stand_outside_its_models(tmp_path: Path) -> None:
    protein = prepare(DATA / "zinc.pdb").protein
    write_ensemble_pdb(protein, tmp_path / "one.pdb")
    records = [line[:6].strip() for line in (tmp_path / "one.pdb").read_text().splitlines()]
    first, last = records.index("MODEL"), records.index("ENDMDL")
    assert "LINK" in records[:first] and "CONECT" in records[last:]
    assert set(records[first + 1 : last]) == {"ATOM", "HETATM", "TER"}


# What a distance alone does not make a bond.


@pytest.mark.parametrize(
    ("element", "atom", "bonded"), [("C", "ND2", True), ("O", "OD1", False), ("N", "OD1", False), ("C", "CB", False)]
)
def test_a_ligand_that_lies_in_a_side_chain_is_not_bonded_to_it(
    element: str, atom: str, bonded: bool, tmp_path: Path
) -> None:
    place = outward(ASN, atom, 1.45)
    if bonded:  # at the angle of a bond
        x = files.base_protein().coords[0, ASN - 1].astype(float)
        place = tuple(place_atom(x[4], x[5], x[7], 1.45, np.radians(122.0), 0.0))
    lying = files.atom_line(950, f"{element}7", "LIG", "A", "501", place, het=True, element=element)
    assert len(table(read(tmp_path, with_lines(lying)))) == int(bonded)


def test_a_stretched_sugar_is_bonded_and_a_ligand_at_that_distance_is_not(tmp_path: Path) -> None:
    for name, expected in (("NAG", 1), ("LIG", 0)):
        sugar = files.atom_line(950, "C1", name, "A", "501", outward(ASN, "ND2", 1.95), het=True)
        assert len(table(read(tmp_path, with_lines(sugar)))) == expected


def test_what_left_in_an_isopeptide_is_not_built_again() -> None:
    prepared = prepare(DATA / "lactam.pdb")
    i = next(i for i, one in enumerate(prepared.protein.residue_ids) if (one.number, one.insertion) == (9, ""))
    assert not prepared.protein.mask[i, ATOM14["E"].index("OE2")] and left_atoms(prepared.protein).sum() == 1
    assert not any("OE2" in note.message for note in prepared.notes)


def test_a_residue_with_other_atoms_than_its_parent_loses_none(tmp_path: Path) -> None:
    """Norleucine beside the leucine it would be read as."""

    def change(line: str) -> str:
        if files.number_of(line) != LEU:
            return line
        renamed = {"CD1": "CD ", "CD2": "CE "}.get(files.name_of(line), line[13:16])
        return f"HETATM{line[6:13]}{renamed}{line[16:17]}NLE{line[20:]}"

    path = tmp_path / "model.pdb"
    path.write_text(files.edit(change))
    prepared = prepare(path)
    assert [h.name for h in prepared.protein.hetero] == ["N", "CA", "C", "O", "CB", "CG", "CD", "CE"]
    assert [(kind, second) for kind, _, second in table(prepared.protein)] == [
        ("covalent", "A:10 NLE N"), ("covalent", "A:10 NLE C"),
    ]  # fmt: skip
    assert not any(note.kind == "gap" for note in prepared.notes)


def test_a_link_by_label_ids_alone_is_found_by_the_author_s(tmp_path: Path) -> None:
    sugar = files.atom_line(950, "C1", "NAG", "S", "501", outward(ASN, "ND2", 2.4), het=True)
    link = "LINK         ND2 ASN A  16                 C1  NAG S 501     1555   1555  1.45"
    write_cif(read(tmp_path, with_lines(sugar, records=(link,))), tmp_path / "model.cif")
    document = gemmi.cif.read(str(tmp_path / "model.cif"))
    block = document.sole_block()
    rows = block.get_mmcif_category("_struct_conn.", raw=True)
    block.set_mmcif_category("_struct_conn.", {k: v for k, v in rows.items() if "auth" not in k}, raw=True)
    document.write_file(str(tmp_path / "label.cif"))
    protein = read_structure(tmp_path / "label.cif").protein
    assert table(protein) == [("covalent", "A:16 ASN ND2", "S:501 NAG C1")]
    assert protein.connections[0].source == "struct_conn"
