"""A density learned from samples alone (VIFE): three wells in two dimensions.

    python benchmarks/seeds/three_wells.py

50,000 Langevin samples of the potential of Metzner et al. at kT = 1; 50 epochs of 100 updates. Judged by the histogram
of the samples, by the exact density, and by where samples end when they are minimised on what was learned.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from limits import write_result
from numpy.typing import NDArray
from torch import Tensor

from refine.physics.toys import force, overdamped, three_wells
from refine.sampling.density import DensitySettings, FreeEnergyNetwork, learn_density
from refine.sampling.landscape import landscape

BOX = ((-2.2, 2.2), (-1.6, 2.6))
BINS = 40
FINE = 5
"""Grid points a bin and axis, by which densities are integrated."""
MINIMA = np.array(((-1.05, -0.04), (1.05, -0.04), (0.0, 1.54)))
LIMITS = {
    "kl_above_floor": ("<=", 0.03),
    "kl_share_of_first_epoch": ("<=", 0.15),
    "minima": ("==", 3),
    "minimum_error": ("<=", 0.15),
    "well_weight_error": ("<=", 0.03),
    "rms_error_kt": ("<=", 0.3),
    "samples_in_their_basin": (">=", 0.98),
}


def samples(generator: torch.Generator, walkers: int = 500, frames: int = 100) -> Tensor:
    """(walkers · frames, 2) after 4,000 steps of burn-in, a frame every 20."""
    low, high = torch.tensor(BOX).T
    start = low + torch.rand((walkers, 2), generator=generator) * (high - low)
    path = overdamped(three_wells, start, 0.01, 4000 + 20 * frames, 20, generator)
    return path[-frames:].reshape(-1, 2)


def grid() -> Tensor:
    """((BINS · FINE)², 2) points, x slowest."""
    axes = [torch.linspace(low, high, BINS * FINE + 1)[:-1] + 0.5 * (high - low) / (BINS * FINE) for low, high in BOX]
    return torch.cartesian_prod(*axes)


def density(energy: Tensor) -> NDArray[np.float64]:
    """Probability (P,) of grid points."""
    p = np.exp(-(energy - energy.min()).double().numpy())
    return p / p.sum()


def binned(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return p.reshape(BINS, FINE, BINS, FINE).sum((1, 3))


def kl(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / np.maximum(q[seen], 1e-300))).sum())


def wells(points: Tensor) -> NDArray[np.int64]:
    """The well (N,) that points lead to by steepest descent on the potential itself."""
    at = points
    for _ in range(2000):
        at = at + 0.005 * force(three_wells, at).clamp(-20, 20)
    return np.linalg.norm(at.numpy()[:, None] - MINIMA, axis=2).argmin(1)


def measure(data: Tensor, settings: DensitySettings, generator: torch.Generator) -> tuple[dict[str, Any], list[float]]:
    """Numbers of the limits, and KL(data ‖ model) after each epoch."""
    points = grid()
    histogram = np.histogramdd(data.numpy(), bins=BINS, range=BOX)[0]
    histogram = histogram / histogram.sum()
    exact = density(three_wells(points))
    course: list[float] = []

    def on_epoch(epoch: int, network: FreeEnergyNetwork) -> None:
        course.append(kl(histogram, binned(density(network(points)))))

    network = learn_density(data, settings, generator, on_epoch=on_epoch)
    with torch.no_grad():
        learned = network(points)
    model, floor = density(learned), kl(histogram, binned(exact))
    likely = exact > 1e-3 * exact.max()
    difference = (learned - three_wells(points)).numpy()[likely]
    some = data[:: max(1, len(data) // 4000)]
    found = landscape(network, some)
    numbers = {
        "kl": course[-1],
        "kl_floor": floor,
        "kl_above_floor": course[-1] - floor,
        "kl_exact_to_model": kl(binned(exact), binned(model)),
        "kl_share_of_first_epoch": course[-1] / course[0],
        "minima": len(found.minima),
        "rms_error_kt": float((difference - difference.mean()).std()),
    }
    if len(found.minima) == 3:
        numbers |= of_wells(found.minima, found.basin, some, points, exact, model)
    return numbers, course


def of_wells(
    minima: NDArray[np.float64],
    basin: NDArray[np.int64],
    some: Tensor,
    points: Tensor,
    exact: NDArray[np.float64],
    model: NDArray[np.float64],
) -> dict[str, Any]:
    """Where the minima are, which samples end where, and the weights of the wells."""
    distances = np.linalg.norm(minima[:, None] - MINIMA, axis=2)
    names = distances.argmin(1)
    coarse = points.view(BINS * FINE, BINS * FINE, 2)[FINE // 2 :: FINE, FINE // 2 :: FINE].reshape(-1, 2)
    of_bin = wells(coarse)
    weights = [np.bincount(of_bin, binned(p).ravel(), minlength=3) for p in (model, exact)]
    return {
        "minimum_error": float(distances.min(1).max()),
        "samples_in_their_basin": float((names[basin] == wells(some)).mean()),
        "well_weights": weights[0],
        "exact_well_weights": weights[1],
        "well_weight_error": float(np.abs(weights[0] - weights[1]).max()),
    }


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    numbers, course = measure(samples(generator), DensitySettings(), generator)
    how = {"command": "python benchmarks/seeds/three_wells.py", "kl_by_epoch": course, "seed": 0}
    return 0 if write_result("three_wells", numbers, LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())
