"""The order of a run: read, repair, relax, propagate, ensemble, finish, rank, write. The only place that states it."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import torch

from refine.accuracy.confidence import displacement
from refine.accuracy.verdict import Verdict, verdict_of
from refine.device import choose_device, device_name
from refine.energy.free_energy import EnergyTable
from refine.engine import Engine, load_networks_of
from refine.ensemble.candidates import finishing_order, rank
from refine.ensemble.ensemble import Ensemble, ensemble_of
from refine.errors import EngineError
from refine.finishing.finish import Finisher, FinishResult
from refine.finishing.parallel import FinishingPool
from refine.networks.weights import Networks
from refine.progress import JsonLines, Progress
from refine.propagation.propagate import propagate
from refine.report.page import try_report
from refine.run.citations import CITE_BIB
from refine.run.current import Current
from refine.run.folder import RunFolder
from refine.run.model import Finished, write_model, write_structure, write_tables
from refine.run.record import Record, file_hash
from refine.run.result import RunResult
from refine.run.tables import ScoreRow, score_row
from refine.run.trace import TRACE_FILE, Trace
from refine.settings import RunSettings
from refine.structure.prepare import Prepared, prepare
from refine.structure.ride import ride
from refine.structure.write import fits_pdb, write_cif, write_ensemble_pdb

log = logging.getLogger(__name__)


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
        resume: give back a finished run of the same input and settings, start an unfinished one again.
        networks: those of ``settings``, for callers that have loaded them; None loads them here.
        report: whether to write report.html at the end; run.json says so when that failed, the run counts as done
            nonetheless.

    Raises:
        InputError: bad input, settings or folder; nothing has been written.
        ModelError: trained files cannot be read; nothing has been written.
        EngineError: the calculation or writing failed; what was done is in ``out``, run.json says how far.
    """
    path, settings, folder = Path(path), settings or RunSettings(), RunFolder(Path(out))
    folder.check(resume=resume)
    done = folder.finished(file_hash(path), settings.to_dict()) if resume else None
    if done is not None:
        models = tuple(folder.path / m["cif"] for m in done["models"])
        return RunResult(folder.path, models, done["improved"], done["verdict"], done, skipped=True)
    prepared, networks = (
        prepare(path, model=settings.model, freeze=settings.freeze),
        networks or load_networks_of(settings),
    )
    folder.clear()
    with folder.open() as stream:
        run = Run(prepared, networks, settings, folder, (progress or Progress()).also(JsonLines(stream)))
        with (
            run.record.kept(),
            FinishingPool(settings.workers, prepared.protein, settings.finishing, prepared.mobile) as pool,
        ):
            result = run.go(pool)
        if report:
            run.record.values["report"] = try_report(folder.path)
            run.record.write()
        return result


