"""Settings of explorations."""

from __future__ import annotations

import dataclasses
from typing import Any

from refine.sampling.chaser import ChaserSettings
from refine.sampling.kinds import BIASES
from refine.settings_checks import above, at_least, at_most, one_of, within

BLOCK_STEPS, FRAME_STEPS = 1250, 25
"""Steps of 4 fs of a block, after which learners learn and the bias moves (5 ps), and between two frames (0.1 ps)."""
BLOCK_NS = 0.005
FRAMES = BLOCK_STEPS // FRAME_STEPS
FRAME_PS = 1000 * BLOCK_NS / FRAMES


@dataclasses.dataclass(frozen=True)
class ExploreSettings:
    """How ``refine explore`` works.

    Attributes:
        seed: of velocities, noise and networks; the same seed gives the same bytes on the same machine.
        ns: length of the dynamics, nanoseconds.
        bias: ``chaser``, ``adversary`` or ``none``.
        learning: share of the dynamics in which the bias moves; the rest, under the bias as it is then, is averaged.
        temperature: K; friction: 1/ps.
        loop: residues that are free, ``"A:40-52"``; empty for all of them.
        around: Å from a CA of the loop, within which other residues are simulated, at rest.
        model, freeze, keep_hands: of reading the input, as in ``RunSettings``.
        models: states that are written at most.
        snapshots: structures of ensemble.pdb at most.
        chaser: of the bias ``chaser``.
    """

    seed: int = 0
    ns: float = 1.0
    bias: str = "chaser"
    learning: float = 0.6
    temperature: float = 300.0
    friction: float = 1.0
    loop: str = ""
    around: float = 16.0
    model: int | None = None
    freeze: str = ""
    keep_hands: bool = False
    models: int = 10
    snapshots: int = 200
    chaser: ChaserSettings = dataclasses.field(default_factory=ChaserSettings)

    def __post_init__(self) -> None:
        one_of("bias", self.bias, BIASES)
        within("ns", self.ns, 0.1, 1000.0)
        within("learning", self.learning, 0.1, 0.9)
        within("temperature", self.temperature, 200.0, 600.0)
        within("friction", self.friction, 0.1, 100.0)
        at_least("seed", self.seed, 0)
        at_most("seed", self.seed, 2**63 - 1)
        within("around", self.around, 8.0, 60.0)
        within("models", self.models, 1, 100)
        within("snapshots", self.snapshots, 1, 2000)
        above("chaser.gamma", self.chaser.gamma, 1.0)
        within("chaser.cap", self.chaser.cap, 1.0, 40.0)
        within("chaser.change", self.chaser.change, 0.01, 5.0)
        above("chaser.unsure", self.chaser.unsure, self.chaser.sure)
        within("chaser.updates", self.chaser.updates, 1, 100)

    @property
    def blocks(self) -> int:
        """Blocks of the dynamics."""
        return round(self.ns / BLOCK_NS)

    @property
    def frozen_from(self) -> int:
        """The first block under the frozen bias; 0 where there is no bias."""
        return 0 if self.bias == "none" else round(self.learning * self.blocks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to run.json."""
        return dataclasses.asdict(self)
