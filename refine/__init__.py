"""refine: protein models nearer to the experimental structure, by learned local distributions.

The functions of the command line are here too; they are imported when first used:

    refine_file(path, out, settings)   one structure into a run folder
    finish_file(path, out, settings)   side chains and relaxation only
    score_file(path, settings)         energies of a structure
    read_run(folder)                   a finished run: models, scores, distance distributions
    RunSettings, read_settings         how
    read_structure, Protein            structures
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "refine_file": "refine.pipeline",
    "finish_file": "refine.pipeline",
    "score_file": "refine.pipeline",
    "RunResult": "refine.run.result",
    "read_run": "refine.run.result",
    "RunSettings": "refine.settings",
    "read_settings": "refine.settings",
    "read_structure": "refine.structure.read",
    "Protein": "refine.structure.protein",
    "RefineError": "refine.errors",
    "InputError": "refine.errors",
    "ModelError": "refine.errors",
    "EngineError": "refine.errors",
}
__all__ = [*_WHERE, "__version__"]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'refine' has no attribute {name!r}")
