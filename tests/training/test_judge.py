"""The judge and its examples: rivals are of one native, rearranged pieces stay whole, the loss asks for values and
order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from refine.networks.judge import Judge, state_from_prior
from refine.structure.arrays import rotation_from_vector
from refine.training import decoys
from refine.training.examples import KINDS, REAL, ExampleSettings, collate
from refine.training.losses import judge_loss
from refine.training.pack import Pack
from refine.training.pairs import Pair
from refine.training.rivals import Rivals, RivalSettings
from tests.networks.small import JUDGE, Structure, compact_protein, judge, prior, small_pack
from tests.proteins import chain_backbone, torsions

EVERY = RivalSettings(homologue=0.2, perturbed=0.2, rearranged=0.2, unrelated=0.2)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return Pack(small_pack(tmp_path_factory.mktemp("data")))


def pairs(pack: Pack) -> list[list[Pair]]:
    """One chain that has another as its homologue."""
    rows = np.arange(pack.chains[0].length)
    return [[Pair(0, 1, rows, rows)]]


def rivals(pack: Pack, seed: int = 3, **settings: float) -> Rivals:
    return Rivals(pack, pairs(pack), "train", ExampleSettings(**{"homologues": 0.6} | settings), EVERY, seed, 400)


def test_rivals_are_functions_of_their_number_and_of_one_native(pack: Path) -> None:
    first, again = rivals(pack), rivals(pack)
    again[9]
    for n in (5, 6):
        one, two = first[n], again[n]
        assert all(np.array_equal(one[key], two[key]) for key in one)
    sets = [{bytes(first[4 * k + j]["native"].tobytes()) for j in range(4)} for k in range(6)]
    assert len(set.union(*sets)) > 1 and all(int(first[4 * k + j]["set"]) == k for k in range(6) for j in range(4))
    lddts: dict[str, list[float]] = {}
    for n in range(160):
        example = first[n]
        lddts.setdefault(KINDS[int(example["kind"])], []).append(float(example["lddt"].mean()))
        assert np.isfinite(example["start"]).all() and example["start"].shape == example["native"].shape
    assert set(lddts) == set(KINDS) - {"thermal", "assembled", *REAL}
    assert np.mean(lddts["native"]) > 0.97 > np.mean(lddts["perturbed"]) and np.mean(lddts["rearranged"]) < 0.97
    residues = [first[4 * k]["residue"] for k in range(8)]
    assert all(len(r) <= first.settings.crop for r in residues)


def test_rearranged_pieces_keep_their_geometry() -> None:
    native = chain_backbone(*torsions(60)).astype(np.float32)
    rearranged = decoys.rearranged(native, np.random.default_rng(1), 3, 1.0)
    for a, b, step in (
        (0, 1, 0),
        (1, 2, 0),
        (2, 3, 0),
        (0, 2, 0),
        (2, 0, 1),
        (1, 0, 1),
        (3, 0, 1),
        (2, 1, 1),
        (1, 1, 1),
    ):
        before, after = (np.linalg.norm(x[: 60 - step, a] - x[step:, b], axis=-1) for x in (native, rearranged))
        np.testing.assert_allclose(before, after, atol=2e-3)
    ends = [np.linalg.norm(x[0, 1] - x[-1, 1]) for x in (native, rearranged)]
    assert abs(ends[0] - ends[1]) > 1.0
    volume = [
        np.linalg.det(np.stack((x[:, 0] - x[:, 1], x[:, 2] - x[:, 1], x[:, 3] - x[:, 1]), -1))
        for x in (native, rearranged)
    ]
    moved = np.abs(volume[0] - volume[1]) > 0.05  # psi of a hinge turns its O; no residue is mirrored
    assert moved.sum() <= 3

    def extent(compactness: float) -> float:
        rearranged = [decoys.rearranged(native, np.random.default_rng(s), 4, compactness)[:, 1] for s in range(12)]
        return float(np.median([np.ptp(ca, axis=0).max() for ca in rearranged]))

    assert extent(3.0) < extent(0.0)


def test_the_judge_sees_shape_and_hand_but_not_place() -> None:
    network, s = judge(), Structure(compact_protein())
    here = network(s.backbone, *s.labels())
    assert here.shape == s.residue.shape and bool(((here > 0) & (here < 1)).all()) and float(here.std()) > 1e-3
    rot = torch.from_numpy(rotation_from_vector(np.array([0.3, -1.0, 0.7])))
    torch.testing.assert_close(network(s.backbone @ rot.T + 5.0, *s.labels()), here, rtol=0, atol=1e-9)
    mirrored = s.backbone * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    assert float((network(mirrored, *s.labels()) - here).abs().max()) > 1e-3


def test_a_judge_begins_where_a_prior_is() -> None:
    begun, from_prior, s = Judge(JUDGE).double().eval(), prior(), Structure(compact_protein())
    begun.load_state_dict(state_from_prior(from_prior.state_dict()))
    with torch.no_grad():
        torch.testing.assert_close(begun(s.backbone, *s.labels()), from_prior(s.backbone, *s.labels()).lddt)


def test_the_loss_asks_for_values_and_for_differences(pack: Path) -> None:
    data = rivals(pack, noise=0.0)
    batch = collate([data[n] for n in range(4, 12)])
    assert batch["set"].tolist() == [1] * 4 + [2] * 4

    class Says(torch.nn.Module):
        def __init__(self, said: torch.Tensor) -> None:
            super().__init__()
            self.said = said

        def forward(self, *_: torch.Tensor) -> torch.Tensor:
            return self.said

    loss, figures, _ = judge_loss(Says(batch["lddt"]), batch)  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(0, abs=1e-6) and figures["order"] == 1
    loss, figures, _ = judge_loss(Says(batch["lddt"] + 0.1), batch)  # type: ignore[arg-type]
    assert figures["lddt_error"] == pytest.approx(0.1, abs=1e-5) and figures["difference_error"] == pytest.approx(
        0, abs=1e-5
    )
    turned = torch.where(batch["mask"], -batch["lddt"], batch["lddt"])
    _, figures, _ = judge_loss(Says(turned), batch)  # type: ignore[arg-type]
    assert figures["order"] == 0 and figures["difference_error"] > 0.01
    shifted = (
        batch["lddt"] + torch.tensor([0.0] * 4 + [0.3] * 4)[:, None]
    )  # one native's decoys all judged better: no difference asked
    parts = judge_loss(Says(shifted), batch)[1]  # type: ignore[arg-type]
    assert parts["difference_error"] == pytest.approx(0, abs=1e-5)
