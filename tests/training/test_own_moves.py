"""Examples moved by the network: labels belong to where they are, the pool is a function of the seed, misalignments are
what they say.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.training.decoys import misaligned
from refine.training.examples import Arrays, Examples, ExampleSettings, moved_on
from refine.training.own_moves import OwnMoves, OwnMovesSettings
from refine.training.pack import Pack
from refine.training.train import TrainingSettings
from tests.networks.small import small_pack

HALF = OwnMovesSettings(share=0.5, moves=4)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Arrays]:
    pack = Pack(small_pack(tmp_path_factory.mktemp("data")))
    examples = Examples(pack, [], "train", ExampleSettings(natives=0.0), 0, 8)
    return [examples[k] for k in range(8)]


class Said:
    """What a network would have said if it knew the native: the whole way."""

    def __init__(self, batch: list[Arrays], length: int) -> None:
        self.shift, self.turn = (torch.zeros(len(batch), length, 3) for _ in range(2))
        for b, example in enumerate(batch):
            rows = len(example["residue"])
            self.shift[b, :rows] = torch.from_numpy(example["shift"])
            self.turn[b, :rows] = torch.from_numpy(example["turn"])

    def motion(self, *, whole: bool) -> tuple[torch.Tensor, torch.Tensor]:
        assert not whole
        return self.shift, self.turn


def test_the_true_move_leaves_little_to_do_and_its_opposite_more(examples: list[Arrays]) -> None:
    rng = np.random.default_rng(0)
    for example in examples[:4]:
        there = moved_on(example, example["shift"], example["turn"], 0.0, rng)
        away = moved_on(example, -example["shift"], -example["turn"], 0.0, rng)
        size = [float(np.linalg.norm(e["shift"], axis=1).mean()) for e in (there, example, away)]
        assert size[0] < 0.75 * size[1] < size[1] < size[2]
        assert there["lddt"].mean() > example["lddt"].mean() > away["lddt"].mean()
        assert (
            np.array_equal(there["native"], example["native"])
            and there["side_chain"].shape == example["side_chain"].shape
        )


def test_side_chains_ride_along(examples: list[Arrays]) -> None:
    example = examples[0]
    moved = moved_on(example, example["shift"], example["turn"], 0.0, np.random.default_rng(0))
    reach = [np.linalg.norm(e["side_chain"] - e["start"][:, 1:2], axis=2) for e in (example, moved)]
    np.testing.assert_allclose(reach[0], reach[1], atol=1e-3)


def test_pool_is_balanced_repeatable_and_kept_by_a_checkpoint(examples: list[Arrays]) -> None:
    length = max(len(e["residue"]) for e in examples)

    def after(steps: int, pool: OwnMoves, first: int = 0) -> OwnMoves:
        for step in range(first, steps):
            batch = pool.joined([examples[(2 * step + k) % 8] for k in range(pool.fresh)], step)
            assert pool.fresh <= len(batch) <= 4
            pool.keep(batch, Said(batch, length), step)  # type: ignore[arg-type]
        return pool

    whole = after(24, OwnMoves(HALF, 4, 0.1, length, seed=3))
    assert len(whole.waiting) > 4 and whole.fresh == 2
    half = after(12, OwnMoves(HALF, 4, 0.1, length, seed=3))
    again = OwnMoves(HALF, 4, 0.1, length, seed=3)
    again.load(half.state())
    after(24, again, first=12)
    assert len(again.waiting) == len(whole.waiting)
    for one, two in zip(whole.waiting, again.waiting, strict=True):
        assert all(np.array_equal(one[name], two[name]) for name in one)


def test_without_a_share_nothing_waits(examples: list[Arrays]) -> None:
    pool = OwnMoves(OwnMovesSettings(), 4, 0.1, 60, 0)
    batch = pool.joined(examples[:4], 0)
    pool.keep(batch, Said(batch, 60), 0)  # type: ignore[arg-type]
    assert pool.fresh == 4 and pool.waiting == []


def test_only_the_prior_can_move() -> None:
    with pytest.raises(InputError, match="own_moves"):
        TrainingSettings(network="likelihood", own_moves=HALF)


@pytest.mark.parametrize("throughout", [False, True])
def test_misaligned_residues_sit_on_other_places_of_the_template(throughout: bool) -> None:
    rows = np.arange(60)
    template = np.zeros((60, 4, 3), dtype=np.float32)
    template[:, :, 0] = rows[:, None]
    seen = set()
    for seed in range(20):
        kept, placed = misaligned(rows, template, np.random.default_rng(seed), throughout=throughout)
        places = placed[:, 0, 0].astype(int)
        assert np.all(np.diff(kept) > 0) and np.all(np.diff(places) > 0) and len(kept) == len(places)
        off = places - kept
        seen.add(int(off[np.abs(off).argmax()]))
        assert 45 <= len(kept) < 60 if throughout else 56 <= len(kept) < 60
        assert np.all(off == off[0]) if throughout else off[0] == off[-1] == 0 and 6 - 4 <= (off != 0).sum() <= 30
    assert min(seen) < 0 < max(seen) and 0 not in seen
