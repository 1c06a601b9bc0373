"""What the move of a run is worth at several lengths, stage by stage, from what ``stages.py`` keeps.

    python benchmarks/lengths.py --bench BENCH_FOLDER --cache CACHE --out lengths.json [--sets predicted,refined150-dev]

A stage is the displacement of all CA atoms from the input as it came, the input laid onto it; at length f the input is
moved by f of it. ``without relaxation`` is what the propagation adds to the relaxed input. Shown are the mean changes
of GDT-HA and CA lDDT against the input, by set, program and start quality, with the cosine between displacement and
error, and a random smooth direction of the same size as control. No finishing.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stages import Case, options, stages_of

from refine.assess.lddt import lddt
from refine.assess.matching import match_residues
from refine.assess.superposition import superposition_scores
from refine.bench.control import random_direction, seed_of, superposed
from refine.bench.statistics import mean_interval
from refine.structure.prepare import prepare
from refine.structure.read import read_structure
from refine.training.targets import whole_superposition

LENGTHS = (0.25, 0.5, 0.75, 1.0, 1.5)
STEPS = (1, 2, 4, 8, 20)
"""Of the trajectory that begins at the input as it came."""
Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Aligned:
    """The residues that input and native share, with what is needed to score displacements of the input.

    Attributes:
        rows: (n,) of the model; columns: (n,) of the native.
        start, native: (n, 3) Å CA; error: (n, 3) Å from the input to the native laid onto it.
        length: residues of the native; model_length: of the model.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    start: Array
    native: Array
    native_all: Array
    error: Array
    model_length: int

    def scores(self, ca: Array) -> tuple[float, float]:
        """GDT-HA (0–100) and CA lDDT (0–1) of CA positions (n, 3)."""
        count = len(self.native_all)
        ha = superposition_scores(ca, self.native, count, self.model_length).gdt_ha
        placed, mask = np.zeros((count, 1, 3)), np.zeros((count, 1), np.bool_)
        placed[self.columns, 0], mask[self.columns, 0] = ca, True
        return ha, lddt(placed, self.native_all[:, None], mask, np.ones((count, 1), np.bool_)).score

    def displacement(self, ca: Array) -> Array:
        """(n, 3) Å from the input to CA positions (L, 3) of the model laid onto it."""
        moved: Array = superposed(ca[self.rows], self.start) - self.start
        return moved

    def cosine(self, displacement: Array) -> tuple[float, int]:
        """Mean cosine with the error over residues that are 0.5 to 4 Å off, and how many these are."""
        size = np.linalg.norm(self.error, axis=1)
        counted = (size > 0.5) & (size < 4.0)
        length = np.maximum(np.linalg.norm(displacement, axis=1) * size, 1e-9)
        cosine = (displacement * self.error).sum(1) / length
        return float(cosine[counted].mean()) if counted.any() else float("nan"), int(counted.sum())


def aligned(case: Case, given: NDArray[np.float32]) -> Aligned:
    """The CA atoms of a case's input (L, 14, 3) beside those of its native."""
    model, native = prepare(case.target.model).protein, read_structure(case.target.native).protein
    matching = match_residues(model, native)
    both = native.mask[matching.native_index, 1]
    rows, columns = matching.model_index[both], matching.native_index[both]
    present = np.flatnonzero(native.mask[:, 1])
    start, target = given[rows, 1].astype(np.float64), native.coords[0, columns, 1].astype(np.float64)
    rot, shift = whole_superposition(target, start)
    return Aligned(
        rows, np.searchsorted(present, columns), start, target, native.coords[0, present, 1].astype(np.float64),
        target @ rot.T + shift - start, len(model),
    )  # fmt: skip


