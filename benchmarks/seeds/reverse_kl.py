"""Reverse KL with rising β on a double well whose right half holds 0.8 %: whether the minor mode is kept.

    python benchmarks/seeds/reverse_kl.py [--seeds 0,1,2] [--published]

U = x1⁴/4 − 3 x1² + x1 + x2²/2, β from 0 to 1; below β = 0.1 beside a normal law that fades. ``--published`` leaves out
what keeps minor modes (components, the forward share), as the method is printed; its row has no limits. Exact values
by quadrature.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from limits import write_result
from scipy.stats import spearmanr
from torch import Tensor

from refine.files import json_text, write_text
from refine.sampling.component import Component
from refine.sampling.reverse_kl import Batch, Temperature, fit
from refine.sampling.surrogate import Surrogate, SurrogateSettings
from refine.sampling.tempering import TemperingSettings

BARRIER = 0.167
"""x1 of the top between the wells."""
WATCHED = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
SPREAD = (2.5, 2.0)
"""Of the law at β = 0."""
LOG_Z, MEAN_X1, SD_X1, RIGHT = 12.065, -2.4411, 0.5220, 0.00835
"""At β = 1, by quadrature."""
SETTINGS = SurrogateSettings(hidden=40, samples=300, rate=3e-3, fade=0.1)
TEMPERING = TemperingSettings(first_updates=40, most_updates=100, kept=0.85, converged=0.8)
FINAL_UPDATES = 1500


def energy(x: Tensor) -> Tensor:
    return 0.25 * x[:, 0] ** 4 - 3 * x[:, 0] ** 2 + x[:, 0] + 0.5 * x[:, 1] ** 2


def exact_right(beta: float) -> float:
    """Share of x1 > ``BARRIER`` at β, ``SETTINGS.fade`` or above."""
    x = np.linspace(-12, 12, 40001)
    log_p = -beta * (0.25 * x**4 - 3 * x**2 + x)
    p = np.exp(log_p - log_p.max())
    return float(p[x > BARRIER].sum() / p.sum())


def log_density(model: Surrogate, axis: Tensor, nodes: int) -> Tensor:
    """ln q on the grid axis × axis, flat, by quadrature over the latents of each component."""
    parts = [
        _log_density(part, axis, nodes) + share.log() for part, share in zip(model.parts(), model.shares, strict=True)
    ]
    return torch.logsumexp(torch.stack(parts), 0)


def _log_density(part: Component, axis: Tensor, nodes: int) -> Tensor:
    z = torch.special.ndtri((torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes)[:, None]
    rows = []
    with torch.no_grad():
        mean = part.decoded(z).repeat(len(axis), 1)
        for x1 in axis:
            x = torch.stack((x1.expand_as(axis), axis), 1).repeat_interleave(nodes, 0)
            rows.append(torch.logsumexp(part.log_decoder(x, mean, part.factor).view(len(axis), nodes), 1))
    return torch.cat(rows) - math.log(nodes)


def divergences(model: Surrogate, cells: int = 301, nodes: int = 400) -> dict[str, float]:
    """Forward and reverse KL between model and exact density at β = 1, and moments of the model, by quadrature."""
    axis = torch.linspace(-5, 5, cells, dtype=torch.float64)
    area = float(axis[1] - axis[0]) ** 2
    grid = torch.cartesian_prod(axis, axis)
    log_p = -energy(grid)
    log_p = log_p - torch.logsumexp(log_p, 0) - math.log(area)
    log_q = log_density(model, axis, nodes)
    p, q = log_p.exp() * area, log_q.exp() * area
    x1, x2 = grid.T
    m1, m2 = float((q * x1).sum()), float((q * x2).sum())
    return {
        "forward_kl": float((p * (log_p - log_q)).sum()),
        "reverse_kl": float((q * (log_q - log_p)).sum()),
        "right": float(q[x1 > BARRIER].sum()),
        "mean_x1_error": abs(m1 - MEAN_X1),
        "mean_x2": abs(m2),
        "sd_x1_error": abs(float((q * (x1 - m1) ** 2).sum().sqrt()) - SD_X1),
        "sd_x2_error": abs(float((q * (x2 - m2) ** 2).sum().sqrt()) - 1.0),
    }


def watch(model: Surrogate, batch: Batch) -> Mapping[str, float]:
    right = (batch.x[:, 0] > BARRIER).double()
    weights = torch.softmax(batch.log_weights, 0)
    return {"plain": float(torch.softmax(batch.log_share, 0) @ right), "weighted": float((weights * right).sum())}


def one(
    seed: int,
    settings: SurrogateSettings = SETTINGS,
    tempering: TemperingSettings = TEMPERING,
    final_updates: int = FINAL_UPDATES,
) -> tuple[dict[str, float], list[Temperature]]:
    """A model trained with a seed, judged at β = 1 and on the way."""
    torch.set_num_threads(1)
    model = Surrogate(torch.tensor(SPREAD), settings, seed)
    history = fit(model, energy, tempering, seed, watch, final_updates)
    print(f"seed {seed}: trained", file=sys.stderr, flush=True)
    numbers = divergences(model)
    for beta in WATCHED:
        near = min((t for t in history if t.beta >= settings.fade), key=lambda t: abs(t.beta - beta))
        ratio = near.watched["plain"] / exact_right(near.beta)
        numbers[f"right_over_exact_{beta:g}"] = ratio
        numbers[f"right_log_error_{beta:g}"] = abs(math.log(max(ratio, 1e-9)))
    with torch.no_grad():
        x, _ = model.sample(5000, torch.Generator().manual_seed(seed + 100))
        z = model.encoded(x)[:, 0]
    numbers |= {
        "spearman_x1": abs(float(spearmanr(z, x[:, 0])[0])),
        "spearman_x2": abs(float(spearmanr(z, x[:, 1])[0])),
        "log_z_error": abs(history[-1].log_z - LOG_Z),
        "temperatures": len(history),
        "updates": sum(t.updates for t in history) + final_updates,
        "kish_last": history[-1].kish,
        "components": len(model.components),
    }
    return numbers, history


def kept(seed: int, settings: SurrogateSettings, keep: Path | None) -> dict[str, float]:
    """Numbers of a seed, from the folder ``keep`` where they are there."""
    path = None if keep is None else keep / f"double_well_{settings.forward:g}_{seed}.json"
    if path is not None and path.is_file():
        numbers: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return numbers
    begun = time.process_time()
    numbers = one(seed, settings)[0]
    numbers["cpu_seconds"] = round(time.process_time() - begun, 1)
    if path is not None:
        write_text(path, json_text(numbers))
    return numbers


OF_A_SEED = {
    "right_least": (">=", 0.005),
    "right_most": ("<=", 0.013),
    "sd_x1_error": ("<=", 0.1),
    "mean_x1_error": ("<=", 0.02),
    "mean_x2": ("<=", 0.05),
    "sd_x2_error": ("<=", 0.06),
    "forward_kl": ("<=", 0.02),
    "reverse_kl": ("<=", 0.02),
    "spearman_x1": (">=", 0.95),
    "spearman_x2": ("<=", 0.2),
    "log_z_error": ("<=", 0.3),
    **{f"right_log_error_{beta:g}": ("<=", math.log(1.3)) for beta in WATCHED[:-1]},
}
LIMITS = OF_A_SEED


def worst(rows: list[dict[str, float]]) -> dict[str, float]:
    """The numbers of the limits, worst over seeds."""
    right = [row["right"] for row in rows]
    out = {"right_least": min(right), "right_most": max(right)}
    for name, (relation, _) in OF_A_SEED.items():
        if name not in out:
            out[name] = (max if relation == "<=" else min)(row[name] for row in rows)
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder of seeds that are done, taken from there if present")
    options = parser.parse_args()
    settings = dataclasses.replace(SETTINGS, forward=0.0, components=1) if options.published else SETTINGS
    seeds = [int(seed) for seed in options.seeds.split(",")]
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        rows = list(pool.map(kept, seeds, [settings] * len(seeds), [options.keep] * len(seeds)))
    numbers = worst(rows)
    how: dict[str, Any] = {
        "command": "python benchmarks/seeds/reverse_kl.py",
        "settings": dataclasses.asdict(settings) | {"final_updates": FINAL_UPDATES},
        "tempering": dataclasses.asdict(TEMPERING),
        "seeds": [{"seed": seed} | row for seed, row in zip(seeds, rows, strict=True)],
    }
    name = "reverse_kl_published" if options.published else "reverse_kl"
    return 0 if write_result(name, numbers, {} if options.published else LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())
