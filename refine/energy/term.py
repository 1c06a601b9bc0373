"""What a term of the free energy is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Term(Protocol):
    """A named, differentiable function of the backbone.

    Called with coords (R, L, 4, 3) in Å (N, CA, C, O of R replicas) it gives (R, L) kcal/mol: the share of every
    residue, pair energies shared half and half. It never changes its argument, and replica r depends on coords[r]
    alone.
    """

    @property
    def name(self) -> str:
        """Key in tables, weights and messages."""
        ...

    def __call__(self, coords: Tensor) -> Tensor: ...

    def at(self, coords: Tensor) -> Term:
        """The term with what it holds fixed (learned targets) taken at ``coords``; static terms return themselves."""
        ...
