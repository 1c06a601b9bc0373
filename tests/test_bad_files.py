"""Every broken file of the reader's tests through the command: exit 2, one message, no traceback, nothing written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refine import cli
from tests.structure.test_bad_input import BAD, Bad


def test_there_are_at_least_forty_different_files() -> None:
    assert len({bad.name for bad in BAD}) == len(BAD) >= 40


@pytest.mark.parametrize("command", ["run", "finish"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_the_command_tells_and_leaves_nothing(
    bad: Bad, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = bad.content()
    Path("model.pdb").write_bytes(content.encode() if isinstance(content, str) else content)
    Path("quick.toml").write_text('networks = "none"\n')
    number = [] if bad.model is None else ["--model", str(bad.model)]
    assert cli.main([command, "model.pdb", "--settings", "quick.toml", "--out", "out", *number]) == 2
    message = capsys.readouterr().err
    assert (
        message.startswith("refine: ") and "model.pdb" in message and bad.says in message and "Traceback" not in message
    )
    assert bad.remedy in message and (bad.residue is None or bad.residue in message)
    assert sorted(os.listdir()) == ["model.pdb", "quick.toml"]
