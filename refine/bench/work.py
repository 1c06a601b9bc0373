"""One target of a benchmark, in whatever process: run its methods, measure, write results."""

from __future__ import annotations

import dataclasses
import functools
import logging
import resource
import shutil
import subprocess
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from refine.bench.control import move_sizes, random_direction, seed_of
from refine.bench.manifest import Target
from refine.bench.methods import Method, split_command
from refine.bench.metrics import measure, per_residue
from refine.bench.result import DONE, FAILED, Result, fingerprint, read_result, write_result
from refine.engine import Engine, load_networks_of
from refine.errors import EngineError, RefineError
from refine.files import plain
from refine.finishing.finish import Finisher
from refine.networks.weights import Networks
from refine.pipeline import refine_file
from refine.run.folder import RunFolder
from refine.settings import RunSettings
from refine.structure.prepare import Prepared, prepare
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.ride import ride
from refine.structure.write import write_cif

log = logging.getLogger(__name__)

MODELS = "models"
BULKY = ("ensemble.pdb", "rpdd.npz")
"""Files of a run folder that no benchmark reads."""


@dataclasses.dataclass(frozen=True)
class Task:
    """The methods to run on one target, and where results and models go; small, so that it travels."""

    target: Target
    methods: tuple[Method, ...]
    folder: Path
    seed: int = 0
    keep_bulky: bool = False

    @property
    def name(self) -> str:
        return self.target.name


def networks_of(settings: RunSettings) -> Networks | None:
    """Trained networks of ``settings``, loaded once a process; None where it says ``none``."""
    return _loaded(settings.networks, settings.device)


@functools.lru_cache(maxsize=4)
def _loaded(networks: str, device: str) -> Networks | None:
    return load_networks_of(RunSettings(networks=networks, device=device))


def run_task(task: Task) -> str:
    """Compute what is not there yet of a target; a method that fails is a result too. Gives a line for the progress
    display.

    This is the job border: only an interrupt gets past it.
    """
    torch.set_num_threads(1)
    done = {DONE: 0, FAILED: 0, "kept": 0}
    begun = time.monotonic()
    bench = OneTarget(task)
    for method in task.methods:
        try:
            done[bench.run(method)] += 1
        except RefineError as error:
            bench.fail(method, str(error))
            done[FAILED] += 1
        except Exception as error:  # the job border
            bench.fail(method, f"a bug in refine: {type(error).__name__}: {error}\n{traceback.format_exc()}")
            done[FAILED] += 1
    return (
        f"{task.name}: "
        + ", ".join(f"{n} {what}" for what, n in done.items() if n)
        + f", {time.monotonic() - begun:.0f} s"
    )


