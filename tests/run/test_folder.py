"""The run folder: whole files or none, clear words about what cannot be written."""

from __future__ import annotations

import errno
import json
import os
import secrets
from pathlib import Path

import numpy as np
import pytest

from refine.batch import keep_traceback
from refine.errors import EngineError, InputError
from refine.run.folder import RunFolder
from refine.run.record import Record
from refine.run.tables import ScoreRow, scores_csv


def test_a_full_disk_leaves_the_old_file_and_no_part_of_the_new(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.text("a.txt", "old")

    def full(path: Path) -> None:
        path.write_text("ha")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(EngineError, match="No space left"):
        folder.write("a.txt", full)
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_refuses_a_folder_in_use_and_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        RunFolder(tmp_path).check(resume=False)
    RunFolder(tmp_path).check(resume=True)
    with pytest.raises(InputError, match="is a file"):
        RunFolder(tmp_path / "x").check(resume=True)
    RunFolder(tmp_path / "new" / "deep").check(resume=False)
    assert not (tmp_path / "new").exists()


def test_refuses_an_unwritable_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="cannot write"):
        RunFolder(tmp_path / "new").check(resume=False)


def test_json_has_no_nan_and_npz_no_clock(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.json("a.json", {"x": np.float32(np.nan), "y": (np.int64(3), Path("p"))})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None, "y": [3, "p"]}
    folder.npz("a.npz", {"k": np.arange(3)})
    first = (tmp_path / "a.npz").read_bytes()
    folder.npz("a.npz", {"k": np.arange(3)})
    assert (tmp_path / "a.npz").read_bytes() == first


def test_finished_needs_same_input_settings_and_all_files(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    record = {"status": "done", "input_sha256": "h", "settings": {"a": 1}, "files": ["m.cif"]}
    folder.json("run.json", record)
    assert folder.finished("h", {"a": 1}) is None
    folder.text("m.cif", "data_")
    assert folder.finished("h", {"a": 1}) == record
    assert folder.finished("other", {"a": 1}) is None and folder.finished("h", {"a": 2}) is None
    for damage in ({"status": "interrupted"}, {"files": 7}, {"models": [3]}, {"verdict": {}}):
        folder.json("run.json", {**record, **damage})
        assert folder.finished("h", {"a": 1}) is None
    for text in ("[" * 10**5, "[]", "{"):
        (tmp_path / "run.json").write_text(text)
        assert folder.finished("h", {"a": 1}) is None


def test_clear_removes_results_and_nothing_else(tmp_path: Path) -> None:
    for name in ("model_1.pdb", "run.json", "scores.csv", "notes.txt", ".partial-model_2.pdb"):
        (tmp_path / name).write_text("x")
    RunFolder(tmp_path).clear()
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_scores_table_is_the_union_of_columns() -> None:
    rows = [
        ScoreRow("input", "", "input", 1.0, {"bonds": 0.5}, {}),
        ScoreRow("model_1", "m.cif", "replica 1", -1.0, {}, {"clashes": 2.0}),
    ]
    assert scores_csv(rows).splitlines() == [
        "name,file,source,score,term_bonds,clashes", "input,,input,1,0.5,", "model_1,m.cif,replica 1,-1,,2",
    ]  # fmt: skip


def test_a_planted_link_is_not_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place = tmp_path / "out"
    place.mkdir()
    for name in ("log.txt", "progress.jsonl", "run.json"):
        (place / name).symlink_to(victim)
    (place / "trace.csv").symlink_to(tmp_path / "made")
    folder = RunFolder(place)
    folder.clear()
    (place / "log.txt").symlink_to(victim)
    with folder.open() as stream:
        stream.write("x")
    folder.text("run.json", "{}")
    assert victim.read_text() == "precious" and not (tmp_path / "made").exists()
    monkeypatch.setattr(secrets, "token_hex", lambda size: "guessed")
    (place / ".partial-guessed-a.txt").symlink_to(victim)
    with pytest.raises(EngineError, match="File exists"):
        folder.text("a.txt", "mine")
    keep_link = place / "traceback"
    keep_link.mkdir()
    (keep_link / "log.txt").symlink_to(victim)
    assert "could not be written" in keep_traceback(keep_link, "a traceback")
    assert victim.read_text() == "precious"


def test_a_full_disk_hides_no_error_and_leaves_no_running_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Record.__new__(Record)
    record.folder, record.values = RunFolder(tmp_path), {"status": "running", "models": []}
    record.write()

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("refine.run.folder._write_text", lambda path, text: full(path))
    for error in (EngineError("cannot write ensemble.pdb"), ValueError("a bug")):
        (tmp_path / "run.json").write_text('{\n "status": "running",\n "models": []\n}\n')
        monkeypatch.setattr(record, "write", lambda: None)
        with pytest.raises(type(error), match=str(error)), record.kept():
            monkeypatch.undo()
            monkeypatch.setattr("refine.run.folder._write_text", lambda path, text: full(path))
            raise error
        assert json.loads((tmp_path / "run.json").read_text())["status"] == "failed"
