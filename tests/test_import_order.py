"""Import order is data flow: a module imports only from its own stage or from stages before it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "refine"
STAGES = (
    (
        "__init__",
        "constants",
        "errors",
        "resources",
        "progress",
        "files",
        "parent",
        "workers",
        "dispatch",
        "settings_checks",
        "settings_file",
        "device",
        "memory",
    ),
    ("structure",),
    ("assess",),
    ("physics",),
    ("evidence",),
    ("networks",),
    ("energy",),
    ("propagation",),
    ("ensemble",),
    ("accuracy",),
    ("finishing",),
    ("sampling",),
    ("settings",),
    ("engine",),
    ("selftest",),
    ("run",),
    ("report",),
    ("explore",),
    ("training",),
    ("pipeline",),
    ("promotable",),
    ("promote",),
    ("batch", "many", "doctor"),
    ("together", "ranking"),
    ("queue",),
    ("bench",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(STAGES) for name in names}


def stage_of(module: str) -> str:
    """``refine.energy.system`` → ``energy``; ``refine`` itself → ``__init__``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(source: str) -> Iterator[str]:
    """Modules of this package that ``source`` imports, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "refine")
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "refine":
            if node.module == "refine":
                yield from (f"refine.{a.name}" if a.name in RANK else "refine" for a in node.names)
            else:
                yield node.module or ""
                yield from (f"{node.module}.{a.name}" for a in node.names if is_module(f"{node.module}.{a.name}"))


def is_module(name: str) -> bool:
    """Whether ``refine.report.page`` and the like is a file of this package."""
    return PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py").is_file()


def violations(module: str, source: str) -> list[str]:
    own = RANK[stage_of(module)]
    return [f"{module} imports {name}" for name in imports(source) if RANK[stage_of(name)] > own]


def first_circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Names along the first circle of a directed graph, empty when there is none."""
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def modules() -> list[Path]:
    return sorted(
        p for p in PACKAGE.rglob("*.py") if not p.relative_to(PACKAGE).parts[0].startswith(("_models", "_app"))
    )


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_only_from_earlier_stages(path: Path) -> None:
    relative = path.relative_to(PACKAGE).with_suffix("")
    assert violations(".".join(("refine", *relative.parts)), path.read_text(encoding="utf-8")) == []


def test_no_module_imports_itself_through_others() -> None:
    sources = {".".join(("refine", *p.relative_to(PACKAGE).with_suffix("").parts)): p for p in modules()}
    graph = {name: [i for i in imports(p.read_text(encoding="utf-8")) if i in sources] for name, p in sources.items()}
    assert sum(map(len, graph.values())) > 300  # imports are found at all, lazy ones too
    assert first_circle(graph) == []


def test_the_rule_can_fail() -> None:
    assert violations("refine.structure.read", "def f():\n    from refine.energy.system import System\n") != []
    assert violations("refine.structure.read", "from refine import cli\n") != []
    assert violations("refine.cli", "import refine.pipeline\n") == []
    assert first_circle({"a": ["b"], "b": ["c"], "c": ["a"]}) != []
