"""The command line as a user meets it: exit codes, messages, bad input, several inputs, interruption."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from refine import cli
from refine.batch import BatchItem, Outcome, exit_code, plan
from refine.settings import RunSettings

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = """
networks = "none"
workers = 1
models = 1
[propagation]
replicas = 2
steps = 4
keep_every = 2
[finishing]
relax = false
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with quick settings and a short model in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(SETTINGS)
    lines = (ROOT / "examples" / "1a8o_model.pdb").read_text().splitlines()
    (tmp_path / "good.pdb").write_text(
        "\n".join([line for line in lines if line.startswith("ATOM") and int(line[22:26]) < 172] + ["END", ""])
    )
    return tmp_path


def run(*arguments: str) -> int:
    return cli.main(["run", "--settings", "quick.toml", *arguments])


ATOM = "ATOM  {n:>5}  {name:<3} {res:>3} {chain}{num:>4}    {x:>8}{y:>8}{z:>8}  1.00  0.00           {element}"


def atoms(residues: int = 12, **fields: object) -> str:
    """A straight chain of alanines, one field of every atom changed."""
    lines = []
    for i in range(residues):
        for k, name in enumerate(("N", "CA", "C", "O", "CB")):
            place = {"x": f"{3.6 * i + k:.3f}", "y": f"{(k % 2) * 1.2:.3f}", "z": f"{(k // 2) * 0.7:.3f}"}
            values = {
                "n": 5 * i + k + 1,
                "name": name,
                "res": "ALA",
                "chain": "A",
                "num": i + 1,
                "element": name[0],
                **place,
                **fields,
            }
            lines.append(ATOM.format(**values))
    return "\n".join([*lines, "END", ""])


BAD: dict[str, bytes] = {
    "empty.pdb": b"",
    "spaces.pdb": b"   \n\n",
    "page.pdb": b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>",
    "binary.pdb": bytes(range(256)) * 40,
    "broken.pdb.gz": b"\x1f\x8b\x08\x00truncated",
    "words.cif": b"this is a letter to the editor\n",
    "nothing.cif": b"data_x\n_cell.length_a 1\n",
    "water.pdb": b"HETATM    1  O   HOH A   1      10.000  10.000  10.000  1.00  0.00           O  \nEND\n",
    "one.pdb": atoms(1).encode(),
    "nan.pdb": atoms(x="     nan").encode(),
    "stars.pdb": atoms(y="********").encode(),
    "onepoint.pdb": atoms(x="1.000", y="2.000", z="3.000").encode(),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_and_leaves_nothing(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / name).write_bytes(BAD[name])
    before = set(os.listdir(here))
    assert run(name, "--out", "out") == 2
    message = capsys.readouterr().err
    assert (
        name in message and "Traceback" not in message and message.startswith("refine: ") and len(message.strip()) > 40
    )
    assert set(os.listdir(here)) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.pdb"], "no such file"),
        (["good.pdb", "--freeze", "Q"], "Q"),
        (["good.pdb", "--freeze", "A:900-901"], "900"),
        (["good.pdb", "--model", "7"], "model 7"),
        (["good.pdb", "--seed", "-1"], "seed"),
        (["good.pdb", "--models", "0"], "models"),
        (["good.pdb", "--steps", "-3"], "steps"),
        (["good.pdb", "--settings", "gone.toml"], "gone.toml"),
        (["folder"], "no structure file"),
        (["good.pdb", "--out", "good.pdb"], "is a file"),
        (["good.pdb", "--out", "folder_in_use"], "not empty"),
    ],
)
def test_mistakes_of_the_command_line_exit_2(
    arguments: list[str], words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "folder").mkdir()
    (here / "folder_in_use").mkdir()
    (here / "folder_in_use" / "thesis.tex").write_text("mine")
    before = set(os.listdir(here))
    assert run(*arguments) == 2
    message = capsys.readouterr().err
    assert words in message and "Traceback" not in message and set(os.listdir(here)) == before


def test_a_missing_set_of_networks_exits_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "other.toml").write_text('networks = "not_a_model"')
    assert cli.main(["run", "good.pdb", "--settings", "other.toml"]) == 2
    assert "not_a_model" in capsys.readouterr().err and not (here / "good_refined").exists()


def test_one_input_writes_a_folder_of_its_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("good.pdb") == 0
    printed = capsys.readouterr()
    assert (
        "good.pdb: " in printed.out
        and "propagate 4/4" in printed.err
        and (here / "good_refined" / "model_1.cif").is_file()
    )
    assert json.loads((here / "good_refined" / "run.json").read_text())["status"] == "done"


