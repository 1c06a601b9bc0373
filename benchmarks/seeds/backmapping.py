"""Coarse models to all atoms: how near to the natives they were made from, beside other programs.

    python benchmarks/seeds/backmapping.py ../shared/bench [--count 20] [--peer 'NAME=program {in} {out}'] ...

Natives of the check half of refined150-dev (``native_manifest``), reduced to CA alone, to the backbone, and to CA and
the centre of the side chain (bead SC), are read and repaired as ``refine finish`` and ``refine run`` do before they
relax. A ``--peer`` is another program that gets the file of CA atoms. Backbone RMSD is over N, CA, C and O without
superposition, as CA atoms stay where they are; chi1 counts within 40 degrees. Then the trace from distances alone:
those between the CA atoms of the same natives with noise of 1 Å.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from limits import write_result

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from native_manifest import natives  # noqa: E402

from refine.assess.torsions import torsions  # noqa: E402
from refine.assess.validate import validate  # noqa: E402
from refine.constants import ATOM14, ONE_TO_THREE  # noqa: E402
from refine.errors import InputError  # noqa: E402
from refine.structure.arrays import superposed  # noqa: E402
from refine.structure.embed import embed, handedness  # noqa: E402
from refine.structure.protein import Protein  # noqa: E402
from refine.structure.read import read_structure  # noqa: E402
from refine.structure.repair import repair  # noqa: E402

KINDS = ("ca", "backbone", "centres")
NEAR = 40.0


def coarse_text(protein: Protein, kind: str) -> str:
    """PDB file of a coarse model; chain A, numbered by what is bonded, so that other programs see the gaps."""
    lines, number = [], 0
    for i, aa in enumerate(protein.sequence):
        number += 1 if i and protein.bonded[i - 1] else 5
        atoms = [(ATOM14[aa][k], protein.coords[0, i, k]) for k in range(4) if kind == "backbone" or k == 1]
        if kind == "centres" and aa != "G":
            atoms.append(("SC", protein.coords[0, i, 4 : len(ATOM14[aa])].mean(0)))
        for name, (x, y, z) in atoms:
            lines.append(
                f"ATOM  {len(lines) + 1:5d}  {name:<3s} {ONE_TO_THREE[aa]} A{number:4d}    "
                f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           C  "
            )
    return "\n".join((*lines, "TER", "END", ""))


def compare_with(native: Protein, built: Protein) -> dict[str, float]:
    """How near ``built`` is to the native it was made from; residues in the same order."""
    if built.sequence != native.sequence:
        raise InputError("the residues are not those of the input")
    both = native.mask[:, :4] & built.mask[:, :4]
    backbone = np.sqrt(((native.coords - built.coords)[0, :, :4] ** 2).sum(-1)[both].mean())
    first, second = torsions(native), torsions(built)
    chi = np.abs(np.degrees(np.angle(np.exp(1j * (second.chi[:, 0] - first.chi[:, 0])))))
    omega = np.abs(np.degrees(np.angle(np.exp(1j * (second.omega - first.omega)))))
    quality = validate(built)
    side = native.mask & (np.arange(14) >= 4)
    return {
        "backbone_rmsd": float(backbone),
        "chi1": float((chi[np.isfinite(first.chi[:, 0])] < NEAR).mean()),
        "cis_errors": float((omega[np.isfinite(omega)] > 90).sum()),
        "chirality_errors": float(quality.chirality_outliers),
        "clashscore": float(quality.clashscore),
        "atoms_missing": float((side & ~built.mask).sum()),
    }


def ours(text: str, folder: Path) -> Protein:
    (folder / "coarse.pdb").write_text(text)
    return repair(read_structure(folder / "coarse.pdb")).protein


def peer(command: str) -> Callable[[str, Path], Protein]:
    """Another program; its output is read, nothing is rebuilt in it."""

    def run(text: str, folder: Path) -> Protein:
        given, made = folder / "coarse.pdb", folder / "built.pdb"
        given.write_text(text)
        made.unlink(missing_ok=True)
        words = [w.replace("{in}", str(given)).replace("{out}", str(made)) for w in shlex.split(command)]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or not made.exists():
            raise InputError(f"{words[0]} gave no model: {done.stderr.strip()[-200:]}")
        return read_structure(made).protein

    return run


def row_of(task: tuple[Path, str, str]) -> dict[str, float] | str:
    """One native, one method (empty for ours), one kind of coarse model; the reason in words where it failed."""
    path, command, kind = task
    native = read_native(path)
    begun = time.process_time()
    try:
        with tempfile.TemporaryDirectory() as name:
            built = (peer(command) if command else ours)(coarse_text(native, kind), Path(name))
        seconds = time.process_time() - begun
        return compare_with(native, built) | {"cpu_seconds": seconds}
    except InputError as error:
        return f"{path.parent.name}: {error}"


def measure(rows: list[dict[str, float] | str]) -> dict[str, float]:
    """Median backbone RMSD, mean chi1 and clashscore, sums of errors; CPU seconds a structure mean ours alone."""
    for row in rows:
        if isinstance(row, str):
            sys.stderr.write(f"{row}\n")
    good = [row for row in rows if not isinstance(row, str)]
    if not good:
        return {"failed": len(rows)}
    table = {key: np.array([row[key] for row in good]) for key in good[0]}
    return {
        "backbone_rmsd_median": float(np.median(table["backbone_rmsd"])),
        "backbone_rmsd_largest": float(table["backbone_rmsd"].max()),
        "chi1": float(table["chi1"].mean()),
        "clashscore": float(table["clashscore"].mean()),
        **{key: float(table[key].sum()) for key in ("cis_errors", "chirality_errors", "atoms_missing")},
        "failed": len(rows) - len(good),
        "cpu_seconds_each": float(table["cpu_seconds"].mean()),
    }


def read_native(path: Path) -> Protein:
    return repair(read_structure(path)).protein.with_hetero(())


def embedded(proteins: list[Protein], noise: float = 1.0) -> dict[str, float]:
    """CA RMSD of traces from noisy distances, and how often the hand was wrong."""
    random = np.random.default_rng(0)
    error, wrong = [], 0
    for native in proteins:
        ca = native.coords[0, :, 1].astype(np.float64)
        distances = np.linalg.norm(ca[:, None] - ca, axis=-1)
        given = np.maximum(distances + np.triu(random.normal(0, noise, distances.shape), 1), 0.0)
        given = np.triu(given, 1) + np.triu(given, 1).T
        trace = embed(given, bonded=native.bonded[:-1])
        both = [float(np.sqrt(((superposed(x, ca) - ca) ** 2).sum(-1).mean())) for x in (trace, trace * (1, 1, -1))]
        error.append(both[0])
        wrong += both[1] < both[0]
        assert handedness(trace) >= 0
    return {
        "distances_ca_rmsd_median": float(np.median(error)),
        "distances_ca_rmsd_largest": float(np.max(error)),
        "distances_wrong_hand": float(wrong),
    }


LIMITS = {
    "ours_ca_backbone_rmsd_median": ("<=", 0.6),
    **{f"ours_{kind}_chi1": (">=", 0.6) for kind in KINDS},
    **{f"ours_{kind}_{error}": ("<=", 0) for kind in KINDS for error in ("cis_errors", "chirality_errors", "failed")},
    "distances_ca_rmsd_largest": ("<=", 1.0),
    "distances_wrong_hand": ("<=", 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    paths = [options.bench / t.native for t in natives(options.bench, "check", options.count)]
    methods = [("ours", "", kind) for kind in KINDS]
    methods += [(name, command, "ca") for name, command in (text.split("=", 1) for text in options.peer)]
    tasks = [(path, command, kind) for _, command, kind in methods for path in paths]
    with ProcessPoolExecutor(options.workers) as pool:
        rows = list(pool.map(row_of, tasks))
    numbers: dict[str, float] = {"natives": len(paths)} | embedded([read_native(path) for path in paths])
    for k, (name, _, kind) in enumerate(methods):
        found = measure(rows[k * len(paths) : (k + 1) * len(paths)])
        numbers |= {f"{name}_{kind}_{key}": value for key, value in found.items()}
    how = {"natives": len(paths), "peers": [name for name, command, _ in methods if command]}
    write_result("backmapping", numbers, LIMITS, how)


if __name__ == "__main__":
    main()
