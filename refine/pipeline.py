"""The order of a run: read, repair, energy, relax, propagate, ensemble, finish, rank, write. The only place that states it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.calibration import packaged
from refine.accuracy.confidence import Estimate, displacement, estimate
from refine.accuracy.features import Context
from refine.accuracy.verdict import Verdict, judge
from refine.assess.validate import validate
from refine.energy.assemble import assemble
from refine.energy.free_energy import EnergyTable, FreeEnergy
from refine.energy.learned import learned_terms
from refine.energy.system import System
from refine.ensemble.ensemble import Ensemble, ensemble_of, expected_gain, features_of, learned_model, marginals
from refine.ensemble.ranking import Candidate, chosen, rank
from refine.errors import EngineError, InputError, RefineError
from refine.finishing.finish import Finisher, FinishResult
from refine.finishing.parallel import FinishingPool
from refine.networks.weights import Networks, load_networks
from refine.progress import JsonLines, Progress
from refine.propagation.propagate import propagate
from refine.report.page import try_report
from refine.run.citations import CITE_BIB
from refine.run.current import Current
from refine.run.folder import RUN_FILE, RunFolder
from refine.run.model import Finished, write_model, write_structure, write_tables
from refine.run.record import file_hash, new_record
from refine.run.result import RunResult
from refine.run.tables import ScoreRow
from refine.run.trace import TRACE_FILE, Trace
from refine.settings import LEARNED_WEIGHTS, RunSettings
from refine.structure.notes import Note
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.ride import ride
from refine.structure.selection import parse_selection
from refine.structure.write import fits_pdb, write_cif, write_ensemble_pdb

log = logging.getLogger(__name__)

ENSEMBLE_RESIDUES = 10_000
"""Residues in all snapshots of ensemble.pdb together; longer proteins keep fewer snapshots, never below 8."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """An input that is ready to be scored or moved."""

    path: Path
    protein: Protein
    notes: tuple[Note, ...]
    mobile: NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Score:
    """The numbers of one structure.

    Attributes:
        terms: weighted terms and their ``total``, kcal/mol; per_residue: the same, clashes and, with several networks, their
            ``disagreement`` on where CA belongs (Å), column → (L,).
        quality: numbers that need no energy, by column of scores.csv, and with networks the ``judge``'s mean expected CA lDDT × 100.
        estimate: expected lDDT and error of each residue.
    """

    terms: dict[str, float]
    per_residue: dict[str, NDArray[np.floating]]
    quality: dict[str, float]
    estimate: Estimate

    @property
    def confidence(self) -> NDArray[np.float32]:
        """(L,) 0–100."""
        return self.estimate.confidence


def prepare(path: Path, settings: RunSettings) -> Prepared:
    """Read and repair an input.

    Raises:
        InputError: it cannot be used.
    """
    read = read_structure(path, model=settings.model)
    repaired = repair(read)
    frozen = parse_selection(settings.freeze, repaired.protein) if settings.freeze else np.zeros(len(repaired.protein), np.bool_)
    return Prepared(path, repaired.protein, (*read.notes, *repaired.notes), ~frozen)


def choose_device(name: str) -> torch.device:
    """The device of ``RunSettings.device``; raises InputError when CUDA is asked for and absent."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device was found", remedy="Use --device auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def load(settings: RunSettings) -> Networks | None:
    """Trained networks of ``settings``, or None when it says ``none``; raises ModelError when they cannot be read."""
    return None if settings.networks == "none" else load_networks(settings.networks, str(choose_device(settings.device)))


def backbone(protein: Protein, device: torch.device) -> torch.Tensor:
    """N, CA, C, O of all replicas, (R, L, 4, 3) Å."""
    return torch.from_numpy(protein.coords[:, :, :4].copy()).to(device)


def free_energy(
    protein: Protein, networks: Networks | None, settings: RunSettings, frozen: NDArray[np.bool_] | None = None, *, pull: bool = False
) -> FreeEnergy:
    """The free energy of a run for ``protein``; ``pull`` adds the pull towards it, which no score contains."""
    system = System.from_protein(protein, frozen, choose_device(settings.device))
    learned = () if networks is None else learned_terms(networks, system, whole=settings.whole)
    weights = {term.name: settings.learned.get(term.name, 1.0) for term in learned}
    unknown = sorted(set(settings.learned) - set(LEARNED_WEIGHTS))
    if unknown:
        raise InputError(f"weight for unknown learned term {unknown[0]!r}", remedy=f"The learned terms are {', '.join(LEARNED_WEIGHTS)}")
    start = backbone(protein, system.device)[0] if pull else None
    return assemble(system, settings.energy, start, learned=learned, learned_weights=weights)


