"""Time and memory of a run, each in a process of its own.

    python benchmarks/speed.py                     all parts
    python benchmarks/speed.py run130 gradient     some of run130, run1000, run3000 and gradient

Targets: a default run of 130 residues with 5 models, finishing included, in at most 60 s on 2
cores; 1,000 residues below 4 GB; 3,000 residues completes. The proteins are copies of the example model, so that
nothing else is needed. The load of the machine and the CPU seconds of the run and its finishing processes stand beside
the wall time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
import torch
from torch import Tensor

from refine.energy.free_energy import FreeEnergy
from refine.engine import Engine, load_networks_of
from refine.pipeline import refine_file
from refine.settings import RunSettings, read_settings
from refine.structure.prepare import prepare

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "1a8o_model.pdb"


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


def child(part: str, length: int, settings: RunSettings) -> None:
    """One run in this process; prints seconds, peak memory of it and of its finishing processes, and the timings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"bundle{length}.pdb"
        bundle(length, path)
        began = time.monotonic()
        result = refine_file(path, Path(folder) / "out", settings)
        seconds = time.monotonic() - began
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in (own, workers))
    memory = f"peak {own.ru_maxrss / 2**20:.2f} GB, a worker {workers.ru_maxrss / 2**20:.2f} GB"
    stages = ", ".join(f"{k} {v:.0f}" for k, v in result.record["timings"].items())
    print(f"{part:<9} L={length:<5} {seconds:7.1f} s, {cpu:.0f} CPU s ({stages})   {memory}   load {load_now()}")


def gradient(settings: RunSettings, lengths: tuple[int, ...] = (60, 120, 250, 500, 1000)) -> None:
    """Seconds of one gradient of all terms, one replica, learned targets held; and of evaluating them."""
    networks, times, refreshes = load_networks_of(settings), [], []
    with tempfile.TemporaryDirectory() as folder:
        for length in lengths:
            path = Path(folder) / "b.pdb"
            bundle(length, path)
            protein = prepare(path).protein
            engine = Engine(protein, networks, settings, pull=True)
            began = time.monotonic()
            held = engine.energy.at(engine.coords)
            refreshes.append(time.monotonic() - began)
            times.append(seconds_per_gradient(held, engine.coords))
            print(
                f"gradient  L={length:<5} {1e3 * times[-1]:8.2f} ms a step, "
                f"{1e3 * refreshes[-1]:8.1f} ms a refresh of learned targets"
            )
    slopes = [log_log_slope(lengths, seconds) for seconds in (times, refreshes)]
    print(f"gradient  log-log slope: step {slopes[0]:.2f}, refresh {slopes[1]:.2f}")


def seconds_per_gradient(energy: FreeEnergy, coords: Tensor, repeats: int = 10) -> float:
    """Median seconds of one gradient of all replicas of ``coords`` (R, L, 4, 3) Å, after one uncounted call.

    The coordinates jitter by 0.01 Å between calls, so that pair lists are used as in a run.
    """
    generator = torch.Generator().manual_seed(0)
    energy.forces(coords)
    times = []
    for _ in range(repeats):
        moved = coords + 0.01 * torch.randn(coords.shape, generator=generator).to(coords)
        if coords.is_cuda:
            torch.cuda.synchronize()
        begin = time.perf_counter()
        energy.forces(moved)
        if coords.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def log_log_slope(lengths: Sequence[int], seconds: Sequence[float]) -> float:
    """Least-squares slope of log time against log length: 1 is linear, 2 quadratic."""
    return float(np.polyfit(np.log(lengths), np.log(seconds), 1)[0])


def load_now() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


RUNS = {"run130": 130, "run1000": 1000, "run3000": 3000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[*RUNS, "gradient"], choices=[*RUNS, "gradient"])
    parser.add_argument("--settings", type=Path, help="settings of refine run (default: its defaults)")
    parser.add_argument("--here", action="store_true", help="run the part in this process")
    options = parser.parse_args()
    settings = read_settings(options.settings) if options.settings else RunSettings()
    more = ["--settings", str(options.settings)] if options.settings else []
    for part in options.parts:
        if part == "gradient":
            gradient(settings)
        elif options.here:
            child(part, RUNS[part], settings)
        else:
            subprocess.run([sys.executable, __file__, "--here", part, *more], check=False)


if __name__ == "__main__":
    main()
