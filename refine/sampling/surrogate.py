"""A sampler of configurations over latent variables, of one component for each mode.

The law of the latents is N(0, 1), cut into boxes. Each box is one component's: its own latents, also N(0, 1), are those
of the box stretched over the whole, so that a component's share is the probability of its box. Shares are set, not
learned: reverse KL cannot carry a share from mode to mode, and importance weights say what it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from refine.sampling.component import Component, even_normal
from refine.sampling.modes import TwoModes

LEAST_SHARE = 1e-6
"""Of a component: it stays, whatever the weights of a moment."""
_MOMENTS = 4096
"""Samples from which the moments of a component are taken."""

Tree = int | tuple[int, "Tree", "Tree"]
"""How latent space is cut: a component, or along which latent and what is below and above."""


@dataclasses.dataclass(frozen=True)
class SurrogateSettings:
    """Model and training.

    Attributes:
        latent: number of latent variables; hidden: width of the layers of encoders and decoders.
        samples: drawn for each update, in equal parts from the components; rate: of Adam.
        forward: share of the forward divergence in each update; 0 is the method as published.
        fade: β, as a share of the last, at which nothing is left of the law at β = 0.
        components: most of them; 1 is the method as published.
    """

    latent: int = 1
    hidden: int = 100
    samples: int = 1000
    rate: float = 1e-3
    forward: float = 0.5
    fade: float = 1.0
    components: int = 4


class Surrogate(nn.Module):
    """Components, their shares and boxes. It begins with one, a normal law about 0.

    Args:
        spread: (D,) standard deviations of the law at β = 0.
        settings: see there; seed: of the parameters of the networks.

    Attributes:
        shares: (C,) of the components; tree: how they share latent space.
    """

    def __init__(self, spread: Tensor, settings: SurrogateSettings, seed: int) -> None:
        super().__init__()
        self.settings, self.seed, self.born = settings, seed, 0
        self.spread: Tensor
        self.shares: Tensor
        self.register_buffer("spread", spread.double())
        self.register_buffer("shares", torch.ones(1, dtype=torch.float64))
        self.tree: Tree = 0
        self.components = nn.ModuleList([self._component(torch.zeros_like(self.spread), self.spread.square().diag())])

    def _component(self, mean: Tensor, covariance: Tensor, columns: tuple[int, ...] = ()) -> Component:
        self.born += 1
        seed = 1000 * self.seed + self.born
        return Component(mean, covariance, columns, self.settings.latent, self.settings.hidden, seed)

    def parts(self) -> Iterator[Component]:
        """The components in order."""
        for component in self.components:
            assert isinstance(component, Component)
            yield component

    @torch.no_grad()
    def share(self, log_z: Tensor) -> None:
        """Give the components shares in proportion to exp of (C,)."""
        shares = torch.softmax(log_z, 0).clamp_min(LEAST_SHARE)
        self.shares.copy_(shares / shares.sum())

    @torch.no_grad()
    def lead(self, index: int, modes: TwoModes, generator: torch.Generator) -> None:
        """Turn the latents of a component to the coordinates least like a normal law; it begins again as one."""
        mean, covariance = self._moments(index, generator)
        self.components[index] = self._component(mean, covariance, self._columns(modes))

    @torch.no_grad()
    def divide(self, index: int, modes: TwoModes, generator: torch.Generator) -> None:
        """Make two components of one, along the coordinate where two modes gain most. Both begin as the normal law that
        has the mean and variance of its mode along it, and all else as it goes with that coordinate.
        """
        column = int(modes.gain.argmax())
        columns = list(list(self.parts())[index].columns or self._columns(modes))
        if column not in columns:
            columns[min(range(len(columns)), key=lambda k: float(modes.unlike[columns[k]]))] = column
        mean, covariance = self._moments(index, generator)
        along = covariance[:, column] / covariance[column, column]
        halves = []
        for place, deviation in zip(modes.means[:, column], modes.deviations[:, column], strict=True):
            change = deviation**2 - covariance[column, column]
            moved = mean + along * (place - mean[column])
            halves.append(self._component(moved, covariance + change * along[:, None] * along, tuple(columns)))
        self.tree = _replaced(self.tree, index, (columns.index(column), index, len(self.components)))
        self.components[index] = halves[0]
        self.components.append(halves[1])
        parted = self.shares[index] * modes.shares[:, column]
        self.shares = torch.cat((self.shares[:index], parted[:1], self.shares[index + 1 :], parted[1:]))

    def _columns(self, modes: TwoModes) -> tuple[int, ...]:
        """Coordinates for the latents to lead along: those of two modes first, then those least like a normal law."""
        rank = [(-float(gain), -float(unlike)) for gain, unlike in zip(modes.gain, modes.unlike, strict=True)]
        return tuple(sorted(range(len(rank)), key=rank.__getitem__)[: self.settings.latent])

    def _moments(self, index: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        component = list(self.parts())[index]
        mean = component.decoded(even_normal(_MOMENTS, component.latent, generator))
        return mean.mean(0), torch.cov(mean.T) + component.covariance

    def boxes(self) -> Tensor:
        """Lower and upper ends (2, C, K) of each component's box in the probability of the latents."""
        ends = torch.zeros(2, len(self.components), self.settings.latent, dtype=torch.float64)
        _cut(self.tree, self.shares, torch.stack((torch.zeros_like(ends[0, 0]), torch.ones_like(ends[0, 0]))), ends)
        return ends

    def decoded(self, z: Tensor) -> Tensor:
        """Mean configurations (J, D) of latents (J, K)."""
        x = z.new_zeros(len(z), len(self.spread))
        for component, rows, own in self._owned(z):
            x[rows] = component.decoded(own)
        return x

    def _owned(self, z: Tensor) -> Iterator[tuple[Component, Tensor, Tensor]]:
        """Each component, which of latents (J, K) are its own, and what they are in it."""
        u = torch.special.ndtr(z)
        for component, low, high in zip(self.parts(), *self.boxes(), strict=True):
            rows = ((u >= low) & ((u < high) | (high == 1))).all(-1)
            yield component, rows, _quantile((u[rows] - low) / (high - low))

    def log_assignment(self, x: Tensor) -> Tensor:
        """ln r(c|x) (J, C), of the components of configurations (J, D)."""
        log_q = torch.stack([component.log_marginal(x) for component in self.parts()], 1)
        return torch.log_softmax(log_q + self.shares.log(), 1)

    def encoded(self, x: Tensor) -> Tensor:
        """Mean latent variables (J, K) of configurations (J, D)."""
        of, z = self.log_assignment(x).argmax(1), x.new_zeros(len(x), self.settings.latent)
        for k, (component, low, high) in enumerate(zip(self.parts(), *self.boxes(), strict=True)):
            z[of == k] = _quantile(low + (high - low) * torch.special.ndtr(component.posterior(x[of == k])[0]))
        return z

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Configurations (count, D) and their latents (count, K)."""
        z = even_normal(count, self.settings.latent, generator)
        x = z.new_zeros(count, len(self.spread))
        for component, rows, own in self._owned(z):
            x[rows] = component.around(component.decoded(own), generator)
        return x, z


def _quantile(u: Tensor) -> Tensor:
    return torch.special.ndtri(u.clamp(1e-9, 1 - 1e-9))


def _replaced(tree: Tree, index: int, by: Tree) -> Tree:
    if isinstance(tree, int):
        return by if tree == index else tree
    return tree[0], _replaced(tree[1], index, by), _replaced(tree[2], index, by)


def _leaves(tree: Tree) -> list[int]:
    return [tree] if isinstance(tree, int) else _leaves(tree[1]) + _leaves(tree[2])


def _cut(tree: Tree, shares: Tensor, box: Tensor, ends: Tensor) -> None:
    """Write the boxes of all components of a tree that fills ``box`` (2, K) to ``ends`` (2, C, K)."""
    if isinstance(tree, int):
        ends[:, tree] = box
        return
    axis, *halves = tree
    below, whole = shares[_leaves(halves[0])].sum(), shares[_leaves(tree)].sum()
    cut = box[0, axis] + (box[1, axis] - box[0, axis]) * below / whole
    for half, side in zip(halves, (1, 0), strict=True):
        part = box.clone()
        part[side, axis] = cut
        _cut(half, shares, part, ends)