def score(protein: Protein, networks: Networks | None, settings: RunSettings, context: Context | None = None) -> Score:
    """Free energy and confidence of replica 0 of ``protein``; learned targets and side chains are taken at ``protein`` itself.

    ``context`` is that of the run it comes from, None for a structure alone.
    """
    coords = backbone(protein.replica(0), choose_device(settings.device))
    energy = free_energy(protein.replica(0), networks, settings)
    with torch.no_grad():
        table = energy.at(coords)(coords)
    per_residue: dict[str, NDArray[np.floating]] = {name: value[0].cpu().numpy() for name, value in table.per_residue.items()}
    checked = validate(protein)
    per_residue["clashes"] = checked.clashes_per_residue.astype(np.float32)
    quality = checked.totals()
    model = learned_model(energy)
    if model is not None:
        quality["judge"] = 100.0 * float(model.judged(coords).mean())
        if len(model.networks.priors) > 1:
            per_residue["disagreement"] = model.fields(coords).disagreement[0].cpu().numpy()
    system = System.from_protein(protein, device=coords.device)
    believed = estimate(features_of(energy, system, coords, context)[0], packaged())
    return Score(table.replica(0), per_residue, quality, believed)


def given_row(found: Score) -> ScoreRow:
    """The row of the input as it came (repaired, not finished) in scores.csv."""
    terms = {k: v for k, v in found.terms.items() if k != "total"}
    quality = {"confidence": found.estimate.overall, "predicted_error": float(found.estimate.error.mean()), **found.quality}
    return ScoreRow("input", "", "input", found.terms["total"], terms, quality)


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
        report: whether to write report.html at the end; run.json says so when that failed, the run counts as done nonetheless.

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
    prepared, networks = prepare(path, settings), networks or load(settings)
    folder.clear()
    with folder.open() as stream:
        run = Run(prepared, networks, settings, folder, (progress or Progress()).also(JsonLines(stream)))
        with run.record.kept(), FinishingPool(settings.workers, prepared.protein, settings.finishing, prepared.mobile) as pool:
            result = run.go(pool)
        if report:
            run.record.values["report"] = try_report(folder.path)
            folder.json(RUN_FILE, run.record.values)
        return result


class Record:
    """run.json of a run: written before work starts and when it ends, however it ends."""

    def __init__(self, folder: RunFolder, prepared: Prepared, settings: RunSettings) -> None:
        self.folder = folder
        self.values = new_record(prepared.path, settings.to_dict(), choose_device(settings.device))
        self.values["residues"], self.values["chains"] = len(prepared.protein), list(prepared.protein.chains)
        self.values["notes"] = [dataclasses.asdict(note) for note in prepared.notes]
        self.values["timings"], self.values["models"], self.values["files"] = {}, [], []

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Around the work; the traceback of an error goes into the log."""
        began = time.monotonic()
        self.folder.json(RUN_FILE, self.values)
        self.values["status"] = "failed"
        try:
            yield
            self.values["status"] = "done"
        except KeyboardInterrupt:
            self.values["status"] = "interrupted"
            raise
        except RefineError as error:
            self.values["error"] = str(error)
            log.info("%s", traceback.format_exc())
            raise
        finally:
            self.values["seconds"] = round(time.monotonic() - began, 2)
            self.folder.json(RUN_FILE, self.values)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note a stage and its seconds."""
        log.info("%s", stage)
        began = time.monotonic()
        try:
            yield
        finally:
            self.values["timings"][stage] = round(time.monotonic() - began, 2)

    def keep(self, *names: str) -> None:
        """Note files of this run, so that ``resume`` can see that they are all there."""
        self.values["files"] += names