class OneTarget:
    """The structures of a target, read once, and its methods."""

    def __init__(self, task: Task) -> None:
        self.task, self.target = task, task.target
        self._finishers: dict[str, Finisher] = {}

    @functools.cached_property
    def start(self) -> Protein:
        return read_structure(self.target.model).protein

    @functools.cached_property
    def native(self) -> Protein:
        return read_structure(self.target.native).protein

    def fingerprint(self, method: Method) -> str:
        networks = networks_of(method.run_settings()) if method.kind in ("ours", "random") else None
        like = self.fingerprint(self.method(method.like)) if method.like else ""
        return fingerprint(self.target, method, self.task.seed, networks, like)

    def method(self, name: str) -> Method:
        return next(m for m in self.task.methods if m.name == name)

    def run(self, method: Method) -> str:
        """Run, measure and write one method; ``kept`` when its result is there already."""
        mark = self.fingerprint(method)
        before = read_result(self.task.folder, self.target.name, method.name)
        if before is not None and before.fingerprint == mark and before.status == DONE:
            return "kept"
        place = self.task.folder / MODELS / self.target.name / method.name
        wall, cpu = time.monotonic(), cpu_seconds()
        paths, details = self.produce(method, place)
        wall, cpu = time.monotonic() - wall, cpu_seconds() - cpu
        rows = []
        for number, path in enumerate(paths, start=1):
            values, comparison = measure(read_structure(path).protein, self.native, self.start)
            rows.append({"model": number, "file": self.relative(path)} | {k: round(v, 5) for k, v in values.items()})
            if number == 1:
                details = {
                    **details,
                    "matching": comparison.matching.summary(),
                    "per_residue": per_residue(comparison, self.native),
                }
        write_result(
            self.task.folder,
            Result(
                target=self.target.name,
                method=method.name,
                kind=method.kind,
                fingerprint=mark,
                status=DONE,
                residues=len(self.native),
                models=tuple(rows),
                details=plain(details),
                seconds=round(wall, 2),
                cpu_seconds=round(cpu, 2),
            ),
        )
        return DONE

    def fail(self, method: Method, error: str) -> None:
        """Write that a method failed; it is tried again by a later run."""
        log.warning("%s: %s failed: %s", self.target.name, method.name, error)
        write_result(self.task.folder, Result(self.target.name, method.name, method.kind, "", FAILED, error=error))

    def relative(self, path: Path) -> str:
        """A path inside the benchmark's folder as seen from there; that of an input by its name alone."""
        return str(path.relative_to(self.task.folder)) if path.is_relative_to(self.task.folder) else path.name

    def produce(self, method: Method, place: Path) -> tuple[list[Path], Mapping[str, Any]]:
        """Models of a method, best first, and what it says of them."""
        if method.kind == "start":
            return [self.target.model], {}
        if place.is_dir():
            shutil.rmtree(place)
        if method.kind == "ours":
            return self.refine(method, place)
        place.mkdir(parents=True)
        if method.kind == "command":
            return self.call(method, place)
        settings = method.run_settings()
        prepared = prepare(
            self.target.model, model=settings.model, freeze=settings.freeze, keep_hands=settings.keep_hands
        )
        moved = self.random(method, prepared) if method.kind == "random" else None
        finisher = self.finisher(settings, prepared)
        if moved is None:
            result = finisher.finish(prepared.protein)
        else:
            result = finisher.finish(moved, refined=True, keep=not self.whole_way(settings, prepared))
        path = RunFolder(place).write("model_1.cif", lambda p: write_cif(result.protein, p))
        return [path], {"flags": [result.report.flag]}

    def refine(self, method: Method, place: Path) -> tuple[list[Path], Mapping[str, Any]]:
        settings = method.run_settings()
        result = refine_file(self.target.model, place, settings, networks=networks_of(settings), report=False)
        if not self.task.keep_bulky:
            for name in BULKY:
                (place / name).unlink(missing_ok=True)
        flags = [model["finishing"]["flag"] for model in result.record["models"]]
        return list(result.models), {"verdict_better": result.improved, "verdict": result.verdict, "flags": flags}

    def finisher(self, settings: RunSettings, prepared: Prepared) -> Finisher:
        """The finisher of these settings, made once."""
        key = repr(settings.finishing)
        if key not in self._finishers:
            self._finishers[key] = Finisher(prepared.protein, settings.finishing, prepared.mobile)
        return self._finishers[key]

    def whole_way(self, settings: RunSettings, prepared: Prepared) -> bool:
        """Whether a run of these settings goes the whole way, and so relaxes its input first."""
        return Engine(prepared.protein, networks_of(settings), settings).length >= 1.0

    def random(self, method: Method, prepared: Prepared) -> Protein:
        """The backbone from which the method ``like`` propagates, moved as far as that method moved it, in a random
        direction.
        """
        like = read_result(self.task.folder, self.target.name, method.like)
        if like is None or like.status != DONE:
            raise EngineError(
                f"method {method.like} has no result to take the size of the move from", file=str(self.target.model)
            )
        model = read_structure(self.task.folder / like.models[0]["file"]).protein
        if len(model) != len(prepared.protein):
            raise EngineError(f"model 1 of {method.like} has another number of residues", file=str(self.target.model))
        settings, start = method.run_settings(), prepared.protein
        if settings.relaxes_first and self.whole_way(settings, prepared):
            start = self.finisher(settings, prepared).finish(start).protein
        sizes = move_sizes(model.coords[0, :, 1], start.coords[0, :, 1])
        return ride(start, random_direction(start, sizes, seed_of(self.target.name, self.task.seed)))

    def call(self, method: Method, place: Path) -> tuple[list[Path], Mapping[str, Any]]:
        """Run another program; its output goes to ``output.txt`` beside its model."""
        out = place / "model_1.pdb"
        values = {
            "model": self.target.model.resolve(),
            "out": out.resolve(),
            "folder": place.resolve(),
            "target": self.target.name,
        }
        words = [fill(word, values) for word in split_command(method)]
        try:
            with (place / "output.txt").open("w", encoding="utf-8") as stream:
                ended = subprocess.run(
                    words,
                    cwd=place,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    timeout=method.seconds,
                    check=False,
                )
        except OSError as error:
            raise EngineError(
                f"cannot run {words[0]}: {error.strerror}", file=str(self.target.model), remedy="Check the command"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"{method.name} took longer than {method.seconds:.0f} s", file=str(self.target.model)
            ) from error
        if ended.returncode != 0 or not out.is_file():
            what = f"ended with {ended.returncode}" if ended.returncode else "wrote no model"
            raise EngineError(
                f"{method.name} {what}",
                file=str(self.target.model),
                remedy=f"See {self.relative(place / 'output.txt')}",
            )
        return [out], {"command": method.command}


def fill(word: str, values: Mapping[str, object]) -> str:
    """A word of a command template with its placeholders replaced; other braces stay."""
    for name, value in values.items():
        word = word.replace("{" + name + "}", str(value))
    return word


def cpu_seconds() -> float:
    """CPU seconds of this process and the children it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)
