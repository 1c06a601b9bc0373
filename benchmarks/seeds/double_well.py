"""Reverse KL with rising β on a double well whose right half holds 0.8 %: whether the minor mode is kept.

    python benchmarks/seeds/double_well.py [--seeds 0,1,2] [--published]

U = x1⁴/4 − 3 x1² + x1 + x2²/2, β from 1e-10 to 1. ``--published`` leaves the forward share out, as the method is
printed; its row has no limits. Exact values by quadrature.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping

import numpy as np
import torch
from record import record
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
        "mean_x1_error": abs(m1 + 2.4411),
        "mean_x2": abs(m2),
        "sd_x1": float((q * (x1 - m1) ** 2).sum().sqrt()),
        "sd_x2": float((q * (x2 - m2) ** 2).sum().sqrt()),
    }


def watch(model: Surrogate, batch: Batch) -> Mapping[str, float]:
    right = (batch.x[:, 0] > BARRIER).float()
    weights = torch.softmax(batch.log_weights, 0)
    return {"plain": float(right.mean()), "weighted": float((weights * right).sum())}


def one(seed: int, forward: float, samples: int) -> dict[str, float]:
    model = Surrogate(2, SurrogateSettings(box=5.0, forward=forward, samples=samples), seed)
    history = fit(model, energy, TemperingSettings(), seed, watch, final_updates=600, largest_step=0.05)
    numbers = divergences(model)
    for beta in WATCHED:
        near = min(history, key=lambda t: abs(t.beta - beta))
        exact = exact_right(near.beta)
        shares = [t.watched["plain"] / exact_right(t.beta) for t in history if abs(t.beta - near.beta) < 0.05]
        numbers[f"right_over_exact_at_{beta}"] = float(np.mean(shares))
        print(f"beta {near.beta:.3f}: right {near.watched['plain']:.4f}, exact {exact:.4f}", flush=True)
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
    "right": (0.005, 0.013),
    "sd_x1": (0.422, 0.622),
    "mean_x1_error": (None, 0.02),
    "mean_x2": (None, 0.05),
    "sd_x2": (0.94, 1.06),
    "forward_kl": (None, 0.02),
    "reverse_kl": (None, 0.02),
    "spearman_x1": (0.95, None),
    "spearman_x2": (None, 0.2),
    "log_z_error": (None, 0.3),
    **{f"right_over_exact_at_{beta}": (1 / 1.3, 1.3) for beta in WATCHED},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--published", action="store_true")
    options = parser.parse_args()
    numbers, limits = {}, {}
    for seed in map(int, options.seeds.split(",")):
        for name, value in one(seed, 0.0 if options.published else 0.5, options.samples).items():
            numbers[f"seed_{seed}_{name}"] = value
            if name in LIMITS and not options.published:
                limits[f"seed_{seed}_{name}"] = LIMITS[name]
    record("double_well_published" if options.published else "double_well", numbers, limits)


if __name__ == "__main__":
    main()
