"""Files that are written come back as they were, and other programs read them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.PDB import MMCIFParser, PDBParser

from refine.errors import InputError
from refine.structure.protein import HeteroAtom, Protein, ResidueId
from refine.structure.read import read_structure
from refine.structure.write import fits_pdb, write_cif, write_ensemble_pdb, write_pdb
from tests.structure import files

WRITERS = [("out.pdb", write_pdb), ("out.cif", write_cif)]


def renamed(protein: Protein, ids: list[ResidueId], **changes: object) -> Protein:
    return dataclasses.replace(protein, residue_ids=tuple(ids), **changes)  # type: ignore[arg-type]


def awkward(chain: str = "A") -> Protein:
    """Insertion codes, negative numbers, numbers out of order, a ligand between the residues, waters after them, an ion
    of charge 2.
    """
    base = files.base_protein()
    numbers = [
        (-2, ""),
        (0, ""),
        (1, ""),
        (1, "A"),
        (1, "B"),
        *((k, "") for k in range(50, 60)),
        *((k, "") for k in range(20, 27)),
    ]
    ids = [ResidueId(chain, n, i) for n, i in numbers]
    order = np.array([*range(10), *range(12, 24)])
    hetero = (
        HeteroAtom(chain, 500, "", "LIG", "C1", "C", (30.0, 1.0, 2.0), 0.4, 11.0, 0, "A", True, 10),
        HeteroAtom(chain, 500, "", "LIG", "C1", "C", (30.5, 1.0, 2.0), 0.6, 11.0, 0, "B", True, 10),
        HeteroAtom(chain, 501, "", "ZN", "ZN", "Zn", (33.0, 1.0, 2.0), 1.0, 12.0, 2, "", True, 11),
        HeteroAtom("N", 1, "", "DA", "P", "P", (40.0, 1.0, 2.0), 1.0, 13.0, 0, "", False, 24),
        HeteroAtom("N", 2, "", "DC", "P", "P", (46.0, 1.0, 2.0), 1.0, 13.0, 0, "", False, 25),
        HeteroAtom(chain, 600, "", "HOH", "O", "O", (50.0, 1.0, 2.0), 1.0, 14.0, 0, "", True, 26),
        HeteroAtom(chain, 601, "", "HOH", "O", "O", (53.0, 1.0, 2.0), 1.0, 14.0, 0, "", True, 27),
    )
    b = np.round(np.random.default_rng(0).uniform(5, 90, base.mask.shape), 2).astype(np.float32) * base.mask
    return renamed(base, ids, hetero=hetero, file_order=order, b_factors=b)


def assert_same(one: Protein, two: Protein) -> None:
    assert (one.sequence, one.residue_ids, one.hetero) == (two.sequence, two.residue_ids, two.hetero)
    assert (
        np.abs(one.coords - two.coords)[:, one.mask].max() <= 1e-3
        and np.abs(one.oxt - two.oxt)[:, one.oxt_mask].max() <= 1e-3
    )
    for field in ("mask", "oxt_mask", "bonded", "file_order"):
        assert np.array_equal(getattr(one, field), getattr(two, field)), field
    assert (
        np.abs(one.b_factors - two.b_factors).max() < 0.006 and np.abs(one.occupancies - two.occupancies).max() < 0.006
    )


@pytest.mark.parametrize(("name", "write"), WRITERS)
@pytest.mark.parametrize("chain", ["A", "", "7"])
def test_round_trip(name: str, write, chain: str, tmp_path: Path) -> None:  # noqa: ANN001
    protein = awkward(chain)
    write(protein, tmp_path / name)
    assert_same(read_structure(tmp_path / name).protein, protein)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("name", "write"), WRITERS)
@pytest.mark.parametrize("chain", ["A", ""])
def test_biopython_and_gemmi_read_what_is_written(name: str, write, chain: str, tmp_path: Path) -> None:  # noqa: ANN001
    protein = awkward(chain)
    write(protein, tmp_path / name)
    parser = PDBParser(QUIET=True) if name.endswith("pdb") else MMCIFParser(QUIET=True)
    residues = [
        r for r in parser.get_structure("x", str(tmp_path / name))[0].get_residues() if r.id[0] == " " and "CA" in r
    ]
    identities = [(r.get_parent().id.strip(), r.id[1], r.id[2].strip()) for r in residues]
    assert identities == [(r.chain, r.number, r.insertion) for r in protein.residue_ids]
    assert np.abs(residues[3]["CA"].coord - protein.coords[0, 3, 1]).max() < 1e-3
    model = gemmi.read_structure(str(tmp_path / name))[0]
    assert sum(1 for c in model for r in c if r.find_atom("CA", "*") and r.name in ("ALA", "LYS")) == 3
    assert sum(1 for c in model for r in c if r.name == "HOH") == 2


def test_blank_chain_is_blank_in_the_file(tmp_path: Path) -> None:
    write_pdb(awkward(""), tmp_path / "x.pdb")
    lines = [
        line
        for line in (tmp_path / "x.pdb").read_text().splitlines()
        if line.startswith("ATOM") and line[17:20] == "LYS"
    ]
    assert lines and {line[21] for line in lines} == {" "}


def test_long_chain_ids_go_to_mmcif_only(tmp_path: Path) -> None:
    protein = awkward("AbC1")
    assert "longer than one letter" in (fits_pdb(protein) or "")
    with pytest.raises(InputError, match="Write mmCIF"):
        write_pdb(protein, tmp_path / "x.pdb")
    assert list(tmp_path.iterdir()) == []
    write_cif(protein, tmp_path / "x.cif")
    assert_same(read_structure(tmp_path / "x.cif").protein, protein)


def test_what_does_not_fit_pdb() -> None:
    base = files.base_protein()
    ids = list(base.residue_ids)
    assert fits_pdb(base) is None
    assert "number" in (fits_pdb(renamed(base, [ResidueId("A", -1000), *ids[1:]])) or "")
    coded = renamed(base, [ResidueId("A", 1, "0"), *ids[1:]])  # 1 and 0 read as ten
    assert "insertion code" in (fits_pdb(coded) or "")
    far = base.coords.copy()
    far[0, 0, 0, 0] = 12000.0
    assert "coordinate" in (fits_pdb(base.with_coords(far, oxt=base.oxt)) or "")
    assert "chain" in (fits_pdb(renamed(base, [ResidueId("AB", 1), *ids[1:]])) or "")


def test_long_residue_names_are_short_in_pdb(tmp_path: Path) -> None:
    """A fourth letter would be read as a part of the chain id; names that the PDB has for something else are not
    taken.
    """
    names = ["TIP3", "TIP3", "POPC", "A1CDE", "A1CDF", "HIDX", "SOLV"]
    hetero = tuple(
        HeteroAtom("W", 900 + k, "", name, "C1", "C", (50.0 + 9 * k, 0.0, 0.0), order=30 + k)
        for k, name in enumerate(names)
    )  # fmt: skip
    protein = dataclasses.replace(files.base_protein(), hetero=hetero)
    assert fits_pdb(protein) is None
    write_pdb(protein, tmp_path / "x.pdb")
    write_cif(protein, tmp_path / "x.cif")
    structure = gemmi.read_structure(str(tmp_path / "x.pdb"))
    short = [residue.name for residue in structure[0]["W"]]
    assert short[:2] == ["HOH", "HOH"] and len(set(short[1:])) == 6 and {len(name) for name in short} == {3}
    assert not any(gemmi.find_tabulated_residue(name).found() for name in short[2:])
    assert not {"HID", "SOL"} & set(short)  # a histidine and a water to those who read it
    assert f"A1CDE is {short[3]}" in (tmp_path / "x.pdb").read_text()
    read = read_structure(tmp_path / "x.pdb").protein
    assert [atom.position for atom in read.hetero] == [atom.position for atom in hetero]
    assert [r.name for r in gemmi.read_structure(str(tmp_path / "x.cif"))[0]["W"]] == names


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_numbers_above_9999(name: str, write, tmp_path: Path) -> None:  # noqa: ANN001
    base = files.base_protein()
    protein = renamed(base, [ResidueId("A", 9990 + i) for i in range(22)])
    write(protein, tmp_path / name)
    assert_same(read_structure(tmp_path / name).protein, protein)


def test_more_than_99999_atoms(tmp_path: Path) -> None:
    base = files.base_protein()
    places = [(float(i % 100), float(i // 100 % 100), 50.0 + i // 10000) for i in range(100_000)]
    waters = tuple(
        HeteroAtom("W", 1 + i % 9000, "", "HOH", "O", "O", place, order=22 + i) for i, place in enumerate(places)
    )
    protein = dataclasses.replace(base, hetero=waters)
    write_pdb(protein, tmp_path / "big.pdb")
    assert_same(read_structure(tmp_path / "big.pdb").protein, protein)


def test_replicas_become_models(tmp_path: Path) -> None:
    base = awkward()
    coords = np.concatenate([base.coords + k for k in range(3)])
    protein = base.with_coords(coords, oxt=np.concatenate([base.oxt + k for k in range(3)]))
    write_ensemble_pdb(protein, tmp_path / "e.pdb")
    for k in range(3):
        result = read_structure(tmp_path / "e.pdb", model=k + 1)
        assert result.models == 3
        assert_same(result.protein, protein.replica(k))
    write_ensemble_pdb(protein.replica(0), tmp_path / "one.pdb")
    text = (tmp_path / "one.pdb").read_text()
    assert text.count("MODEL ") == 1 and text.count("ENDMDL") == 1
    assert_same(read_structure(tmp_path / "one.pdb").protein, base)


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_b_values_per_residue_and_per_atom(name: str, write, tmp_path: Path) -> None:  # noqa: ANN001
    base = files.base_protein()
    values = np.linspace(0, 100, 22, dtype=np.float32)
    write(base, tmp_path / name, b_values=values)
    written = read_structure(tmp_path / name).protein.b_factors
    assert written[:, 1] == pytest.approx(values, abs=6e-3) and written[7, 4] == pytest.approx(values[7], abs=6e-3)
    write(base, tmp_path / name, b_values=base.mask * 3.25)
    assert (read_structure(tmp_path / name).protein.b_factors[base.mask] == 3.25).all()


def test_confidence_in_mmcif(tmp_path: Path) -> None:
    protein = awkward()
    confidence = np.linspace(20, 90, 22)
    write_cif(protein, tmp_path / "x.cif", confidence=confidence)
    block = gemmi.cif.read(str(tmp_path / "x.cif")).sole_block()
    rows = block.find("_ma_qa_metric_local.", ["label_asym_id", "label_seq_id", "label_comp_id", "metric_value"])
    assert [float(r[3]) for r in rows] == pytest.approx(confidence, abs=0.006)
    assert float(block.find_value("_ma_qa_metric_global.metric_value")) == pytest.approx(confidence.mean(), abs=0.006)
    atoms = block.find("_atom_site.", ["label_asym_id", "label_seq_id", "label_comp_id", "group_PDB"])
    residues = {(r[0], r[1], r[2]) for r in atoms if r[3] == "ATOM"}
    assert {(r[0], r[1], r[2]) for r in rows} <= residues
    assert_same(read_structure(tmp_path / "x.cif").protein, protein)


def test_remarks(tmp_path: Path) -> None:
    write_pdb(files.base_protein(), tmp_path / "x.pdb", remarks=("refined, Å", "y" * 100))
    remarks = [line for line in (tmp_path / "x.pdb").read_text().splitlines() if line.startswith("REMARK")]
    assert len(remarks) == 3 and all(len(line) <= 80 for line in remarks)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pdb"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("refine.files.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_pdb(files.base_protein(), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
