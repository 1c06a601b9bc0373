"""The order of a run: read, repair, relax, propagate, ensemble, finish, rank, write. The only place that states it."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.confidence import AccuracyEstimate, displacement
from refine.accuracy.features import Context
from refine.accuracy.input_accuracy import InputAccuracy
from refine.accuracy.verdict import Verdict, nearly_right_verdict, verdict_of
from refine.energy.ensemble_evidence import EnsembleEvidence
from refine.energy.evidence import DistanceEvidence
from refine.energy.free_energy import EnergyTable
from refine.energy.learned import LIKELIHOOD
from refine.engine import Engine, StructureScore, load_networks_of
from refine.ensemble.candidates import LEAST_APART, distinct, finishing_order, rank
from refine.ensemble.ensemble import Ensemble, ensemble_of
from refine.errors import EngineError
from refine.evidence.read import Evidence
from refine.finishing.finish import Finisher, FinishResult
from refine.finishing.parallel import FinishingPool
from refine.networks.weights import Networks
from refine.progress import Progress
from refine.propagation.elastic import Network
from refine.propagation.field import ROOM, heat_of
from refine.propagation.fitting import EnsembleFit, ensemble_plan, with_term
from refine.propagation.propagate import propagate
from refine.propagation.settings import NOISE
from refine.report.page import REPORT_FILE, try_report
from refine.run.charges import charge_facts
from refine.run.citations import CITE_BIB
from refine.run.current import Current
from refine.run.evidence import described, described_ensemble, summary
from refine.run.folder import RUN_FILE, RunFolder
from refine.run.inputs import accuracy_of, evidence_for, prepared_for, tell_notes
from refine.run.model import Finished, write_model, write_structure, write_tables
from refine.run.opening import done_before, opened, result_of
from refine.run.record import Record
from refine.run.result import RunResult
from refine.run.tables import ScoreRow, score_row
from refine.run.trace import TRACE_FILE, Trace
from refine.settings import RunSettings
from refine.structure.notes import Note
from refine.structure.prepare import Prepared
from refine.structure.protein import Protein
from refine.structure.ride import ride
from refine.structure.write import fits_pdb, write_cif, write_ensemble_pdb

log = logging.getLogger(__name__)

HEATED = 6
"""Replicas of a run with temperatures of residues."""
NO_LAW = Note(
    "conditions",
    "the temperature changes no noise: the propagation 'preconditioned' samples no temperature; propagation.method "
    "'overdamped' and 'baoab' do",
)


def refine_file(
    path: Path,
    out: Path,
    settings: RunSettings | None = None,
    progress: Progress | None = None,
    *,
    resume: bool = False,
    networks: Networks | None = None,
    report: bool = True,
) -> RunResult:
    """Refine one structure file into the run folder ``out``.

    Args:
        path: PDB or mmCIF, plain or gzipped.
        out: folder, made when missing; it must be empty unless ``resume``.
        settings: how; None for the defaults.
        progress: told of every step; progress.jsonl is written in any case.
        resume: give back a finished run of the same input and settings, with the report it may lack; start an
            unfinished one again.
        networks: those of ``settings``, for callers that have loaded them; None loads them here.
        report: whether to write report.html at the end; run.json says so when that failed, the run counts as done
            nonetheless.

    Raises:
        InputError: bad input, settings or folder; nothing has been written.
        ModelError: trained files cannot be read; nothing has been written.
        EngineError: the calculation or writing failed; what was done is in ``out``, run.json says how far.
    """
    path, settings, folder = Path(path), (settings or RunSettings()).at_conditions, RunFolder(Path(out))
    done = done_before(folder, path, settings, resume=resume)
    if done is not None:
        if report and not (folder.path / REPORT_FILE).is_file():  # stopped or out of space in its last act
            done.record["report"] = try_report(folder.path)
            folder.json(RUN_FILE, done.record)
        return done
    prepared = prepared_for(path, settings)
    if settings.together:  # their expected errors take the networks
        networks = networks or load_networks_of(settings)
    evidence = evidence_for(prepared, settings, networks)
    if evidence is not None:
        prepared = dataclasses.replace(prepared, notes=(*prepared.notes, *evidence.notes))
    if settings.conditions.temperature is not None and settings.propagation.method == "preconditioned":
        prepared = dataclasses.replace(prepared, notes=(*prepared.notes, NO_LAW))
    if settings.heat:  # what it names is checked before anything is written
        heat_of(settings.heat, prepared.protein, np.ones(len(prepared.protein)))
    if evidence is not None and evidence.ensemble:
        ensemble_plan(settings.propagation)
    tell_notes(prepared, progress or Progress())
    engine = Engine(prepared.protein, networks or load_networks_of(settings), settings, evidence)
    accuracy = accuracy_of(prepared, engine)
    with opened(folder, prepared, settings, progress) as (record, tell):
        if engine.networks is not None:
            record.values["networks"] = engine.networks.facts
        if engine.unit is not None:
            record.values["learned_unit"] = engine.unit.facts()
        if engine.groups is not None:
            record.values["charges"] = charge_facts(engine.groups, engine.pka_source, settings, prepared.protein)
        with (
            record.kept(),
            FinishingPool(settings.workers, prepared.protein, settings.finishing, prepared.mobile) as pool,
        ):
            Run(prepared, engine, accuracy, record, tell).go(pool)
        if report:
            record.values["report"] = try_report(folder.path)
            record.write()
    return result_of(folder, record.values)


@dataclasses.dataclass(frozen=True)
class Propagated:
    """What the propagation left: the engine it began from, its ensemble, what confidence takes from both, and the
    temperatures (L,) K of its residues where they differ.
    """

    start: Engine
    ensemble: Ensemble
    context: Context
    temperatures: NDArray[np.float64] | None = None


class Run:
    """One run over a prepared input; ``go`` is the order of the stages.

    Args:
        prepared: the input; engine: of the input as it came; accuracy: what is expected of it. Moves begin at
            ``origin``, which is the same, or the input bent to the evidence.
        record: of the run, in its folder; progress: told of every step.
    """

    def __init__(
        self, prepared: Prepared, engine: Engine, accuracy: InputAccuracy, record: Record, progress: Progress
    ) -> None:
        self.prepared, self.engine, self.settings = prepared, engine, engine.settings
        self.accuracy = accuracy
        self.origin = engine
        self.record, self.folder, self.progress = record, record.folder, progress

    def go(self, pool: FinishingPool) -> None:
        for note in self.prepared.notes:
            log.info("%s", note)
        self.folder.text("cite.bib", CITE_BIB)
        self.folder.write("input.cif", lambda path: write_cif(self.prepared.protein, path))
        self.record.add_files("input.cif")
        log.info("%s", self.accuracy.sentence)
        self.progress("read", message=self.accuracy.sentence, confidence=self.accuracy.of_input.overall)
        self.record.values["input_accuracy"] = self.accuracy.facts()
        if self.engine.evidence is not None:
            with self.record.timed("evidence"):
                self.bend(self.engine.evidence)
        with self.record.timed("relax"):
            self.record.values["length"] = round(self.length, 3)
            relaxed = self.relax(pool)
        with self.record.timed("propagate"):
            propagated = self.propagate(self.origin.protein if relaxed is None else relaxed.protein)
        with self.record.timed("ensemble"):
            self.write_ensemble(propagated)
        with self.record.timed("finish"):
            same = relaxed if self.origin is self.engine else None
            result = same or self.relaxed(pool, self.engine)
            score = self.score(result, propagated)
            finished_input = self.finished("input", result, score, score.estimate, propagated)
            candidates = self.finish(pool, propagated, score)
        with self.record.timed("write"):
            self.submit(propagated, finished_input, candidates)

    def bend(self, evidence: Evidence) -> None:
        """Let moves begin at the input bent to the evidence, where rows left out say that this is better."""
        engine = self.engine
        facts: dict[str, Any] = {"factor": 0.0, "held_out": None, "certain": False}
        if len(evidence.pairs):
            term = DistanceEvidence.of(evidence.pairs, engine.system)
            # what the file says of its own errors tells wrong parts, which yield, from right ones better than we alone
            bent = Network(engine.system, engine.coords, self.accuracy.error, self.prepared.mobile).chosen(
                term, self.settings.seed
            )
            facts = {"factor": bent.factor, "held_out": list(bent.held_out), "certain": bent.certain}
            if bent.misplaced is not None:
                names = [str(self.prepared.protein.residue_ids[i]) for i in np.flatnonzero(bent.misplaced)]
                facts["misplaced"] = names
                log.info("rows of evidence meet in %s: these yielded, not the rest", ", ".join(names))
            if bent.factor:
                self.origin = engine.of(ride(engine.protein, bent.coords.cpu().numpy()))
        self.record.values["evidence"] = facts

    @property
    def length(self) -> float:
        """The part (0–1) of its proposed way that this run goes."""
        most = self.settings.length.estimated if self.accuracy.estimate.kind == "lddt" else 1.0
        return min(self.engine.length, most)

    def relax(self, pool: FinishingPool) -> FinishResult | None:
        """The origin finished, from which the propagation starts; None where that is switched off, or where little is
        wrong: relaxing what is right costs more than any move gains (LOG, 35).

        Clashes and strain that a force field removes are no business of the learned terms, which lead further from a
        start without them (benchmarks/LOG.md, entry 13).
        """
        if not self.settings.relaxes_first or self.engine.nearly_right:
            return None
        self.progress("relax", 0, 1)
        result = self.relaxed(pool, self.origin)
        self.progress("relax", 1, 1)
        return result

    def relaxed(self, pool: FinishingPool, engine: Engine) -> FinishResult:
        """The protein of ``engine`` with side chains and minimisation alone; held where it is when little is wrong with
        the input.
        """
        held = self.engine.nearly_right
        _, result = next(pool.finish([engine.protein], refined=held, keep=held))
        return result

    def propagate(self, protein: Protein) -> Propagated:
        """The ensemble that the propagation makes of ``protein``; its trace is written."""
        settings, start = self.settings, self.engine.of(protein, pull=True)
        plan = settings.propagation
        mobile = torch.from_numpy(self.prepared.mobile).to(start.system.device)
        field = self.temperatures(start)
        heat = None if field is None else torch.from_numpy(field / ROOM).to(start.coords)
        if field is not None and plan.noise is None:  # temperatures are told by noise, and an average over it
            plan = dataclasses.replace(plan, replicas=max(plan.replicas, HEATED), noise=NOISE)
        fit = self.fitting(start)
        if self.engine.nearly_right:
            drift = start.near_native_drift
            steps, fraction = min(plan.steps, settings.length.steps), min(plan.fraction, settings.length.fraction)
            plan = dataclasses.replace(plan, steps=steps, further=0, fraction=fraction)
        else:  # a thousand steps of sixteen replicas are too many for the mover
            drift = start.far_drift if fit is None else start.drift
        if fit is not None:
            plan = ensemble_plan(plan)
        # a thousand steps of sixteen replicas: the likelihood, which takes most of the time, ranks alone
        energy = drift if fit is None else with_term(drift.without(LIKELIHOOD), fit.term)
        current, trace = Current(self.folder, start.protein), Trace(plan)

        def on_step(step: int, total: int, table: EnergyTable, at: torch.Tensor) -> None:
            trace.add(step, table)
            best = at[table.total.argmin(), :, 1]
            moved = float((best - self.engine.coords[0, :, 1]).norm(dim=-1).mean())
            self.progress("propagate", step, total, float(table.total.min()), moved=moved)
            if current.due:
                current.write(at[table.total.argmin()].cpu().numpy())

        try:
            trajectory = propagate(
                energy, start.coords, plan, settings.seed, mobile, start.constraints, on_step, heat, fit
            )
        finally:
            current.remove()
        self.folder.text(TRACE_FILE, trace.text())
        self.record.add_files(TRACE_FILE)
        if fit is not None:
            trajectory = trajectory.since(fit.steps // plan.keep_every)
        origin, length = self.origin.coords, self.length
        many = settings.models > 1
        beside = start.beside(trajectory.final[0], near_native=self.engine.nearly_right) if many else None
        ensemble = ensemble_of(
            trajectory, start.energy, start.coords, mobile, start.constraints, origin, length, beside
        )
        if not np.isfinite(ensemble.energies).any():
            remedy = "Use a smaller propagation.step_size"
            raise EngineError("every replica diverged", file=str(self.prepared.path), remedy=remedy)
        if fit is not None:
            self.tell_ensemble(fit.term, ensemble.snapshots)
        return Propagated(start, ensemble.thinned(), start.context(ensemble.spread), field)

    @property
    def by_evidence(self) -> bool:
        """Whether moves began at an input bent to evidence, or the ensemble was fitted to some."""
        return self.origin is not self.engine or "ensemble" in (self.record.values.get("evidence") or {})

    @property
    def certainly_bent(self) -> bool:
        """Whether rows left out say for certain that the bent input is better: the own score, which knows small errors
        only, then does not speak against it.
        """
        facts = self.record.values.get("evidence") or {}
        return self.origin is not self.engine and bool(facts["certain"])

    def fitting(self, start: Engine) -> EnsembleFit | None:
        """What fits the ensemble to measured means and distributions, None without any."""
        known = self.engine.evidence
        if known is None or not known.ensemble:
            return None
        return EnsembleFit(EnsembleEvidence.of(known.ensemble, start.system))

    def tell_ensemble(self, term: EnsembleEvidence, snapshots: NDArray[np.float32]) -> None:
        """What (F, L, 4, 3) Å show of the means and distributions that they were fitted to, in run.json."""
        known = self.engine.evidence
        assert known is not None
        shown = term.distances(torch.from_numpy(snapshots).to(self.engine.coords)).cpu().numpy()
        rows = described_ensemble(known.ensemble, known.pairs.files, shown, self.engine.protein)
        self.record.values["evidence"]["ensemble"] = rows

    @property
    def first(self) -> str:
        """What is model 1: of an ensemble that was fitted, no average, which may lie between its states."""
        known = self.engine.evidence
        return "energy" if known is not None and known.ensemble else self.settings.first

    def temperatures(self, start: Engine) -> NDArray[np.float64] | None:
        """(L,) K of the residues while ``start`` is propagated, None where all have the same."""
        if not self.settings.heat:
            return None
        return heat_of(self.settings.heat, start.protein, start.accuracy(start.coords)[0].error)

    def write_ensemble(self, propagated: Propagated) -> None:
        """ensemble.pdb and rpdd.npz; how well the snapshots sample goes into run.json."""
        start, ensemble = propagated.start, propagated.ensemble
        facts = ensemble.sampling.facts() | {"written": len(ensemble.snapshots)}
        self.record.values["sampling"] = facts
        effective = facts["effective_samples"]
        message = f"{len(ensemble.snapshots)} snapshots, worth {effective} independent ones"
        self.progress("ensemble", message=message)
        self.folder.npz("rpdd.npz", start.rpdd(ensemble, propagated.context).arrays())
        self.record.add_files("rpdd.npz")
        if fits_pdb(start.protein) is None:
            frames = ride(start.protein, ensemble.snapshots)
            self.folder.write("ensemble.pdb", lambda path: write_ensemble_pdb(frames, path))
            self.record.add_files("ensemble.pdb")

    def finish(self, pool: FinishingPool, propagated: Propagated, start: StructureScore) -> list[Finished]:
        """The chosen candidates, finished and written as they finish, in the order of the ensemble.

        The others take the side chains of the first, whose backbone is within some tenths of an Å of theirs. ``start``
        is the run's own score of the input, finished.
        """
        ensemble = propagated.ensemble
        names = [p.name for p in ensemble.proposals]
        order = finishing_order(ensemble.proposals, ensemble.energies, self.settings.models, self.first)
        total = 1 + len(order)  # the input is finished by now
        self.progress("finish", 1, total, start.total, confidence=self.accuracy.of_input.overall)
        candidates: dict[int, Finished] = {}
        like, settled = propagated.start.protein, False
        for chosen in (order[:1], order[1:]):
            moved = ride(like, np.stack([ensemble.proposals[i].backbone for i in chosen])) if chosen else like
            proteins, begun = [moved.replica(k) for k in range(len(chosen))], len(candidates)
            keep = self.engine.nearly_right
            for k, result in pool.finish(proteins, refined=True, keep=keep, settled=settled):
                i = begun + k
                score = self.score(result, propagated)
                candidates[i] = self.finished(names[order[i]], result, score, start.estimate, propagated)
                write_model(self.folder, f"model_{i + 1}", candidates[i], self.settings.bfactor)
                done, of = 1 + len(candidates), candidates[i].score
                self.progress("finish", done, total, of.total, confidence=of.estimate.overall)
                if i == 0 and result.report.flag == "complete":
                    like, settled = result.protein, True
        return [candidates[i] for i in range(len(order))]

    def score(self, result: FinishResult, propagated: Propagated) -> StructureScore:
        """The run's own score and estimate of a finished structure."""
        return propagated.start.of(result.protein).score(propagated.context)

    def finished(
        self, source: str, result: FinishResult, score: StructureScore, start: AccuracyEstimate, propagated: Propagated
    ) -> Finished:
        """A finished structure; its confidence is the input's and what the run sees change from ``start`` on."""
        moved = displacement(result.protein.coords[0, :, 1], self.prepared.protein.coords[0, :, 1])
        columns = {"spread": propagated.ensemble.spread, "displacement": moved}
        if propagated.temperatures is not None:
            columns["temperature"] = propagated.temperatures.astype(np.float32)
        return Finished(
            source=source,
            protein=dataclasses.replace(result.protein, name=self.prepared.protein.name),
            score=dataclasses.replace(score, estimate=self.accuracy.of_model(score.estimate, start)),
            run_columns=columns | self.accuracy.columns(),
            report=dataclasses.asdict(result.report),
        )

    def submit(self, propagated: Propagated, finished_input: Finished, candidates: list[Finished]) -> None:
        """Rank, write the models under their final names, the tables and the verdict."""
        names, totals = [c.source for c in candidates], [c.score.total for c in candidates]
        ranking = rank(names, totals, finished_input.score.total, self.first)
        models = [candidates[i] for i in ranking.order]
        score = self.engine.score(propagated.context)
        calibrated = self.calibrated(propagated, models[0].source, score.estimate.form) if models else None
        measured = calibrated is not None and calibrated.word == "better" and models[0].report["flag"] == "complete"
        improved = bool(models) and (ranking.improved or self.certainly_bent or measured)
        if not improved:
            models = [finished_input, *models]
        different = distinct(np.stack([m.protein.coords[0, :, 1] for m in models]), self.settings.models)
        models = [models[k] for k in different]
        values = self.record.values
        for k, model in enumerate(models, start=1):
            values["models"].append(self.write_model(f"model_{k}", model))
        self.say_if_fewer(len(models))
        input_score = dataclasses.replace(score, estimate=self.accuracy.of_input)
        self.record.add_files(*write_tables(self.folder, input_score, finished_input, models))
        if self.engine.evidence is not None:
            both = {"input": self.engine.protein, "model_1": models[0].protein}
            values["evidence"] |= described(self.engine.evidence, both)
        verdict = self.verdict(calibrated, moved=improved)
        if measured and not ranking.improved:
            disliked = f"{verdict.reason} The run's own score likes the input, finished, better."
            verdict = dataclasses.replace(verdict, reason=disliked)
        confidence = {"input": input_score.estimate.overall, "model_1": models[0].score.estimate.overall}
        values |= {"confidence": confidence, "improved": verdict.word == "better", "verdict": verdict.sentence}
        values["judgement"] = dataclasses.asdict(verdict)
        self.progress("done", message=verdict.sentence)

    def say_if_fewer(self, written: int) -> None:
        """Why fewer models come out than were asked for, in run.json and the log; and those are gone that finishing
        brought together.
        """
        asked = self.settings.models
        if written < asked:
            reason = f"{written} of {asked} models: the others would be within {LEAST_APART} Å (CA RMSD) of these"
            self.record.values["fewer_models"] = reason
            log.info("%s", reason)
        for k in range(written + 1, asked + 1):
            self.folder.remove(f"model_{k}.cif", f"model_{k}.pdb")

    def write_model(self, name: str, model: Finished) -> dict[str, Any]:
        """Write a model under its final name; gives its entry in run.json."""
        files = write_model(self.folder, name, model, self.settings.bfactor)
        self.record.add_files(*files.values())
        numbers = {"score": model.score.total, "confidence": model.score.estimate.overall}
        return {"name": name, **files, "source": model.source, **numbers, "finishing": model.report}

    def calibrated(self, propagated: Propagated, source: str, form: str) -> Verdict | None:
        """What estimates that were measured on targets with natives say of a proposal; None where they do not apply:
        near-native inputs, evidence, no steps. "Better" goes before the own score, which is that of the priors alone
        and was wrong where it spoke against the way of the mover (benchmarks/LOG.md, 73).
        """
        start, networks = propagated.start, self.engine.networks
        if self.engine.nearly_right or self.by_evidence or not self.settings.propagation.steps:
            return None
        backbone = propagated.ensemble.proposal(source).backbone
        gain, room = start.expected_gain(backbone, self.engine.coords, propagated.context)
        fitting = start.calibration.belongs_to(None if networks is None else networks.folder)
        return verdict_of(gain, room, start.calibration.change.get(form), fitting=fitting)

    def verdict(self, calibrated: Verdict | None, *, moved: bool) -> Verdict:
        """Of the proposal that became model 1; ``moved`` is False when model 1 is the input."""
        if not self.settings.propagation.steps and self.origin is self.engine:
            return Verdict("no better", "no step was asked for: model_1 is the input, finished.")
        if not moved:
            reason = "no model scores better than the input by the run's own score: model_1 is the input, finished."
            return Verdict("no better", reason)
        if calibrated is not None:
            return calibrated
        if self.by_evidence:
            facts = self.record.values["evidence"]
            return Verdict("uncertain", f"{summary(facts)}; verdicts are not calibrated on this.")
        return nearly_right_verdict(self.engine.wanted_move)


