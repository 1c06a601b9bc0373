"""Evaluation of a trained network on the test split: the figures that go into its file and its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from refine.errors import InputError
from refine.networks.judge import Judge
from refine.networks.likelihood import Likelihood
from refine.networks.prior import Prior
from refine.training.pack import Pack
from refine.training.pairs import Pair
from refine.training.real_models import RealSettings
from refine.training.train import TrainingSettings, examples_of, validate

TEST_SEED = 1_000_003
"""Of the test examples: the same for every network, none of a training's."""


def test_metrics(
    network: Prior | Likelihood | Judge,
    pack: Pack,
    pairs: Sequence[list[Pair]] = (),
    settings: TrainingSettings | None = None,
    count: int = 240,
) -> dict[str, float]:
    """Figures of ``network`` on the pack's test split.

    Args:
        network: on its device, with evaluation weights.
        pack, pairs: the data.
        settings: how the examples of a prior or a judge are made; real models are left out, so that the figures of
            networks with and without them compare.
        count: number of them.

    Returns:
        for a likelihood see ``likelihood_metrics``, for the others ``decoy_metrics``.

    Raises:
        InputError: no chain to test on.
    """
    if isinstance(network, Likelihood):
        return likelihood_metrics(network, pack)
    name = "judge" if isinstance(network, Judge) else "prior"
    settings = dataclasses.replace(settings or TrainingSettings(), network=name, bf16=False, real=RealSettings())
    return decoy_metrics(network, pack, pairs, settings, count)


def likelihood_metrics(network: Likelihood, pack: Pack, split: str = "test") -> dict[str, float]:
    """Identity of every residue of whole, unperturbed chains, its own side chain hidden and its neighbours seen.

    Returns:
        ``top1`` and ``top3`` (share of residues whose identity is first, among the first three), ``cross_entropy``
        (nats), the same ``top1_by_chain`` as mean over chains, ``majority`` (top1 of always naming the split's
        commonest residue), ``chains``, ``residues``.

    Raises:
        InputError: the split is empty.
    """
    device = next(network.parameters()).device
    rows = [k for k, chain in enumerate(pack.chains) if chain.split == split]
    if not rows:
        raise InputError(
            f"the pack has no chain of the split '{split}'", file=pack.folder.name, remedy="Give more structures."
        )
    entropy, rank, own, by_chain = [], [], [], []
    network.eval()
    for k in rows:
        residue = torch.from_numpy(pack.residue(k).astype(np.int64))
        position = torch.from_numpy(pack.position(k).astype(np.int64))
        inputs = (*(torch.from_numpy(v) for v in (pack.backbone(k), *pack.side_chain(k))), residue, position)
        with torch.no_grad():
            logits = network(
                *(v[None].to(device) for v in inputs),
                torch.zeros_like(position)[None].to(device),
                torch.ones_like(position, dtype=torch.bool)[None].to(device),
            )
        scores = torch.log_softmax(logits[0].float().cpu(), -1)
        true = scores.gather(-1, residue[:, None])
        entropy.append(-true[:, 0].numpy())
        rank.append((scores > true).sum(-1).numpy())
        own.append(residue.numpy())
        by_chain.append(float((rank[-1] == 0).mean()))
    ranks, identities = np.concatenate(rank), np.concatenate(own)
    return {
        "top1": float((ranks == 0).mean()),
        "top3": float((ranks < 3).mean()),
        "cross_entropy": float(np.concatenate(entropy).mean()),
        "top1_by_chain": float(np.mean(by_chain)),
        "majority": float(np.bincount(identities, minlength=20).max() / len(identities)),
        "chains": float(len(rows)),
        "residues": float(len(ranks)),
    }


def decoy_metrics(
    network: Prior | Judge, pack: Pack, pairs: Sequence[list[Pair]], settings: TrainingSettings, count: int
) -> dict[str, float]:
    """Figures of ``losses.prior_loss`` by kind of example, or of ``losses.judge_loss``.

    Perturbed and native examples are of test chains. Homologue examples are of the pair clusters that training leaves
    out of its pairs; their chains lie in the train split, so training may have met them as perturbed natives.
    """
    return validate(network, examples_of(pack, list(pairs), "test", settings, TEST_SEED, count), settings)
