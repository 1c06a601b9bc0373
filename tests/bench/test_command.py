"""``refine bench`` and ``refine bench-rank`` as typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from refine import cli
from refine.bench import command
from tests.bench.test_manifest import write_manifest


def test_options_reach_the_settings(tmp_path: Path) -> None:
    (tmp_path / "hot.toml").write_text('networks = "none"\n[propagation]\nsteps = 7\n')
    (tmp_path / "nets").mkdir()
    arguments = [
        "bench",
        "m.tsv",
        "--networks",
        str(tmp_path / "nets"),
        "--variant",
        f"hot={tmp_path / 'hot.toml'}",
        "--workers",
        "3",
    ]
    options = cli.parser().parse_args([*arguments, "--command", "peer=prog {model} {out}"])
    assert options.workers == 3 and options.programs == ["peer=prog {model} {out}"]
    assert command.settings_of(options).networks == str((tmp_path / "nets").resolve())
    assert command.variants_of(options.variant)["hot"].propagation.steps == 7


def test_reports_of_nothing_are_written_and_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_manifest(tmp_path, ["one", "two"])
    out = tmp_path / "out"
    out.mkdir()
    assert cli.main(["bench", str(manifest), "--out", str(out), "--networks", "none", "--report-only", "--casp"]) == 4
    assert {p.name for p in out.iterdir()} >= {"results.csv", "summary.json", "table.md"}
    assert "| method |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "ours,magic"], "unknown method 'magic'"),
        (["--command", "peer=prog {model}"], "must contain {model} and {out}"),
        (["--variant", "hot"], "is not NAME=FILE.toml"),
        (["--targets", "three"], "no target 'three'"),
    ],
)
def test_bad_options_end_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    manifest = write_manifest(tmp_path, ["one"])
    assert cli.main(["bench", str(manifest), "--out", str(tmp_path / "out"), "--networks", "none", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_missing_trained_files_are_told_before_work_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_manifest(tmp_path, ["one"])
    assert cli.main(["bench", str(manifest), "--out", str(tmp_path / "out"), "--networks", "no-such-model"]) == 2
    assert "no model 'no-such-model'" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_partial_results_have_code_3() -> None:
    assert [command.exit_code(done, 4) for done in (4, 3, 0)] == [0, 3, 4]
