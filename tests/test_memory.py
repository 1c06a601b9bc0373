"""A protein too large for the memory is refused before the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from refine import memory
from refine.cli import main
from refine.errors import InputError
from tests.structure import files


def test_more_residues_need_more_and_the_square_counts() -> None:
    sizes = [memory.required_bytes(n) for n in (100, 1000, 3000, 30_000)]
    assert sizes == sorted(sizes) and sizes[3] > 20 * sizes[2]
    assert sizes[0] < 1e9 and sizes[1] < 2e9 and sizes[2] < 4.4e9


def test_a_limit_of_the_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info, limit, used = (tmp_path / name for name in ("meminfo", "max", "current"))
    info.write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    used.write_text("1000000000\n")
    monkeypatch.setattr(memory, "_MEMORY_INFO", info)
    monkeypatch.setattr(memory, "_GROUP_LIMITS", ((limit, used),))
    for text, expected in (("max\n", 4_096_000_000), ("3000000000\n", 2_000_000_000)):
        limit.write_text(text)
        assert memory.available_bytes() == expected
    monkeypatch.setattr(memory, "_MEMORY_INFO", tmp_path / "absent")
    monkeypatch.setattr(memory, "_GROUP_LIMITS", ())
    assert memory.available_bytes() is None
    memory.check_memory(10**6, "large.pdb")  # nothing tells: the run is tried


def test_what_does_not_fit_is_said_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.pdb"
    path.write_text(files.base_pdb())
    monkeypatch.setattr(memory, "available_bytes", lambda: 1e8)
    with pytest.raises(InputError, match=r"5,000 residues, for which about \d+\.\d GB .* 0\.1 GB are free"):
        memory.check_memory(5000, "large.cif")
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "GB of memory" in said and "one by one" in said and not (tmp_path / "out").exists()
