"""Training of the local distributions, read top to bottom: data, network, loop, checkpoint.

Every number of a run lives in ``TrainingSettings``. Example n is a function of (seed, n) alone and the checkpoint
carries weights, averages and optimiser, so a resumed run continues as if it had never stopped.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from refine.local.dataset import Examples, ExampleSettings, collate, read_pairs
from refine.local.likelihood import Likelihood, LikelihoodSettings
from refine.local.losses import likelihood_loss, prior_loss
from refine.local.network import parameter_count
from refine.local.pack import Pack
from refine.local.prior import Prior, PriorSettings

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """One training run.

    Attributes:
        network: "prior" or "likelihood".
        steps: optimiser steps in all.
        batch: examples a step.
        learning_rate: of AdamW, reached after ``warmup`` steps, held, then lowered linearly to zero over the last
            ``cooldown`` steps.
        average: decay of the running average of the weights, which is what is validated and kept.
        clip: largest norm of the gradient.
        bf16: matrix products in bfloat16.
        every: steps between validation and checkpoint.
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
    examples: ExampleSettings = ExampleSettings()
    prior: PriorSettings = PriorSettings()
    likelihood: LikelihoodSettings = LikelihoodSettings()


def build(settings: TrainingSettings) -> nn.Module:
    """An untrained network, the same for the same seed."""
    torch.manual_seed(settings.seed)
    return Prior(settings.prior) if settings.network == "prior" else Likelihood(settings.likelihood)


def rate(step: int, settings: TrainingSettings) -> float:
    """Learning rate of a step."""
    rise = min(1.0, (step + 1) / max(1, settings.warmup))
    fall = min(1.0, (settings.steps - step) / max(1, settings.cooldown))
    return settings.learning_rate * rise * fall


def loss_of(network: nn.Module, batch: dict[str, Tensor], settings: TrainingSettings) -> tuple[Tensor, dict[str, float]]:
    """The loss and figures of the network that ``settings`` names."""
    device = next(network.parameters()).device.type
    with torch.autocast(device, torch.bfloat16, enabled=settings.bf16):
        return prior_loss(network, batch) if isinstance(network, Prior) else likelihood_loss(network, batch)  # type: ignore[arg-type]


def batches(examples: Examples, settings: TrainingSettings, first: int) -> Iterator[dict[str, Tensor]]:
    """Batches from step ``first`` on, made one process ahead."""
    order = range(first * settings.batch, settings.steps * settings.batch)
    loader = torch.utils.data.DataLoader(
        examples,
        batch_size=settings.batch,
        sampler=order,
        collate_fn=collate,
        num_workers=1,
        prefetch_factor=4,  # type: ignore[arg-type]
    )
    return iter(loader)


def validate(network: nn.Module, examples: Examples, settings: TrainingSettings) -> dict[str, float]:
    """Mean figures over all of ``examples`` (one at a time, so that structures weigh alike), by kind of example."""
    network.eval()
    sums: dict[str, list[float]] = {}
    with torch.no_grad():
        for n in range(len(examples)):
            batch = collate([examples[n]])
            kind = ("perturbed", "homologue", "native")[int(batch["kind"][0])]
            for name, value in loss_of(network, batch, settings)[1].items():
                sums.setdefault(f"{kind}/{name}", []).append(value)
    network.train()
    return {name: float(np.mean(values)) for name, values in sorted(sums.items())}


def train(pack_folder: Path, pairs: Path | None, out: Path, settings: TrainingSettings) -> Path:
    """Trains (or resumes) in folder ``out``; returns the path of the averaged weights.

    Writes ``settings.json``, ``log.jsonl`` (one line a validation), ``checkpoint.pt`` (tensors and numbers only) and
    ``weights.pt``.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "settings.json").write_text(json.dumps(dataclasses.asdict(settings), indent=1))
    pack = Pack(pack_folder)
    groups = read_pairs(pairs, pack) if pairs else []
    data = Examples(pack, groups, "train", settings.examples, settings.seed, settings.steps * settings.batch)
    check = Examples(pack, groups, "valid", settings.examples, settings.seed + 1, 96)
    network = build(settings)
    averaged = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average))
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    first = _resume(out / "checkpoint.pt", network, averaged, optimiser)
    log.info("%s: %d parameters, step %d of %d", settings.network, parameter_count(network), first, settings.steps)
    running: dict[str, float] = {}
    began = time.monotonic()
    for step, batch in enumerate(batches(data, settings, first), start=first):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, settings)
        loss, figures = loss_of(network, batch, settings)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        if torch.isfinite(norm):
            optimiser.step()
            averaged.update_parameters(network)
        for name, value in figures.items():
            running[name] = 0.98 * running.get(name, value) + 0.02 * value
        done = step + 1
        if done % settings.every == 0 or done == settings.steps:
            row = {"step": done, "seconds": round(time.monotonic() - began, 1), **{k: round(v, 4) for k, v in running.items()}}
            row |= {k: round(v, 4) for k, v in validate(averaged.module, check, settings).items()}
            with (out / "log.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            _save(out / "checkpoint.pt", {"step": done, "network": network.state_dict(), "averaged": averaged.state_dict(),
                                          "optimiser": optimiser.state_dict()})  # fmt: skip
            _save(out / "weights.pt", averaged.module.state_dict())
            log.info("%s", row)
    return out / "weights.pt"


def _save(path: Path, what: dict[str, object]) -> None:
    part = path.with_suffix(".part")
    torch.save(what, part)
    part.replace(path)


def _resume(path: Path, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    averaged.load_state_dict(state["averaged"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
