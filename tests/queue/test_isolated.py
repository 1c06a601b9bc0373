"""Uploads are read in processes with limits, and nothing of them is left."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from refine.errors import InputError
from refine.queue import isolated, uploads
from refine.queue.settings import AppSettings
from refine.queue.wire import packed, unpacked
from tests.queue.places import example, short_model


def test_an_upload_is_read_as_in_this_process() -> None:
    upload, preview = isolated.read_upload("a/model.txt", short_model(), AppSettings())
    assert (upload.name, upload.file) == ("model.txt", "model.txt.pdb")
    assert preview.chains == (("A", "151", "170", 20),) and preview.protein.sequence.startswith("MDIRQ")


def test_errors_of_the_input_arrive_whole() -> None:
    with pytest.raises(InputError, match="limit is 10") as error:
        isolated.read_upload("model.pdb", short_model(), AppSettings(max_residues=10))
    assert error.value.file == "model.pdb" and error.value.remedy and not hasattr(error.value, "__notes__")


def test_the_second_upload_waits_for_no_imports() -> None:
    isolated.read_upload("model.pdb", short_model(), AppSettings())
    begin = time.monotonic()
    isolated.read_upload("model.pdb", short_model(), AppSettings())
    seconds = time.monotonic() - begin
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import refine.queue.reading"], check=True, timeout=120)
    assert seconds < time.monotonic() - started  # than the imports alone


def test_time_is_bounded_and_the_next_upload_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    line = example().decode().splitlines()[5]
    atoms = "\n".join(f"{line[:6]}{k % 100000:5d}{line[11:22]}{k % 9999:4d}{line[26:]}" for k in range(100_000))
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"takes longer than (0\.5|2\.5) s"):
        isolated.read_upload("big.pdb", atoms.encode(), AppSettings(read_seconds=0.5))
    assert time.monotonic() - begin < 120  # of a busy machine, with the start of the process
    assert not list(tmp_path.iterdir())
    assert isolated.read_upload("model.pdb", short_model(), AppSettings())[1].residues == 20


def test_memory_is_bounded() -> None:
    with pytest.raises(InputError, match="needs more than 1 MB"):
        isolated.read_upload("model.pdb", example() * 4, AppSettings(read_mb=1))


def test_the_waiting_process_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import os, signal\nfrom refine.queue import isolated\nisolated.warm()\n"
        "print(isolated._forking[0][0].pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    child = Path(f"/proc/{int(done.stdout)}")
    if not Path("/proc/self").exists():
        pytest.skip("no /proc to look at")
    end = time.monotonic() + 30
    while child.exists() and "Z" not in child.joinpath("stat").read_text().rpartition(")")[2].split()[0]:
        assert time.monotonic() < end, "the reading process outlives its parent"
        time.sleep(0.1)
    assert os.getpid()


def test_answers_are_data_and_never_code(tmp_path: Path) -> None:
    upload = uploads.check_upload("model.pdb", short_model(), AppSettings(), tmp_path)
    preview = uploads.examine(upload, AppSettings(), tmp_path)
    again = unpacked(packed((upload, preview)))
    assert again[0] == upload and again[1].protein.residue_ids == preview.protein.residue_ids
    assert again[1].protein.coords.tobytes() == preview.protein.coords.tobytes() and again[1].chains == preview.chains
    for hostile in (b'{"class": "Popen", "fields": {}}', b'{"array": "", "dtype": "|O", "shape": [0]}', b"\x80\x04."):
        with pytest.raises(ValueError):
            unpacked(hostile)


def test_a_fault_of_ours_is_no_fault_of_the_file() -> None:
    with pytest.raises(RuntimeError, match="a fault of refine"):
        isolated._isolated("no such task", "model.pdb", AppSettings(), [short_model()])
