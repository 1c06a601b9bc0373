"""Reverse KL with rising β on a double well whose right half holds 0.8 %: whether the minor mode is kept.

    python benchmarks/seeds/double_well.py [--seeds 0,1,2] [--published]

U = x1⁴/4 − 3 x1² + x1 + x2²/2, β from 1e-10 to 1. ``--published`` leaves the forward share out, as the method is
printed; its row has no limits. Exact values by quadrature.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from limits import write_result
from scipy.stats import spearmanr
from torch import Tensor

from refine.sampling.surrogate import Batch, Surrogate, SurrogateSettings, fit
from refine.sampling.tempering import TemperingSettings

BARRIER = 0.167
WATCHED = (0.1, 0.2, 0.4, 0.6, 0.8)


def energy(x: Tensor) -> Tensor:
    return 0.25 * x[:, 0] ** 4 - 3 * x[:, 0] ** 2 + x[:, 0] + 0.5 * x[:, 1] ** 2


def exact_right(beta: float, half: float = 5.0) -> float:
    """Share of x1 > ``BARRIER`` at β within the box."""
    x = np.linspace(-half, half, 20001)
    log_p = -beta * (0.25 * x**4 - 3 * x**2 + x)
    p = np.exp(log_p - log_p.max())
    return float(p[x > BARRIER].sum() / p.sum())


def divergences(model: Surrogate, cells: int = 201, nodes: int = 600) -> dict[str, float]:
    """Forward and reverse KL between model and exact density at β = 1, and moments of the model, by quadrature."""
    axis = torch.linspace(-5, 5, cells)
    area = float(axis[1] - axis[0]) ** 2
    grid = torch.cartesian_prod(axis, axis)
    log_p = -energy(grid)
    log_p = log_p - torch.logsumexp(log_p, 0) - math.log(area)
    uniform = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
    z = (math.sqrt(2) * torch.erfinv(2 * uniform - 1)).float()[:, None]
    with torch.no_grad():
        mean, sd = model.decoder(z), (0.5 * model.log_variance).exp()
        log_q = torch.stack(
            [
                torch.logsumexp(
                    (-0.5 * ((axis[:, None] - mean[:, 0]) / sd[0]) ** 2)[i][None]
                    - 0.5 * ((axis[:, None] - mean[:, 1]) / sd[1]) ** 2,
                    1,
                )
                for i in range(cells)
            ]
        ).flatten()
        log_q = log_q - math.log(nodes) - math.log(2 * math.pi) - sd.log().sum()
    p, q = log_p.exp() * area, log_q.exp() * area
    x1, x2 = grid.T
    m1, m2 = float((q * x1).sum()), float((q * x2).sum())
    return {
        "forward_kl": float((p * (log_p - log_q)).sum()),
        "reverse_kl": float((q * (log_q - log_p)).sum()),
        "right": float(q[x1 > BARRIER].sum()),
        "right_error": abs(float(q[x1 > BARRIER].sum()) - 0.009),
        "mean_x1_error": abs(m1 + 2.4411),
        "mean_x2": abs(m2),
        "sd_x1_error": abs(float((q * (x1 - m1) ** 2).sum().sqrt()) - 0.5220),
        "sd_x2_error": abs(float((q * (x2 - m2) ** 2).sum().sqrt()) - 1.0),
    }


def watch(model: Surrogate, batch: Batch) -> Mapping[str, float]:
    right = (batch.x[:, 0] > BARRIER).float()
    weights = torch.softmax(batch.log_weights, 0)
    return {"plain": float(right.mean()), "weighted": float((weights * right).sum())}


def one(seed: int, settings: SurrogateSettings) -> dict[str, float]:
    """A model trained with a seed, judged at β = 1 and on the way."""
    torch.set_num_threads(1)
    model = Surrogate(2, settings, seed)
    history = fit(model, energy, TemperingSettings(), seed, watch, final_updates=600, largest_step=0.05)
    numbers = divergences(model)
    for beta in WATCHED:
        near = [t for t in history if abs(t.beta - beta) < 0.05]
        ratio = sum(t.watched["plain"] for t in near) / sum(exact_right(t.beta) for t in near)
        numbers[f"right_over_exact_{beta}"] = ratio
        numbers[f"right_log_error_{beta}"] = abs(math.log(max(ratio, 1e-9)))
    generator = torch.Generator().manual_seed(seed + 100)
    with torch.no_grad():
        x, _ = model.sample(5000, generator)
        z = model.encoded(x)[:, 0]
    return numbers | {
        "spearman_x1": abs(float(spearmanr(z, x[:, 0])[0])),
        "spearman_x2": abs(float(spearmanr(z, x[:, 1])[0])),
        "log_z_error": abs(history[-1].log_z - 12.065),
        "temperatures": len(history),
        "updates": sum(t.updates for t in history),
        "kish_last": history[-1].kish,
    }


LIMITS = {
    "right_error": ("<=", 0.004),
    "sd_x1_error": ("<=", 0.1),
    "mean_x1_error": ("<=", 0.02),
    "mean_x2": ("<=", 0.05),
    "sd_x2_error": ("<=", 0.06),
    "forward_kl": ("<=", 0.02),
    "reverse_kl": ("<=", 0.02),
    "spearman_x1": (">=", 0.95),
    "spearman_x2": ("<=", 0.2),
    "log_z_error": ("<=", 0.3),
    **{f"right_log_error_{beta}": ("<=", math.log(1.3)) for beta in WATCHED},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    settings = SurrogateSettings(box=5.0, rate=4e-3, forward=0.0 if options.published else 0.5)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    with ProcessPoolExecutor(options.workers) as pool:
        rows = list(pool.map(functools.partial(one, settings=settings), seeds))
    numbers, limits = {}, {}
    for seed, row in zip(seeds, rows, strict=True):
        numbers |= {f"seed_{seed}_{name}": value for name, value in row.items()}
        if not options.published:
            limits |= {f"seed_{seed}_{name}": limit for name, limit in LIMITS.items()}
    name = "double_well_published" if options.published else "double_well"
    write_result(name, numbers, limits, {"settings": dataclasses.asdict(settings), "seeds": seeds})


if __name__ == "__main__":
    main()
