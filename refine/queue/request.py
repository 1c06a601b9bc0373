"""What a user asks for, and the command that does it."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.constants import B_COLUMNS, DEVICES
from refine.errors import InputError
from refine.physics.conditions import Conditions
from refine.settings_checks import one_of, within
from refine.settings_file import build_settings

RUN = "run"
"""Name of the run folder inside the job folder."""
BOUNDS = {"models": (1, 20), "steps": (0, 5000), "seed": (0, 2**31 - 1)}
MAX_SELECTION = 2000
KNOWN = {
    "evidence": "--evidence",
    "template": "--template",
    "together": "--other-model",
    "density": "--torsion-density",
}
"""Field of ``Request`` that names files → option of ``refine run`` that takes each."""


@dataclasses.dataclass(frozen=True)
class Request:
    """Options of one run; everything a user of the app can set.

    Attributes:
        models: how many ranked models; steps: of the propagation; None leaves it to the settings of the server.
        seed: of the noise.
        freeze: residues that stay, as ``refine run --freeze`` takes them.
        device: auto, cpu or cuda.
        bfactor: what the B column holds: score, error or b.
        model: which MODEL of the file; None: the first.
        heat: temperatures of residues, as ``refine run --heat`` takes them.
        temperature, ph, ionic: conditions under which the protein is meant (K, pH, mol/l); None: not given.
        evidence: names of files in the job's folder, as ``uploads.known_name`` makes them; template: of relatives;
            together: of other models of the protein; density: of torsion densities.
    """

    models: int | None = None
    steps: int | None = None
    seed: int = 0
    freeze: str = ""
    device: str = "auto"
    bfactor: str = "score"
    model: int | None = None
    heat: str = ""
    temperature: float | None = None
    ph: float | None = None
    ionic: float | None = None
    evidence: tuple[str, ...] = ()
    template: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    density: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if value is not None:
                within(name, value, least, most)
        if self.model is not None and abs(self.model) >= 10**6:
            raise InputError(f"there is no model {self.model}")
        one_of("device", self.device, DEVICES)
        one_of("bfactor", self.bfactor, B_COLUMNS)
        if len(self.freeze) > MAX_SELECTION or not self.freeze.isprintable():
            raise InputError(
                "the selection of frozen residues cannot be read", remedy='Write chains and ranges, e.g. "A:10-25,B"'
            )
        if len(self.heat) > MAX_SELECTION or not self.heat.isprintable():
            raise InputError("the temperatures cannot be read", remedy='Write ranges and K, e.g. "A:40-55=600"')
        Conditions(self.temperature, self.ph, self.ionic)  # refuses what lies out of bounds
        assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name) for name in self.known_files)

    @property
    def known_files(self) -> tuple[str, ...]:
        """Names of all files that say something of the structure besides the model."""
        return tuple(name for kind in KNOWN for name in getattr(self, kind))

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``from_dict`` takes, as JSON gives them back."""
        return {**dataclasses.asdict(self), **{name: list(getattr(self, name)) for name in KNOWN}}

    def arguments(self, file: str, base: str = "") -> list[str]:
        """Arguments of ``refine`` that run this on ``file``; ``base`` is a settings file or empty."""
        options = [f"--settings={base}"] if base else []
        for name in ("models", "steps", "model", "temperature", "ph", "ionic"):
            value = getattr(self, name)
            options += [] if value is None else [f"--{name}={value:g}"]
        options += [f"--seed={self.seed}"]
        for name, default in (("freeze", ""), ("heat", ""), ("device", "auto"), ("bfactor", "score")):
            value = getattr(self, name)
            options += [] if value == default else [f"--{name}={value}"]
        options += [f"{option}=./{name}" for kind, option in KNOWN.items() for name in getattr(self, kind)]
        return ["run", f"./{file}", f"--out={RUN}", *options]

    def shown(self, file: str, base: str = "") -> str:
        """The same as a line for a shell."""
        return shlex.join(["refine", *self.arguments(file, Path(base).name)])


def from_dict(values: Mapping[str, Any]) -> Request:
    """A request of plain values; raises InputError on an unknown key or a wrong type."""
    return build_settings(Request, values)
