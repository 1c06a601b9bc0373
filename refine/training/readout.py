"""The read-out for near-native structures (``networks.readout``), fitted on real models.

    python -m refine.training.readout PRIOR [PRIOR ...] --real REAL --out FOLDER/near_native.safetensors

The priors stay as they were trained. What their hidden layers hold together is mapped to the displacement by ridge
regression, in closed form, on the real models of the train split: what they say is kept where real models do not show
otherwise. REAL is made by ``benchmarks/pack_real_models.py``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from refine.errors import InputError, RefineError
from refine.files import file_hash
from refine.networks.prior import WHOLE_SHIFT_OUTPUTS, Prior
from refine.networks.readout import Readout, ReadoutSettings
from refine.networks.weights import load_network, save_network
from refine.settings_checks import at_least
from refine.structure.arrays import frames
from refine.training.examples import REAL
from refine.training.real_models import RealModel, RealModels
from refine.training.targets import whole_superposition

Array = NDArray[np.float64]

_FARTHEST = 4.0
"""Å; what is left to be gained of residues further off counts as this much in its direction."""


@dataclasses.dataclass(frozen=True)
class FitSettings:
    """How a read-out is fitted.

    Attributes:
        ridge: added to the diagonal of the normal equations, as a part of its mean.
        power: a residue d Å off weighs 1 / (1 + d / 1 Å)^power.
        predicted: weight of residues of predictors' models beside those of homology models.
    """

    ridge: float = 0.03
    power: float = 1.5
    predicted: float = 1.5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            at_least(f"readout.{field.name}", getattr(self, field.name), 0)


class NormalEquations:
    """Weighted sums of products of hidden values and what they are to give, of which the fit is made."""

    def __init__(self, count: int) -> None:
        self.square = np.zeros((count, count))
        self.right = np.zeros((count, 3))
        self.residues = 0

    def add(self, values: Array, wanted: Array, weight: Array) -> None:
        """Rows of values (n, count) that are to give ``wanted`` (n, 3), with weights (n,)."""
        weighted = values * weight[:, None]
        self.square += weighted.T @ values
        self.right += weighted.T @ wanted
        self.residues += len(values)

    def solution(self, ridge: float) -> Array:
        """Coefficients (count, 3), the last of which, the constant's, is not held back.

        The ridge acts on values of unit mean square, so that their scale does not matter.
        """
        scale = np.sqrt(np.maximum(np.diag(self.square), 1e-12))
        square = self.square / scale / scale[:, None]
        penalty = np.r_[np.full(len(scale) - 1, ridge), 0.0]
        solved: Array = np.linalg.solve(square + np.diag(penalty), self.right / scale[:, None]) / scale[:, None]
        return solved


def equations(priors: Sequence[Prior], models: Iterable[RealModel], settings: FitSettings) -> NormalEquations:
    """Normal equations of what the mean of the priors' displacements lacks on real models."""
    sums = NormalEquations(sum(prior.settings.trunk.width for prior in priors) + 1)
    for model in models:
        values, said = hidden_values(priors, model)
        wanted = whole_displacement(model)
        size = np.linalg.norm(wanted, axis=1)
        lacking = wanted - said
        lacking *= np.minimum(1.0, _FARTHEST / np.maximum(np.linalg.norm(lacking, axis=1), 1e-9))[:, None]
        weight = (1.0 + size) ** -settings.power
        sums.add(values, lacking, weight * (settings.predicted if model.kind == "predicted" else 1.0))
    return sums


def hidden_values(priors: Sequence[Prior], model: RealModel) -> tuple[Array, Array]:
    """What the last layers of the frame heads read, and 1, (L, D + 1); and the mean of the displacements (L, 3) Å that
    they say.
    """
    backbone = torch.from_numpy(np.ascontiguousarray(model.atoms[:, :4]))[None]
    residue, position = torch.from_numpy(model.residue)[None], torch.from_numpy(model.position)[None]
    mask = torch.ones_like(residue, dtype=torch.bool)
    with torch.no_grad():
        outputs = [prior(backbone, residue, position, torch.zeros_like(position), mask) for prior in priors]
        said = torch.stack([output.whole_shift[0] for output in outputs]).mean(0)
        values = torch.cat([output.hidden[0] for output in outputs], dim=-1)
    return np.c_[values.double().numpy(), np.ones(len(said))], said.double().numpy()


def whole_displacement(model: RealModel) -> Array:
    """Displacements (L, 3) Å of CA, in the residues' frames, to the native laid onto the whole model."""
    start, native = model.atoms[:, :4].astype(np.float64), model.native[:, 1].astype(np.float64)
    rot, shift = whole_superposition(native, start[:, 1])
    frame = frames(*start[:, :3].swapaxes(0, 1))
    moved: Array = ((native @ rot.T + shift - start[:, 1])[:, None] @ frame)[:, 0]
    return moved


def fitted(priors: Sequence[Prior], sums: NormalEquations, settings: FitSettings) -> Readout:
    """The read-out: the mean of the priors' own and what it lacks by ``sums``."""
    change = torch.from_numpy(sums.solution(settings.ridge)).to(torch.float32)
    lasts = [last for prior in priors if isinstance(last := prior.frame_head[-1], nn.Linear)]
    readout = Readout(ReadoutSettings(len(change) - 1))
    with torch.no_grad():
        own = torch.cat([last.weight[WHOLE_SHIFT_OUTPUTS] for last in lasts], dim=1) / len(priors)
        bias = torch.stack([last.bias[WHOLE_SHIFT_OUTPUTS] for last in lasts]).mean(0)
        readout.linear.weight.copy_(own + change[:-1].T)
        readout.linear.bias.copy_(bias + change[-1])
    return readout


def of_train_split(models: RealModels) -> list[RealModel]:
    """The real models of the train split: all that predictors made, one homology model for every target.

    Raises:
        InputError: there is none.
    """
    chosen: dict[str, int] = {}
    for kind in REAL:
        for group in models.groups(kind, "train"):
            for m in group:
                name = models[m].name
                chosen.setdefault(name if kind == "predicted" else name.split("_")[0], m)
    if not chosen:
        raise InputError("there is no real model of the train split", remedy="Give a file of pack_real_models.")
    return [models[m] for m in chosen.values()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit the read-out of the priors that are named, in the order in which a run loads them; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m refine.training.readout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("priors", nargs="+", type=Path, metavar="PRIOR", help="trained file (.safetensors)")
    parser.add_argument("--real", required=True, type=Path, help="file of benchmarks/pack_real_models.py")
    parser.add_argument("--out", required=True, type=Path, help="file to write")
    options = parser.parse_args(arguments)
    settings = FitSettings()
    try:
        real = RealModels(options.real)
        models = of_train_split(real)
        loaded = [load_network(path, "prior")[0] for path in options.priors]
        priors = [prior for prior in loaded if isinstance(prior, Prior)]
        sums = equations(priors, models, settings)
        facts = {
            "fit": dataclasses.asdict(settings),
            "priors": [file_hash(path) for path in options.priors],
            "data": {"hash": real.hash, "chains": len(models), "residues": sums.residues},
            "parameters": 3 * len(sums.square),
        }
        save_network(fitted(priors, sums, settings), options.out, facts)
        sys.stdout.write(f"{options.out}: {len(models)} models, {sums.residues} residues\n")
    except RefineError as error:
        sys.stderr.write(f"refine: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
