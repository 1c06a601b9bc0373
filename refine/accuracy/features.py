"""What confidence is estimated from: numbers per residue, from networks, energy, geometry, ensemble; no native.

Only such numbers are taken as finishing hardly changes, so that one calibration serves the input, the ensemble and the
models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.energy.learned import AppliedNetworks, Fields
from refine.energy.ramachandran import ramachandran
from refine.energy.system import System

NEAR = 6.0
"""Å, standard deviation of the Gaussian over CA distances by which neighbours are averaged."""
GEOMETRY = ("burial", "burial_wide", "end", "log_length", "ramachandran", "ramachandran_near", "burial_mean")
NETWORK = (
    "expected", "expected_near", "expected_mean", "log_shift_b", "log_distance_b", "log_distance_b_near", "log_shift",
    "likelihood", "likelihood_near", "likelihood_mean", "disagreement", "judged", "judged_near", "judged_mean",
)  # fmt: skip
START = ("expected", "expected_near", "log_distance_b_near", "likelihood_near", "disagreement")
"""Of ``NETWORK``, what is also taken at the input of a run: there the networks are not yet convinced by their own
moves.
"""

Features = Mapping[str, NDArray[np.float64]]


@dataclasses.dataclass(frozen=True)
class Context:
    """What a run knows besides a structure.

    Attributes:
        spread: (L,) Å root mean square fluctuation in the ensemble.
        start: features of the run's input.
    """

    spread: NDArray[np.floating]
    start: Features


def residue_features(
    system: System, coords: Tensor, networks: AppliedNetworks | None, context: Context | None = None
) -> list[dict[str, NDArray[np.float64]]]:
    """Features of R structures, by name (L,).

    Args:
        system: what they are structures of.
        coords: (R, L, 4, 3) Å.
        networks: applied to it; None leaves the names in ``NETWORK`` out.
        context: of the run; adds ``log_spread`` and, with networks, ``start_`` and each name in ``START``.
    """
    with torch.no_grad():
        features = _geometry(system, coords)
        if networks is not None:
            features |= _network(networks.fields(coords), coords, networks.likelihood(coords), system)
            judged = torch.logit(networks.judged(coords).clamp(0.02, 0.98))
            features |= {"judged": judged, "judged_near": _near(judged, coords[:, :, 1]), "judged_mean": _mean(judged)}
    shared = {} if context is None else _shared(context)
    return [
        {name: value[r].double().cpu().numpy() for name, value in features.items()} | shared for r in range(len(coords))
    ]


def _shared(context: Context) -> dict[str, NDArray[np.float64]]:
    features = {f"start_{name}": context.start[name] for name in START if name in context.start}
    return features | {"log_spread": np.log(np.asarray(context.spread, np.float64) + 0.05)}


def _geometry(system: System, coords: Tensor) -> dict[str, Tensor]:
    ca = coords[:, :, 1]
    apart = torch.cdist(ca, ca)
    burial = (apart < 10.0).sum(-1).to(ca) / 10.0
    torsion = ramachandran(system)(coords).clamp(-10.0, 10.0)
    length = torch.full_like(burial, float(np.log(len(system))))
    return {
        "burial": burial,
        "burial_wide": (apart < 15.0).sum(-1).to(ca) / 50.0,
        "end": _closeness_to_ends(system).to(ca).expand_as(burial),
        "log_length": length,
        "ramachandran": torsion,
        "ramachandran_near": _near(torsion, ca),
        "burial_mean": _mean(burial),
    }


def _network(fields: Fields, coords: Tensor, log_p: Tensor, system: System) -> dict[str, Tensor]:
    ca = coords[:, :, 1]
    expected = torch.logit(fields.lddt.clamp(0.02, 0.98))
    weight = fields.envelope / fields.envelope.sum(-1, keepdim=True).clamp_min(1e-6)
    pair = torch.log((fields.distance_b.mean(-1) * weight).sum(-1).clamp_min(0.05))
    own = log_p.gather(-1, system.residue_index.expand(len(coords), -1).unsqueeze(-1)).squeeze(-1).clamp_min(-8.0)
    return {
        "expected": expected,
        "expected_near": _near(expected, ca),
        "expected_mean": _mean(expected),
        "log_shift_b": fields.shift_b.log(),
        "log_distance_b": pair,
        "log_distance_b_near": _near(pair, ca),
        "log_shift": torch.log((fields.place - ca).norm(dim=-1) + 0.1),
        "likelihood": own,
        "likelihood_near": _near(own, ca),
        "likelihood_mean": _mean(own),
        "disagreement": torch.log(fields.disagreement + 0.05),
    }


def _near(values: Tensor, ca: Tensor) -> Tensor:
    """Averages (R, L) of ``values`` over the surroundings in space, the residue itself included."""
    weight = torch.exp(-0.5 * (torch.cdist(ca, ca) / NEAR) ** 2)
    return (weight @ values.unsqueeze(-1)).squeeze(-1) / weight.sum(-1)


def _mean(values: Tensor) -> Tensor:
    return values.mean(-1, keepdim=True).expand_as(values)


def _closeness_to_ends(system: System) -> Tensor:
    """(L,) 1 at chain ends and breaks, falling to 0 within some ten residues."""
    breaks = torch.nonzero(~system.bonded).flatten()  # the last residue of every piece
    edges = torch.cat((torch.zeros(1, dtype=breaks.dtype, device=breaks.device), breaks, breaks[:-1] + 1)).double()
    place = torch.arange(len(system), device=breaks.device).double()
    return torch.exp(-(place[:, None] - edges[None]).abs().amin(1) / 4.0)
