"""Uploads: judged by content, held to limits, names made harmless."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from refine.errors import InputError
from refine.queue.request import Request, from_dict
from refine.queue.settings import AppSettings
from refine.queue.uploads import check_upload, disk_name, estimate, examine, shown_name
from tests.queue.places import short_model
from tests.structure import files
from tests.structure.test_connections import with_lines, zinc

LIMITS = AppSettings(max_upload_mb=1, max_unpacked_mb=2, max_residues=30)
SCRIPT = "<script>alert(1)</script>"


def test_a_model_is_taken_whatever_its_name_says(tmp_path: Path) -> None:
    upload = check_upload("model.txt", gzip.compress(short_model()), LIMITS, tmp_path)
    assert (upload.name, upload.file, upload.data) == ("model.txt", "model.txt.pdb", short_model())
    seen = examine(upload, LIMITS, tmp_path)
    assert seen.chains == (("A", "151", "170", 20),) and seen.residues == 20 and seen.format == "pdb"
    assert any(p.kind == "clash" for p in seen.problems)


def test_what_is_wrong_is_told_by_residue(tmp_path: Path) -> None:
    lines = short_model().decode().splitlines()
    lines = [
        x
        for x in lines
        if x[22:26].strip() != "160" and not (x[22:26].strip() == "155" and x[12:16].strip() not in "N CA C O".split())
    ]
    seen = examine(check_upload("x.pdb", "\n".join(lines).encode(), LIMITS, tmp_path), LIMITS, tmp_path)
    assert ("gap", 159) in {(p.kind, p.number) for p in seen.problems}
    assert [p.number for p in seen.problems if p.kind == "missing"] == [155]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "picture"),
        (b"%PDF-1.7 ATOM", "PDF"),
        (b"<!doctype html><html>ATOM</html>", "web page"),
        (b">seq\nMKV\n", "FASTA"),
        (b"MZ\x90\x00" + bytes(500), "binary"),
        (b"hello", "neither PDB nor mmCIF"),
    ],
)
def test_other_content_is_refused_under_any_name(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        check_upload("model.pdb", data, LIMITS, tmp_path)
    assert "model.pdb" in str(error.value) and "/tmp" not in str(error.value)


def test_archives_with_paths_are_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../evil.pdb", short_model())
    with pytest.raises(InputError, match="zip archive"):
        check_upload("model.pdb", packed.getvalue(), LIMITS, tmp_path)
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w:gz") as archive:
        member = tarfile.TarInfo("../../evil.pdb")
        member.size = len(short_model())
        archive.addfile(member, io.BytesIO(short_model()))
    with pytest.raises(InputError, match="binary"):
        check_upload("model.pdb.gz", tarred.getvalue(), LIMITS, tmp_path)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    for data in (bomb, gzip.compress(bomb)):
        with pytest.raises(InputError, match="more than 2 MB unpacked"):
            check_upload("model.pdb.gz", data, LIMITS, tmp_path)


def test_size_and_residues_are_limited(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than 1 MB"):
        check_upload("x.pdb", b" " * 1_000_001, LIMITS, tmp_path)
    upload = check_upload("x.pdb", short_model(), LIMITS, tmp_path)
    with pytest.raises(InputError, match="20 residues; the limit is 10"):
        examine(upload, AppSettings(max_residues=10), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        SCRIPT,
        "../../etc/passwd",
        "C:\\x\\y.pdb",
        "-rf.pdb",
        ".hidden",
        "a\0b\n.pdb",
        "x" * 300,
        "",
        "ü ñ.pdb",
        "--out=evil",
    ],
)
def test_names_are_harmless_on_disk(name: str) -> None:
    file = disk_name(name, "pdb")
    assert file.endswith(".pdb") and len(file) < 70 and not file.startswith((".", "-"))
    assert all(c.isascii() and (c.isalnum() or c in "._-") for c in file)
    assert shown_name(name).isprintable() and "/" not in shown_name(name) and len(shown_name(name)) <= 60


def test_a_script_as_chain_id_stays_text(tmp_path: Path) -> None:
    text = short_model().decode().splitlines()
    rows = [x.split() for x in text if x.startswith("ATOM")]
    columns = "group_PDB id type_symbol label_atom_id label_comp_id label_asym_id label_seq_id Cartn_x Cartn_y Cartn_z"
    head = "data_x\nloop_\n" + "\n".join(f"_atom_site.{column}" for column in columns.split())
    body = "\n".join(f"ATOM {r[1]} {r[2][0]} {r[2]} {r[3]} '{SCRIPT}' {r[5]} {r[6]} {r[7]} {r[8]}" for r in rows)
    seen = examine(check_upload("x.cif", f"{head}\n{body}\n".encode(), LIMITS, tmp_path), LIMITS, tmp_path)
    assert [c[0] for c in seen.chains] == [SCRIPT]


def test_the_command_holds_what_was_asked_for_and_nothing_else() -> None:
    request = Request(models=3, steps=25, seed=7, freeze="A:10-25,B", device="cpu")
    start, rest = "run ./x.pdb --out=run", "--models=3 --steps=25 --seed=7 --freeze=A:10-25,B --device=cpu"
    arguments = f"{start} --settings=/srv/base.toml {rest}"
    assert request.arguments("x.pdb", "/srv/base.toml") == arguments.split()
    assert request.shown("x.pdb", "/srv/base.toml") == f"refine {start} --settings=base.toml {rest}"
    sly = Request(freeze="A; rm -rf / --out=/etc").arguments("x.pdb")
    assert "--freeze=A; rm -rf / --out=/etc" in sly and "--out=/etc" not in sly


@pytest.mark.parametrize(
    "values",
    [
        {"models": 10**9},
        {"steps": -1},
        {"device": "/dev/sda"},
        {"freeze": "A" * 5000},
        {"freeze": "A\nB"},
        {"out": "/etc"},
    ],
)
def test_requests_outside_the_bounds_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        from_dict(values)


@pytest.mark.parametrize(("residues", "seconds"), [(128, 17.5), (128, 19.0), (1000, 100.0)])
def test_the_estimate_is_within_half_of_what_was_measured(residues: int, seconds: float) -> None:
    """CPU seconds of default runs, 5 models: benchmarks/LOG.md, 40, and "Time and memory" of the guide."""
    assert seconds / 1.5 < estimate(residues, 14, 5) < 1.5 * seconds


def test_bonds_are_listed_and_shown_without_the_waters_before_them(tmp_path: Path) -> None:
    waters = [files.water(300 + k, xyz=(40.0 + 3 * k, 0.0, 0.0)) for k in range(3)]
    text = with_lines(*waters, zinc(400))
    seen = examine(check_upload("x.pdb", text.encode(), LIMITS, tmp_path), LIMITS, tmp_path)
    assert seen.bonds == ("metal: A:20 HIS NE2 – A:400 ZN ZN, 2.10 Å",)
    assert "ZN" in seen.cif and "HOH" not in seen.cif
