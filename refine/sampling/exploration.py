"""Dynamics in blocks under a bias that learns from them, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.constants import BOLTZMANN
from refine.physics.bias import GridBias
from refine.physics.dynamics import Dynamics, Phase
from refine.sampling.settings import BLOCK_STEPS, FRAME_STEPS, FRAMES, ExploreSettings
from refine.sampling.steering import Steering
from refine.sampling.subject import Subject
from refine.sampling.variables import Variable

CHUNK = 20
"""Blocks after which what was sampled is handed on to be kept."""
KEPT = 2000
"""Frames whose atoms are kept, at most about so many."""


@dataclasses.dataclass(frozen=True)
class Chunk:
    """What some blocks gave.

    Attributes:
        q: (F, d) radians and Å; bias: (F,) kcal/mol; frames: (K, n, 3) float32 Å of every so many.
        end: where the dynamics stood.
    """

    q: NDArray[np.float64]
    bias: NDArray[np.float64]
    frames: NDArray[np.float32]
    end: Phase

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays, as ``of_arrays`` takes them back."""
        return {
            "q": self.q,
            "bias": self.bias,
            "frames": self.frames,
            "positions": self.end.positions,
            "velocities": self.end.velocities,
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Chunk:
        """Raises KeyError where one is missing."""
        end = Phase(arrays["positions"], arrays["velocities"])
        return cls(arrays["q"], arrays["bias"], arrays["frames"], end)


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A whole exploration.

    Attributes:
        q: (F, d); bias: (F,) kT; frames: (K, n, 3) float32 Å; kept: (K,) their places among the F.
        frozen: (F,) whether the bias stood still.
        steering: leaders and biases as they were at the end.
    """

    q: NDArray[np.float64]
    bias: NDArray[np.float64]
    frames: NDArray[np.float32]
    kept: NDArray[np.int64]
    frozen: NDArray[np.bool_]
    steering: Steering


def explore(
    subject: Subject,
    variables: Sequence[Variable],
    settings: ExploreSettings,
    *,
    done: Sequence[Chunk] = (),
    keep: Callable[[int, Chunk], None] | None = None,
    tell: Callable[[int, int], None] | None = None,
    towards: NDArray[np.floating] | None = None,
) -> Sampled:
    """Explore a subject.

    Args:
        variables: one to six; settings: how.
        done: chunks of this exploration that exist; their learning is gone through again, their dynamics is not.
        keep: given the number of a chunk, and the chunk; tell: given blocks that are done, and all.
        towards: (d,) values of the variables in a second structure, for the bias ``adversary``.

    Raises:
        EngineError: OpenMM cannot simulate it.
    """
    kt, every = BOLTZMANN * settings.temperature, kept_every(settings)
    axes = [v.axis for v in variables]
    start = np.array([float(v.of(subject.start[None])[0]) for v in variables])
    steering = Steering(axes, settings.bias, settings.chaser, settings.seed, start, towards)
    grids = [GridBias(of) for of in steering.axes]
    for grid in grids:
        subject.system.addForce(grid.force)
    dynamics = Dynamics(
        subject.system,
        temperature=settings.temperature,
        friction=settings.friction,
        seed=settings.seed,
        groups=subject.groups,
    )
    chunks = list(done)
    for n, chunk in enumerate(chunks):
        for k, q in enumerate(np.split(chunk.q, len(chunk.q) // FRAMES), start=n * CHUNK):
            steering.update(q, k, moving=k < settings.frozen_from)
    phase = chunks[-1].end if chunks else dynamics.begin(subject.start)
    pending: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]] = []
    for k in range(sum(len(c.q) for c in chunks) // FRAMES, settings.blocks):
        for grid, values in zip(grids, steering.biases, strict=True):
            grid.set(kt * values)
        block = dynamics.run(phase, k, BLOCK_STEPS, FRAME_STEPS)
        phase = block.end
        q = np.stack([v.of(block.frames) for v in variables], 1)
        steering.update(q, k, moving=k < settings.frozen_from)
        first = -(k * FRAMES) % every
        pending.append((q, block.bias, block.frames[first::every]))
        if len(pending) == CHUNK or k == settings.blocks - 1:
            parts = [np.concatenate(arrays) for arrays in zip(*pending, strict=True)]
            chunks.append(Chunk(parts[0], parts[1], parts[2], phase))
            pending = []
            if keep is not None:
                keep(len(chunks) - 1, chunks[-1])
        if tell is not None:
            tell(k + 1, settings.blocks)
    return _sampled(chunks, settings, steering, kt)


def kept_every(settings: ExploreSettings) -> int:
    """Frames from one whose atoms are kept to the next."""
    return max(1, settings.blocks * FRAMES // KEPT)


def _sampled(chunks: Sequence[Chunk], settings: ExploreSettings, steering: Steering, kt: float) -> Sampled:
    q, bias = np.concatenate([c.q for c in chunks]), np.concatenate([c.bias for c in chunks]) / kt
    frames = np.concatenate([c.frames for c in chunks])
    kept = np.arange(0, len(q), kept_every(settings))
    return Sampled(q, bias, frames, kept, np.arange(len(q)) >= settings.frozen_from * FRAMES, steering)
