"""The learned terms of a system, as the networks at hand allow."""

from __future__ import annotations

from refine.energy.system import System
from refine.energy.term import Term
from refine.local.weights import Networks


def learned_terms(networks: Networks, system: System) -> tuple[Term, ...]:
    """F_SR and F_MED of ``networks`` for ``system``."""
    return ()
