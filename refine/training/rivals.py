"""Rivals, the examples for the judge: decoys of one native, nearly right to wrong fold, as in a round of CASP."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from refine.training import decoys
from refine.training.examples import SHORTEST, Arrays, Examples, ExampleSettings
from refine.training.pack import Pack
from refine.training.pairs import Pair


@dataclasses.dataclass(frozen=True)
class RivalSettings:
    """How rivals are made.

    Attributes:
        of_one: decoys of each native that follow each other; a batch should hold whole sets.
        homologue, perturbed, rearranged, unrelated: weights of the kinds of decoy; what is left of 1 stays nearly
            native. Where there is no homologue its weight goes to the perturbed.
        severity: least and most of ``decoys.perturbed`` and ``decoys.deformed``.
        hinge_every: residues for each hinge of the most rearranged decoys; the least have one.
        spoiled: fraction of the rearranged decoys whose pieces are disturbed too.
    """

    of_one: int = 4
    homologue: float = 0.3
    perturbed: float = 0.15
    rearranged: float = 0.3
    unrelated: float = 0.15
    severity: tuple[float, float] = (0.3, 5.0)
    hinge_every: int = 5
    spoiled: float = 0.7


class Rivals(Examples):
    """As ``Examples``, with the key ``set``: numbers k·of_one … k·of_one + of_one − 1 are decoys of native k."""

    def __init__(
        self,
        pack: Pack,
        pairs: list[list[Pair]],
        split: str,
        settings: ExampleSettings,
        rivals: RivalSettings,
        seed: int,
        count: int,
    ) -> None:
        super().__init__(pack, pairs, split, settings, seed, count)
        self.rivals = rivals

    def __getitem__(self, n: int) -> Arrays:
        number = n // self.rivals.of_one
        shared, rng = np.random.default_rng((self.seed, number, 1)), np.random.default_rng((self.seed, n, 2))
        templates: list[Pair] = []
        if self.pairs and shared.random() < self.settings.homologues:
            group = self.pairs[shared.integers(len(self.pairs))]
            chain = group[shared.integers(len(group))].chain
            templates = [pair for pair in group if pair.chain == chain and len(pair.rows) >= SHORTEST]
        else:
            chain = self._chain(shared)
        return {**self._rival(chain, templates, rng), "set": np.array(number)}

    def _rival(self, chain: int, templates: list[Pair], rng: np.random.Generator) -> Arrays:
        r, u = self.rivals, rng.random()
        if u < r.homologue and templates:
            for _ in range(4):
                pair = templates[rng.integers(len(templates))]
                if rng.random() < self._kept(pair):
                    break
            return self._threaded(pair, rng)
        u -= r.homologue + r.perturbed
        if u >= r.rearranged and u < r.rearranged + r.unrelated:
            return self._unrelated(chain, rng)
        rows = self._stretch(self.pack.chains[chain].length, rng)
        native = self.pack.backbone(chain)[rows]
        bonded = self.pack.bonded(chain)[rows] & np.r_[np.ones(len(rows) - 1, bool), False]
        if u < 0:
            severity = float(np.exp(rng.uniform(*np.log(r.severity))))
            change = decoys.deformed if rng.random() < self.settings.smooth else decoys.perturbed
            kind, start = "perturbed", change(native, rng, severity)
        elif u < r.rearranged:
            base, kind = native, "rearranged"
            if rng.random() < r.spoiled:
                change = decoys.deformed if rng.random() < self.settings.smooth else decoys.perturbed
                base = change(native, rng, float(np.exp(rng.uniform(np.log(0.1), np.log(2.0)))))
            hinges = np.exp(rng.uniform(0, np.log(max(2.0, len(rows) / r.hinge_every))))
            start = decoys.rearranged(base, rng, int(hinges), float(rng.choice((0.0, 1.0, 3.0))))
        else:
            kind, start = "native", decoys.jittered(native, rng, rng.uniform(0.0, 0.12))
        return self._example(chain, rows, decoys.disguised(start, bonded, rng, self.settings.noise), native, kind, rng)

    def _stretch(self, length: int, rng: np.random.Generator, most: int | None = None) -> NDArray[np.int64]:
        """A stretch along the chain, somewhat longer than what will be kept of it."""
        size = min(length, most or self.settings.crop * 7 // 5)
        first = int(rng.integers(0, length - size + 1))
        return np.arange(first, first + size)

    def _unrelated(self, chain: int, rng: np.random.Generator) -> Arrays:
        """The sequence on a stretch of a chain of another cluster: well-formed, and a wrong fold."""
        chains = self.pack.chains
        other = self._chain(rng)
        while chains[other].cluster == chains[chain].cluster and len(self.clusters) > 1:
            other = self._chain(rng)
        rows = self._stretch(chains[chain].length, rng, min(chains[other].length, self.settings.crop * 7 // 5))
        there = self._stretch(chains[other].length, rng, len(rows))
        bonded = (
            self.pack.bonded(other)[there] & self.pack.bonded(chain)[rows] & np.r_[np.ones(len(rows) - 1, bool), False]
        )
        start = decoys.disguised(self.pack.backbone(other)[there], bonded, rng, self.settings.noise)
        return self._example(chain, rows, start, self.pack.backbone(chain)[rows], "unrelated", rng)