class Run:
    """One run over a prepared input; ``go`` is the order of the stages.

    Attributes:
        input: the engine of the input as it came; start: that of the structure from which the propagation starts.
        context: what the run knows besides a structure, for the confidence of all its structures.
    """

    def __init__(
        self,
        prepared: Prepared,
        networks: Networks | None,
        settings: RunSettings,
        folder: RunFolder,
        progress: Progress,
    ) -> None:
        self.prepared, self.networks, self.settings = prepared, networks, settings
        self.folder, self.progress = folder, progress
        self.input = Engine(prepared.protein, networks, settings)
        device = device_name(choose_device(settings.device))
        self.record = Record(folder, prepared, settings.to_dict(), device)
        if networks is not None:
            self.record.values["networks"] = networks.facts

    def go(self, pool: FinishingPool) -> RunResult:
        for note in self.prepared.notes:
            log.info("%s", note)
        self.folder.text("cite.bib", CITE_BIB)
        self.folder.write("input.cif", lambda path: write_cif(self.prepared.protein, path))
        self.record.add_files("input.cif")
        with self.record.timed("relax"):
            self.record.values["length"] = round(self.input.length, 3)
            self.relaxed = self.relax(pool)
            start = self.prepared.protein if self.relaxed is None else self.relaxed.protein
        with self.record.timed("propagate"):
            self.start = Engine(start, self.networks, self.settings, pull=True)
            ensemble = self.propagate()
            self.context = self.start.context(ensemble.spread)
        with self.record.timed("ensemble"):
            self.write_ensemble(ensemble)
        with self.record.timed("finish"):
            finished_input, candidates = self.finish(pool, ensemble)
        with self.record.timed("write"):
            return self.submit(ensemble, finished_input, candidates)

    def relax(self, pool: FinishingPool) -> FinishResult | None:
        """The input finished, from which the propagation starts; None where that is switched off, or where little is
        wrong: relaxing what is right costs more than any move gains (LOG, 35).

        Clashes and strain that a force field removes are no business of the learned terms, which lead further from a
        start without them (benchmarks/LOG.md, entry 13).
        """
        if not self.settings.relaxes_first or self.input.length < 1.0:
            return None
        self.progress("relax", 0, 1)
        result = self.finished_input(pool)
        self.progress("relax", 1, 1)
        return result

    def finished_input(self, pool: FinishingPool) -> FinishResult:
        """The input with side chains and minimisation alone; held where it is when little is wrong with it."""
        little = self.input.length < 1.0
        _, result = next(pool.finish([self.prepared.protein], refined=little, keep=little))
        return result

    def propagate(self) -> Ensemble:
        """The ensemble that the propagation leaves; its trace is written."""
        settings, start = self.settings, self.start
        replicas = max(settings.propagation.replicas, settings.models)
        plan = dataclasses.replace(settings.propagation, replicas=replicas)
        mobile = torch.from_numpy(self.prepared.mobile).to(start.system.device)
        current, trace = Current(self.folder, start.protein), Trace(plan)

        def on_step(step: int, total: int, table: EnergyTable, at: torch.Tensor) -> None:
            trace.add(step, table)
            self.progress("propagate", step, total, float(table.total.min()))
            if current.due:
                current.write(at[table.total.argmin()].cpu().numpy())

        try:
            trajectory = propagate(start.energy, start.coords, plan, settings.seed, mobile, on_step)
        finally:
            current.remove()
        self.folder.text(TRACE_FILE, trace.text())
        self.record.add_files(TRACE_FILE)
        ensemble = ensemble_of(trajectory, start.energy, start.coords, mobile, self.input.coords, self.input.length)
        if not np.isfinite(ensemble.energies).any():
            remedy = "Use a smaller propagation.step_size"
            raise EngineError("every replica diverged", file=str(self.prepared.path), remedy=remedy)
        return ensemble.thinned()

    def write_ensemble(self, ensemble: Ensemble) -> None:
        """ensemble.pdb and rpdd.npz; how well the snapshots sample goes into run.json."""
        protein, snapshots = self.start.protein, ensemble.snapshots
        facts = ensemble.sampling.facts() | {"written": len(snapshots)}
        self.record.values["sampling"] = facts
        effective = facts["effective_samples"]
        self.progress("ensemble", message=f"{len(snapshots)} snapshots, worth {effective} independent ones")
        self.folder.npz("rpdd.npz", self.start.rpdd(ensemble, self.context).arrays())
        self.record.add_files("rpdd.npz")
        if fits_pdb(protein) is None:
            self.folder.write("ensemble.pdb", lambda path: write_ensemble_pdb(ride(protein, snapshots), path))
            self.record.add_files("ensemble.pdb")

    def finish(self, pool: FinishingPool, ensemble: Ensemble) -> tuple[Finished, list[Finished]]:
        """The input finished, and the chosen candidates, written as they finish, in the order of the ensemble."""
        names = [p.name for p in ensemble.proposals]
        order = finishing_order(names, ensemble.energies, self.settings.models, self.settings.first)
        moved = ride(self.start.protein, np.stack([ensemble.proposals[i].backbone for i in order]))
        total = 1 + len(order)
        finished_input = self.scored("input", self.relaxed or self.finished_input(pool), ensemble)
        self.progress("finish", 1, total)
        candidates: dict[int, Finished] = {}
        proteins = [moved.replica(i) for i in range(len(order))]
        for i, result in pool.finish(proteins, refined=True, keep=self.input.length < 1.0):
            candidates[i] = self.scored(names[order[i]], result, ensemble)
            write_model(self.folder, f"model_{i + 1}", candidates[i], self.settings.bfactor)
            self.progress("finish", 1 + len(candidates), total, candidates[i].score.total)
        return finished_input, [candidates[i] for i in range(len(order))]

    def scored(self, source: str, result: FinishResult, ensemble: Ensemble) -> Finished:
        """A finished structure with the run's own score, error and confidence."""
        moved = displacement(result.protein.coords[0, :, 1], self.prepared.protein.coords[0, :, 1])
        return Finished(
            source=source,
            protein=dataclasses.replace(result.protein, name=self.prepared.protein.name),
            score=Engine(result.protein, self.networks, self.settings).score(self.context),
            run_columns={"spread": ensemble.spread, "displacement": moved},
            report=dataclasses.asdict(result.report),
        )

    def submit(self, ensemble: Ensemble, finished_input: Finished, candidates: list[Finished]) -> RunResult:
        """Rank, write the models under their final names, the tables and the verdict."""
        names, totals = [c.source for c in candidates], [c.score.total for c in candidates]
        ranking = rank(names, totals, finished_input.score.total, self.settings.first)
        models = [candidates[i] for i in ranking.order]
        if not ranking.improved:
            models = [finished_input, *models][: self.settings.models]
        written = self.record.values["models"] = []
        for k, model in enumerate(models, start=1):
            files = write_model(self.folder, f"model_{k}", model, self.settings.bfactor)
            numbers = {"score": model.score.total, "confidence": model.score.estimate.overall}
            written.append(
                {"name": f"model_{k}", **files, "source": model.source, **numbers, "finishing": model.report}
            )
            self.record.add_files(*files.values())
        given = self.input.score(self.context)
        self.record.add_files(*write_tables(self.folder, given, finished_input, models))
        verdict = self.verdict(ensemble, models[0].source, given.estimate.form, moved=ranking.improved)
        confidence = {"input": given.estimate.overall, "model_1": models[0].score.estimate.overall}
        better = verdict.word == "better"
        self.record.values |= {"confidence": confidence, "improved": better, "verdict": verdict.sentence}
        self.record.values["judgement"] = dataclasses.asdict(verdict)
        self.progress("done", message=verdict.sentence)
        paths = tuple(self.folder.path / model["cif"] for model in written)
        return RunResult(self.folder.path, paths, better, verdict.sentence, self.record.values)

    def verdict(self, ensemble: Ensemble, source: str, form: str, *, moved: bool) -> Verdict:
        """Of the proposal that became model 1; ``moved`` is False when model 1 is the input."""
        if not moved:
            reason = "no model scores better than the input by the run's own score: model_1 is the input, finished."
            return Verdict("no better", reason)
        if self.input.length < 1.0:
            wanted = f"the networks would move the input by {self.input.wanted_move:.2f} Å only: there is little to gain"
            return Verdict("uncertain", f"{wanted}, and verdicts are calibrated on inputs with more of it.")
        backbone, calibration = ensemble.proposal(source).backbone, self.start.calibration
        gain, room = self.start.expected_gain(backbone, self.input.coords, self.context)
        fitting = calibration.belongs_to(None if self.networks is None else self.networks.folder)
        return verdict_of(gain, room, calibration.change.get(form), fitting=fitting)


