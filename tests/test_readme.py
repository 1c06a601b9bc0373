"""The README's Python example and settings work as printed; its options and files exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from refine import cli
from refine.networks.weights import DEFAULT_MODEL, shipped_models
from refine.settings import from_dict

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_the_python_example_is_ten_lines_and_runs(tmp_path: Path) -> None:
    if DEFAULT_MODEL not in shipped_models():
        pytest.skip("the trained files are not in models/")
    code = block("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert (
        re.search(r"model_1\.cif ((replica|medoid|average)( \d)?|input) -?\d", done.stdout)
        and "kcal/mol" in done.stdout
    )


def test_the_settings_example_is_valid() -> None:
    settings = from_dict(tomllib.loads(block("toml")))
    assert settings.seed == 3 and settings.energy.start_pull == 0.1


def test_every_option_and_command_is_named() -> None:
    run = cli.parser().parse_args(["run", "x"])
    for name in vars(run):
        if name not in ("command", "inputs", "work"):
            assert f"--{name}" in README, name
    for command in ("run", "finish", "score", "train", "doctor"):
        assert f"`refine {command}" in README


def test_the_files_it_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)|`((?:examples|benchmarks)/[\w.]+)`", README):
        assert (ROOT / (target[0] or target[1])).exists(), target
