"""The assembled free energy: a weighted sum of named terms, kept apart in every result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from refine.energy.term import Term
from refine.errors import InputError


@dataclasses.dataclass(frozen=True)
class EnergyTable:
    """Weighted energies of R replicas, kcal/mol.

    Attributes:
        total: (R,).
        per_term: name → (R,).
        per_residue: name → (R, L), the same numbers shared among the residues.
    """

    total: Tensor
    per_term: Mapping[str, Tensor]
    per_residue: Mapping[str, Tensor]

    def where(self, keep: Tensor, other: EnergyTable) -> EnergyTable:
        """Replicas of this table where ``keep`` (R,), of ``other`` elsewhere."""
        return EnergyTable(
            torch.where(keep, self.total, other.total),
            {name: torch.where(keep, value, other.per_term[name]) for name, value in self.per_term.items()},
            {
                name: torch.where(keep[:, None], value, other.per_residue[name])
                for name, value in self.per_residue.items()
            },
        )

    def replica(self, r: int) -> dict[str, float]:
        """Terms of replica ``r`` as plain numbers, and ``"total"``."""
        return {name: float(value[r]) for name, value in self.per_term.items()} | {"total": float(self.total[r])}


@dataclasses.dataclass(frozen=True)
class FreeEnergy:
    """F = Σ w_t F_t. Terms without a weight count once; weight 0 leaves a term out of the sum and of the cost.

    Attributes:
        terms: with distinct names.
        weights: name → factor.
        implicit: names of terms that count in the energy but exert no force, because the propagation treats them
            apart: by projection (``propagation.constraints``) or preconditioned (``propagation.langevin``).

    Raises:
        InputError: two terms share a name, or a weight names no term.
    """

    terms: tuple[Term, ...]
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    implicit: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        names = [term.name for term in self.terms]
        if not names or len(set(names)) != len(names):
            raise InputError(f"a free energy needs terms with distinct names, not {names}")
        for kind, used in (("weight", self.weights), ("implicit term", self.implicit)):
            unknown = sorted(set(used) - set(names))
            if unknown:
                raise InputError(
                    f"{kind} for unknown energy term {unknown[0]!r}", remedy=f"The terms are {', '.join(names)}"
                )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(term.name for term in self.terms)

    def weight(self, name: str) -> float:
        """Factor of a term, 1 unless given."""
        return float(self.weights.get(name, 1.0))

    def __call__(self, coords: Tensor) -> EnergyTable:
        """Energies of coords (R, L, 4, 3) in Å; differentiable."""
        return self._table({term.name: self._value(term, coords) for term in self.terms})

    def forces(self, coords: Tensor) -> tuple[Tensor, EnergyTable]:
        """−∂F/∂X (R, L, 4, 3) in kcal/mol/Å of all terms that are not implicit, by one gradient, and the table."""
        x = coords.detach().requires_grad_(True)
        values: dict[str, Tensor] = {}
        driving: list[Tensor] = []
        for term in self.terms:
            if term.name in self.implicit:
                with torch.no_grad():
                    values[term.name] = self._value(term, x)
            else:
                with torch.enable_grad():
                    value = self._value(term, x)
                if value.requires_grad:
                    driving.append(value.sum())
                values[term.name] = value.detach()
        if not driving:
            return torch.zeros_like(coords), self._table(values)
        (gradient,) = torch.autograd.grad(torch.stack(driving).sum(), x)
        return -gradient, self._table(values)

    def at(self, coords: Tensor) -> FreeEnergy:
        """The same energy with everything its terms hold fixed evaluated at ``coords`` (R, L, 4, 3)."""
        return dataclasses.replace(self, terms=tuple(term.at(coords.detach()) for term in self.terms))

    def without(self, names: frozenset[str]) -> FreeEnergy:
        """The same energy without the terms of ``names``, at no cost for them."""
        terms = tuple(term for term in self.terms if term.name not in names)
        weights = {name: weight for name, weight in self.weights.items() if name not in names}
        return FreeEnergy(terms, weights, self.implicit - names)

    def replacing(self, terms: Sequence[Term]) -> FreeEnergy:
        """The same energy with ``terms`` in the places of those of their names."""
        new = {term.name: term for term in terms}
        return dataclasses.replace(self, terms=tuple(new.get(term.name, term) for term in self.terms))

    def with_implicit(self, names: frozenset[str]) -> FreeEnergy:
        """The same energy with those of ``names`` that it has as implicit terms."""
        return dataclasses.replace(self, implicit=names & set(self.names))

    def _value(self, term: Term, coords: Tensor) -> Tensor:
        weight = self.weight(term.name)
        if weight == 0.0:
            return torch.zeros(coords.shape[:2], dtype=coords.dtype, device=coords.device)
        return weight * term(coords)

    @staticmethod
    def _table(values: Mapping[str, Tensor]) -> EnergyTable:
        per_term = {name: value.sum(-1) for name, value in values.items()}
        return EnergyTable(torch.stack(tuple(per_term.values())).sum(0), per_term, dict(values))
