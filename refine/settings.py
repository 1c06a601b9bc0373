"""Settings of a whole run: one frozen dataclass that composes those of the stages, read from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.energy.settings import EnergySettings
from refine.errors import InputError
from refine.finishing.settings import FinishSettings
from refine.local.weights import DEFAULT_MODEL
from refine.propagation.settings import PropagationSettings

B_COLUMNS = ("score", "error", "b")
DEVICES = ("auto", "cpu", "cuda")


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How ``refine run`` works.

    Attributes:
        seed: any integer from 0; the same seed gives the same bytes on the same machine.
        device: where networks and propagation run: ``auto`` (a GPU when there is one), ``cpu`` or ``cuda``.
        networks: name of a packaged set of trained files, a folder, or ``none`` for a run without learned terms.
        models: how many ranked models are written.
        model: which MODEL of the input file is read, by its number; None means the first.
        freeze: residues that do not move, ``"A:10-25,B"``.
        bfactor: what the B column holds: ``score`` (confidence 0–100), ``error`` (Å) or ``b`` (Å²).
        workers: finishing processes, one thread each; the result does not depend on it.
        average: models are the mean of each replica's snapshots in the second half of the run, not its last one.
        learned: weights of the learned energy terms that differ from 1, by term name; 0 switches a term off.
        energy, propagation, finishing: settings of these stages.
    """

    seed: int = 0
    device: str = "auto"
    networks: str = DEFAULT_MODEL
    models: int = 5
    model: int | None = None
    freeze: str = ""
    bfactor: str = "score"
    workers: int = 2
    average: bool = False
    learned: Mapping[str, float] = dataclasses.field(default_factory=dict)
    energy: EnergySettings = dataclasses.field(default_factory=EnergySettings)
    propagation: PropagationSettings = dataclasses.field(default_factory=PropagationSettings)
    finishing: FinishSettings = dataclasses.field(default_factory=FinishSettings)

    def __post_init__(self) -> None:
        _one_of("bfactor", self.bfactor, B_COLUMNS)
        _one_of("device", self.device, DEVICES)
        for name, least in (("seed", 0), ("models", 1), ("workers", 1)):
            if getattr(self, name) < least:
                raise InputError(f"setting {name} = {getattr(self, name)} is below {least}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to run.json and as ``from_dict`` reads them."""
        return dataclasses.asdict(self)


def read_settings(path: Path) -> RunSettings:
    """Settings of a TOML file; what it does not name keeps its default.

    Raises:
        InputError: unreadable, not TOML, an unknown key, a value of the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the settings: {error.strerror}", file=str(path)) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the settings are not TOML: {error}", file=str(path)) from error
    try:
        return from_dict(values)
    except InputError as error:
        raise InputError(error.message, file=str(path), remedy=error.remedy) from error


def from_dict(values: Mapping[str, Any]) -> RunSettings:
    """Settings of nested plain values; raises InputError on an unknown key or a wrong type."""
    return typing.cast(RunSettings, _build(RunSettings, values, ""))


def _build(kind: type, values: Mapping[str, Any], prefix: str) -> object:
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind)}
    arguments = {}
    for key, value in values.items():
        if key not in known:
            raise InputError(f"unknown setting {prefix}{key}", remedy=f"Known here: {', '.join(sorted(known))}")
        arguments[key] = _value(hints[key], value, f"{prefix}{key}")
    return kind(**arguments)


def _value(hint: Any, value: Any, name: str) -> Any:
    """``value`` as the type ``hint`` wants it."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise InputError(f"setting {name} is a table, not {value!r}")
        return _build(hint, value, f"{name}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in arguments if a is not type(None)]
        return None if value is None and len(inner) < len(arguments) else _value(inner[0], value, name)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(arguments[0], v, name) for v in value)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {str(k): _value(arguments[1], v, f"{name}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    if typing.get_origin(hint) is typing.Literal and value in arguments:
        return value
    raise InputError(f"setting {name} = {value!r} has the wrong type", remedy=f"It should be {getattr(hint, '__name__', hint)}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"setting {name} = {value!r} is unknown", remedy=f"Use one of {', '.join(known)}")
