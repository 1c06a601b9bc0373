"""The ensemble of a run: the snapshots that count, how well they sample, and the models they propose."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.accuracy.calibration import Calibration
from refine.accuracy.confidence import estimate, rmsf
from refine.accuracy.features import Context, residue_features
from refine.accuracy.pairs import NetworkPairs, network_pairs, pair_features, predict, separations
from refine.accuracy.rpdd import RPDD, pair_distances, reference_points, rpdd
from refine.energy.free_energy import FreeEnergy
from refine.energy.learned import Density, LearnedModel
from refine.energy.system import System
from refine.ensemble.candidates import Proposal, proposals
from refine.ensemble.sampling import Sampling, observables, sampling
from refine.propagation.constraints import Constraints
from refine.propagation.propagate import Trajectory


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """What is left of a propagation once burn-in and correlated snapshots are gone.

    Attributes:
        snapshots: (F, L, 4, 3) float32 Å, equally weighted.
        sampling: which they are.
        spread: (L,) Å, root mean square fluctuation of CA.
        proposals: candidates for models; energies: (P,) kcal/mol of each, learned targets taken at it.
        context: what confidence needs to know of the run.
    """

    snapshots: NDArray[np.float32]
    sampling: Sampling
    spread: NDArray[np.float32]
    proposals: tuple[Proposal, ...]
    energies: NDArray[np.float64]
    context: Context

    def proposal(self, name: str) -> Proposal:
        """The proposal called ``name``."""
        return next(p for p in self.proposals if p.name == name)


def ensemble_of(trajectory: Trajectory, energy: FreeEnergy, system: System, start: Tensor, mobile: Tensor) -> Ensemble:
    """The ensemble of a trajectory.

    Args:
        trajectory: what ``propagate`` gave for ``energy`` of ``system``.
        start: (1, L, 4, 3) Å, where it began; mobile: (L,) bool.
    """
    frames = trajectory.snapshots.cpu().numpy()
    series = observables(frames, trajectory.energies.double().cpu().numpy(), start[0].cpu().numpy())
    found = sampling(series)
    snapshots = frames[found.kept].reshape(-1, *frames.shape[2:])
    models = proposals(trajectory.final.cpu().numpy(), snapshots, Constraints.of(energy), mobile.cpu().numpy())
    at = torch.from_numpy(np.stack([p.backbone for p in models])).to(start)
    with torch.no_grad():
        energies = energy.at(at)(at).total.double().cpu().numpy()
    spread = rmsf(snapshots[:, :, 1])
    context = Context(spread, features_of(energy, system, start)[0])
    return Ensemble(snapshots, found, spread, tuple(models), energies, context)


def learned_model(energy: FreeEnergy) -> LearnedModel | None:
    """The networks of an energy, None without."""
    return next((term.model for term in energy.terms if isinstance(term, Density)), None)


def features_of(energy: FreeEnergy, system: System, coords: Tensor, context: Context | None = None) -> list[dict[str, NDArray[np.float64]]]:
    """``features.residue_features`` of R structures (R, L, 4, 3) Å of ``system`` under ``energy``."""
    term = next(term for term in energy.terms if term.name == "ramachandran")
    with torch.no_grad():
        torsion = term(coords)
    return residue_features(system, coords, learned_model(energy), torsion, context)


def average_pairs(ensemble: Ensemble, energy: FreeEnergy, system: System) -> NetworkPairs | None:
    """What the networks say of the pairs of the ensemble's average; None without networks."""
    model = learned_model(energy)
    if model is None:
        return None
    backbone = ensemble.proposal("average").backbone[None]
    fields = model.fields(torch.from_numpy(backbone).to(device=system.device, dtype=system.dtype))
    parts = [getattr(fields, name)[0].cpu().numpy() for name in ("index", "envelope", "distances", "distance_b")]
    now = pair_distances(reference_points(backbone, system.sequence)[0])
    return network_pairs(parts[0], parts[1], parts[2], parts[3], now, np.array([aa == "G" for aa in system.sequence]))


def expected_gain(
    ensemble: Ensemble, name: str, energy: FreeEnergy, system: System, start: Tensor, calibration: Calibration
) -> tuple[float, float]:
    """Expected CA lDDT (0–1) of the proposal ``name`` minus that of the input at ``start`` (1, L, 4, 3) Å, and 1 − the latter.

    Both before finishing, as the fit has them: finishing moves the estimates of all structures.
    """
    proposal = torch.from_numpy(ensemble.proposal(name).backbone[None]).to(start)
    before, after = (estimate(f, calibration) for f in features_of(energy, system, torch.cat((start, proposal)), ensemble.context))
    return (after.overall - before.overall) / 100.0, 1.0 - before.overall / 100.0


def marginals(ensemble: Ensemble, energy: FreeEnergy, system: System, calibration: Calibration) -> RPDD:
    """Pair distances of the ensemble with the calibrated distribution of the native's."""
    plain = rpdd(ensemble.snapshots, system.sequence, ensemble.sampling.effective)
    coords = torch.from_numpy(ensemble.proposal("average").backbone[None]).to(device=system.device, dtype=system.dtype)
    error = estimate(features_of(energy, system, coords, ensemble.context)[0], calibration).error
    network = average_pairs(ensemble, energy, system)
    apart = separations(system.position.cpu().numpy(), system.chain_index.cpu().numpy())
    table = calibration.pairs["geometry" if network is None else "ensemble"]
    return dataclasses.replace(
        plain, predicted=predict(plain.mean, pair_features(plain.mean, plain.std, error, apart, network), network, table)
    )
