"""Leaders: a committee of networks that learn the free energy of one or two variables from biased dynamics.

Each is trained by maximum likelihood under the biases that the samples were made with: batch k, made under V_k, has the
density ∝ exp(−F − V_k), and the gradient is Σ_k [⟨∇F⟩_k − ⟨∇F⟩_{∝exp(−F−V_k)}], exact on the grid. Unweighted samples
would teach F + V. Energies are in kT.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.physics.bias import POINTS, Axis

MEMBERS = 3
WIDTH = 32
RATE = 3e-3
"""Of Adam."""
BATCHES = 8
"""Past batches of an update, drawn anew for each member."""
GAUGE = 1e-4
"""Weight of F², which keeps it finite where nothing was sampled."""
AVERAGE = 0.98
"""Decay of the running average of F, which is what is used: single updates jump."""
_HARMONICS = 3


class Leaders:
    """A committee for the grid of ``axes`` (one or two).

    Args:
        axes: of the grid; seed: of weights and of the choice of batches.
    """

    def __init__(self, axes: Sequence[Axis], seed: int) -> None:
        self.axes, self._seed = tuple(axes), seed
        self._features = torch.from_numpy(_features(self.axes)).float()
        generator = torch.Generator().manual_seed(_seed_of(seed, 0))
        sizes = (self._features.shape[1], WIDTH, WIDTH, 1)
        self._weights: list[Tensor] = []
        for into, out in zip(sizes, sizes[1:], strict=False):
            bound = 1 / math.sqrt(into)
            for shape in ((MEMBERS, into, out), (MEMBERS, 1, out)):
                values = (2 * torch.rand(shape, generator=generator) - 1) * bound
                self._weights.append(values.requires_grad_(True))
        self._optimiser = torch.optim.Adam(self._weights, lr=RATE)
        self._counts: list[Tensor] = []
        self._biases: list[Tensor] = []
        with torch.no_grad():
            self._mean = _normalised(self._raw())

    @property
    def free_energy(self) -> NDArray[np.float64]:
        """(MEMBERS, …grid) kT, each with Σ exp(−F) = 1, averaged over the last updates."""
        return self._mean.double().numpy().reshape(MEMBERS, *(POINTS,) * len(self.axes))

    def add(self, q: NDArray[np.floating], bias: NDArray[np.floating]) -> None:
        """Take a batch (F, d) of samples that were made under ``bias`` (…grid) kT."""
        cells = np.ravel_multi_index(
            tuple(axis.cell(q[:, k]) for k, axis in enumerate(self.axes)), (POINTS,) * len(self.axes)
        )
        counts = np.bincount(cells, minlength=POINTS ** len(self.axes)) / len(q)
        self._counts.append(torch.from_numpy(counts).float())
        self._biases.append(torch.from_numpy(np.asarray(bias).ravel()).float())

    def learn(self, updates: int, number: int) -> None:
        """Some updates from random past batches; ``number`` of the call decides which."""
        generator = torch.Generator().manual_seed(_seed_of(self._seed, number + 1))
        for _ in range(updates):
            chosen = torch.randint(len(self._counts), (MEMBERS, BATCHES), generator=generator)
            counts = torch.stack([torch.stack([self._counts[k] for k in row]) for row in chosen.tolist()])
            biases = torch.stack([torch.stack([self._biases[k] for k in row]) for row in chosen.tolist()])
            self._update(counts, biases)

    def _update(self, counts: Tensor, biases: Tensor) -> None:
        """One step of Adam; counts and biases are (MEMBERS, B, G)."""
        energy = self._raw()
        likely = (counts * energy[:, None]).sum(2) + torch.logsumexp(-energy[:, None] - biases, dim=2)
        loss = likely.mean(1).sum() + GAUGE * energy.square().mean(1).sum()
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        with torch.no_grad():
            self._mean = _normalised(self._mean.lerp(_normalised(self._raw()), 1 - AVERAGE))

    def _raw(self) -> Tensor:
        """(MEMBERS, G) kT as the networks give it."""
        x = self._features.expand(MEMBERS, -1, -1)
        for k in range(0, len(self._weights) - 2, 2):
            x = torch.nn.functional.silu(torch.baddbmm(self._weights[k + 1], x, self._weights[k]))
        return torch.baddbmm(self._weights[-1], x, self._weights[-2])[..., 0]


def _normalised(energy: Tensor) -> Tensor:
    return energy + torch.logsumexp(-energy, dim=1, keepdim=True)


def _features(axes: Sequence[Axis]) -> NDArray[np.float64]:
    """(G, f) sines and cosines of torsions, cosines of the place along distances."""
    columns = []
    for axis in axes:
        points = axis.points()
        if axis.periodic:
            waves = [wave(n * points) for n in range(1, _HARMONICS + 1) for wave in (np.sin, np.cos)]
        else:
            share = np.pi * (points - axis.low) / (axis.high - axis.low)
            waves = [np.cos(n * share) for n in range(1, 2 * _HARMONICS + 1)]
        columns.append(np.stack(waves, 1))
    if len(axes) == 1:
        return columns[0]
    first, second = columns
    return np.concatenate((np.repeat(first, POINTS, 0), np.tile(second, (POINTS, 1))), 1)


def _seed_of(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
