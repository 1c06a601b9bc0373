"""Training of the local distributions, read top to bottom: data, network, loop, checkpoint.

Every number of a run lives in ``TrainingSettings``. Example n is a function of (seed, n) alone and the checkpoint
carries weights, averages and optimiser, so a resumed run continues as if it had never stopped. Nothing else is random:
the seed is the state of the random numbers.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import pickle
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from refine.errors import InputError, ModelError
from refine.files import replacing
from refine.networks.judge import Judge, JudgeSettings, state_from_prior
from refine.networks.likelihood import Atoms, Likelihood, LikelihoodSettings
from refine.networks.network import Messages, parameter_count
from refine.networks.prior import Prior, PriorOutput, PriorSettings
from refine.settings_checks import at_least, one_of
from refine.training.examples import KINDS, Arrays, Examples, ExampleSettings, collate
from refine.training.losses import judge_loss, likelihood_loss, prior_loss
from refine.training.own_moves import OwnMoves, OwnMovesSettings
from refine.training.pack import Pack
from refine.training.pairs import Pair, read_pairs
from refine.training.real_models import RealExamples, RealModels, RealSettings
from refine.training.rivals import Rivals, RivalSettings
from refine.training.unrolled import UnrolledSettings, unrolled_loss

log = logging.getLogger(__name__)

NETWORKS = ("prior", "likelihood", "judge")
VALIDATION_EXAMPLES = 96


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """One training run.

    Attributes:
        network: "prior", "likelihood" or "judge".
        steps: optimiser steps in all.
        batch: examples a step.
        learning_rate: of AdamW, reached after ``warmup`` steps, held, then lowered linearly to zero over the last
            ``cooldown`` steps.
        average: decay of the running average of the weights, which is what is validated and kept.
        clip: largest norm of the gradient.
        bf16: matrix products in bfloat16.
        every: steps between validation and checkpoint.
        workers: processes that make examples; the result does not depend on it.
        compiled: compile the trunk (needs a C++ compiler on a CPU); a fifth faster on the CPU it was measured on.
    """

    network: str = "prior"
    steps: int = 12_000
    batch: int = 4
    learning_rate: float = 1e-3
    warmup: int = 300
    cooldown: int = 3_000
    weight_decay: float = 0.01
    average: float = 0.998
    clip: float = 1.0
    bf16: bool = True
    seed: int = 0
    every: int = 500
    workers: int = 1
    compiled: bool = False
    examples: ExampleSettings = ExampleSettings()
    own_moves: OwnMovesSettings = OwnMovesSettings()
    unrolled: UnrolledSettings = UnrolledSettings()
    real: RealSettings = RealSettings()
    prior: PriorSettings = PriorSettings()
    likelihood: LikelihoodSettings = LikelihoodSettings()
    judge: JudgeSettings = JudgeSettings()
    rivals: RivalSettings = RivalSettings()

    def __post_init__(self) -> None:
        one_of("network", self.network, NETWORKS)
        of_prior = {
            "own_moves.share": self.own_moves.share,
            "unrolled.steps": self.unrolled.steps,
        }
        for name, used in of_prior.items():
            if used > 0 and self.network != "prior":
                raise InputError(f"{name} is for the prior", remedy="Set it to 0 for another network.")
        for name, least in (("steps", 1), ("batch", 1), ("seed", 0), ("every", 1), ("workers", 1)):
            at_least(name, getattr(self, name), least)


def build(settings: TrainingSettings) -> Prior | Likelihood | Judge:
    """An untrained network, the same for the same seed."""
    torch.manual_seed(settings.seed)
    if settings.network == "prior":
        return Prior(settings.prior)
    return Judge(settings.judge) if settings.network == "judge" else Likelihood(settings.likelihood)


def examples_of(
    pack: Pack,
    pairs: list[list[Pair]],
    split: str,
    settings: TrainingSettings,
    seed: int,
    count: int,
    real: RealModels | None = None,
) -> Examples:
    """The examples that the network of ``settings`` is trained on.

    Raises:
        InputError: real models are asked for and not given.
    """
    if settings.real.share > 0:
        if real is None:
            raise InputError("real.share is above 0 without real models", remedy="Give --real, or real.share = 0.")
        return RealExamples(pack, pairs, split, settings.examples, seed, count, models=real, real=settings.real)
    if settings.network == "judge":
        return Rivals(pack, pairs, split, settings.examples, settings.rivals, seed, count)
    return Examples(pack, pairs, split, settings.examples, seed, count)


def rate(step: int, settings: TrainingSettings) -> float:
    """Learning rate of a step."""
    rise = min(1.0, (step + 1) / max(1, settings.warmup))
    fall = min(1.0, (settings.steps - step) / max(1, settings.cooldown))
    return settings.learning_rate * rise * fall


def loss_of(
    network: nn.Module, batch: dict[str, Tensor], settings: TrainingSettings
) -> tuple[Tensor, dict[str, float], PriorOutput | None]:
    """Loss, figures and, for a prior, its output, of the network that ``settings`` names; the order of rivals is left
    out where there is none.
    """
    device = next(network.parameters()).device.type
    output: PriorOutput | None = None
    with torch.autocast(device, torch.bfloat16, enabled=settings.bf16):
        if isinstance(network, Prior):
            loss, figures, output = prior_loss(network, batch)
            if settings.unrolled.steps > 0:
                further, more = unrolled_loss(network, batch, output, settings.unrolled)
                loss, figures = loss + further, figures | more
        elif isinstance(network, Judge):
            loss, figures, _ = judge_loss(network, batch)
        else:
            loss, figures, _ = likelihood_loss(network, batch)  # type: ignore[arg-type]
    values = {name: float(value) for name, value in figures.items()}
    if math.isnan(values.get("order", 0.0)):
        del values["order"]
    return loss, values, output


def fresh_examples(examples: Examples, settings: TrainingSettings, each: int, first: int) -> Iterator[list[Arrays]]:
    """``each`` new examples a step from step ``first`` on, made ahead in other processes."""
    order = range(first * each, settings.steps * each)
    loader = torch.utils.data.DataLoader(
        examples,
        batch_size=each,
        sampler=order,
        collate_fn=list,
        num_workers=settings.workers,
        prefetch_factor=4,  # type: ignore[arg-type]
    )
    return iter(loader)


def moved(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The batch on ``device``."""
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def validate(network: nn.Module, examples: Examples, settings: TrainingSettings) -> dict[str, float]:
    """Mean figures of all ``examples`` by kind, one example a time so that structures weigh alike, rivals by sets."""
    device = next(network.parameters()).device
    network.eval()
    sums: dict[str, list[float]] = {}
    size = examples.rivals.of_one if isinstance(examples, Rivals) else 1
    with torch.no_grad():
        for n in range(0, len(examples), size):
            batch = moved(collate([examples[k] for k in range(n, min(n + size, len(examples)))]), device)
            kind = "rivals" if isinstance(examples, Rivals) else KINDS[int(batch["kind"][0])]
            for name, value in loss_of(network, batch, settings)[1].items():
                sums.setdefault(f"{kind}/{name}", []).append(value)
    network.train()
    return {name: float(np.mean(values)) for name, values in sorted(sums.items())}


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """Where a run stands: steps done, seconds they took, and the running means of its figures."""

    step: int = 0
    seconds: float = 0.0
    running: dict[str, float] = dataclasses.field(default_factory=dict)