class Run:
    """One run over a prepared input; ``go`` is the order of the stages."""

    def __init__(self, prepared: Prepared, networks: Networks | None, settings: RunSettings, folder: RunFolder, progress: Progress) -> None:
        self.prepared, self.networks, self.settings, self.folder, self.progress = prepared, networks, settings, folder, progress
        self.device = choose_device(settings.device)
        self.given = score(prepared.protein, networks, settings)
        self.record = Record(folder, prepared, settings)
        if networks is not None:
            self.record.values["networks"] = networks.facts

    def go(self, pool: FinishingPool) -> RunResult:
        for note in self.prepared.notes:
            log.info("%s", note)
        self.folder.text("cite.bib", CITE_BIB)
        self.folder.write("input.cif", lambda path: write_cif(self.prepared.protein, path))
        self.record.keep("input.cif")
        with self.record.timed("relax"):
            self.relaxed = self.relax(pool)
            self.start = self.prepared.protein if self.relaxed is None else self.relaxed.protein
        with self.record.timed("propagate"):
            self.ensemble, self.energy = self.propagate()
        with self.record.timed("ensemble"):
            self.write_ensemble()
            self.given = score(self.prepared.protein, self.networks, self.settings, self.ensemble.context)
        with self.record.timed("finish"):
            start, candidates = self.finish(pool)
        with self.record.timed("write"):
            return self.submit(start, candidates)

    def relax(self, pool: FinishingPool) -> FinishResult | None:
        """The input finished, from which the propagation starts; None where that is switched off.

        Clashes and strain that a force field removes are no business of the learned terms, which lead further from a start without
        them (benchmarks/LOG.md, entry 13).
        """
        if not self.settings.relaxes_first:
            return None
        self.progress("relax", 0, 1)
        result = self.finished_input(pool)
        self.progress("relax", 1, 1)
        return result

    def finished_input(self, pool: FinishingPool) -> FinishResult:
        """The input with side chains and minimisation alone."""
        _, result = next(pool.finish([self.prepared.protein]))
        return result

    def propagate(self) -> tuple[Ensemble, FreeEnergy]:
        """The ensemble, and the energy that it was made with."""
        protein, settings = self.start, self.settings
        energy = free_energy(protein, self.networks, settings, ~self.prepared.mobile, pull=True)
        replicas = max(settings.propagation.replicas, settings.models)
        plan = dataclasses.replace(settings.propagation, replicas=replicas)
        coords = backbone(protein, self.device)
        mobile = torch.from_numpy(self.prepared.mobile).to(self.device)

        current, trace = Current(self.folder, protein), Trace(plan)

        def on_step(step: int, total: int, table: EnergyTable, at: torch.Tensor) -> None:
            trace.add(step, table)
            self.progress("propagate", step, total, float(table.total.min()))
            if current.due:
                current.write(at[table.total.argmin()].cpu().numpy())

        try:
            trajectory = propagate(energy, coords, plan, settings.seed, mobile, on_step)
        finally:
            current.remove()
        self.folder.text(TRACE_FILE, trace.text())
        self.record.keep(TRACE_FILE)
        found = ensemble_of(trajectory, energy, System.from_protein(protein, device=self.device), coords, mobile)
        if not np.isfinite(found.energies).any():
            raise EngineError("every replica diverged", file=str(self.prepared.path), remedy="Use a smaller propagation.step_size")
        return dataclasses.replace(found, snapshots=thin(found.snapshots, len(protein))), energy

    def write_ensemble(self) -> None:
        """ensemble.pdb and rpdd.npz; how well the snapshots sample goes into run.json."""
        protein, snapshots = self.start, self.ensemble.snapshots
        facts = self.ensemble.sampling.facts() | {"written": len(snapshots)}
        self.record.values["sampling"] = facts
        self.progress("ensemble", message=f"{len(snapshots)} snapshots, worth {facts['effective_samples']} independent ones")
        system = System.from_protein(protein, device=self.device)
        self.folder.npz("rpdd.npz", marginals(self.ensemble, self.energy, system, packaged()).arrays())
        self.record.keep("rpdd.npz")
        if fits_pdb(protein) is None:
            self.folder.write("ensemble.pdb", lambda path: write_ensemble_pdb(ride(protein, snapshots), path))
            self.record.keep("ensemble.pdb")

    def finish(self, pool: FinishingPool) -> tuple[Finished, list[Finished]]:
        """Finish the input and the chosen candidates; models are written as they finish, in the order of the ensemble."""
        names = [p.name for p in self.ensemble.proposals]
        order = chosen(names, self.ensemble.energies, self.settings.models, self.settings.first)
        moved = ride(self.start, np.stack([self.ensemble.proposals[i].backbone for i in order]))
        sources = ["input", *(names[i] for i in order)]
        total = len(sources)
        found = {0: self.scored(sources[0], self.relaxed or self.finished_input(pool))}
        self.progress("finish", len(found), total)
        for i, result in pool.finish([moved.replica(i) for i in range(len(order))], refined=True):
            k = i + 1
            found[k] = self.scored(sources[k], result)
            write_model(self.folder, f"model_{k}", found[k], self.settings.bfactor)
            self.progress("finish", len(found), total, found[k].score)
        return found[0], [found[k] for k in range(1, total)]

    def scored(self, source: str, result: FinishResult) -> Finished:
        """A finished structure with the run's own score, error and confidence."""
        moved = displacement(result.protein.coords[0, :, 1], self.prepared.protein.coords[0, :, 1])
        found = score(result.protein, self.networks, self.settings, self.ensemble.context)
        return Finished(
            source=source,
            protein=dataclasses.replace(result.protein, name=self.prepared.protein.name),
            terms=found.terms,
            per_residue=found.per_residue | {"spread": self.ensemble.spread, "displacement": moved},
            error=found.estimate.error,
            confidence=found.confidence,
            quality=found.quality,
            report=dataclasses.asdict(result.report),
        )

    def submit(self, start: Finished, candidates: list[Finished]) -> RunResult:
        """Rank, write the models under their final names, the tables and the verdict."""
        ranking = rank([Candidate(c.source, c.score) for c in candidates], start.score, self.settings.first)
        models = [candidates[i] for i in ranking.order]
        if not ranking.improved:
            models = [start, *models][: self.settings.models]
        written = self.record.values["models"] = []
        for k, model in enumerate(models, start=1):
            files = write_model(self.folder, f"model_{k}", model, self.settings.bfactor)
            numbers = {"score": model.score, "confidence": float(model.confidence.mean())}
            written.append({"name": f"model_{k}", **files, "source": model.source, **numbers, "finishing": model.report})
            self.record.keep(*files.values())
        self.record.keep(*write_tables(self.folder, start, models, given_row(self.given)))
        verdict = self.judged(models[0].source, ranking.improved)
        self.record.values["confidence"] = {"input": self.given.estimate.overall, "model_1": float(models[0].confidence.mean())}
        self.record.values["improved"], self.record.values["verdict"] = verdict.word == "better", verdict.sentence
        self.record.values["judgement"] = dataclasses.asdict(verdict)
        self.progress("done", message=verdict.sentence)
        paths = tuple(self.folder.path / model["cif"] for model in written)
        return RunResult(self.folder.path, paths, verdict.word == "better", verdict.sentence, self.record.values)

    def judged(self, source: str, moved: bool) -> Verdict:
        """The verdict on the proposal that became model 1; ``moved`` is False when model 1 is the input."""
        if not moved:
            return Verdict("no better", "no model scores better than the input by the run's own score: model_1 is the input, finished.")
        calibration = packaged()
        protein = self.prepared.protein
        system = System.from_protein(protein, device=self.device)
        gain, room = expected_gain(self.ensemble, source, self.energy, system, backbone(protein, self.device), calibration)
        fitting = calibration.belongs_to(None if self.networks is None else self.networks.folder)
        return judge(gain, room, calibration.change.get(self.given.estimate.form), fitting=fitting)