def measured(case: Case, stages: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Changes of GDT-HA and lDDT of one target by stage and length, and what is known of it without the native."""
    given = stages["coords/given"]
    ca = aligned(case, given)
    before = ca.scores(ca.start)
    whole = {"relaxed": stages["coords/relaxed"][:, 1]}
    whole |= {f"from {name}": stages[f"{name}/path"][-1, :, 1] for name in ("relaxed", "given")}
    whole |= {f"{step} steps from given": stages["given/path"][step, :, 1] for step in STEPS[:-1]}
    moves = {name: ca.displacement(x.astype(np.float64)) for name, x in whole.items()}
    moves["without relaxation"] = moves["from relaxed"] - moves["relaxed"]
    protein = prepare(case.target.model).protein
    sizes = np.zeros(len(protein))
    sizes[ca.rows] = np.linalg.norm(moves["from relaxed"], axis=1)
    moves["random"] = ca.displacement(random_direction(protein, sizes, seed_of(case.target.name, 0))[0, :, 1])
    changes = {
        name: {str(f): [a - b for a, b in zip(ca.scores(ca.start + f * move), before, strict=True)] for f in LENGTHS}
        for name, move in moves.items()
    }
    b = protein.b_factors[:, 1].astype(np.float64)
    return {
        "program": case.program, "residues": len(protein), "before": before, "changes": changes,
        "cosine": {name: ca.cosine(move) for name, move in moves.items()},
        "size": {name: float(np.linalg.norm(move, axis=1).mean()) for name, move in moves.items()},
        "confidence": float(stages["given/confidence"].mean()), "judged": float(stages["given/judged"].mean()),
        "expected": float(stages["given/expected"].mean()), "shift_b": float(stages["given/shift_b"].mean()),
        "b_column": float(b.mean()) if np.ptp(b) > 0 else None,
    }  # fmt: skip


def row(name: str, targets: list[dict[str, Any]], stage: str, length: float) -> str:
    """One line of a table."""
    values = np.array([t["changes"][stage][str(length)] for t in targets])
    ha, trace = mean_interval(values[:, 0]), mean_interval(values[:, 1])
    cosines = np.array([t["cosine"][stage] for t in targets])
    cosine = np.average(cosines[:, 0], weights=cosines[:, 1]) if (cosines[:, 1] > 0).all() else float("nan")
    size = length * float(np.mean([t["size"][stage] for t in targets]))
    return (
        f"| {name} | {stage} × {length} | {len(targets)} | {ha.value:+.2f} ({ha.low:+.2f} … {ha.high:+.2f}) | "
        f"{(values[:, 0] > 0).mean():.0%} | {values[:, 0].min():+.2f} | "
        f"{trace.value:+.4f} ({trace.low:+.4f} … {trace.high:+.4f}) | {cosine:+.3f} | {size:.2f} |"
    )


def tables(found: dict[str, dict[str, Any]], chosen: str) -> list[str]:
    """Lines of the tables of one set."""
    targets = list(found.values())
    lines = ["| targets | stage | n | ΔGDT-HA | improved | worst | ΔlDDT Cα | cosine | Å |", "|---|" + "---|" * 8]
    for stage in targets[0]["changes"]:
        few = stage == "relaxed" or "steps" in stage or stage == "random"
        lines += [row(chosen, targets, stage, f) for f in ((1.0,) if few else LENGTHS)]
    middle = float(np.median([t["before"][0] for t in targets]))
    groups = {f"start below {middle:.0f}": [t for t in targets if t["before"][0] < middle]}
    groups[f"start from {middle:.0f} on"] = [t for t in targets if t["before"][0] >= middle]
    for program in sorted({t["program"] for t in targets}):
        groups[program] = [t for t in targets if t["program"] == program]
    for name, some in groups.items():
        lines += [row(name, some, stage, f) for stage in ("from relaxed", "from given") for f in (0.5, 1.0)]
    return lines


def main() -> int:
    """Measure every target and print the tables."""
    parser = options()
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    for chosen, case, stages in stages_of(args):
        found.setdefault(chosen, {})[case.target.name] = measured(case, stages)
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    for chosen, targets in found.items():
        print("\n".join(tables(targets, chosen)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
