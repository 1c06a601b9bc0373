"""What travels in the wheel, and where it is found."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from refine import resources
from refine.errors import ModelError

ROOT = Path(__file__).resolve().parent.parent


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_listed() -> None:
    listed = set(project()["tool"]["setuptools"]["packages"])
    packages = {".".join(p.parent.relative_to(ROOT).parts) for p in (ROOT / "refine").rglob("__init__.py")}
    assert packages | {"refine._models", "refine._app"} == listed


def test_data_files_of_the_package_match_a_pattern() -> None:
    patterns = project()["tool"]["setuptools"]["package-data"]["*"]
    endings = {Path(p).suffix or Path(p).name for p in patterns}
    data = [p for p in (ROOT / "refine").rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")]
    assert data and {p.suffix or p.name for p in data} <= endings | {".typed"}


def test_dependencies_are_ranges_and_the_tested_set_lies_in_them() -> None:
    tested = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, version = line.partition("==")
            tested[canonicalize_name(name)] = version
    wanted = [Requirement(text) for text in project()["project"]["dependencies"]]
    for one in wanted:
        assert {"<", ">="} == {bound.operator for bound in one.specifier}, one
        assert tested[canonicalize_name(one.name)] in one.specifier, one
    extras = [Requirement(t) for texts in project()["project"]["optional-dependencies"].values() for t in texts]
    assert {canonicalize_name(one.name) for one in extras} <= set(tested)


def test_a_cpu_build_of_torch_satisfies_the_constraints() -> None:
    """Its local version, 2.13.0+cpu, is no other version for a constraint without one."""
    (line,) = [x for x in (ROOT / "constraints.txt").read_text().splitlines() if x.startswith("torch==")]
    assert "+" not in line


def test_the_licence_and_the_notices_of_bundled_code_travel() -> None:
    about = project()["project"]
    assert about["license"] == "Apache-2.0"
    assert all((ROOT / name).is_file() for name in about["license-files"])
    bundled = {p.name for p in (ROOT / "refine" / "report" / "assets").glob("*-min.js")}
    notice = (ROOT / "NOTICE").read_text()
    assert bundled == {"3Dmol-min.js"} and all(name in notice for name in bundled)
    assert "BSD-3-Clause" in (ROOT / "refine" / "report" / "assets" / "3Dmol-LICENSE.txt").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_environment_names_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFINE_MODELS", raising=False)
    assert resources.models_dir().is_dir() and resources.app_dir().is_dir()
    monkeypatch.setenv("REFINE_MODELS", str(tmp_path))
    assert resources.models_dir() == tmp_path
    monkeypatch.setenv("REFINE_MODELS", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match="REFINE_MODELS"):
        resources.models_dir()


def test_an_installed_copy_wins_over_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REFINE_MODELS", raising=False)
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "site" / "refine")
    with pytest.raises(ModelError, match="missing"):
        resources.models_dir()
    (tmp_path / "site" / "refine" / "_models").mkdir(parents=True)
    assert resources.models_dir() == tmp_path / "site" / "refine" / "_models"
