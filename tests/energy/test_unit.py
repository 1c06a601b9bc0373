"""The unit of the learned terms: both figures in scores and card, none for networks that it was not measured with."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from refine.energy.unit import LEARNED, UNIT_FILE, Unit, unit_of
from refine.errors import ModelError
from refine.networks.checksums import write_checksums
from refine.pipeline import score_file
from refine.resources import models_dir
from refine.settings import RunSettings
from refine.training.card import write_card

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "1a8o_model.pdb"
SMALL = models_dir() / "small"


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A folder with one trained file, of which the unit was measured: 2 and 0.5."""
    shutil.copy(SMALL / "near_native.safetensors", tmp_path)
    write_checksums(tmp_path)
    networks = {"near_native.safetensors": (tmp_path / "SHA256SUMS").read_text().split()[0]}
    figures = {"by_energy": (2, 1, 3), "by_fluctuation": (0.5, 0.4, 0.6)}
    orders = {"order_by_energy": (0.8, 0.7, 0.9), "order_by_fluctuation": (0.4, 0.3, 0.5)}
    values = {**figures, **orders, "proteins": 3, "structures": 21, "networks": networks}
    (tmp_path / UNIT_FILE).write_text(json.dumps(values))
    return tmp_path


def unit(folder: Path) -> Unit:
    found = unit_of(folder)
    assert found is not None
    return found


def test_learned_terms_alone_are_scaled(measured: Path) -> None:
    columns = unit(measured).columns({"prior": -10.0, "likelihood": 4.0, "sterics": 100.0, "total": 94.0})
    assert columns == {"learned_by_energy": -12.0, "learned_by_fluctuation": -3.0}


@pytest.mark.parametrize(("by_fluctuation", "defined"), [(1.0, True), (0.99, False), (4.0, True), (4.1, False)])
def test_the_unit_is_defined_where_both_ways_agree_within_two(
    measured: Path, by_fluctuation: float, defined: bool
) -> None:
    changed = dataclasses.replace(unit(measured), by_fluctuation=(by_fluctuation, 0.0, 9.0))
    assert changed.defined is defined and changed.facts()["defined"] is defined


def test_other_networks_have_no_unit(measured: Path) -> None:
    shutil.copy(SMALL / "judge.safetensors", measured / "near_native.safetensors")
    write_checksums(measured)
    assert unit_of(measured) is None
    (measured / UNIT_FILE).unlink()
    assert unit_of(measured) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"by_energy": [1]}'])
def test_a_damaged_file_is_named(measured: Path, text: str) -> None:
    (measured / UNIT_FILE).write_text(text)
    with pytest.raises(ModelError, match="unit of the learned terms") as error:
        unit_of(measured)
    assert error.value.file == str(measured / UNIT_FILE)


def test_the_card_shows_both_figures_and_that_they_disagree(measured: Path) -> None:
    text = write_card(measured).read_text()
    assert "| OpenMM's energy | 2.00 (1.00 … 3.00) | 0.80 (0.70 … 0.90) |" in text
    assert "| fluctuations of crystals | 0.50 (0.40 … 0.60) | 0.40 (0.30 … 0.50) |" in text
    assert "21 structures: 3 crystals" in text and "**the unit is not defined.**" in text
    (measured / UNIT_FILE).unlink()
    assert "Not measured (`benchmarks/energy_unit.py" in write_card(measured).read_text()


def test_the_shipped_networks_have_one_in_card_and_scores() -> None:
    shipped, card = unit(SMALL), (SMALL / "CARD.md").read_text(encoding="utf-8")
    row = score_file(EXAMPLE, RunSettings(device="cpu"))
    learned = sum(row.terms[name] for name in LEARNED)
    for way in ("by_energy", "by_fluctuation"):
        value, low, high = getattr(shipped, way)
        assert f"{value:.2f} ({low:.2f} … {high:.2f})" in card
        assert row.quality[f"learned_{way}"] == pytest.approx(value * learned)
    assert score_file(EXAMPLE, RunSettings(networks="none")).quality.keys().isdisjoint({"learned_by_energy"})
