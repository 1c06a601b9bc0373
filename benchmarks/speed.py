"""Time and memory of the command, in one table; every run in a process of its own.

    python benchmarks/speed.py                                     all parts
    python benchmarks/speed.py help run128 --old OLD --input FILE  some parts; runs also with the code in the folder OLD

Time is CPU seconds, children included, so that other work on the machine disturbs it little; wall seconds and the load
stand beside it. Parts: ``help`` (start-up), ``run128``, ``fast128``, ``run1000``, ``run3000`` (whole runs by residues,
with peak memory; the proteins are copies of the example, or ``--input``), ``floor`` (one step of the propagation over
the matrix products in it), ``slope`` (seconds of a step by length), ``batch`` (20 inputs by one and two workers, of
our own and of a Dask cluster, and how much of it is engine and OpenMM).
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch

from refine import many, pipeline
from refine.batch import BatchItem, plan
from refine.engine import Engine, load_networks_of
from refine.finishing.finish import Finisher
from refine.run.folder import RunFolder
from refine.settings import RunSettings
from refine.structure.prepare import prepare

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "1a8o_model.pdb"
LENGTHS = (125, 250, 500, 1000, 2000, 3000)
INPUTS = 20
Row = tuple[str, str]
"""What was measured, and the figure."""


def bundle(length: int, path: Path) -> None:
    """Write ``length`` residues as PDB file: copies of the example's 70 side by side in one chain, 32 Å apart, gaps
    between them.
    """
    source = gemmi.read_structure(str(EXAMPLE))[0]["A"]
    side = int(np.ceil(np.cbrt(length / len(source))))
    structure, model, chain = gemmi.Structure(), gemmi.Model(1), gemmi.Chain("A")
    for i in range(length):
        copy, k = divmod(i, len(source))
        residue = source[k].clone()
        residue.seqid = gemmi.SeqId(i + 1 + 5 * copy, " ")
        shift = 32.0 * np.array([copy % side, copy // side % side, copy // side**2])
        for atom in residue:
            atom.pos = gemmi.Position(*(np.array(atom.pos.tolist()) + shift))
        chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    structure.write_pdb(str(path))


def command(arguments: list[str], tree: Path = ROOT) -> dict[str, float]:
    """CPU and wall seconds and peak GB of ``python -m refine`` with the code in ``tree``."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    code = (
        "import json, resource, sys; from refine.cli import main; rc = main(sys.argv[1:]);"
        "peak = max(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN));"
        "sys.stderr.write(f'PEAK {peak}'); sys.exit(rc)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"refine {' '.join(arguments)} failed: {done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = float(done.stderr.rpartition("PEAK ")[2] or "nan") / 2**20
    return {"cpu": cpu, "wall": time.monotonic() - begun, "gb": peak}


def measure_help() -> list[Row]:
    """Start-up of the command; SystemExit of --help ends before the peak is printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "refine", "--help"], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return [("refine --help", f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.2f} CPU s")]


def measure_run(length: int, model: Path | None, old: Path | None, *more: str) -> list[Row]:
    """A whole run, and the same by the old code, which knows no ``--fast``."""
    with tempfile.TemporaryDirectory() as folder:
        path = model or Path(folder) / f"bundle{length}.pdb"
        if model is None:
            bundle(length, path)
        new = command(["run", str(path), "--out", f"{folder}/new", "--quiet", *more])
        before = None if old is None else command(["run", str(path), "--out", f"{folder}/old", "--quiet"], old)
    label = f"run {path.stem} {' '.join(more)}".strip()
    figure = f"{new['cpu']:.1f} CPU s, {new['wall']:.1f} s wall, {new['gb']:.2f} GB"
    if before is not None:
        figure += f"; old {before['cpu']:.1f} CPU s, {before['wall']:.1f} s: {before['cpu'] / new['cpu']:.2f} times"
    return [(label, figure)]


def step_seconds(engine: Engine, repeats: int = 5) -> float:
    """Least CPU seconds of what a step of the propagation evaluates: networks, then forces."""
    assert engine.applied is not None
    times = []
    for k in range(repeats):
        moved = engine.coords + 0.001 * k  # so that nothing is remembered
        begun = time.process_time()
        engine.far_drift.at(moved).forces(moved)
        times.append(time.process_time() - begun)
    return min(times)


def engine_of(length: int, model: Path | None = None, *, likelihood_moves: bool = True) -> Engine:
    settings = RunSettings(likelihood_moves=likelihood_moves)
    with tempfile.TemporaryDirectory() as folder:
        path = model or Path(folder) / "b.pdb"
        if model is None:
            bundle(length, path)
        return Engine(prepare(path).protein, load_networks_of(settings), settings, pull=True)


def measure_floor(model: Path | None) -> list[Row]:
    """A step against the matrix products in it alone, same shapes, with and without the force of the likelihood."""
    rows = []
    for name, moves in (("step", True), ("step without the likelihood's force", False)):
        engine = engine_of(128, model, likelihood_moves=moves)
        products = matrix_products(engine)
        floor = 0.0
        for (count, wide, narrow), times in products.items():
            a, b = torch.randn(count, narrow), torch.randn(narrow, wide)
            floor += times * min(_cpu(functools.partial(torch.mm, a, b)) for _ in range(9))
        step = step_seconds(engine, 9)
        figure = f"{step:.3f} CPU s, {step / floor:.2f} × its matrix products ({floor:.3f} s)"
        rows.append((f"{name}, {len(engine.system)} residues", figure))
    return rows


def matrix_products(engine: Engine) -> Counter[tuple[int, int, int]]:
    """How often a step multiplies matrices of which sizes: once for each linear layer, once more for its gradient."""
    assert engine.networks is not None and engine.applied is not None
    products: Counter[tuple[int, int, int]] = Counter()

    def count(layer: torch.nn.Linear, given: tuple[torch.Tensor], _: torch.Tensor) -> None:
        size = (given[0].numel() // layer.in_features, layer.out_features, layer.in_features)
        products[size] += 2 if given[0].requires_grad else 1

    networks = (*engine.networks.priors, engine.networks.mover, engine.networks.likelihood)
    layers = [m for network in networks if network for m in network.modules() if isinstance(m, torch.nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    moved = engine.coords + 0.05
    engine.far_drift.at(moved).forces(moved)
    for hook in hooks:
        hook.remove()
    return products


def _cpu(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measure_slope() -> list[Row]:
    """Seconds of a step by length; 1 is linear, 2 quadratic."""
    seconds = [step_seconds(engine_of(length), 3) for length in LENGTHS]
    rows = [(f"step of {length} residues", f"{s:.2f} CPU s") for length, s in zip(LENGTHS, seconds, strict=True)]
    return [*rows, ("log-log slope", f"{np.polyfit(np.log(LENGTHS), np.log(seconds), 1)[0]:.2f}")]


def measure_batch() -> list[Row]:
    """Share of CPU time in engine and OpenMM (in this process), and wall of two workers against one."""
    spent, depth = 0.0, 0

    def timed(owner: type, name: str) -> None:
        method = getattr(owner, name)

        @functools.wraps(method)
        def wrapper(*args: Any, **how: Any) -> Any:
            nonlocal spent, depth
            begun, depth = time.process_time(), depth + 1
            try:
                return method(*args, **how)
            finally:
                depth -= 1
                if depth == 0:  # inside another part the time counts there
                    spent += time.process_time() - begun

        setattr(owner, name, wrapper)

    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs"
        inputs.mkdir()
        for k in range(INPUTS):
            (inputs / f"m{k:02}.pdb").write_bytes(EXAMPLE.read_bytes())
        walls, cluster_walls = [], []
        for workers in (1, 2):
            begun = time.monotonic()
            many.run_many(plan([inputs], Path(folder) / str(workers)), RunSettings(), workers=workers)
            walls.append(time.monotonic() - begun)
            cluster_walls.append(on_cluster(plan([inputs], Path(folder) / f"cluster{workers}"), workers))
        timed(Finisher, "finish")
        timed(pipeline.Run, "propagate")
        for name in ("__init__", "accuracy", "score", "rpdd", "expected_gain"):
            timed(Engine, name)
        begun = time.process_time()
        for item in plan([inputs], Path(folder) / "here"):
            outcome = many.refine_task(many.Task(item, RunSettings()))
            assert outcome.exit_code == 0, outcome
        share = spent / (time.process_time() - begun)
        rows = json.loads((RunFolder(Path(folder) / "here" / "m00").path / "run.json").read_text())["residues"]
    return [
        (f"{INPUTS} inputs of {rows} residues, share in engine and OpenMM", f"{100 * share:.0f} % of CPU"),
        ("two workers against one", efficiency(*walls)),
        ("two workers of a Dask cluster against one", efficiency(*cluster_walls)),
    ]


def on_cluster(items: list[BatchItem], workers: int) -> float:
    """Wall seconds of ``items`` on a cluster of one-thread workers on this machine, its start left out."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        begun = time.monotonic()
        outcomes = many.run_many(items, RunSettings(), workers=1, scheduler=cluster.scheduler_address)
        assert all(outcome.exit_code == 0 for outcome in outcomes), outcomes
        return time.monotonic() - begun


def efficiency(one: float, two: float) -> str:
    return f"{one:.0f} and {two:.0f} s, {50 * one / two:.0f} % efficient"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("help", "run128", "fast128", "floor", "slope", "batch", "run1000", "run3000")
    parser.add_argument("parts", nargs="*", default=[], help=f"of {', '.join(names)} (default all)")
    parser.add_argument("--old", type=Path, help="another tree of refine, whose runs stand beside")
    parser.add_argument("--input", type=Path, help="structure for run128, fast128 and floor (default: copies)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts: dict[str, Callable[[], list[Row]]] = {
        "help": measure_help,
        "run128": lambda: measure_run(128, options.input, options.old),
        "fast128": lambda: measure_run(128, options.input, options.old, "--fast"),
        "floor": lambda: measure_floor(options.input),
        "slope": measure_slope,
        "batch": measure_batch,
        "run1000": lambda: measure_run(1000, None, None),
        "run3000": lambda: measure_run(3000, None, None),
    }
    print(f"| what | measured (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores) |\n|---|---|")
    for part in options.parts or names:
        for what, figure in parts[part]():
            print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
