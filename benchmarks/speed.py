"""Time and memory of a run, each in a process of its own.

    python benchmarks/speed.py            all parts
    python benchmarks/speed.py run130 run1000 run3000 gradient

Targets (issue on the main job): a default run of 130 residues with 5 models, finishing included, in at most 60 s on 2 cores; 1,000 residues
below 4 GB; 3,000 residues completes. The proteins are ideal helical bundles made here, so that nothing else is needed; what a run
costs depends on their size, hardly on their fold. Numbers are printed as a table, with the load of the machine beside them.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gemmi
import numpy as np
import torch

from refine.energy.assemble import log_log_slope, seconds_per_gradient
from refine.pipeline import backbone, free_energy, load, prepare, refine_file
from refine.settings import RunSettings

SEQUENCE = "AELKKLLEEVEKLLAKGNPEDIRKAVELAK"
"""Repeated along each helix."""


def bundle(length: int, path: Path) -> None:
    """Write a compact bundle of ideal 30-residue helices, one chain with loops left out, as backbone-only PDB file."""
    side = int(np.ceil(np.sqrt(length / 30)))
    structure, model, chain = gemmi.Structure(), gemmi.Model(1), gemmi.Chain("A")
    for i in range(length):
        helix, k = divmod(i, 30)
        origin = np.array([10.0 * (helix % side), 10.0 * (helix // side), 0.0])
        residue = gemmi.Residue()
        residue.name = gemmi.expand_one_letter(SEQUENCE[k], gemmi.ResidueKind.AA)
        residue.seqid = gemmi.SeqId(i + 1 + 5 * helix, " ")
        residue.het_flag = "A"
        for name, (radius, turn, rise) in HELIX.items():
            angle = np.radians(100.0 * k + turn)
            atom = gemmi.Atom()
            atom.name, atom.element = name, gemmi.Element(name[0])
            atom.pos = gemmi.Position(*(origin + [radius * np.cos(angle), radius * np.sin(angle), 1.5 * k + rise]))
            atom.occ = 1.0
            residue.add_atom(atom)
        chain.add_residue(residue)
    model.add_chain(chain)
    structure.add_model(model)
    structure.write_pdb(str(path))


HELIX = {"N": (1.55, -27.8, -0.87), "CA": (2.28, 0.0, 0.0), "C": (1.68, 26.5, 1.15), "O": (2.04, 20.6, 2.31)}
"""Radius in Å, angle in degrees and rise in Å of the backbone atoms of an ideal helix, from CA (Barlow & Thornton 1988)."""


def child(part: str, length: int) -> None:
    """One run in this process; prints seconds, peak memory of it and of its finishing processes, and the timings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"bundle{length}.pdb"
        bundle(length, path)
        began = time.monotonic()
        result = refine_file(path, Path(folder) / "out", RunSettings())
        seconds = time.monotonic() - began
        own, children = (resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        stages = ", ".join(f"{k} {v:.0f}" for k, v in result.record["timings"].items())
        print(
            f"{part:<9} L={length:<5} {seconds:7.1f} s   peak {own:.2f} GB, largest worker {children:.2f} GB   ({stages})   load {load_now()}"
        )


def gradient(lengths: tuple[int, ...] = (60, 120, 250, 500, 1000)) -> None:
    """Seconds of one gradient of all terms, one replica, learned targets held; and of evaluating them."""
    settings = RunSettings()
    networks, times, refreshes = load(settings), [], []
    with tempfile.TemporaryDirectory() as folder:
        for length in lengths:
            path = Path(folder) / "b.pdb"
            bundle(length, path)
            protein = prepare(path, settings).protein
            coords = backbone(protein, torch.device("cpu"))
            energy = free_energy(protein, networks, settings, pull=True)
            began = time.monotonic()
            held = energy.at(coords)
            refreshes.append(time.monotonic() - began)
            times.append(seconds_per_gradient(held, coords))
            print(
                f"gradient  L={length:<5} {1e3 * times[-1]:8.2f} ms a step, {1e3 * refreshes[-1]:8.1f} ms a refresh of the learned targets"
            )
    print(
        f"gradient  log-log slope: step {log_log_slope(lengths, times):.2f}, refresh {log_log_slope(lengths, np.maximum(refreshes, 1e-6)):.2f}"
    )


def load_now() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


RUNS = {"run130": 130, "run1000": 1000, "run3000": 3000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[*RUNS, "gradient"], choices=[*RUNS, "gradient"])
    parser.add_argument("--here", action="store_true", help="run the part in this process")
    options = parser.parse_args()
    for part in options.parts:
        if part == "gradient":
            gradient()
        elif options.here:
            child(part, RUNS[part])
        else:
            subprocess.run([sys.executable, __file__, "--here", part], check=False)


if __name__ == "__main__":
    main()
