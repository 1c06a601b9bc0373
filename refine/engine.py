"""One protein as the stages share it: system, free energy and networks, made once, and what they expect of it."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.accuracy.calibration import Calibration, packaged
from refine.accuracy.confidence import AccuracyEstimate, estimate_accuracy
from refine.accuracy.features import Context, residue_features
from refine.accuracy.pairs import NetworkPairs, network_pairs, pair_features, predict, separations
from refine.accuracy.rpdd import RPDD, pair_distances, reference_points, rpdd
from refine.assess.validate import validate
from refine.device import choose_device
from refine.energy.assemble import assemble
from refine.energy.electrostatics import Electrostatics
from refine.energy.evidence import evidence_terms
from refine.energy.free_energy import FreeEnergy
from refine.energy.learned import LIKELIHOOD, AppliedNetworks, IdentityLikelihood, learned_terms
from refine.energy.system import System
from refine.energy.term import Term
from refine.energy.unit import Unit, unit_of
from refine.ensemble.ensemble import Ensemble
from refine.ensemble.proposal import Beside
from refine.evidence.read import Evidence
from refine.networks.prior import Prior
from refine.networks.weights import Networks, load_networks
from refine.physics.titration import Group, predicted
from refine.propagation.constraints import Constraints
from refine.settings import RunSettings
from refine.structure.protein import Protein

BESIDE_BY_PRIORS, BESIDE_BY_MOVER = 3.5, 2.5
"""How many times half of what the priors differ by, or what the mover would still move, other models lie beside the
end; best of five with the mover gains 0.59 GDT-HA more than the end, 0.50 at 1.75 times (29 targets, before the last
finishing; LOG, 71).
"""

IDENTITIES_FIT, SEEN_BY_MOVER = 1.3, 0.55
"""Below how many kcal/mol a residue, −kT log P of its identity in its surroundings, identities fit as in natives, and
what part of the mover's move then counts. Of 237 natives of clusters kept for tests the priors take 27 for wrong, with
the mover's word 4; it changes nothing for the models of servers and the perturbed structures of tune (LOG, 73).
"""


@dataclasses.dataclass(frozen=True)
class StructureScore:
    """The numbers of one structure.

    Attributes:
        terms: weighted terms and their ``total``, kcal/mol.
        per_residue: the terms, clashes and, with several networks, their ``disagreement`` on where CA belongs (Å),
            column → (L,).
        quality: numbers that are no part of the score, by column of scores.csv: with networks also the ``judge``'s mean
            expected CA lDDT × 100, and the learned terms in both measured units (``energy.unit``).
        estimate: expected lDDT and error of each residue.
    """

    terms: dict[str, float]
    per_residue: dict[str, NDArray[np.floating]]
    quality: dict[str, float]
    estimate: AccuracyEstimate

    @property
    def total(self) -> float:
        """The run's own score: free energy in kcal/mol, lower is better."""
        return self.terms["total"]


def moving(networks: Networks, share: float) -> tuple[Networks, tuple[float, ...] | None]:
    """The networks that move what is not near-native, as priors, and their shares (None: equal): the mover has
    ``share``, the priors have the rest.
    """
    if networks.mover is None or share == 0.0:
        return networks, None
    priors = networks.priors if share < 1.0 else ()
    shares = *((1.0 - share) / len(priors) for _ in priors), share
    return dataclasses.replace(networks, priors=(*priors, networks.mover)), shares


