"""The pool of examples that the network has moved itself, so that it learns where its own steps lead.

A share of the examples of a step stays: it is moved by a part of what the network just proposed, labelled again and put
into a pool, from which later steps draw. Structures that the network has relaxed look right to it, as the models of
good predictors do, and yet their native is known. No evaluation of the network is spent on this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from refine.networks.prior import PriorOutput
from refine.training.examples import Arrays, collate, moved_on


@dataclasses.dataclass(frozen=True)
class OwnMovesSettings:
    """How many examples go on, and how far.

    Attributes:
        share: fraction of every batch that is drawn from the pool; 0 switches this off.
        moves: mean number of moves of an example that goes on.
        least, most: part of the proposed move that is made, drawn evenly.
        pool: most examples waiting.
    """

    share: float = 0.0
    moves: int = 8
    least: float = 0.2
    most: float = 1.2
    pool: int = 64

    def drawn(self, batch: int) -> int:
        """Examples of a batch of this size that come from the pool."""
        return min(batch - 1, round(self.share * batch))


class OwnMoves:
    """The pool; all draws are a function of (seed, step).

    Args:
        settings: how many and how far.
        batch: examples a step; noise: ``ExampleSettings.noise``; length: residues to which batches are padded.
    """

    def __init__(self, settings: OwnMovesSettings, batch: int, noise: float, length: int, seed: int) -> None:
        self.settings, self.batch, self.noise, self.length, self.seed = settings, batch, noise, length, seed
        self.waiting: list[Arrays] = []

    @property
    def fresh(self) -> int:
        """New examples a step needs."""
        return self.batch - self.settings.drawn(self.batch)

    def joined(self, fresh: list[Arrays], step: int) -> list[Arrays]:
        """The batch of ``step``: new examples and, once there are some, those that go on."""
        rng = np.random.default_rng((self.seed, step, 0))
        count = min(self.settings.drawn(self.batch), len(self.waiting))
        places = sorted(rng.choice(len(self.waiting), count, replace=False), reverse=True) if count else []
        return [*fresh, *(self.waiting.pop(k) for k in places)]

    def keep(self, batch: list[Arrays], out: PriorOutput, step: int, *, whole: bool = False) -> None:
        """Move on the examples of a batch that stay, ``whole`` as in ``UnrolledSettings``.

        A new example stays with the probability that keeps the pool in balance, one that was moved with 1 − 1 / moves.
        """
        s = self.settings
        rng = np.random.default_rng((self.seed, step, 1))
        drawn = s.drawn(self.batch)
        if drawn == 0:
            return
        entering = min(1.0, 1.5 * drawn / (self.fresh * s.moves))
        shift, turn = (v.detach().float().cpu().numpy() for v in out.motion(whole=whole))
        for b, example in enumerate(batch):
            stays = rng.random() < (entering if b < self.fresh else 1 - 1 / s.moves)
            part = np.float32(rng.uniform(s.least, s.most))
            if stays and len(self.waiting) < s.pool:
                length = len(example["residue"])
                self.waiting.append(
                    moved_on(example, part * shift[b, :length], part * turn[b, :length], self.noise, rng)
                )

    def state(self) -> list[dict[str, Tensor]]:
        """The pool as tensors, for a checkpoint."""
        return [
            {name: torch.from_numpy(np.array(value)) for name, value in example.items()} for example in self.waiting
        ]

    def load(self, state: list[Mapping[str, Tensor]]) -> None:
        """The pool of a checkpoint."""
        self.waiting = [{name: value.numpy() for name, value in example.items()} for example in state]

    def collated(self, batch: list[Arrays]) -> dict[str, Tensor]:
        """A padded batch."""
        return collate(batch, self.length)
