"""Self-test: the example is scored with the trained files, and the numbers are those stored beside them."""

from __future__ import annotations

import json
from pathlib import Path

from refine.engine import Engine
from refine.errors import ModelError
from refine.files import json_text, write_text
from refine.networks.checksums import remedy_of
from refine.networks.weights import Networks, load_networks
from refine.resources import app_dir
from refine.settings import RunSettings
from refine.structure.prepare import prepare

NUMBERS_FILE = "selftest.json"
EXAMPLE = "1a8o_model.pdb"
TOLERANCE = 0.05
"""kcal/mol of an energy term, points of confidence."""


def example_numbers(networks: Networks, device: str = "auto") -> dict[str, float]:
    """Terms of the example's score (kcal/mol), their ``total``, and its ``confidence``, by default settings.

    Raises:
        ModelError: the example is missing.
        InputError: it cannot be read, or the device is absent.
    """
    settings = RunSettings(device=device)
    score = Engine(prepare(app_dir() / "example" / EXAMPLE).protein, networks, settings).score()
    return {**score.terms, "confidence": score.estimate.overall}


def write_numbers(folder: Path) -> Path | None:
    """Store the numbers of a folder of trained files; None, and none are stored, while a network is missing."""
    path = folder / NUMBERS_FILE
    if not all((folder / f"{name}.safetensors").is_file() for name in ("prior", "likelihood")):
        path.unlink(missing_ok=True)
        return None
    numbers = example_numbers(load_networks(folder), "cpu")
    write_text(path, json_text({"example": EXAMPLE, "numbers": {k: round(v, 4) for k, v in numbers.items()}}))
    return path


def check_numbers(networks: Networks, device: str = "auto") -> str:
    """Compare with the stored numbers; gives a line that says what was compared.

    Raises:
        ModelError: a number differs by more than ``TOLERANCE``, or the stored ones cannot be read.
    """
    path = networks.folder / NUMBERS_FILE
    if not path.is_file():
        return f"no numbers are stored: python -m refine.training.card {networks.folder} stores those of this machine"
    try:
        expected = {str(k): float(v) for k, v in json.loads(path.read_text(encoding="utf-8"))["numbers"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"the numbers of the self-test cannot be read: {error}", file=str(path), remedy=remedy_of(networks.folder)
        ) from error
    found = example_numbers(networks, device)
    wrong = [
        f"{name} {found.get(name, float('nan')):.4f} instead of {value:.4f}"
        for name, value in expected.items()
        if not abs(found.get(name, float("nan")) - value) <= TOLERANCE
    ]
    if wrong or set(found) != set(expected):
        raise ModelError(
            f"the example's score is not what it was when the files were made: {'; '.join(wrong) or 'other terms'}",
            file=str(path),
            remedy="Install refine and its libraries again; try --device cpu. If the files were replaced on purpose: "
            f"python -m refine.training.card {networks.folder}",
        )
    total = found["total"]
    return f"{EXAMPLE} scores {total:.2f} kcal/mol, all {len(expected)} numbers within {TOLERANCE} of the stored ones"
