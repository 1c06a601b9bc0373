"""Evidence and temperatures are held against an upload before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from refine.cli import parser, settings_of
from refine.energy.torsion_density import TorsionDensity, write_density
from refine.errors import InputError
from refine.queue import isolated
from refine.queue.request import Request, from_dict
from refine.queue.settings import AppSettings
from refine.queue.uploads import Upload, check_upload, known_name
from tests.queue.places import example, short_model

ROWS = b"kind\tfirst\tsecond\tvalue\tupper\tweight\ndistance\tA:152 CA\tA:165 CA\t12\t\t0.5\ncontact\tA:151\tA:168\n"


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    return check_upload("short.pdb", short_model(), AppSettings(), tmp_path)


def test_rows_come_with_weights_and_with_what_the_input_has(upload: Upload) -> None:
    facts = isolated.read_known(upload, {"evidence_a.tsv": ROWS}, Request(), AppSettings())
    first, second = facts["rows"]
    assert (first["kind"], first["first"], first["weight"], first["line"]) == ("distance", "A:152 CA", 0.5, 2)
    assert second["upper"] == 8.0 and first["input"] > 0 and isinstance(first["input_holds"], bool)
    assert facts["files"][0]["rows"] == 1 and "model_1" not in first


def test_a_distogram_is_read_without_pickle(upload: Upload, tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", logits=np.array([{"a": 1}], dtype=object), bin_edges=np.arange(3.0))
    with pytest.raises(InputError, match="cannot read the distogram") as error:
        isolated.read_known(upload, {"evidence_d.npz": (tmp_path / "evil.npz").read_bytes()}, Request(), AppSettings())
    assert error.value.file == "evidence_d.npz"


@pytest.mark.parametrize(
    ("files", "heat", "words"),
    [
        ({"evidence_a.tsv": ROWS.replace(b"A:165", b"A:999")}, "", "line 2: there is no such residue"),
        ({"evidence_p.json": b"{}"}, "", "no matrix of expected errors"),
        ({"evidence_t.toml": b"[[distance]]\nfirst = 1\n"}, "", "line 1"),
        ({}, "A:151-155=hot", "no temperature"),
        ({}, "Z:1=600", "names no chain"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_place(
    upload: Upload, files: dict[str, bytes], heat: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as error:
        isolated.read_known(upload, files, Request(heat=heat), AppSettings())
    assert "/" not in str(error.value.file or "")


def test_temperatures_alone_are_checked(upload: Upload) -> None:
    assert isolated.read_known(upload, {}, Request(heat="A:151-155=600"), AppSettings()) == {}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a b.tsv", "evidence_a_b.tsv"),
        ("../../x.NPZ", "evidence_x.npz"),
        ("--out=.json", "evidence_out.json"),
        ("ä.toml", "evidence_file.toml"),
    ],
)
def test_names_on_the_disk_are_harmless(name: str, kept: str) -> None:
    assert known_name(name) == kept


def rest_of_example() -> bytes:
    """Residues 181 to 200, another protein than ``short_model``."""
    lines = [line for line in example().splitlines() if line.startswith(b"ATOM") and 181 <= int(line[22:26]) <= 200]
    return b"\n".join([*lines, b"END", b""])


@pytest.mark.parametrize("kind", ["template", "together"])
def test_structures_are_known_too(upload: Upload, kind: str) -> None:
    name = known_name("../other model.PDB", kind)
    assert name == f"{kind}_other_model.pdb"
    facts = isolated.read_known(upload, {name: short_model(), "evidence_a.tsv": ROWS}, Request(), AppSettings())
    files = {file["kind"]: file for file in facts["files"]}
    (rows,) = (file for file in facts["files"] if file["file"] == name)
    assert rows["rows"] == rows["input_holds"] > 50, files
    assert any("estimated by the run" in note for note in facts["notes"]) is (kind == "together")


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("template", b"no structure", "neither PDB nor mmCIF"),
        ("template", short_model()[: len(short_model()) // 4], "too distant"),
        ("together", rest_of_example(), "another protein"),
        ("together", b"\x1f\x8b damaged", "gzip"),
    ],
)
def test_structures_that_do_not_fit_are_refused_by_name(upload: Upload, kind: str, data: bytes, words: str) -> None:
    name = known_name("b.pdb", kind)
    with pytest.raises(InputError, match=words) as error:
        isolated.read_known(upload, {name: data}, Request(), AppSettings())
    assert error.value.file == name


def test_a_relative_longer_than_the_server_takes_is_refused(upload: Upload) -> None:
    settings = AppSettings(max_residues=30)
    with pytest.raises(InputError, match="residues"):
        isolated.read_known(upload, {"template_b.pdb": example()}, Request(), settings)


def density(folder: Path, residue: str) -> bytes:
    """A file of ``refine simulate-residue``: a uniform density."""
    write_density(TorsionDensity(residue, np.zeros((60, 60), np.float32), {}), folder / "made.npz")
    return (folder / "made.npz").read_bytes()


def test_of_a_torsion_density_it_is_said_for_how_many_residues_it_stands(upload: Upload, tmp_path: Path) -> None:
    """Residues 151 to 170 are MDIRQGPKEPFRDYVDRFYK: three aspartates, and a lysine besides the end, which does not
    count.
    """
    names = [known_name(name, "density") for name in ("Asp torsions.npz", "lys.npz", "hyp.npz")]
    files = dict(zip(names, (density(tmp_path, residue) for residue in ("ASP", "LYS", "HYP")), strict=True))
    facts = isolated.read_known(upload, files, Request(density=tuple(names)), AppSettings())
    assert facts == {
        "notes": [
            "density_Asp_torsions.npz: the torsion density of ASP stands for 3 of the model's residues",
            "density_lys.npz: the torsion density of LYS stands for 1 of the model's residues",
            "density_hyp.npz: the torsion density of HYP stands for none of the model's residues: it changes nothing",
        ]
    }
    both = isolated.read_known(upload, {"evidence_a.tsv": ROWS, names[0]: files[names[0]]}, Request(), AppSettings())
    assert len(both["rows"]) == 2 and facts["notes"][0] in both["notes"]


def test_damaged_and_repeated_torsion_densities_are_refused(upload: Upload, tmp_path: Path) -> None:
    good = density(tmp_path, "ILE")
    for data in (good[:100], b"no archive", ROWS):
        with pytest.raises(InputError, match="cannot read the torsion density") as error:
            isolated.read_known(upload, {"density_a.npz": data}, Request(), AppSettings())
        assert error.value.file == "density_a.npz"
    with pytest.raises(InputError, match="same residues") as error:
        isolated.read_known(upload, {"density_a.npz": good, "density_b.npz": good}, Request(), AppSettings())
    assert error.value.file == "density_b.npz"


@pytest.mark.parametrize(
    ("name", "kind"), [("a.tsv", "density"), ("a.tsv", "template"), ("a.json", "together"), ("a.pdb.exe", "template")]
)
def test_files_of_another_kind_are_refused(name: str, kind: str) -> None:
    with pytest.raises(InputError, match="is not read from"):
        known_name(name, kind)


@pytest.mark.parametrize("name", ["a.pdb", "tsv", "a.tsv.exe"])
def test_other_files_are_no_evidence(name: str) -> None:
    with pytest.raises(InputError, match="evidence is not read"):
        known_name(name)


def test_the_command_names_evidence_and_temperatures() -> None:
    request = Request(heat="A:40-55=600", evidence=("evidence_a.tsv", "evidence_p.json"))
    assert from_dict(json.loads(json.dumps(request.to_dict()))) == request
    arguments = request.arguments("model.pdb")
    assert "--heat=A:40-55=600" in arguments and "--evidence=./evidence_a.tsv" in arguments
    others = Request(template=("template_b.pdb",), together=("together_c.cif",))
    assert from_dict(json.loads(json.dumps(others.to_dict()))) == others
    arguments = others.arguments("model.pdb")
    assert "--template=./template_b.pdb" in arguments and "--other-model=./together_c.cif" in arguments
    settings = settings_of(parser().parse_args(arguments))
    assert settings.template == ("./template_b.pdb",) and settings.together == ("./together_c.cif",)
    densities = Request(density=("density_hyp.npz",))
    assert from_dict(json.loads(json.dumps(densities.to_dict()))) == densities
    settings = settings_of(parser().parse_args(densities.arguments("model.pdb")))
    assert settings.energy.torsion_densities == ("./density_hyp.npz",)
    for kind in ("evidence", "template", "together", "density"):
        with pytest.raises(AssertionError):
            Request(**{kind: ("../jobs.sqlite",)})
