"""The learned terms of the free energy: prior and mediated densities with their targets, and the identity likelihood.

F_SR = Σ_i −kT log p(x_i | y_i) − kT log P(a_i | y_i)    (terms "prior" and "likelihood")
F_MED = Σ_ij −kT log p(d_ij | y_i)                      (term "mediated": distances between overlapping regions)

The full derivative of −log p(x_i | y_i) has two parts: the central one, which moves x_i within the density its present
surroundings give, and one through the surroundings. ``gradient="central"`` keeps y_i fixed between refreshes: ``at``
evaluates the networks once and returns an energy with frozen targets, exact for its own force and cheap.
``gradient="full"`` differentiates the networks at every step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Self, TypeVar, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from refine.constants import BOLTZMANN
from refine.energy.curvature import Curvature
from refine.energy.system import System
from refine.energy.term import Term
from refine.networks.environment import CHAIN_BREAK, neighbour_values
from refine.networks.prior import FREEDOM, PriorOutput, student
from refine.networks.weights import Networks
from refine.structure.geometry import (
    distance,
    frames,
    rotation_from_vector,
    to_global,
    vector_from_rotation,
    virtual_cb,
)

T = TypeVar("T")
KT = BOLTZMANN * 298.15
_CB_ARM = 1.53
"""Å from CA to CB: the lever of a pull on CB."""
_RESIDUES_AT_ONCE = 6000
_RESIDUES_WITH_GRADIENT = 3000
"""More are evaluated in parts, and once more for the gradient, so that memory stays bounded."""
_REMEMBERED = 2
"""Structures whose outputs are kept: a run asks for those of its start and of its average by turns."""

LIKELIHOOD = frozenset({"likelihood"})
"""Names of the terms that a propagation may leave out to save time."""


@dataclasses.dataclass(frozen=True)
class Fields:
    """What the networks say at one set of coordinates, averaged over the networks, in the global frame.

    Attributes:
        place: (R, L, 3) most likely CA positions; ``shift_b`` (R, L) Å scale.
        rot: (R, L, 3, 3) most likely residue frames; ``turn_b`` (R, L) rad scale.
        index, envelope: (R, L, K) neighbours and their weights.
        distances: (R, L, K, 2) most likely CA–CA and CB–CB distances; ``distance_b`` likewise, Å.
        lddt: (R, L) expected CA lDDT in [0, 1].
        disagreement: (R, L) Å, spread of the networks' CA displacements (0 with one network).
    """

    place: Tensor
    shift_b: Tensor
    rot: Tensor
    turn_b: Tensor
    index: Tensor
    envelope: Tensor
    distances: Tensor
    distance_b: Tensor
    lddt: Tensor
    disagreement: Tensor


class AppliedNetworks:
    """The networks applied to one system.

    Args:
        networks: loaded networks, of the system's device and dtype.
        system: what they need to know besides coordinates.
        whole: take the displacement towards the native laid onto the whole model, with the scales that the density has
            for the residue's region; False takes the region's displacement too.
        near_native: read displacements as for near-native structures, where the networks have a read-out for them.
        shares: of the priors in what they say together, adding up to 1; equal ones if None.
    """

    def __init__(
        self,
        networks: Networks,
        system: System,
        whole: bool = True,
        *,
        near_native: bool = False,
        shares: tuple[float, ...] | None = None,
    ) -> None:
        self.networks, self.system, self.whole = networks, system, whole
        equal = (1.0 / len(networks.priors),) * len(networks.priors)
        self.shares = torch.tensor(equal if shares is None else shares, device=system.device)
        assert len(self.shares) == len(networks.priors), self.shares
        self.readout = networks.near_native if near_native and whole else None
        breaks = torch.cat(
            (torch.zeros(1, dtype=torch.int64, device=system.device), (~system.bonded[:-1]).long().cumsum(0))
        )
        self.position = torch.arange(len(system), device=system.device) + CHAIN_BREAK * breaks
        self._latest: dict[str, list[tuple[Tensor, Any]]] = {}

    def _inputs(self, replicas: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        s = self.system
        expand = [v.expand(replicas, -1) for v in (s.residue_index, self.position, s.chain_index)]
        return expand[0], expand[1], expand[2], torch.ones(replicas, len(s), dtype=torch.bool, device=s.device)

    def fields(self, coords: Tensor) -> Fields:
        """Fields at coords (R, L, 4, 3) Å, without gradient; the latest are remembered for the other terms."""
        return self._remembered("fields", coords, self._all_fields)

    def _remembered(self, what: str, coords: Tensor, compute: Callable[[Tensor], T]) -> T:
        """``compute(coords)`` without gradient, or what it gave for the same coordinates, if these are among the latest
        two.
        """
        latest = self._latest.get(what, [])
        found = [known for known in latest if known[0].shape == coords.shape and torch.equal(known[0], coords)]
        if not found:
            with torch.no_grad():
                found = [(coords.detach().clone(), compute(coords))]
        self._latest[what] = [*found, *(known for known in latest if known is not found[0])][:_REMEMBERED]
        return cast(T, found[0][1])

    def _all_fields(self, coords: Tensor) -> Fields:
        per_call = max(1, _RESIDUES_AT_ONCE // len(self.system))
        parts = [self._fields(chunk) for chunk in coords.split(per_call)]
        names = [f.name for f in dataclasses.fields(Fields)]
        return Fields(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    def differentiable_fields(self, coords: Tensor) -> Fields:
        """Fields at coords with gradients through the networks."""
        return self._fields(coords)

    def outputs(self, coords: Tensor) -> list[PriorOutput]:
        """What each prior says at coords (R, L, 4, 3) Å, with gradient."""
        inputs = self._inputs(coords.shape[0])
        return [network(coords, *inputs) for network in self.networks.priors]

    def priors_apart(self, coords: Tensor) -> Tensor:
        """(R, L, 3) Å at coords (R, L, 4, 3): half the difference of the CA displacements by the first prior and by the
        last; 0 with one prior. Without gradient.
        """
        with torch.no_grad():
            outputs = self.outputs(coords)
            first, last = (output.motion(whole=self.whole)[0] for output in (outputs[0], outputs[-1]))
            region = outputs[0].region
            return 0.5 * (to_global(region.rot, region.origin, first) - to_global(region.rot, region.origin, last))

    def _fields(self, coords: Tensor) -> Fields:
        outputs = self.outputs(coords)
        region = outputs[0].region

        def mean(values: list[Tensor]) -> Tensor:
            return _shared(values, self.shares)

        shifts, turns = (list(v) for v in zip(*(o.motion(whole=self.whole) for o in outputs), strict=True))
        shift, turn = mean(shifts), mean(turns)
        if self.readout is not None:
            shift = self.readout([o.hidden for o in outputs])
        spread = mean([((each - mean(shifts)) ** 2).sum(-1) for each in shifts])
        now = _pair_distances(coords, region.index)
        return Fields(
            place=to_global(region.rot, region.origin, shift),
            shift_b=self._scale(outputs, "shift_log_b", spread),
            rot=region.rot @ rotation_from_vector(turn),
            turn_b=self._scale(outputs, "turn_log_b", None),
            index=region.index,
            envelope=region.envelope,
            distances=now + mean([o.delta for o in outputs]),
            distance_b=self._scale(outputs, "delta_log_b", None),
            lddt=mean([o.lddt for o in outputs]),
            disagreement=spread.sqrt(),
        )

    def _scale(self, outputs: list[PriorOutput], name: str, extra: Tensor | None) -> Tensor:
        """Scales of the mixture of networks: root mean square, widened by their disagreement."""
        square = _shared([torch.exp(2 * getattr(o, name)) for o in outputs], self.shares)
        return (square if extra is None else square + extra / 3).sqrt()

    def judged(self, coords: Tensor) -> Tensor:
        """Expected CA lDDT (R, L) in [0, 1], without gradient: by the judge, or by the priors where there is none."""
        judge = self.networks.judge
        if judge is None:
            return self.fields(coords).lddt
        per_call = max(1, _RESIDUES_AT_ONCE // len(self.system))

        def all_judged(at: Tensor) -> Tensor:
            return torch.cat([judge(chunk, *self._inputs(len(chunk))) for chunk in at.split(per_call)])

        return self._remembered("judged", coords, all_judged)

    def likelihood(self, coords: Tensor) -> Tensor:
        """log P(a | y_i) (R, L, 20) of every residue's region, with gradient where one is asked for."""
        if not torch.is_grad_enabled():
            return self._remembered("likelihood", coords, self._all_likelihoods)
        return self._all_likelihoods(coords)

    def _all_likelihoods(self, coords: Tensor) -> Tensor:
        per_call = max(1, _RESIDUES_WITH_GRADIENT // len(self.system))
        if len(coords) <= per_call:
            return self._likelihood(coords)
        return torch.cat([checkpoint(self._likelihood, chunk, use_reentrant=False) for chunk in coords.split(per_call)])

    def _likelihood(self, coords: Tensor) -> Tensor:
        rot = frames(coords[..., 0, :], coords[..., 1, :], coords[..., 2, :])
        side_chain = to_global(rot[:, :, None], coords[..., 1:2, :], self.system.side_chain_local)
        present = self.system.has_side_chain.expand(coords.shape[0], -1, -1)
        return torch.log_softmax(
            self.networks.likelihood(coords, side_chain, present, *self._inputs(coords.shape[0])), dim=-1
        )


def _shared(values: list[Tensor], shares: Tensor) -> Tensor:
    """Mean of what several networks say, each with its share."""
    return torch.einsum("n,n...->...", shares.to(values[0].dtype), torch.stack(values))


def _pair_distances(coords: Tensor, index: Tensor) -> Tensor:
    """CA–CA and CB–CB distances (R, L, K, 2) Å to the neighbours ``index``."""
    n, ca, c, _ = coords.unbind(-2)
    cb = virtual_cb(n, ca, c)
    return torch.stack([distance(neighbour_values(p, index), p.unsqueeze(2)) for p in (ca, cb)], dim=-1)


def _frame_energy(coords: Tensor, fields: Fields) -> Tensor:
    """−kT log p(x_i | y_i) (R, L)."""
    n, ca, c, _ = coords.unbind(-2)
    away = vector_from_rotation(fields.rot.transpose(-1, -2) @ frames(n, ca, c))
    shift = student(((ca - fields.place) ** 2).sum(-1), fields.shift_b.log(), 3)
    return KT * (shift + student((away**2).sum(-1), fields.turn_b.log(), 3))


def _distance_energy(coords: Tensor, fields: Fields) -> Tensor:
    """−kT log p(d_ij | y_i) (R, L): mean over CA and CB, summed over the region, halved as pairs count twice."""
    off = (_pair_distances(coords, fields.index) - fields.distances) ** 2
    return 0.5 * KT * (student(off, fields.distance_b.log(), 1).mean(-1) * fields.envelope).sum(-1)


def _stiffness(square: Tensor, b: Tensor, dimensions: int) -> Tensor:
    """kcal/mol per squared unit: kT (nu + p) / (nu b^2 + square), the force of ``student`` over the distance."""
    return KT * (FREEDOM + dimensions) / (FREEDOM * b * b + square)


def _frame_curvature(coords: Tensor, fields: Fields) -> Curvature:
    """Of ``_frame_energy``: the same in all directions."""
    n, ca, c, _ = coords.unbind(-2)
    away = vector_from_rotation(fields.rot.transpose(-1, -2) @ frames(n, ca, c))
    shift = _stiffness(((ca - fields.place) ** 2).sum(-1), fields.shift_b, 3)
    eye = torch.eye(3, dtype=coords.dtype, device=coords.device)
    return Curvature(shift[..., None, None] * eye, _stiffness((away**2).sum(-1), fields.turn_b, 3))


def _distance_curvature(coords: Tensor, fields: Fields) -> Curvature:
    """Of ``_distance_energy``, along the lines to the neighbours; both ends of a pair are taken to see it alike."""
    n, ca, c, _ = coords.unbind(-2)
    off = (_pair_distances(coords, fields.index) - fields.distances) ** 2
    stiff = 0.5 * _stiffness(off, fields.distance_b, 1) * fields.envelope.unsqueeze(-1)
    shift = torch.zeros(*coords.shape[:2], 3, 3, dtype=coords.dtype, device=coords.device)
    for k, points in enumerate((ca, virtual_cb(n, ca, c))):
        line = torch.nn.functional.normalize(points.unsqueeze(2) - neighbour_values(points, fields.index), dim=-1)
        shift = shift + (stiff[..., k, None] * line).transpose(-1, -2) @ line
    return Curvature(shift, 2 / 3 * _CB_ARM**2 * stiff[..., 1].sum(-1))


@dataclasses.dataclass(frozen=True)
class _Density:
    """A density of the prior networks as a term.

    Attributes:
        applied: the networks; gradient: ``central`` or ``full``.
        fields: its frozen targets; None means the networks are evaluated, and differentiated, wherever it is called.
    """

    applied: AppliedNetworks
    gradient: str = "central"
    fields: Fields | None = None

    def at(self, coords: Tensor) -> Self:
        """With targets frozen at ``coords`` (central), or itself (full)."""
        if self.gradient == "full":
            return self
        return dataclasses.replace(self, fields=self.applied.fields(coords))


@dataclasses.dataclass(frozen=True)
class FrameDensity(_Density):
    """The term "prior": −kT log p(x_i | y_i), of each residue's frame given its region."""

    name: str = "prior"

    def __call__(self, coords: Tensor) -> Tensor:
        return _frame_energy(coords, self.fields or self.applied.differentiable_fields(coords))

    def curvature(self, coords: Tensor) -> Curvature:
        """How stiffly each residue is held, see ``energy.curvature``."""
        return _frame_curvature(coords, self.fields or self.applied.fields(coords))


@dataclasses.dataclass(frozen=True)
class DistanceDensity(_Density):
    """The term "mediated": −kT log p(d_ij | y_i), of the distances between overlapping regions."""

    name: str = "mediated"

    def __call__(self, coords: Tensor) -> Tensor:
        return _distance_energy(coords, self.fields or self.applied.differentiable_fields(coords))

    def curvature(self, coords: Tensor) -> Curvature:
        """How stiffly each residue is held, see ``energy.curvature``."""
        return _distance_curvature(coords, self.fields or self.applied.fields(coords))


@dataclasses.dataclass(frozen=True)
class IdentityLikelihood:
    """The term "likelihood": −kT log P(a_i | y_i) of each residue's own identity."""

    applied: AppliedNetworks
    name: str = "likelihood"

    def __call__(self, coords: Tensor) -> Tensor:
        own = self.applied.system.residue_index.expand(coords.shape[0], -1).unsqueeze(-1)
        return -KT * self.applied.likelihood(coords).gather(-1, own).squeeze(-1)

    def at(self, coords: Tensor) -> Term:  # noqa: ARG002 (holds nothing)
        return self


def learned_terms(applied: AppliedNetworks, gradient: str = "central") -> tuple[Term, ...]:
    """The three learned terms of a system, which share one evaluation of the networks applied to it."""
    return (FrameDensity(applied, gradient), DistanceDensity(applied, gradient), IdentityLikelihood(applied))
