"""Reading evidence: what rows mean, and that whatever is wrong names its line, residue and remedy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from refine.errors import InputError
from refine.evidence.atoms import parse_atom
from refine.evidence.ensembles import deconvolved
from refine.evidence.pairs import CONTACT, GAUSSIAN, STUDENT
from refine.evidence.read import read_evidence
from refine.structure.protein import Protein, ResidueId, Site
from tests.proteins import chain_backbone, make_protein, small_protein, torsions

HISTOGRAM = b'[[distribution]]\nfirst = "A:1"\nsecond = "A:9"\n'


def odd_numbers() -> Protein:
    """A blank chain: −1, 0, 1, 1A, 2 and on; chain B as usual."""
    protein = make_protein([chain_backbone(*torsions(12)), chain_backbone(*torsions(8)) + 30.0])
    own = [ResidueId("", -1), ResidueId("", 0), ResidueId("", 1), ResidueId("", 1, "A")]
    own += [ResidueId("", n) for n in range(2, 10)]
    ids = (*own, *(ResidueId("B", n) for n in range(1, 9)))
    return dataclasses.replace(protein, residue_ids=ids)


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("blank:-1 CA", Site(0, 1)), (":0 N", Site(1, 0)), ("(blank):1A CA", Site(3, 1)), ("blank:1 CA", Site(2, 1)),
        ("1A ca", Site(3, 1)), ("B:3 O", Site(14, 3)), ("B:1", Site(12, 4)), ("B:4", Site(15, 1)),
    ],
)  # fmt: skip
def test_atoms_are_found_by_the_authors_numbers(text: str, site: Site) -> None:
    """B:4 is a glycine: its CB is its CA."""
    assert parse_atom(text, odd_numbers()) == site


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A:3 CA", "no such chain"), ("B:99 CA", "The nearest of that chain are B:6, B:7, B:8"),
        ("B:3 CZ", "no atom CZ"),
        ("B:4 CB", "no atom CB"), ("B three", "names no atom"), ("B:1B CA", "no such residue"),
    ],
)  # fmt: skip
def test_atoms_that_are_not_there_are_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_atom(text, odd_numbers())


def test_a_table_and_toml_say_the_same(tmp_path: Path) -> None:
    protein = small_protein(30)
    table, toml = tmp_path / "rows.tsv", tmp_path / "rows.toml"
    table.write_text(
        "# cross-links\nkind\tfirst\tsecond\tvalue\tsigma\tlower\tupper\tweight\tform\n"
        "distance\tA:3 CA\tA:12 CA\t8.5\t0.5\t\t\t2\tgaussian\n\n\tA:5 CB\tA:20 CB\t\t\t\t12.0\n"
        "contact\tA:6\tA:25\n",
        encoding="utf-8",
    )
    toml.write_text(
        '[[distance]]\nfirst = "A:3 CA"\nsecond = "A:12 CA"\nvalue = 8.5\nsigma = 0.5\nweight = 2\nform = "gaussian"\n'
        '[[distance]]\nfirst = "A:5 CB"\nsecond = "A:20 CB"\nupper = 12\n[[contact]]\nfirst = "A:6"\nsecond = "A:25"\n',
        encoding="utf-8",
    )
    a, b = (read_evidence([path], protein).pairs for path in (table, toml))
    for name in ("residue", "slot", "lower", "upper", "sigma", "weight", "form"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.form.tolist() == [GAUSSIAN, STUDENT, CONTACT] and a.upper.tolist() == [8.5, 12.0, 8.0]
    assert a.line.tolist() == [3, 5, 6] and b.line.tolist() == [1, 8, 12]
    both = read_evidence([table, toml], protein).pairs
    assert both.files == ("rows.tsv", "rows.toml") and both.source.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("distance\tA:3 CA\tA:99 CA\t8\t1", "line 2: there is no such residue .*A:99"),
        ("distance\tA:3 CA\tA:3 CA\t8\t1", "line 2: both atoms are A:3 CA"),
        ("distance\tA:3 CA\tA:12 CA\t8\t-1", "line 2: sigma = -1 must be above 0"),
        ("distance\tA:3 CA\tA:12 CA\teight\t1", "line 2: value = 'eight' is no finite number"),
        ("distance\tA:3 CA\tA:12 CA\tnan\t1", "line 2: value = 'nan' is no finite number"),
        ("distance\tA:3 CA\tA:12 CA\t0.2\t1", "line 2: a distance of 0.2 Å is impossible"),
        ("distance\tA:3 CA\tA:6 CA\t30\t1", "line 2: 30 Å is impossible: the chain .* reaches 11.6 Å"),
        ("distance\tA:3 CA\tA:12 CA\t\t1\t9\t7", "line 2: the lower bound 9 is above the upper bound 7"),
        ("distance\tA:3 CA\tA:12 CA\t8\t1\t7", "line 2: a distance has either a value or bounds"),
        ("distance\tA:3 CA\tA:12 CA\t\t1", "line 2: a distance needs a value"),
        ("distance\tA:3 CA\tA:12 CA\t8\t1\t\t\t-1", "line 2: the weight -1 is negative"),
        ("touch\tA:3 CA\tA:12 CA", "line 2: unknown kind of evidence 'touch'"),
        ("contact\tA:3 CA\tA:12 CA\t8", "line 2: a contact has no 'value'"),
        ("distance\tA:3 CA\t\t8", "line 2: the second atom is missing"),
        ("distance\tA:3 CA\tA:12 CA\t8\t1\t\t\t1\t5", "line 2: 9 cells for 8 columns"),
        ("distance\tA:3 CA\tA:5 CA\t3.9\t1", "line 2: a distance of 3.9 Å is impossible .*4.3 Å or more apart"),
        ("distance\tA:3 CA\tA:12 CB\t1.5\t1", "line 2: a distance of 1.5 Å is impossible .*2 Å or more apart"),
        ("contact\tA:3 CA\tA:4 CA\t\t1\t\t2", "line 2: a distance of 2 Å is impossible .*2.7 Å or more apart"),
        ("mean\tA:3 CA\tA:12 CA\t\t1", "line 2: a mean needs a value"),
        ("mean\tA:3 CA\tA:12 CA\t8\t0", "line 2: sigma = 0 must be above 0"),
        ("mean\tA:3 CA\tA:6 CA\t30\t1", "line 2: 30 Å is impossible"),
        ("distribution\tA:3 CA\tA:12 CA\t8", "line 2: a distribution has no 'value'"),
        ("distribution\tA:3 CA\tA:12 CA", "line 2: a distribution needs edges"),
    ],
)
def test_a_wrong_row_names_its_line(tmp_path: Path, row: str, words: str) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text(f"kind\tfirst\tsecond\tvalue\tsigma\tlower\tupper\tweight\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=words) as error:
        read_evidence([path], small_protein(30))
    assert error.value.file == str(path)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("A:3 CA\tA:12 CA\t5\t1\n\nA:12 CA\tA:3 CA\t20\t1", "line 4: .* at 20 ± 1 Å contradicts line 2"),
        ("A:3 CA\tA:12 CA\t5\t1\nA:3 CA\tA:12 CA\t\t1\t18", "line 3: .* 18 to inf ± 1 Å contradicts line 2, 5 ± 1"),
    ],
)  # fmt: skip
def test_rows_that_contradict_one_another_name_both_lines(tmp_path: Path, rows: str, words: str) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text(f"first\tsecond\tvalue\tsigma\tlower\n{rows}\n", encoding="utf-8")
    with pytest.raises(InputError, match=words) as error:
        read_evidence([path], small_protein(30))
    assert error.value.file == str(path)


@pytest.mark.parametrize(
    "rows",
    [
        "A:3 CA\tA:12 CA\t5\t3\t1\nA:3 CA\tA:12 CA\t20\t3\t1",  # unsure enough
        "A:3 CA\tA:12 CA\t5\t1\t1\nA:3 CA\tA:12 CA\t20\t1\t0",  # one is left out
        "A:3 CA\tA:12 CA\t5\t1\t1\nA:3 CA\tA:12 CB\t20\t1\t1",  # other atoms
    ],
)
def test_rows_that_may_be_true_together_are_taken(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text(f"first\tsecond\tvalue\tsigma\tweight\n{rows}\n", encoding="utf-8")
    assert len(read_evidence([path], small_protein(30)).pairs) == 2


def test_files_may_contradict_one_another_too(tmp_path: Path) -> None:
    """A mean of one file and a distance of another."""
    (tmp_path / "a.tsv").write_text("first\tsecond\tvalue\nA:3 CA\tA:12 CA\t6\n", encoding="utf-8")
    (tmp_path / "b.toml").write_text('[[mean]]\nfirst = "A:3 CA"\nsecond = "A:12 CA"\nvalue = 25\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 1: .* contradicts line 2 of .*a.tsv, 6 ± 1 Å") as error:
        read_evidence([tmp_path / "a.tsv", tmp_path / "b.toml"], small_protein(30))
    assert error.value.file == str(tmp_path / "b.toml")


def test_means_and_distributions_are_rows_of_the_ensemble(tmp_path: Path) -> None:
    table, toml = tmp_path / "rows.tsv", tmp_path / "rows.toml"
    table.write_text(
        "kind\tfirst\tsecond\tvalue\tsigma\tedges\tprobabilities\n"
        "mean\tA:3 CA\tA:20 CA\t15\t0.5\n"
        "distribution\tA:3 CA\tA:25 CA\t\t\t10, 12, 14\t1, 3\n",
        encoding="utf-8",
    )
    toml.write_text(
        '[[distribution]]\nfirst = "A:3 CA"\nsecond = "A:25 CA"\nedges = [10, 12, 14]\nprobabilities = [1, 3]\n',
        encoding="utf-8",
    )
    found = read_evidence([table, toml], small_protein(30))
    assert len(found.pairs) == 0 and [row.kind for row in found.ensemble] == ["mean", "distribution", "distribution"]
    assert [row.source for row in found.ensemble] == [0, 0, 1] and [row.line for row in found.ensemble] == [2, 3, 1]
    for row in found.ensemble[1:]:
        np.testing.assert_allclose(row.probabilities, [0.25, 0.75])
        assert row.value == 12.5 and row.bounds == (10.0, 14.0)


def test_the_noise_of_a_histogram_is_taken_out() -> None:
    """Two sharp distances, measured with 2 Å of noise."""
    edges = np.arange(10.0, 41.0)
    middles = 0.5 * (edges[1:] + edges[:-1])
    measured = sum(0.5 * np.exp(-0.5 * ((middles - at) / 2.0) ** 2) for at in (20.5, 29.5))
    found = deconvolved(measured, edges, 2.0)
    assert found.sum() == pytest.approx(1.0) and (found >= 0).all()
    near = [found[np.abs(middles - at) <= 1.1].sum() for at in (20.5, 29.5)]
    assert min(near) > 0.45
    np.testing.assert_allclose(deconvolved(measured, edges, 0.0), measured / measured.sum())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.csv", b"", "is not read from .csv"), ("absent.tsv", None, "No such file"),
        ("rows.tsv", b"", "the table is empty"), ("rows.tsv", b"first\tsecond\n", "no rows"),
        ("rows.tsv", b"from\tto\n", "line 1: unknown column 'from'"), ("rows.tsv", b"\xff\xfe\x00", "it is no text"),
        ("rows.toml", b"[[distance]", "is not TOML"), ("rows.toml", b"distance = 3", "unknown key 'distance'"),
        ("p.json", b"{}", "no matrix of expected errors"), ("p.json", b"{", "cannot read the expected errors"),
        ("rows.toml", HISTOGRAM + b"edges=[1,2,3]\nprobabilities=[1]", "3 edges"),
        ("rows.toml", HISTOGRAM + b"edges=[4,3,9]\nprobabilities=[1,1]", "must ascend"),
        ("rows.toml", HISTOGRAM + b"edges=[4,5,9]\nprobabilities=[0,0]", "not all 0"),
        ("d.npz", b"junk", "cannot read the distogram"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        read_evidence([tmp_path / name], small_protein(30))
    assert error.value.file == str(tmp_path / name)


def distogram_of(distance: np.ndarray, sigma: float) -> dict[str, np.ndarray]:
    """Arrays as AlphaFold writes them, Gaussian about distances (L, L)."""
    edges = np.linspace(2.3125, 21.6875, 63)
    middles = np.concatenate(([edges[0] - 0.15], 0.5 * (edges[1:] + edges[:-1]), [edges[-1] + 2.0]))
    logits = -0.5 * ((middles - distance[..., None]) / sigma) ** 2
    return {"logits": logits.astype(np.float32), "bin_edges": edges.astype(np.float32)}


def test_a_distogram_in_alphafolds_layout(tmp_path: Path) -> None:
    """One that says other distances is evidence; that of the input itself is not."""
    protein = small_protein(30)
    glycine = np.array([aa == "G" for aa in protein.sequence])
    points = np.where(glycine[:, None], protein.coords[0, :, 1], protein.coords[0, :, 4]).astype(np.float64)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.savez(tmp_path / "other.npz", **distogram_of(distance + 2.0, 0.6))
    np.savez(tmp_path / "own.npz", **distogram_of(distance, 0.6))
    other = read_evidence([tmp_path / "other.npz"], protein)
    assert len(other.pairs) > 100 and not other.notes
    near = other.pairs.lower < 18.0
    excess = other.pairs.excess(other.pairs.measured(protein))[near]
    assert np.median(excess) == pytest.approx(-2.0, abs=0.2)
    assert 0.0 < other.pairs.weight.max() <= 1.0 and (other.pairs.residue[:, 1] - other.pairs.residue[:, 0]).min() == 3
    own = read_evidence([tmp_path / "own.npz"], protein)
    assert len(own.pairs) == 0 and "no independent evidence" in own.notes[0].message


def test_expected_errors_hold_what_lies_right(tmp_path: Path) -> None:
    """Both layouts of AlphaFold's file; the two halves are not known relative to one another."""
    protein, half = small_protein(30), np.arange(30) // 15
    matrix = np.where(half[:, None] == half, 1.5, 25.0)
    i, j = (k.ravel().tolist() for k in np.indices((30, 30)) + 1)
    (tmp_path / "new.json").write_text(json.dumps({"predicted_aligned_error": matrix.tolist()}))
    lists = [{"residue1": i, "residue2": j, "distance": matrix.ravel().tolist()}]
    (tmp_path / "old.json").write_text(json.dumps(lists))
    new, old = (read_evidence([tmp_path / f"{name}.json"], protein).pairs for name in ("new", "old"))
    np.testing.assert_array_equal(new.residue, old.residue)
    assert (half[new.residue[:, 0]] == half[new.residue[:, 1]]).all() and (new.sigma == 1.5).all()
    assert np.abs(new.excess(new.measured(protein))).max() == 0.0
    (tmp_path / "short.json").write_text(json.dumps({"pae": matrix[:20, :20].tolist()}))
    with pytest.raises(InputError, match="20 by 20 for 30 residues"):
        read_evidence([tmp_path / "short.json"], protein)