def train(
    pack_folder: Path,
    pairs: Path | None,
    out: Path,
    settings: TrainingSettings,
    *,
    device: str = "cpu",
    init: Path | None = None,
    real: Path | None = None,
) -> Path:
    """Trains in folder ``out``, going on from its checkpoint if there is one; returns the path of the averaged weights.

    Writes ``settings.json``, ``log.jsonl`` (one line a validation), ``checkpoint.pt`` (tensors and numbers only) and
    ``weights.pt``. The same settings and data give the same bytes on a CPU, interrupted or not.

    Args:
        pack_folder, pairs: the data; without ``pairs`` there are no homologue examples.
        settings: of the run.
        device: where the network is.
        real: file of ``real_models.pack_real_models``, for ``settings.real``.
        init: weights to begin from, unless the run is resumed: of the same architecture or one with fewer layers (the
            others begin as the identity), or a prior's for a judge.

    Raises:
        InputError: the data lack a split.
        ModelError: the checkpoint or ``init`` does not fit ``settings`` or the data.
    """
    out.mkdir(parents=True, exist_ok=True)
    pack = Pack(pack_folder)
    groups = read_pairs(pairs, pack) if pairs else []
    models = RealModels(real) if real else None
    data = examples_of(pack, groups, "train", settings, settings.seed, settings.steps * settings.batch, models)
    check = examples_of(pack, groups, "valid", settings, settings.seed + 1, VALIDATION_EXAMPLES, models)
    network = build(settings).to(device)
    if init is not None:
        load_weights(network, init, grown=True)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average)
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    pool = OwnMoves(settings.own_moves, settings.batch, settings.examples.noise, settings.examples.crop, settings.seed)
    first = _resume(out / "checkpoint.pt", network, averaged, optimiser, pool, data_hash(pack_folder))
    if settings.compiled:
        network.trunk.forward = torch.compile(network.trunk.forward, dynamic=False)  # type: ignore[method-assign]
    (out / "settings.json").write_text(json.dumps(dataclasses.asdict(settings), indent=1))
    log.info("%s: %d parameters, step %d of %d", settings.network, parameter_count(network), first.step, settings.steps)
    running, began = dict(first.running), time.monotonic() - first.seconds
    for step, fresh in enumerate(fresh_examples(data, settings, pool.fresh, first.step), start=first.step):
        examples = pool.joined(fresh, step)
        batch = moved(pool.collated(examples), torch.device(device))
        figures, output = _step(network, averaged, optimiser, batch, rate(step, settings), settings)
        if output is not None:
            pool.keep(examples, output, step, whole=settings.unrolled.whole)
        for name, value in figures.items():
            running[name] = 0.98 * running.get(name, value) + 0.02 * value
        done = step + 1
        if done % settings.every == 0 or done == settings.steps:
            row = {
                "step": done,
                "seconds": round(time.monotonic() - began, 1),
                **{k: round(v, 4) for k, v in running.items()},
            }
            row |= {k: round(v, 4) for k, v in validate(averaged.module, check, settings).items()}
            with (out / "log.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            state: dict[str, object] = {
                "network": network.state_dict(),
                "averaged": averaged.state_dict(),
                "optimiser": optimiser.state_dict(),
                "pool": pool.state(),
            }
            state |= {
                "step": done,
                "seconds": time.monotonic() - began,
                "running": dict(running),
                "data": data_hash(pack_folder),
            }
            _save(out / "checkpoint.pt", state)
            _save(out / "weights.pt", averaged.module.state_dict())
            log.info("%s", row)
    return out / "weights.pt"


