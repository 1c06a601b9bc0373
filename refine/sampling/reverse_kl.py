"""A sampler learned from energies and forces alone, and the latent variables it finds.

Schöberl, Zabaras & Koutsourelakis, "Embedded-physics machine learning for coarse-graining and collective variable
discovery without data" (2020): latent z ~ N(0, 1), decoder q(x|z), encoder r(z|x). Maximised is
⟨−βU(x) + ln r(z|x) − ln q(z) − ln q(x|z)⟩ over q(x, z), at most ln Z − KL(q ‖ p), while β rises from 0.

Reverse KL starves minor modes, and its value does not show it. What is done here against that:

- where the weighted samples of a component are of two modes (``modes``), it becomes two, each with its own decoder and
  encoder, which is trained by its own divergence from p r(c|x); r(c|x) parts what lies between them;
- their shares are Z_c/Σ Z_c, in closed form from importance weights: Z_c = ⟨exp(−βU) r(c|x) r(z|x)/(q(z) q(x|z))⟩ over
  component c, whose sum is Z however good r(c|x) is; every component has as many samples, whatever its share;
- a share of each update is the forward divergence over the same samples with their importance weights (as in
  reweighted wake-sleep, Bornschein & Bengio 2015, with both networks), and the gradient of the reverse one is that
  along the samples alone, which has no noise where the model is exact (Roeder, Wu & Duvenaud 2017);
- a temperature counts as done once the weights within every component are even (``tempering``);
- at β = 0 the law is a normal one that the decoder holds exactly, not a box, which no decoder fits.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor

from refine.sampling.component import Component, even_normal, log_normal
from refine.sampling.modes import two_modes
from refine.sampling.surrogate import Surrogate
from refine.sampling.tempering import TemperingSettings, kish, log_z_change, next_step

Energy = Callable[[Tensor], Tensor]
"""From configurations (J, D) to reduced energies U/kT (J,), differentiable (``physics.bridge`` makes one of OpenMM)."""
SHORTEST = 0.02
"""Step of β that halving does not go below: shares of what is left would never reach the end."""
SETTLED = 0.05
"""Share of the rate at the end of the last updates."""
READ = 256
"""Samples of each component from which its encoder learns in an update, beside those whose energy is computed."""
WINDOW = 10
"""Last updates of a temperature whose samples are judged together."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples x (J, D), the component of each (J,), ln of what each counts as one of the model (J,), their energies
    (J,), those of the law at β = 0, and ln w (J,), of what each counts as one of the target.
    """

    x: Tensor
    component: Tensor
    log_share: Tensor
    energy: Tensor
    start: Tensor
    log_weights: Tensor

    def of(self, component: int) -> Batch:
        """The samples of one component."""
        rows = self.component == component
        return Batch(*(getattr(self, f.name)[rows] for f in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class Temperature:
    """What one inverse temperature ended with: updates, Kish share of the weights of the last updates (of the
    component that has the least), ln Z, bound on the divergence, shares of the components, and what ``watch`` measured.
    """

    beta: float
    updates: int
    kish: float
    log_z: float
    divergence: float
    shares: tuple[float, ...]
    watched: Mapping[str, float]


Watch = Callable[[Surrogate, Batch], Mapping[str, float]]


def fit(
    model: Surrogate,
    energy: Energy,
    tempering: TemperingSettings,
    seed: int,
    watch: Watch = lambda model, batch: {},
    final_updates: int = 0,
) -> list[Temperature]:
    """Train ``model`` (in place) to sample exp(−βU) from β = 0 to β = 1; what every temperature ended with.

    Args:
        energy: U/kT.
        seed: of the samples.
        watch: measures the samples of the last updates of every temperature, e.g. how much each known mode has.
        final_updates: more of them at β = 1, with a rate that falls.
    """
    training = _Training(model, energy, seed)
    log_z = float((model.spread * math.sqrt(2 * math.pi)).log().sum())
    beta, halvings = 0.0, 0
    history: list[Temperature] = []
    while True:
        updates, batch = training.converge(beta, tempering, tempering.updates if history else tempering.first_updates)
        while training.reshaped(batch, tempering):
            more, batch = training.converge(beta, tempering, tempering.updates)
            updates += more
        if beta == 1.0 and final_updates:
            batch = training.run(beta, final_updates, settle=True)
        divergence = log_z - float(torch.softmax(batch.log_share, 0) @ (batch.log_weights - batch.log_share))
        even, shares = training.evenness(batch), tuple(model.shares.tolist())
        history.append(Temperature(beta, updates, even, log_z, divergence, shares, watch(model, batch)))
        if beta == 1.0:
            return history
        halvings = 0 if even >= tempering.converged else halvings + 1
        rise = _rise(batch, beta, model.settings.fade)
        step = next_step(batch.log_weights, batch.log_share, rise, 1.0 - beta, tempering, divergence)
        step = max(step * max(0.5**halvings, tempering.least_step), min(step, SHORTEST))
        log_z += log_z_change(batch.log_weights, rise(step))
        beta = 1.0 if beta + step >= 1 - 1e-9 else beta + step


def _start_share(beta: float, fade: float) -> float:
    """What is left at β of the law at β = 0."""
    return max(0.0, 1.0 - beta / fade)


def _rise(batch: Batch, beta: float, fade: float) -> Callable[[float], Tensor]:
    def rise(step: float) -> Tensor:
        less = _start_share(beta + step, fade) - _start_share(beta, fade)
        return step * batch.energy + less * batch.start

    return rise


class _Training:
    """Updates of one model, and the samples of the last of them."""

    def __init__(self, model: Surrogate, energy: Energy, seed: int) -> None:
        self.model, self.energy = model, energy
        self.generator = torch.Generator().manual_seed(seed)
        self._optimise()

    def _optimise(self) -> None:
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=self.model.settings.rate)

    def evenness(self, batch: Batch) -> float:
        """Kish share of the weights of the component that has the least."""
        return min(kish(batch.of(k).log_weights) for k in range(len(self.model.components)))

    def converge(self, beta: float, tempering: TemperingSettings, least: int) -> tuple[int, Batch]:
        """Updates until the weights are even, ``least`` at the least; how many, and the samples of the last ones."""
        done, batch = least, self.run(beta, least)
        while done < tempering.most_updates and self.evenness(batch) < tempering.converged:
            batch = self.run(beta, WINDOW)
            done += WINDOW
        return done, batch

    def reshaped(self, batch: Batch, tempering: TemperingSettings) -> bool:
        """Whether a component became two, having two modes, or turned its latents, as a normal law does not do: then
        what the optimiser has gathered is of no more use.
        """
        for k, component in enumerate(self.model.parts()):
            part = batch.of(k)
            modes = two_modes(part.x, part.log_weights)
            if len(self.model.components) < self.model.settings.components and bool(modes.gain.isfinite().any()):
                self.model.divide(k, modes, self.generator)
            elif not component.columns and kish(part.log_weights) < tempering.converged:
                self.model.lead(k, modes, self.generator)
            else:
                continue
            self._optimise()
            return True
        return False

    def run(self, beta: float, updates: int, settle: bool = False) -> Batch:
        """The samples of the last ``WINDOW`` of some updates, from which the shares are taken, as from each so many
        before. With ``settle`` the rate falls to ``SETTLED`` of itself.
        """
        rate = self.model.settings.rate
        last: collections.deque[Batch] = collections.deque(maxlen=WINDOW)
        for k in range(1, updates + 1):
            if settle:
                fall = 0.5 * (1 + math.cos(math.pi * k / updates))
                self.optimiser.param_groups[0]["lr"] = rate * (SETTLED + (1 - SETTLED) * fall)
            last.append(self.update(beta))
            if k % WINDOW == 0 or k == updates:
                batch = _joined(last)
                self.model.share(torch.stack([
                    torch.logsumexp(batch.log_weights[batch.component == c], 0)
                    for c in range(len(self.model.components))
                ]))  # fmt: skip
        return batch

    def update(self, beta: float) -> Batch:
        model, settings = self.model, self.model.settings
        count, parts = max(settings.samples // len(model.components), 1), list(model.parts())
        z = [even_normal(count, settings.latent, self.generator) for _ in parts]
        mean = [part.decoded(own) for part, own in zip(parts, z, strict=True)]
        drawn = [part.around(own, self.generator) for part, own in zip(parts, mean, strict=True)]
        x = torch.cat(drawn)
        component = torch.arange(len(parts)).repeat_interleave(count)
        with _held(model):
            assignment = model.log_assignment(x)[torch.arange(len(x)), component]
        energy, start = self.energy(x), 0.5 * (x / model.spread).square().sum(-1)
        target = (assignment - beta * energy - _start_share(beta, settings.fade) * start).split(count)
        loss, log_weights = x.new_zeros(()), []
        for part, own, about, latent, log_p in zip(parts, drawn, mean, z, target, strict=True):
            # the decoder's own parameters held: its gradient flows through the samples alone
            log_q = part.log_decoder(own, about.detach(), part.factor.detach()) + log_normal(latent)
            gain = part.log_encoder(own, latent) + log_p - log_q
            log_weights.append(gain.detach())
            loss = loss - (1 - settings.forward) * gain.mean()
            if settings.forward > 0:
                weights = torch.softmax(gain.detach(), 0)
                loss = loss + settings.forward * part.forward_bound(own.detach(), weights, self.generator)
            loss = loss - self._read(part)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        scale = math.log(len(parts))  # a sample of one component is one of 1/C of all
        log_share, weighted = model.shares.log()[component] + scale, torch.cat(log_weights) + scale
        return Batch(x.detach(), component, log_share, energy.detach(), start.detach(), weighted)

    def _read(self, part: Component) -> Tensor:
        """⟨ln r(z|x)⟩ over ``READ`` samples of a component, for its encoder alone."""
        z = even_normal(READ, part.latent, self.generator)
        with torch.no_grad():
            x = part.around(part.decoded(z), self.generator)
        return part.log_encoder(x, z).mean()


@contextlib.contextmanager
def _held(model: Surrogate) -> Iterator[None]:
    """Let gradients flow to what goes in, not to the parameters."""
    model.requires_grad_(False)
    try:
        yield
    finally:
        model.requires_grad_(True)


def _joined(batches: Iterable[Batch]) -> Batch:
    parts = list(batches)
    return Batch(*(torch.cat([getattr(b, f.name) for b in parts]) for f in dataclasses.fields(Batch)))
