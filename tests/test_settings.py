"""Settings: a round trip through plain values, and an unknown key is an error."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refine.errors import InputError
from refine.queue.settings import AppSettings
from refine.settings import RunSettings, from_dict, read_settings
from refine.settings_file import build_settings
from refine.training.train import TrainingSettings


def test_round_trip() -> None:
    settings = from_dict({"seed": 7, "learned": {"prior": 2}, "finishing": {"max_seconds": 5, "relax": False}})
    assert settings.seed == 7 and settings.learned == {"prior": 2.0}
    assert settings.finishing.max_seconds == 5.0 and settings.finishing.relax is False
    assert from_dict({k: v for k, v in settings.to_dict().items() if v is not None}) == settings
    assert from_dict({}) == RunSettings()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sead": 1}, "unknown setting sead"),
        ({"finishing": {"spead": 1}}, "unknown setting finishing.spead"),
        ({"seed": "one"}, "wrong type"),
        ({"seed": True}, "wrong type"),
        ({"seed": -1}, "seed = -1 must be a number of at least 0"),
        ({"models": 0}, "models = 0 must be a number of at least 1"),
        ({"finishing": 3}, "is a table"),
        ({"bfactor": "plddt"}, "unknown"),
        ({"device": "tpu"}, "unknown"),
        ({"learned": {"priors": 1}}, "learned = 'priors' is unknown"),
        ({"learned": {"prior": float("nan")}}, "learned.prior = nan must be a finite number"),
        ({"energy": {"bonds": float("nan")}}, "energy.bonds = nan must be a finite number"),
        ({"energy": {"start_pull": float("inf")}}, "energy.start_pull = inf must be a finite number"),
        ({"models": 1_000_000_000}, "models = 1000000000 must be a number of at most 1000"),
        ({"workers": 5000}, "workers = 5000 must be a number of at most 1024"),
        ({"propagation": {"replicas": 10**9}}, "replicas = 1000000000 must be a number of at most 1000"),
        ({"propagation": {"steps": 10**12}}, "steps = 1000000000000 must be a number of at most 1000000"),
        ({"seed": 10**400}, "seed is a whole number of more than 63 bits"),
        ({"energy": {"bonds": 10**400}}, "energy.bonds is a whole number of more than 63 bits"),
        ({"freeze": ["x" * 10_000]}, "freeze = .{1,60} has the wrong type"),
        ({"x" * 10_000: 1}, "unknown setting x{60}\\. "),
        ({"propagation": {"fraction": 2}}, "propagation.fraction = 2.0 must be a number from 0 to 1"),
    ],
)
def test_mistakes_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        from_dict(values)


def test_file_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    with pytest.raises(InputError, match="cannot read"):
        read_settings(path)
    path.write_text("seed = [")
    with pytest.raises(InputError, match="not TOML"):
        read_settings(path)
    for text in (
        "a = " + "[" * 5000,
        "seed = " + "9" * 5000,
        "[" + "a." * 5000 + "a]",
        "#" * 2_000_000,
        'a = "\\ud800"',
    ):
        path.write_text(text)
        with pytest.raises(InputError) as deep:
            read_settings(path)
        assert str(path) in str(deep.value) and len(str(deep.value)) < 500
    path.write_text("colour = 'red'")
    with pytest.raises(InputError) as caught:
        read_settings(path)
    assert str(path) in str(caught.value) and "colour" in str(caught.value)
    path.write_text("seed = 0\n[propagation]\n")
    assert read_settings(path) == RunSettings()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 10**400])
@pytest.mark.parametrize("kind", [RunSettings, AppSettings, TrainingSettings])
def test_no_field_of_any_settings_takes_a_number_that_is_none(kind: type, number: float) -> None:
    fields = list(numbers_of(kind))
    assert len(fields) >= 8
    for path in fields:
        values: Any = number
        for name in reversed(path):
            values = {name: values}
        with pytest.raises(InputError, match=path[-1]):
            build_settings(kind, values)


def numbers_of(kind: type, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Names that lead to every whole number and float of a dataclass of settings."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from numbers_of(hints[field.name], (*prefix, field.name))
        elif hints[field.name] in (int, float):
            yield *prefix, field.name
