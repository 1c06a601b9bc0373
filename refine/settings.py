"""Settings of a whole run: one frozen dataclass that composes those of the stages, read from TOML."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.constants import B_COLUMNS, DEVICES
from refine.energy.settings import EnergySettings
from refine.ensemble.candidates import FIRST
from refine.ensemble.length import LengthSettings
from refine.finishing.settings import FinishSettings
from refine.networks.weights import DEFAULT_MODEL
from refine.physics.conditions import Conditions
from refine.propagation.settings import PropagationSettings
from refine.settings_checks import at_least, at_most, finite, one_of, within
from refine.settings_file import build_settings, read_toml

LEARNED_WEIGHTS = {"prior": 1.0, "mediated": 0.2, "likelihood": 0.3}
"""Weights of the learned terms, chosen on the tune half of refined150-dev (benchmarks/LOG.md, 19 and 22)."""


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How ``refine run`` works.

    Attributes:
        seed: any integer from 0; the same seed gives the same bytes on the same machine.
        device: where networks and propagation run: ``auto`` (a GPU when there is one), ``cpu`` or ``cuda``.
        networks: name of a packaged set of trained files, a folder, or ``none`` for a run without learned terms.
        models: how many ranked models are written.
        model: which MODEL of the input file is read, by its number; None means the first.
        freeze: residues that do not move, ``"A:10-25,B"``.
        evidence: files of what is known of the structure (``evidence.read``): rows of distances and contacts (.tsv,
            .toml), distograms (.npz), expected errors (.json).
        template: structures of relatives, whose distances become evidence, weighted by the identity around residues.
        together: other models of the same protein, whose distances become evidence, weighted by expected errors.
        heat: temperatures of residues in the propagation, as ``"A:40-55=600"`` (K) or ``confidence``, smoothed over the
            structure (``propagation.field``); empty for one noise everywhere.
        conditions: temperature, pH and ionic strength under which the protein is meant (``at_conditions``).
        keep_hands: leave wrong hands of the input as they are (D centres, inverted CB, swapped names); notes name them
            in any case.
        bfactor: what the B column holds: ``score`` (confidence 0–100), ``error`` (Å) or ``b`` (Å²).
        workers: finishing processes, one thread each, for proteins of several hundred residues; each takes two seconds
            to start, and the result does not depend on it.
        relax_first: finish the input before the propagation, which then starts from it; off, or with
            ``finishing.relax`` off, it starts from the input as it came.
        first: what is model 1: ``average`` (the mean of the ensemble, its bonds restored) or ``energy`` (the lowest,
            whatever it is).
        learned: weights of the learned energy terms by term name, 1 for one that is not named; 0 switches a term off.
        mover: the mover's part (0–1), where the networks have one, in where structures that are not near-native are
            moved; the priors share the rest.
        likelihood_moves: the likelihood of identities exerts a force, too. It ranks structures in any case; its force
            costs a quarter of a run's time and changed nothing on 29 targets (benchmarks/LOG.md, entry 61).
        length: how much of its proposed way a run goes, by how far the priors want to move the input. Where that is
            less than the whole way, the propagation starts from the input as it came, whatever ``relax_first`` says,
            and finishing holds what is right already.
        whole: the prior's displacements lead to the native laid onto the whole model; off, onto each residue's region.
        energy, propagation, finishing: settings of these stages.
    """

    seed: int = 0
    device: str = "auto"
    networks: str = DEFAULT_MODEL
    models: int = 5
    model: int | None = None
    freeze: str = ""
    evidence: tuple[str, ...] = ()
    template: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    heat: str = ""
    conditions: Conditions = dataclasses.field(default_factory=Conditions)
    keep_hands: bool = False
    bfactor: str = "score"
    workers: int = 1
    relax_first: bool = True
    first: str = "average"
    learned: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(LEARNED_WEIGHTS))
    likelihood_moves: bool = False
    mover: float = 0.6
    whole: bool = True
    length: LengthSettings = dataclasses.field(default_factory=LengthSettings)
    energy: EnergySettings = dataclasses.field(default_factory=EnergySettings)
    propagation: PropagationSettings = dataclasses.field(default_factory=PropagationSettings)
    finishing: FinishSettings = dataclasses.field(default_factory=FinishSettings)

    def __post_init__(self) -> None:
        one_of("bfactor", self.bfactor, B_COLUMNS)
        one_of("first", self.first, FIRST)
        one_of("device", self.device, DEVICES)
        for name, least in (("seed", 0), ("models", 1), ("workers", 1)):
            at_least(name, getattr(self, name), least)
        for name, most in (("seed", 2**63 - 1), ("models", 1000), ("workers", 1024)):
            at_most(name, getattr(self, name), most)
        within("mover", self.mover, 0, 1)
        for name, weight in self.learned.items():
            one_of("learned", name, LEARNED_WEIGHTS)
            finite(f"learned.{name}", weight)

    @property
    def relaxes_first(self) -> bool:
        """Whether the propagation starts from the finished input."""
        return self.relax_first and self.finishing.relax

    @property
    def electrostatics(self) -> float:
        """Factor of the charges beyond the learned cutoff."""
        given = self.conditions.ph is not None or self.conditions.ionic is not None
        weight = self.energy.electrostatics
        return float(given) if weight is None else weight

    @property
    def at_conditions(self) -> RunSettings:
        """The same with the stages at the conditions that are given: hydrogens of finishing at the pH, and noise at the
        temperature where the propagation has a sampling law.
        """
        finishing, propagation = self.finishing, self.propagation
        if self.conditions.ph is not None:
            finishing = dataclasses.replace(finishing, ph=self.conditions.ph)
        if self.conditions.temperature is not None:
            propagation = propagation.at_temperature(self.conditions.temperature)
        return dataclasses.replace(self, finishing=finishing, propagation=propagation)

    @property
    def evidence_files(self) -> tuple[str, ...]:
        """All files that say something of the structure besides the input."""
        return (*self.evidence, *self.template, *self.together)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to run.json and as ``from_dict`` reads them."""
        return dataclasses.asdict(self)


def fast(settings: RunSettings) -> RunSettings:
    """``settings`` for one model: longer and fewer steps, by the mover alone, and a minimisation without solvent."""
    return dataclasses.replace(
        settings,
        models=1,
        mover=1.0,
        propagation=dataclasses.replace(settings.propagation, fraction=0.85, steps=5),
        length=dataclasses.replace(settings.length, fraction=0.6),
        finishing=dataclasses.replace(settings.finishing, solvent=False),
    )


def read_settings(path: Path) -> RunSettings:
    """Settings of a TOML file; what it does not name keeps its default.

    Raises:
        InputError: unreadable, not TOML, an unknown key, a value of the wrong type.
    """
    return read_toml(path, from_dict)


def from_dict(values: Mapping[str, Any]) -> RunSettings:
    """Settings of nested plain values; raises InputError on an unknown key or a wrong type."""
    return build_settings(RunSettings, values)
