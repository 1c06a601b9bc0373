"""Metastable states of trajectories by mutual information between a frame and the frame a lag later, without a metric
and without the number of states (IDM).

Soft states χ_c(x) maximise I_b = Σ_cc' P_cc' ln [P_cc' / (P_c P_c')^b], where P_cc' = ⟨χ_c(x_t) χ_c'(x_{t+τ})⟩ is made
symmetric. With b = 1 no state is ever given up; below 1 their number emerges: halving a state pays only where its
halves mix slower than the lag. b falls during the training, from above 1, so that it does not stay in one state for
all. What a training leaves divided against I_b, since the way to one state leads through mixtures that are worth less,
is joined afterwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refine.errors import InputError

LEAST_PAIRS = 100
"""Pairs of frames a lag apart below which nothing is learned."""
HELD_OUT = 0.25
"""Share of each trajectory, its end, on which the seeds are compared."""


@dataclasses.dataclass(frozen=True)
class StateSettings:
    """How states are learned.

    Attributes:
        most: soft states at first, the largest number that can be found.
        seeds: trainings from other weights; the one with the largest I_b on held-out pairs is kept.
        steps: updates of each; batch: pairs of an update; rate: of Adam.
        first_b, last_b: b at the beginning and over the last quarter.
        sharpness: s of χ_c = softmax(−s|u − v_c|²).
        least_population: a smaller state does not count; least_stay: nor one that is left with a higher probability.
    """

    most: int = 16
    seeds: int = 3
    steps: int = 600
    batch: int = 1024
    rate: float = 2e-3
    first_b: float = 1.1
    last_b: float = 0.9
    sharpness: float = 2.0
    least_population: float = 0.02
    least_stay: float = 0.5


class StateNetwork(nn.Module):
    """The plane u = G(x) (N, 2) and the soft states χ (N, K) of standardised features x (N, f)."""

    def __init__(self, features: int, states: int, sharpness: float, width: int = 64) -> None:
        super().__init__()
        self.plane = nn.Sequential(
            nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2)
        )
        self.centres = nn.Parameter(torch.randn(states, 2))
        self.sharpness = sharpness

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.logits(self.plane(x)), dim=1)

    def logits(self, u: Tensor) -> Tensor:
        """−s|u − v_c|² (N, K)."""
        return -self.sharpness * torch.cdist(u, self.centres).square()


@dataclasses.dataclass(frozen=True)
class States:
    """States of N frames at one lag, the most populated first.

    Attributes:
        lag: frames; label: (N,) state from 0.
        plane: (N, 2) u; soft: (N, S) χ of the states that count.
        population: (S,); stay: (S,) probability to be in the same state a lag later; lifetime: (S,) frames.
        transitions: (S, S) probabilities of going from one to another in a lag.
        representative: (S,) the frame in the middle of each.
        information: I_b on held-out pairs, nat; agreement: number of states that each seed found.
    """

    lag: int
    label: NDArray[np.int64]
    plane: NDArray[np.float32]
    soft: NDArray[np.float32]
    population: NDArray[np.float64]
    stay: NDArray[np.float64]
    lifetime: NDArray[np.float64]
    transitions: NDArray[np.float64]
    representative: NDArray[np.int64]
    information: float
    agreement: tuple[int, ...]


def information(chi: Tensor, later: Tensor, b: float) -> Tensor:
    """I_b in nat of soft states (N, K) of frames and of the frames a lag later."""
    return _information(_joint(chi, later), b)


def _joint(chi: Tensor, later: Tensor) -> Tensor:
    joint = chi.T @ later / len(chi)
    return 0.5 * (joint + joint.T)


def _information(joint: Tensor, b: float) -> Tensor:
    joint = joint.clamp_min(1e-12)
    single = joint.sum(1)
    return (joint * (joint.log() - b * (single.log()[:, None] + single.log()))).sum()


def joined(joint: Tensor, b: float) -> Tensor:
    """(K, G) 0 or 1: which states go together, two groups becoming one as long as that raises I_b, the most rewarding
    first.

    Args:
        joint: (K, K) symmetric, P_cc' of a frame and one a lag later; b: that of I_b.
    """
    groups = torch.eye(len(joint), dtype=joint.dtype)
    while groups.shape[1] > 1:
        now = _information(groups.T @ joint @ groups, b)
        options = [_with_one_group_less(groups, i, j) for i in range(groups.shape[1]) for j in range(i)]
        gains = torch.stack([_information(each.T @ joint @ each, b) - now for each in options])
        if gains.max() <= 0:
            break
        groups = options[int(gains.argmax())]
    return groups


def _with_one_group_less(groups: Tensor, i: int, j: int) -> Tensor:
    rest = [k for k in range(groups.shape[1]) if k not in (i, j)]
    return torch.cat((groups[:, rest], groups[:, [i]] + groups[:, [j]]), dim=1)


def learn_states(
    trajectories: Sequence[NDArray[np.floating]], lag: int, settings: StateSettings | None = None, seed: int = 0
) -> States:
    """States of trajectories whose frames are evenly spaced in time; one, where no seed has I_b > 0 on held-out pairs.

    Args:
        trajectories: each (F, f) features of its frames; N is the sum of the F.
        lag: in frames.
        settings: how; None for the defaults.
        seed: of weights and batches.

    Raises:
        InputError: fewer than ``LEAST_PAIRS`` pairs of frames are a lag apart.
    """
    settings = settings or StateSettings()
    first, held_out = _pairs([len(t) for t in trajectories], lag)
    if (~held_out).sum() < LEAST_PAIRS or not held_out.any():
        raise InputError(
            f"a lag of {lag} frames leaves {len(first)} pairs of frames, too few to learn states from",
            remedy=f"Give a shorter lag, or trajectories with more than {lag + 2 * LEAST_PAIRS} frames",
        )
    x = torch.from_numpy(_standardised(np.concatenate(trajectories)))
    fits = [_fit(x, first[~held_out], lag, settings, seed, k) for k in range(settings.seeds)]
    with torch.no_grad():
        held, shown = torch.from_numpy(first[held_out]), torch.from_numpy(first[~held_out])
        softs = [net(x) for net in fits]
        softs = [soft @ joined(_joint(soft[shown], soft[shown + lag]), settings.last_b) for soft in softs]
        scores = [float(information(soft[held], soft[held + lag], settings.last_b)) for soft in softs]
        every = [_states(net, soft, x, first, lag, settings) for net, soft in zip(fits, softs, strict=True)]
    best = int(np.argmax(scores))
    numbers = tuple(len(one.population) if score > 0 else 1 for one, score in zip(every, scores, strict=True))
    if scores[best] <= 0:  # one state for all has I_b = 0
        return dataclasses.replace(_one_state(every[best], x.numpy()), agreement=numbers)
    return dataclasses.replace(every[best], information=scores[best], agreement=numbers)


def overlap(short: NDArray[np.int64], long: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """How states of a short lag lie in those of a long one.

    Returns:
        for each state of the short lag the one of the long lag that holds most of it, and the conditional entropy
        H(long | short) in nat: 0 where states of the long lag are unions of those of the short.
    """
    joint = np.zeros((short.max() + 1, long.max() + 1))
    np.add.at(joint, (short, long), 1 / len(short))
    given = joint / joint.sum(1, keepdims=True).clip(1e-300)
    entropy = -(joint * np.log(given, where=given > 0, out=np.zeros_like(given))).sum()
    return joint.argmax(1), float(entropy)


def _pairs(lengths: Sequence[int], lag: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """First frames of all pairs, and which of these are held out: no pair reaches from one part into the other."""
    first, held_out, start = [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)], 0
    for length in lengths:
        border = int((1 - HELD_OUT) * length)
        index = np.arange(max(0, length - lag))
        whole = (index + lag < border) | (index >= border)
        first.append(start + index[whole])
        held_out.append(index[whole] >= border)
        start += length
    return np.concatenate(first), np.concatenate(held_out)


def _standardised(x: NDArray[np.floating]) -> NDArray[np.float32]:
    """Features of mean 0 and variance 1; those that are constant are 0."""
    spread = x.std(0)
    return np.where(spread > 1e-6, (x - x.mean(0)) / np.maximum(spread, 1e-6), 0.0).astype(np.float32)


def _fit(x: Tensor, first: NDArray[np.int64], lag: int, settings: StateSettings, seed: int, k: int) -> StateNetwork:
    source = np.random.SeedSequence((seed, k, lag)).generate_state(1)[0]
    generator = torch.Generator().manual_seed(int(source))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(source))
        net = StateNetwork(x.shape[1], settings.most, settings.sharpness)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.rate)
    start = torch.from_numpy(first)
    for step in range(settings.steps):
        share = min(1.0, step / (0.75 * settings.steps))
        b = settings.first_b + share * (settings.last_b - settings.first_b)
        at = start[torch.randint(len(start), (settings.batch,), generator=generator)]
        chi = net(torch.cat((x[at], x[at + lag])))
        loss = -information(chi[: settings.batch], chi[settings.batch :], b)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net


def _states(
    net: StateNetwork, chi: Tensor, x: Tensor, first: NDArray[np.int64], lag: int, settings: StateSettings
) -> States:
    """Those of the soft states (N, G) that count; frames of the others go to that which they are softly nearest to."""
    values = chi.numpy()
    kept = np.arange(values.shape[1])
    while True:
        label = values[:, kept].argmax(1)
        population = np.bincount(label, minlength=len(kept)) / len(label)
        moves = _transitions(label, first, lag, len(kept))
        poor = (population < settings.least_population) | (moves.diagonal() <= settings.least_stay)
        if not poor.any() or len(kept) == 1:
            break
        worst = np.flatnonzero(poor)[population[poor].argmin()]
        kept = np.delete(kept, worst)
    order = np.argsort(-population, kind="stable")
    label, population = np.argsort(order)[label], population[order]
    stay = moves.diagonal()[order]
    soft = values[:, kept[order]]
    soft = soft / soft.sum(1, keepdims=True).clip(1e-30)
    with np.errstate(divide="ignore"):
        lifetime = np.where(stay < 1, -lag / np.log(np.clip(stay, 1e-12, 1.0)), np.inf)
    middle = [_middle(x.numpy(), label == k) for k in range(len(kept))]
    transitions = moves[np.ix_(order, order)]
    plane, unknown = net.plane(x).numpy(), float("nan")
    return States(lag, label, plane, soft, population, stay, lifetime, transitions, np.array(middle), unknown, ())


def _one_state(states: States, x: NDArray[np.float32]) -> States:
    """All frames as one state, in the plane of ``states``."""
    frames, one = len(x), np.ones(1)
    return States(
        lag=states.lag,
        label=np.zeros(frames, np.int64),
        plane=states.plane,
        soft=np.ones((frames, 1), np.float32),
        population=one,
        stay=one,
        lifetime=np.full(1, np.inf),
        transitions=np.ones((1, 1)),
        representative=np.array([_middle(x, np.ones(frames, np.bool_))]),
        information=0.0,
        agreement=(),
    )


def _transitions(label: NDArray[np.int64], first: NDArray[np.int64], lag: int, states: int) -> NDArray[np.float64]:
    counts = np.zeros((states, states))
    np.add.at(counts, (label[first], label[first + lag]), 1.0)
    counts = 0.5 * (counts + counts.T)
    return counts / counts.sum(1, keepdims=True).clip(1.0)


def _middle(x: NDArray[np.float32], chosen: NDArray[np.bool_]) -> int:
    """The chosen frame whose features are nearest to the mean of all chosen."""
    index = np.flatnonzero(chosen)
    return int(index[((x[index] - x[index].mean(0)) ** 2).sum(1).argmin()])
