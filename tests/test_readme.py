"""README and user guide: the examples work as printed, options and files exist, and the README stays short."""

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
PAGES = (
    "README.md",
    "docs/USER_GUIDE.md",
    "app/README.md",
    "models/README.md",
    "benchmarks/README.md",
    "refine/THEORY.md",
)
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
README = TEXTS["README.md"]
GUIDES = README + TEXTS["docs/USER_GUIDE.md"]
MOST_BYTES = 8192
MOST_WORDS_IN_A_CELL = 20


def block(language: str) -> str:
    example = re.search(rf"```{language}\n(.*?)```", GUIDES, flags=re.DOTALL)
    assert example is not None
    return example[1]


def table_cells(text: str) -> list[str]:
    return [
        cell.strip()
        for line in text.splitlines()
        if line.startswith("|")
        for cell in re.split(r"(?<!\\)\|", line)[1:-1]
    ]


def test_the_readme_stays_short() -> None:
    assert len(README.encode("utf-8")) <= MOST_BYTES


@pytest.mark.parametrize("page", PAGES)
def test_no_table_cell_is_a_paragraph(page: str) -> None:
    long = [cell for cell in table_cells(TEXTS[page]) if len(cell.split()) > MOST_WORDS_IN_A_CELL]
    assert not long


def test_the_two_commands_of_the_readme_stand_as_they_are() -> None:
    install = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt"
    assert f"\n{install} . && .venv/bin/refine run examples/1a8o_model.pdb --out example_run\n" in README
    assert f"\n{install} -e '.[test]' && .venv/bin/python -m pytest\n" in README


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
            assert f"--{name.replace('_', '-')}" in GUIDES, name
    for command in ("run", "finish", "score", "train", "doctor"):
        assert f"`refine {command}" in GUIDES


@pytest.mark.parametrize("page", PAGES)
def test_the_files_it_links_exist(page: str) -> None:
    for link, path in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)|`((?:examples|benchmarks)/[\w./]+)`", TEXTS[page]):
        assert ((ROOT / page).parent / link if link else ROOT / path).exists(), link or path


def test_every_script_of_the_benchmarks_is_described() -> None:
    scripts = {f"`benchmarks/{path.name}`" for path in (ROOT / "benchmarks").glob("*.py")}
    assert {name for name in scripts if name not in TEXTS["benchmarks/README.md"]} == set()


def test_the_theory_names_files_that_exist() -> None:
    names = re.findall(r"`([a-z_]+/[\w/]+\.py|\w+\.py)`", TEXTS["refine/THEORY.md"])
    assert names and all((ROOT / "refine" / name).is_file() for name in names)
