"""What travels in the wheel, and where it is found."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

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


def test_torch_is_pinned_so_that_a_cpu_build_satisfies_it() -> None:
    assert "torch==2.13.0" in project()["project"]["dependencies"]


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