class Engine:
    """System, free energy and networks of one protein.

    Args:
        protein: its replica 0 is taken, with a complete backbone.
        networks: None for a free energy without learned terms.
        settings: of the run; both are kept as attributes.
        evidence: what is known of the protein, None for nothing.
        groups: what can be charged, where that is known already.
        pull: add the pull towards ``protein``, which drives a propagation and which no score contains.
        applied: the networks applied to this structure, where another engine has them.

    Attributes:
        system, energy, constraints: of the protein; drift: the part of the energy that a propagation follows.
        coords: (1, L, 4, 3) Å, its N, CA, C, O on the run's device.
        applied: the networks applied to it, None without.
        calibration: what their estimates are worth.
        groups: what can be charged, None where nothing asks for it; pka_source: where their pKa values are from, in
            words, empty where they were given.

    Raises:
        InputError: the device is absent.
        EngineError: a backbone atom is missing.
    """

    def __init__(
        self,
        protein: Protein,
        networks: Networks | None,
        settings: RunSettings,
        evidence: Evidence | None = None,
        groups: tuple[Group, ...] | None = None,
        *,
        pull: bool = False,
        applied: AppliedNetworks | None = None,
    ) -> None:
        self.protein = protein.replica(0)
        self.networks, self.settings, self.evidence = networks, settings, evidence
        self.calibration: Calibration = packaged()
        self.system = System.from_protein(self.protein, choose_device(settings.device))
        self.coords = torch.from_numpy(self.protein.coords[:, :, :4].copy()).to(self.system.device)
        if applied is None and networks is not None:
            applied = AppliedNetworks(networks, self.system, settings.whole)
        self.applied = applied
        terms = () if self.applied is None else learned_terms(self.applied)
        weights = {term.name: settings.learned.get(term.name, 1.0) for term in terms}
        start = self.coords[0] if pull else None
        known = () if evidence is None else evidence_terms(evidence, self.system)
        self.pka_source, self.groups = "", groups
        self.energy = assemble(
            self.system,
            settings.energy,
            start,
            learned=terms,
            learned_weights=weights,
            evidence=known,
            long_range=self._long_range(),
            long_range_weight=settings.electrostatics,
        )
        unfelt = frozenset() if settings.likelihood_moves else LIKELIHOOD
        self.drift = self.energy.without(unfelt)
        self.constraints = Constraints.of(self.system)

    def of(self, protein: Protein, *, pull: bool = False) -> Engine:
        """The engine of another structure, with the same networks, settings, evidence and titratable groups; of the
        same structure, also with what the networks said of it.
        """
        same = np.array_equal(protein.coords[0], self.protein.coords[0], equal_nan=True)
        applied = self.applied if same else None
        return Engine(protein, self.networks, self.settings, self.evidence, self.groups, pull=pull, applied=applied)

    @property
    def near_native_drift(self) -> FreeEnergy:
        """``drift`` with the displacements of near-native structures, where the networks have a read-out for them; the
        likelihood, which adds nothing there, exerts no force.
        """
        drift = self.drift.without(LIKELIHOOD)
        if self.networks is None or self.networks.near_native is None:
            return drift
        applied = AppliedNetworks(self.networks, self.system, self.settings.whole, near_native=True)
        return drift.replacing(learned_terms(applied))

    @property
    def _mover(self) -> Prior | None:
        """The mover, where the networks have one and the settings let it move."""
        return self.networks.mover if self.networks is not None and self.settings.mover > 0 else None

    @property
    def far_drift(self) -> FreeEnergy:
        """``drift`` with the mover beside the priors, for structures that are not near-native."""
        if self.networks is None or self._mover is None:
            return self.drift
        movers, shares = moving(self.networks, self.settings.mover)
        applied = AppliedNetworks(movers, self.system, self.settings.whole, shares=shares)
        return self.drift.replacing(learned_terms(applied))

    def _long_range(self) -> tuple[Term, ...]:
        """The terms of F_LR; what can be charged is found once, in the input."""
        if self.settings.electrostatics == 0.0:
            return ()
        if self.groups is None:
            self.groups, self.pka_source = predicted(self.protein)
        return (Electrostatics.of(self.protein, self.groups, self.settings.conditions, self.system),)

    def accuracy(self, coords: Tensor, context: Context | None = None) -> list[AccuracyEstimate]:
        """Confidence and error of R structures (R, L, 4, 3) Å; ``context`` is that of the run they come from."""
        features = residue_features(self.system, coords, self.applied, context)
        return [estimate_accuracy(each, self.calibration) for each in features]

    def context(self, spread: NDArray[np.floating]) -> Context:
        """What confidence takes from a run that began here and fluctuated by ``spread`` (L,) Å."""
        return Context(spread, residue_features(self.system, self.coords, self.applied)[0])

    @functools.cached_property
    def wanted_move(self) -> float:
        """Mean Å by which the networks would move the CA atoms at once: the priors, but no more than the mover, or than
        ``SEEN_BY_MOVER`` of that where residues fit their surroundings as in natives; infinite without networks.
        """
        if self.applied is None:
            return math.inf
        wanted = self._away(self.applied.fields(self.coords).place)
        if self._mover is None or wanted <= self.settings.length.near:  # less would change nothing
            return wanted
        with torch.no_grad():
            fit = float(IdentityLikelihood(self.applied)(self.coords).mean()) < IDENTITIES_FIT
        return min(wanted, (SEEN_BY_MOVER if fit else 1.0) * self._away(self._place_by_mover(self.coords)))

    def _away(self, place: Tensor) -> float:
        return float((place - self.coords[:, :, 1]).norm(dim=-1).mean())

    def _place_by_mover(self, coords: Tensor) -> Tensor:
        """Where the mover would have the CA atoms (R, L, 3) of coords (R, L, 4, 3), Å."""
        assert self.networks is not None and self._mover is not None
        alone = dataclasses.replace(self.networks, priors=(self._mover,))
        return AppliedNetworks(alone, self.system, self.settings.whole).fields(coords).place

    @property
    def length(self) -> float:
        """The part (0–1) of its proposed way that a run of this input goes; below 1 little is wrong with it."""
        return self.settings.length.of(self.wanted_move)

    @property
    def nearly_right(self) -> bool:
        """Whether a run shortens its moves, and then holds what the input has instead of relaxing it first."""
        return self.length < 1.0

    @functools.cached_property
    def _terms(self) -> tuple[dict[str, float], dict[str, NDArray[np.floating]]]:
        with torch.no_grad():
            table = self.energy.at(self.coords)(self.coords)
        return table.replica(0), {name: value[0].cpu().numpy() for name, value in table.per_residue.items()}

    @property
    def unit(self) -> Unit | None:
        """What the learned terms are worth in kcal/mol; None without networks, or where it was not measured."""
        return None if self.networks is None else unit_of(self.networks.folder)

    def score(self, context: Context | None = None) -> StructureScore:
        """Free energy, quality and confidence of the protein; learned targets and side chains are taken at it.

        ``context`` is that of the run it comes from, None for a structure alone.
        """
        terms, per_term = self._terms
        checked = validate(self.protein)
        quality, per_residue = checked.totals(), {**per_term, "clashes": checked.clashes_per_residue.astype(np.float32)}
        if self.applied is not None:
            quality["judge"] = 100.0 * float(self.applied.judged(self.coords).mean())
            quality |= {} if self.unit is None else self.unit.columns(terms)
            if len(self.applied.networks.priors) > 1:
                per_residue["disagreement"] = self.applied.fields(self.coords).disagreement[0].cpu().numpy()
        return StructureScore(dict(terms), per_residue, quality, self.accuracy(self.coords, context)[0])

    def beside(self, backbone: Tensor, *, near_native: bool) -> Beside | None:
        """Where other models lie beside a backbone (L, 4, 3) Å: as the mover would have it, or for near-native
        structures and without a mover as either prior would; None without networks.
        """
        if self.applied is None or self.networks is None:
            return None
        if near_native or self._mover is None:
            offset = BESIDE_BY_PRIORS * self.applied.priors_apart(backbone[None])[0]
            return Beside(offset.cpu().numpy(), ("prior 1", "prior 2"))
        place = self._place_by_mover(backbone[None])[0]
        return Beside((BESIDE_BY_MOVER * (place - backbone[:, 1])).cpu().numpy(), ("mover", "mover back"))

    def network_pairs(self, backbone: NDArray[np.float32]) -> NetworkPairs | None:
        """What the networks say of the pairs of a backbone (L, 4, 3) Å; None without networks."""
        if self.applied is None:
            return None
        fields = self.applied.fields(self._tensor(backbone))
        arrays = [getattr(fields, name)[0].cpu().numpy() for name in ("index", "envelope", "distances", "distance_b")]
        now = pair_distances(reference_points(backbone[None], self.system.sequence)[0])
        glycine = np.array([aa == "G" for aa in self.system.sequence])
        return network_pairs(arrays[0], arrays[1], arrays[2], arrays[3], now, glycine)

    def rpdd(self, ensemble: Ensemble, context: Context) -> RPDD:
        """Pair distances of an ensemble of this protein, with the calibrated distribution of the native's."""
        sampled = rpdd(ensemble.snapshots, self.system.sequence, ensemble.sampling.effective)
        average = ensemble.proposal("average").backbone
        error = self.accuracy(self._tensor(average), context)[0].error
        network = self.network_pairs(average)
        apart = separations(self.system.position.cpu().numpy(), self.system.chain_index.cpu().numpy())
        table = self.calibration.pairs["geometry" if network is None else "ensemble"]
        features = pair_features(sampled.mean, sampled.std, error, apart, network)
        return dataclasses.replace(sampled, predicted=predict(sampled.mean, features, network, table))

    def expected_gain(self, backbone: NDArray[np.float32], start: Tensor, context: Context) -> tuple[float, float]:
        """Expected CA lDDT (0–1) of a backbone (L, 4, 3) Å minus that of ``start`` (1, L, 4, 3) Å, and 1 − the latter.

        Both before finishing, as the fit has them: finishing moves the estimates of all structures.
        """
        after = self.accuracy(self._tensor(backbone), context)[0]
        before = self.accuracy(start, context)[0]
        return (after.overall - before.overall) / 100.0, 1.0 - before.overall / 100.0

    def _tensor(self, backbone: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(backbone[None]).to(device=self.system.device, dtype=self.system.dtype)


def load_networks_of(settings: RunSettings) -> Networks | None:
    """Trained networks of ``settings``, None where it says ``none``; raises ModelError when they cannot be read."""
    if settings.networks == "none":
        return None
    return load_networks(settings.networks, str(choose_device(settings.device)))
