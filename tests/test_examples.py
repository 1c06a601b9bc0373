"""The examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = """
networks = "none"
workers = 1
models = 1
[propagation]
replicas = 2
steps = 6
keep_every = 2
[finishing]
relax = false
"""


def explore(*arguments: object) -> str:
    command = [sys.executable, str(ROOT / "examples" / "explore_run.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_explore_run_refines_tells_and_draws_and_does_so_again_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text(SETTINGS)
    out = explore(ROOT / "examples" / "1a8o_model.pdb", tmp_path / "run", tmp_path / "quick.toml")
    assert "model_1.cif" in out and "loosest contact" in out and "input_finished" in out
    drawn = sorted((tmp_path / "run").glob("plot_*.png"))
    assert len(drawn) == 5 and all(path.stat().st_size > 5000 for path in drawn)
    again = explore(tmp_path / "run")
    assert again == out