def score_file(path: Path, settings: RunSettings | None = None) -> ScoreRow:
    """Energy terms and quality of a structure file as it is (repaired, not finished); see ``refine_file`` for the
    errors.
    """
    settings = settings or RunSettings()
    path = Path(path)
    prepared = prepare(path, model=settings.model, freeze=settings.freeze)
    score = Engine(prepared.protein, load_networks_of(settings), settings).score()
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
    path, settings, folder, tell = Path(path), settings or RunSettings(), RunFolder(Path(out)), progress or Progress()
    folder.check(resume=resume)
    done = folder.finished(file_hash(path), settings.to_dict()) if resume else None
    if done is not None:
        return RunResult(
            folder.path,
            tuple(folder.path / m["cif"] for m in done["models"]),
            False,
            done["verdict"],
            done,
            skipped=True,
        )
    prepared = prepare(path, model=settings.model, freeze=settings.freeze)
    folder.clear()
    with folder.open() as stream:
        tell = tell.also(JsonLines(stream))
        record = Record(folder, prepared, settings.to_dict(), device_name(choose_device(settings.device)))
        with record.kept():
            tell("finish", 0, 1)
            result = Finisher(prepared.protein, settings.finishing, prepared.mobile).finish(prepared.protein)
            files = write_structure(folder, "finished", result.protein)
            verdict = f"finished: {result.report.flag}"
            record.values["models"] = [{"name": "finished", **files, "finishing": dataclasses.asdict(result.report)}]
            record.add_files(*files.values())
            record.values["improved"], record.values["verdict"] = False, verdict
            tell("done", message=verdict)
    return RunResult(folder.path, (folder.path / files["cif"],), False, verdict, record.values)
