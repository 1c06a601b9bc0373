"""Potentials of two coordinates, in units of kT, whose states are known, and their overdamped Langevin dynamics."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Potential = Callable[[Tensor], Tensor]
"""Energies (N,) kT of points (N, d)."""


def three_wells(q: Tensor) -> Tensor:
    """Energies (N,) of points (N, 2): two deep wells near (±1.05, −0.04) and a shallow one near (0, 1.54).

    Source: Metzner, Schütte & Vanden-Eijnden (2006), J. Chem. Phys. 125, 084110.
    """
    x, y = q[:, 0], q[:, 1]
    wells = 3 * torch.exp(-(x**2) - (y - 1 / 3) ** 2) - 3 * torch.exp(-(x**2) - (y - 5 / 3) ** 2)
    wells = wells - 5 * torch.exp(-((x - 1) ** 2) - y**2) - 5 * torch.exp(-((x + 1) ** 2) - y**2)
    return wells + 0.2 * x**4 + 0.2 * (y - 1 / 3) ** 4


def exchange(q: Tensor, barrier: float = 12.0) -> Tensor:
    """Energies (N,) of two distances (N, 2) Å of which one grows as the other shrinks, as in an S_N2 reaction.

    With s = (d1 − d2)/√2 and r = (d1 + d2)/√2: two states at s = ±1, ``barrier`` kT between them, in a curved valley.
    """
    s, r = (q[:, 0] - q[:, 1]) / 2**0.5, (q[:, 0] + q[:, 1]) / 2**0.5
    return barrier * (s**2 - 1) ** 2 + 10 * (r - 3 + 0.4 * s**2) ** 2


def force(potential: Potential, q: Tensor) -> Tensor:
    """−∇U (N, d) of a potential at points (N, d)."""
    with torch.enable_grad():
        at = q.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(potential(at).sum(), at)
    return -gradient


def overdamped(
    potential: Potential, start: Tensor, step: float, steps: int, every: int, generator: torch.Generator
) -> Tensor:
    """Overdamped Langevin dynamics q ← q − h∇U + √(2h) ξ of walkers, at kT = 1.

    Args:
        potential: in kT; start: (W, d); step: h; steps: how many; every: steps between frames.
        generator: of the noise ξ.

    Returns:
        (steps // every, W, d) frames, the last where the walkers ended.
    """
    q, frames = start.detach().clone(), []
    for k in range(1, steps + 1):
        noise = torch.randn(q.shape, generator=generator, dtype=q.dtype)
        q = q + step * force(potential, q) + (2 * step) ** 0.5 * noise
        if k % every == 0:
            frames.append(q)
    return torch.stack(frames)