def test_several_inputs_one_bad_exits_3_and_resume_does_the_rest(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.pdb").write_text("")
    assert run("good.pdb", "bad.pdb", "--out", "all", "--quiet") == 3
    assert (here / "all" / "good" / "model_1.pdb").is_file() and not (here / "all" / "bad").exists()
    with (here / "all" / "runs.csv").open() as stream:
        assert [(r["input"], r["exit_code"]) for r in csv.DictReader(stream)] == [("good.pdb", "0"), ("bad.pdb", "2")]
    (here / "bad.pdb").write_text((here / "good.pdb").read_text())
    capsys.readouterr()
    assert run("good.pdb", "bad.pdb", "--out", "all", "--resume") == 0
    printed = capsys.readouterr().out
    assert "good.pdb: was done before" in printed and "bad.pdb: was done before" not in printed


def test_a_bug_exits_1_and_its_traceback_is_in_the_log(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("refine.engine.Engine.rpdd", bug)
    assert run("good.pdb", "--out", "out") == 1
    assert "Traceback" not in capsys.readouterr().err
    assert "oops" in (here / "out" / "log.txt").read_text()
    assert json.loads((here / "out" / "run.json").read_text())["status"] == "failed"


def test_out_of_memory_exits_4_with_a_remedy(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        )

    monkeypatch.setattr("refine.engine.Engine.rpdd", full)
    assert run("good.pdb", "--out", "out") == 4
    assert "fewer replicas" in capsys.readouterr().err


def test_score_prints_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["score", "good.pdb", "--settings", "quick.toml"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert rows[0]["name"] == "good.pdb" and float(rows[0]["term_bonds"]) >= 0
    assert cli.main(["score", "good.pdb", "--settings", "quick.toml", "--out", "s.csv"]) == 0
    assert (here / "s.csv").read_text().startswith("name,")


@pytest.mark.parametrize("names", [["good.pdb"], ["good.pdb", "same.pdb"]])
def test_score_leaves_nothing_behind(
    here: Path, names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither on a bug, whose traceback is in the message, nor beside the folder of an earlier run."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("broken")

    (here / "same.pdb").write_bytes((here / "good.pdb").read_bytes())
    (here / "refined").mkdir()
    before = sorted(here.rglob("*"))
    monkeypatch.setattr("refine.engine.Engine.score", broken)
    assert cli.main(["score", *names, "--settings", "quick.toml"]) == 1
    message = capsys.readouterr().err
    assert "a bug in refine: ZeroDivisionError" in message and 'raise ZeroDivisionError("broken")' in message
    assert sorted(here.rglob("*")) == before


def test_numbers_and_names_beyond_all_measure(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["good.pdb", "--models", "1000000000"], "models = 1000000000 must be a number of at most 1000"),
        (["good.pdb", "--seed", "9" * 400], "must be a number of at"),
        (["good.pdb", "--freeze", "A:1-" + "9" * 5000], "cannot be read"),
        (["good.pdb", "--freeze", "A," * 20_000 + "A"], "20,001 items"),
        (["x" * 5000], "no such file or folder"),
    ):
        assert run(*arguments, "--out", "out") == 2
        assert words in capsys.readouterr().err
    assert not (here / "out").exists()


def test_finish_alone(here: Path) -> None:
    assert cli.main(["finish", "good.pdb", "--settings", "quick.toml", "--quiet"]) == 0
    assert (here / "good_finished" / "finished.pdb").is_file()


def test_doctor_reports_and_finds_damage(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["doctor", "--settings", "quick.toml"]) == 0
    printed = capsys.readouterr().out
    assert "torch" in printed and "OpenMM" in printed and printed.endswith("Ready.\n")
    monkeypatch.setenv("REFINE_MODELS", str(here / "gone"))
    assert cli.main(["doctor", "--settings", "quick.toml"]) == 2
    assert "BAD" in capsys.readouterr().out


def test_sigterm_ends_a_run_with_its_status_written(here: Path) -> None:
    (here / "long.toml").write_text(
        SETTINGS.replace("steps = 4", "steps = 100000").replace("workers = 1", "workers = 2")
    )
    command = [sys.executable, "-m", "refine", "run", "good.pdb", "--settings", "long.toml", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (here / "out" / "run.json").is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, message = process.communicate(timeout=60)
    assert process.returncode == 4 and "interrupted" in message and "Traceback" not in message
    assert json.loads((here / "out" / "run.json").read_text())["status"] == "interrupted"


def test_names_of_folders(here: Path) -> None:
    for folder in ("a", "b"):
        (here / folder).mkdir()
        (here / folder / "model.pdb.gz").write_text("x")
    items = plan([Path("a"), Path("b/model.pdb.gz")], Path("out"))
    assert [str(item.out) for item in items] == ["out/model", "out/model_2"]
    assert plan([Path("good.pdb")], None)[0].out == Path("good_refined")


def test_exit_codes() -> None:
    item = BatchItem(Path("a"), Path("b"))
    cases = [([0, 0], 0), ([2], 2), ([4], 4), ([0, 2], 3), ([2, 2], 2), ([2, 4], 4), ([0, 1], 1), ([1], 1), ([], 0)]
    for codes, expected in cases:
        assert exit_code([Outcome(item, exit_code=c) for c in codes]) == expected


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    """``refine --help`` answers at once: what computes is imported by the command that computes."""
    code = "import sys, refine.cli; print(sorted({'torch', 'openmm', 'pandas', 'scipy', 'gemmi'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"


def test_what_is_known_reaches_the_settings() -> None:
    arguments = ["--evidence", "a.tsv", "--evidence", "b.npz", "--template", "c.pdb", "--other-model", "d.cif"]
    arguments += [
        "--torsion-density",
        "ALA",
        "--heat",
        "confidence",
        "--ph",
        "5",
        "--ionic",
        "0.2",
        "--temperature",
        "310",
    ]
    settings = cli.settings_of(cli.parser().parse_args(["run", "x.pdb", *arguments]))
    assert settings.evidence_files == ("a.tsv", "b.npz", "c.pdb", "d.cif") and settings.together == ("d.cif",)
    assert settings.energy.torsion_densities == ("ALA",) and settings.heat == "confidence"
    assert dataclasses.astuple(settings.conditions) == (310.0, 5.0, 0.2)
    assert cli.settings_of(cli.parser().parse_args(["run", "x.pdb"])) == RunSettings()
