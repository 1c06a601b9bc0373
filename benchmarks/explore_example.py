"""What ``refine explore`` finds of a lid with two known states, in how many minutes, and how far from both.

    python benchmarks/explore_example.py CLOSED OPEN [--ns 1] [--keep FOLDER] [--out FILE.json] [--picture FILE.png]

The N-terminal domain of DsbD has a lid over its active site (residues 67 to 73): closed in 1L6P (chain A), open in its
complex 1Z5Y, and the rest of the domain is the same within 0.4 Å. CLOSED and OPEN are files of that chain alone, with
their author numbering and as chain A. The dynamics begin closed and are run with each bias (the adversary towards
OPEN, of which the others know nothing). Only the lid moves, residues within 11 Å of it (CA) stand around it. Distances
to the known states are RMSDs of the lid's CA, the rest of the domain laid upon the start.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refine.explore.run import explore_file
from refine.files import json_text
from refine.sampling.reweight import weights_of
from refine.sampling.settings import FRAME_PS, ExploreSettings
from refine.sampling.subject import ModelSubject
from refine.structure.arrays import superpose, transformed
from refine.structure.prepare import prepare
from refine.structure.protein import Protein
from refine.structure.read import read_structure

LOOP, AROUND = "A:67-73", 11.0
VARIABLES = ("distance A:70 CA A:109 CA 5 24", "distance A:70 CA A:75 CA 6 22")
"""How far the lid's tip is from the active cysteine, and from a residue at right angles to that way."""
BIASES = ("none", "chaser", "adversary")
NEAR = 1.5
"""Å of a known state within which a frame counts as that state."""
RESULTS = Path(__file__).resolve().parent / "results" / "explore_example.json"
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "explore_example.png"
COLOURS = {"none": "#8a94a3", "chaser": "#1f6fb2", "adversary": "#7a4fd0"}
CLOSED_COLOUR, OPEN_COLOUR = "#333333", "#b3362b"


class Lid:
    """Where the CA atoms of the lid are in both known states, in the frame of the closed one.

    Attributes:
        subject: what is simulated; rows: residues of the lid.
        closed, opened: (n, 3) Å; core_rmsd: Å, of all other CA that both have and that are within 2 Å.
    """

    def __init__(self, closed: Path, opened: Path) -> None:
        prepared = prepare(closed)
        self.subject = ModelSubject(prepared, LOOP, AROUND)
        own, other = prepared.protein, read_structure(opened).protein
        first, last = (int(n) for n in LOOP.partition(":")[2].split("-"))
        places = {r.number: j for j, r in enumerate(other.residue_ids) if other.mask[j, 1]}
        both = [(i, places[r.number]) for i, r in enumerate(own.residue_ids) if r.number in places and own.mask[i, 1]]
        lid = np.array([first <= own.residue_ids[i].number <= last for i, _ in both])
        i, j = np.array(both).T
        here, there = own.coords[0, i, 1].astype(np.float64), other.coords[0, j, 1].astype(np.float64)
        core = ~lid
        for _ in range(5):
            laid = transformed(there, *superpose(there[core], here[core]))
            apart = np.linalg.norm(laid - here, axis=1)
            core = ~lid & (apart < 2.0)
        self.rows, self.closed, self.opened = i[lid], here[lid], laid[lid]
        self.core_rmsd = float(np.sqrt((apart[core] ** 2).mean()))
        self.core = int(core.sum())

    def of(self, protein: Protein) -> NDArray[np.float64]:
        """(R, n, 3) Å of the lid's CA in replicas of the closed structure."""
        return protein.coords[:, self.rows, 1].astype(np.float64)