def score_file(path: Path, settings: RunSettings | None = None) -> ScoreRow:
    """Energy terms and quality of a structure file as it is (repaired, not finished); see ``refine_file`` for the errors."""
    settings = settings or RunSettings()
    prepared = prepare(Path(path), settings)
    row = given_row(score(prepared.protein, load(settings), settings))
    return dataclasses.replace(row, name=Path(path).name)


def finish_file(
    path: Path, out: Path, settings: RunSettings | None = None, progress: Progress | None = None, *, resume: bool = False
) -> RunResult:
    """Complete side chains and relax one structure file, nothing else; writes finished.cif, finished.pdb and run.json.

    The B column keeps what the input has. Arguments and errors as of ``refine_file``.
    """
    path, settings, folder, tell = Path(path), settings or RunSettings(), RunFolder(Path(out)), progress or Progress()
    folder.check(resume=resume)
    done = folder.finished(file_hash(path), settings.to_dict()) if resume else None
    if done is not None:
        return RunResult(folder.path, tuple(folder.path / m["cif"] for m in done["models"]), False, done["verdict"], done, skipped=True)
    prepared = prepare(path, settings)
    folder.clear()
    with folder.open() as stream:
        tell = tell.also(JsonLines(stream))
        record = Record(folder, prepared, settings)
        with record.kept():
            tell("finish", 0, 1)
            result = Finisher(prepared.protein, settings.finishing, prepared.mobile).finish(prepared.protein)
            files = write_structure(folder, "finished", result.protein)
            verdict = f"finished: {result.report.flag}"
            record.values["models"] = [{"name": "finished", **files, "finishing": dataclasses.asdict(result.report)}]
            record.values["files"] = list(files.values())
            record.values["improved"], record.values["verdict"] = False, verdict
            tell("done", message=verdict)
    return RunResult(folder.path, (folder.path / files["cif"],), False, verdict, record.values)


def thin(snapshots: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Snapshots (F, L, 4, 3) evenly thinned to what ``ENSEMBLE_RESIDUES`` allows."""
    most = max(8, ENSEMBLE_RESIDUES // length)
    if len(snapshots) <= most:
        return snapshots
    return snapshots[np.linspace(0, len(snapshots) - 1, most).round().astype(np.int64)]