def score_file(path: Path, settings: RunSettings | None = None) -> ScoreRow:
    """Energy terms and quality of a structure file as it is (repaired, not finished); errors as of ``refine_file``."""
    settings = (settings or RunSettings()).at_conditions
    path = Path(path)
    prepared = prepared_for(path, settings)
    networks = load_networks_of(settings)
    engine = Engine(prepared.protein, networks, settings, evidence_for(prepared, settings, networks))
    score = dataclasses.replace(engine.score(), estimate=accuracy_of(prepared, engine).of_input)
    return score_row(path.name, "", "input", score)


def finish_file(
    path: Path,
    out: Path,
    settings: RunSettings | None = None,
    progress: Progress | None = None,
    *,
    resume: bool = False,
) -> RunResult:
    """Complete side chains and relax one structure file, nothing else; writes finished.cif, finished.pdb and run.json.

    The B column keeps what the input has. Arguments and errors as of ``refine_file``.
    """
    path, settings, folder = Path(path), (settings or RunSettings()).at_conditions, RunFolder(Path(out))
    done = done_before(folder, path, settings, resume=resume)
    if done is not None:
        return done
    prepared = prepared_for(path, settings)
    tell_notes(prepared, progress or Progress())
    with opened(folder, prepared, settings, progress) as (record, tell), record.kept():
        tell("finish", 0, 1)
        result = Finisher(prepared.protein, settings.finishing, prepared.mobile).finish(prepared.protein)
        files = write_structure(folder, "finished", result.protein)
        record.values["models"] = [{"name": "finished", **files, "finishing": dataclasses.asdict(result.report)}]
        record.add_files(*files.values())
        record.values |= {"improved": False, "verdict": f"finished: {result.report.flag}"}
        tell("done", message=record.values["verdict"])
    return result_of(folder, record.values)