def rmsd(lid: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) Å without any superposition: the rest of the domain does not move."""
    return np.sqrt(((lid - known) ** 2).sum(2).mean(1))


def run(lid: Lid, closed: Path, opened: Path, bias: str, ns: float, keep: Path) -> dict[str, Any]:
    """One exploration by the function of ``refine explore``, and how near it came to both states."""
    (keep / "variables.txt").write_text("\n".join(VARIABLES) + "\n")
    settings = ExploreSettings(ns=ns, bias=bias, loop=LOOP, around=AROUND)
    towards = opened if bias == "adversary" else None
    begun, cpu, out = time.monotonic(), time.process_time(), keep / f"{bias}_{ns:g}ns"
    result = explore_file(closed, out, settings, variables=keep / "variables.txt", towards=towards, resume=True)
    spent = keep / f"{bias}_{ns:g}ns_minutes.json"
    if not result.skipped:
        minutes = {"minutes": (time.monotonic() - begun) / 60, "cpu_minutes": (time.process_time() - cpu) / 60}
        spent.write_text(json_text(minutes))
    with np.load(out / "trajectory.npz") as arrays:
        frames, kept, frozen, v = arrays["frames"], arrays["kept"], arrays["frozen"], arrays["bias"]
        q = arrays["q"]
    place = lid.of(lid.subject.protein(frames))
    to_closed, to_opened = rmsd(place, lid.closed), rmsd(place, lid.opened)
    weights, averaged = weights_of(v[frozen]), frozen[kept]
    share = weights_of(v[kept][averaged]).values
    nearest = int(to_opened.argmin())
    states = [rmsd(lid.of(read_structure(out / m["pdb"]).protein), known) for m in result.record["models"]
              for known in (lid.closed, lid.opened)]  # fmt: skip
    return {
        "bias": bias, "ns": ns, **json.loads(spent.read_text()), "atoms": result.record["atoms"],
        "nearest_to_open": float(to_opened[nearest]), "at_ps": round(float(kept[nearest]) * FRAME_PS, 1),
        "nearest_to_open_before_freezing": float(to_opened[~averaged].min()) if (~averaged).any() else None,
        "nearest_to_closed_after_that": float(to_closed[nearest:].min()),
        "farthest_from_closed": float(to_closed.max()),
        "frames_near_open": float((to_opened < NEAR).mean()), "frames_near_closed": float((to_closed < NEAR).mean()),
        "kish": weights.kish, "weights_refused": weights.refused,
        "population_near_open": None if weights.refused else float(share[to_opened[averaged] < NEAR].sum()),
        "population_near_closed": None if weights.refused else float(share[to_closed[averaged] < NEAR].sum()),
        "tip_to_cysteine": [float(q[:, 0].min()), float(q[:, 0].max())],
        "states": [
            {"population": m["population"], "error": m["population_error"], "learned": m["population_learned"],
             "to_closed": float(a[0]), "to_open": float(b[0]), "variables": m["variables"]}
            for m, a, b in zip(result.record["models"], states[::2], states[1::2], strict=True)
        ],
        "verdict": result.verdict, "doubts": result.record["doubts"],
        "course": {"ps": kept * FRAME_PS, "to_open": to_opened, "to_closed": to_closed},
        "nearest_frame": place[nearest],
    }  # fmt: skip


def draw(lid: Lid, runs: Mapping[str, Mapping[str, Any]], keep: Path, ns: float, path: Path) -> None:
    """Free energy of the chaser's run with both known states, the course of all runs, the lid as it came nearest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    landscape, course, picture = figure.subplots(1, 3)
    with np.load(keep / f"chaser_{ns:g}ns" / "pmf.npz") as pmf:
        x, y, energy = (pmf[f"grid1_{name}"] for name in ("axis1", "axis2", "free_energy"))
    drawn = landscape.pcolormesh(x, y, energy.T, shading="nearest", cmap="viridis")
    figure.colorbar(drawn, ax=landscape, label="free energy, chaser (kcal/mol)")
    for name, place, colour in (("closed", "closed", CLOSED_COLOUR), ("open", "opened", OPEN_COLOUR)):
        at = _variables(lid, getattr(lid, place))
        landscape.plot(*at, "o", color=colour, markeredgecolor="white", markersize=9, label=f"{name} (crystal)")
    landscape.set_xlabel("CA 70 to CA 109 (Å)")
    landscape.set_ylabel("CA 70 to CA 75 (Å)")
    landscape.legend(fontsize=8)
    for bias, one in runs.items():
        label = f"{bias}: nearest {one['nearest_to_open']:.1f} Å"
        course.plot(one["course"]["ps"], one["course"]["to_open"], color=COLOURS[bias], linewidth=0.7, label=label)
    course.set_xlabel("time (ps)")
    course.set_ylabel("lid to the open crystal (Å, CA RMSD)")
    course.set_ylim(bottom=0)
    course.legend(fontsize=8)
    _trace(picture, lid, runs)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, format="png", metadata={"Software": None})


