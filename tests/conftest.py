"""Fixtures every test may use: where the shared data lies, and one thread only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent

torch.set_num_threads(1)


def refine_shared() -> Path:
    """Folder of shared data: the environment variable REFINE_SHARED, else ``../shared`` beside the checkout.

    Skips the calling test when there is none.
    """
    folder = Path(os.environ.get("REFINE_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip("no shared data: set REFINE_SHARED")
    return folder


@pytest.fixture
def shared() -> Path:
    """``refine_shared()`` as a fixture."""
    return refine_shared()


@pytest.fixture
def example_model() -> Path:
    """The example model of the README."""
    return ROOT / "examples" / "1a8o_model.pdb"