def _step(
    network: nn.Module,
    averaged: torch.optim.swa_utils.AveragedModel,
    optimiser: torch.optim.Optimizer,
    batch: dict[str, Tensor],
    learning_rate: float,
    settings: TrainingSettings,
) -> tuple[dict[str, float], PriorOutput | None]:
    """One step of the optimiser, left out where the gradient is not finite; returns figures and a prior's output."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate
    loss, figures, output = loss_of(network, batch, settings)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
    if torch.isfinite(norm):
        optimiser.step()
        averaged.update_parameters(network)
    return figures, output


def data_hash(pack_folder: Path) -> str:
    """Hash of the pack's manifest; ``""`` for a pack without one."""
    path = pack_folder / "manifest.json"
    return str(json.loads(path.read_text())["hash"]) if path.is_file() else ""


def load_weights(network: nn.Module, path: Path, *, grown: bool = False) -> None:
    """Loads a state dict (``weights.pt``) or a trained safetensors file into ``network``; a judge may begin as a prior.

    Args:
        network: of which kind and size the weights must be.
        path: the file.
        grown: parts of the network that can begin as the identity, and that the file lacks as a whole, do so.

    Raises:
        ModelError: missing, damaged, or of another architecture.
    """
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, weights_only=True, map_location="cpu")
        )
        if isinstance(network, Judge) and any(name.startswith("frame_head.") for name in state):
            state = state_from_prior(state)
        network.load_state_dict({**(_new_parts(network, state) if grown else {}), **state})
    except (
        OSError,
        SafetensorError,
        RuntimeError,
        TypeError,
        AttributeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        remedy = "Give weights.pt of a run, or a .safetensors file, of the same network and size."
        raise ModelError(f"the weights cannot be used: {error}", file=str(path), remedy=remedy) from error


def _new_parts(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of those parts of ``network`` of which ``state`` has none, begun as the identity."""
    fresh: dict[str, Tensor] = {}
    for name, part in network.named_modules():
        if isinstance(part, (Messages, Atoms)) and not any(key.startswith(f"{name}.") for key in state):
            part.begin_as_identity()
            fresh |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    return fresh


def _save(path: Path, what: dict[str, object]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:  # a path's name would get into the file
        torch.save(what, stream)


def _resume(
    path: Path, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer, pool: OwnMoves, data: str
) -> TrainingState:
    """Loads the checkpoint into the four, when there is one, and says where it stands."""
    if not path.exists():
        return TrainingState()
    remedy = "Train in another folder, or with the settings and the data of this one."
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        pool.load(state.get("pool", []))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"the checkpoint does not fit: {error}", file=str(path), remedy=remedy) from error
    if data and state.get("data") and state["data"] != data:
        raise ModelError("the checkpoint was made from other data", file=str(path), remedy=remedy)
    return TrainingState(int(state["step"]), float(state.get("seconds", 0.0)), dict(state.get("running", {})))