def _variables(lid: Lid, place: NDArray[np.float64]) -> list[float]:
    """Both variables where the lid's CA are at ``place``; the other atoms of the distances do not move."""
    numbers = [int(line.split()[1].partition(":")[2]) for line in VARIABLES]
    tip = place[numbers[0] - int(LOOP.partition(":")[2].split("-")[0])]
    anchors = [int(line.split()[3].partition(":")[2]) for line in VARIABLES]
    atoms = {(lid.subject.labels[a.residue.index].number, a.name): a.index for a in lid.subject.topology.atoms()
             if lid.subject.labels[a.residue.index] is not None}  # fmt: skip
    return [float(np.linalg.norm(tip - lid.subject.start[atoms[number, "CA"]])) for number in anchors]


def _trace(panel: Any, lid: Lid, runs: Mapping[str, Mapping[str, Any]]) -> None:
    """CA traces of the lid; upwards is the way from closed to open, across that the longest way of the chain."""
    every = np.concatenate((lid.closed, lid.opened))
    middle = every.mean(0)
    up = np.linalg.svd(lid.opened - lid.closed, full_matrices=False)[2][0]
    up *= np.sign(((lid.opened - lid.closed) @ up).sum())
    flat = every - middle
    across = np.linalg.svd(flat - np.outer(flat @ up, up), full_matrices=False)[2][0]
    axes = np.stack((across, up))
    traces = [("closed (crystal)", lid.closed, CLOSED_COLOUR, "-"), ("open (crystal)", lid.opened, OPEN_COLOUR, "-")]
    traces += [(f"nearest to open: {bias}", one["nearest_frame"], COLOURS[bias], "--") for bias, one in runs.items()]
    for name, place, colour, style in traces:
        panel.plot(*((place - middle) @ axes.T).T, style, color=colour, marker="o", markersize=3, label=name)
    panel.set_aspect("equal")
    panel.set_xlabel("Å")
    panel.legend(fontsize=7)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("closed", type=Path)
    parser.add_argument("opened", type=Path, metavar="open")
    parser.add_argument("--ns", type=float, default=1.0)
    parser.add_argument("--biases", default=",".join(BIASES))
    parser.add_argument("--keep", type=Path, help="folder of the runs, which go on there if interrupted")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    lid = Lid(args.closed, args.opened)
    with tempfile.TemporaryDirectory() as temporary:
        keep = args.keep or Path(temporary)
        keep.mkdir(parents=True, exist_ok=True)
        runs = {bias: run(lid, args.closed, args.opened, bias, args.ns, keep) for bias in args.biases.split(",")}
        if "chaser" in runs:
            draw(lid, runs, keep, args.ns, args.picture)
    apart = rmsd(lid.opened[None], lid.closed)
    known = {"lid_rmsd": float(apart[0]), "core_rmsd": lid.core_rmsd, "core": lid.core,
             "variables": {"closed": _variables(lid, lid.closed), "open": _variables(lid, lid.opened)}}  # fmt: skip
    shown = {bias: {k: v for k, v in one.items() if k not in ("course", "nearest_frame")} for bias, one in runs.items()}
    value = {
        "command": "python benchmarks/explore_example.py",
        "loop": LOOP,
        "around": AROUND,
        "variables": VARIABLES,
        "near": NEAR,
        "known_states": known,
        "runs": shown,
    }
    args.out.write_text(json_text(value))
    print(json_text(value), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
