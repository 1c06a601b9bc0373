"""GDT, TM-score and RMSD: identities, and the Zhang-lab TMscore program as oracle."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import biotite.structure as struc
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from refine.assess.compare import compare
from refine.assess.superposition import superposition_scores, tm_scale
from refine.structure.read import read_structure
from tests.assess.structures import atom_array, model_and_native


def random_walk(length: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    step = rng.normal(size=(length, 3))
    return np.cumsum(3.8 * step / np.linalg.norm(step, axis=1, keepdims=True), axis=0)


def test_a_moved_copy_is_perfect() -> None:
    native = random_walk(60)
    moved = native @ Rotation.random(random_state=1).as_matrix().T + [10, -20, 300]
    s = superposition_scores(moved, native, 60, 60)
    assert (s.gdt_ts, s.gdt_ha) == (100.0, 100.0)
    assert s.tm_score == pytest.approx(1.0, abs=1e-9)
    assert s.rmsd == pytest.approx(0.0, abs=1e-6)
    assert np.allclose(moved @ s.rotation.T + s.shift, native, atol=1e-6)


def test_a_mirror_image_is_not() -> None:
    native = random_walk(60)
    s = superposition_scores(native * [1, 1, -1], native, 60, 60)
    assert s.tm_score < 0.6 and s.rmsd > 3 and np.linalg.det(s.rotation) == pytest.approx(1.0)


def test_half_a_model_scores_half() -> None:
    native = random_walk(80)
    s = superposition_scores(native[:40], native[:40], 80, 40)
    assert s.gdt_ts == 50.0 and s.tm_score == pytest.approx(0.5)


def test_a_displaced_half_does_not_spoil_the_rest() -> None:
    native = random_walk(80)
    model = native.copy()
    model[40:] += [60, 0, 0]
    s = superposition_scores(model, native, 80, 80)
    assert s.gdt_ha == pytest.approx(50.0) and s.tm_score == pytest.approx(0.5, abs=0.01) and s.rmsd > 15
    near, far = sorted((s.distances[:40], s.distances[40:]), key=np.mean)
    assert near.max() < 1e-4 and far.min() == pytest.approx(60, abs=1e-3)


@pytest.mark.parametrize("length", [3, 4, 5, 16])
def test_tiny_proteins(length: int) -> None:
    native = random_walk(length)
    s = superposition_scores(native, native, length, length)
    assert s.tm_score == pytest.approx(1.0) and s.gdt_ts == 100.0


def test_tm_scale_of_150_residues() -> None:
    assert tm_scale(150) == pytest.approx(1.24 * 135 ** (1 / 3) - 1.8)
    assert tm_scale(10) == 0.5


def best_of_many_fits(model: np.ndarray, native: np.ndarray, within: float) -> int:
    """Most Cα within a distance, by Kabsch fits (scipy) of every window of 4, 8 and 16 that are then grown."""
    best = 0
    for length in (4, 8, 16, len(model)):
        for start in range(len(model) - length + 1):
            chosen = np.arange(start, start + length)
            for _ in range(12):
                shift, goal = model[chosen].mean(0), native[chosen].mean(0)
                turn, _ = Rotation.align_vectors(native[chosen] - goal, model[chosen] - shift)
                distance = np.linalg.norm(turn.apply(model - shift) + goal - native, axis=1)
                best = max(best, int((distance <= within).sum()))
                grown = np.flatnonzero(distance <= max(within, np.sort(distance)[3]))
                if np.array_equal(grown, chosen):
                    break
                chosen = grown
    return best


@pytest.mark.parametrize("pair", ["1a8o", "1lcd"])
def test_against_biotite_and_a_plain_search(pair: str) -> None:
    """RMSD and the TM-score of our superposition by biotite; GDT at least as high as a plain search finds it."""
    model, native = model_and_native(pair)
    c = compare(model, native)
    x, y = (p.coords[0, :, 1].astype(np.float64) for p in (model, native))
    assert c.rmsd == pytest.approx(float(struc.rmsd(y, struc.superimpose(y, x)[0])), abs=1e-4)
    trace = np.arange(14) == 1
    atoms = [atom_array(p, p.mask & trace) for p in (native, model)]
    atoms[1].coord = (x @ c.rotation.T + c.shift).astype(np.float32)
    everything = np.arange(len(x))
    assert c.tm_score == pytest.approx(struc.tm_score(*atoms, everything, everything), abs=1e-5)
    for score, limits in ((c.gdt_ts, (1, 2, 4, 8)), (c.gdt_ha, (0.5, 1, 2, 4))):
        plain = 100 * sum(best_of_many_fits(x, y, d) for d in limits) / len(x) / 4
        assert plain <= score + 1e-6 and score == pytest.approx(plain, abs=100 / len(x))


@cache
def trace(path: Path) -> dict[str, list[float]]:
    """Cα positions by residue number of a PDB file of one chain (a plain reader keeps this test fast)."""
    atoms: dict[str, list[float]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("ENDMDL"):
            break
        if line.startswith("ATOM") and line[12:16] == " CA " and line[16] in " A":
            atoms.setdefault(line[22:27], [float(line[k : k + 8]) for k in (30, 38, 46)])
    return atoms


def test_every_row_of_the_benchmark(shared: Path) -> None:
    """`TMscore model native` of the Zhang lab, 367 rows; its output has four decimals, so agreement is to the last
    printed digit.
    """
    bench = shared / "bench"
    with (bench / "targets.tsv").open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert len(rows) == 367
    off = []
    for row in rows:
        model, native = trace(bench / row["model"]), trace(bench / row["native"])
        assert len(native) == int(row["native_residues"])
        common = [number for number in native if number in model]
        s = superposition_scores(
            np.array([model[k] for k in common]), np.array([native[k] for k in common]), len(native), len(model)
        )
        ours = (s.gdt_ts, s.gdt_ha, s.tm_score, s.rmsd)
        off.append(
            [
                abs(value - float(row[key]))
                for value, key in zip(ours, ("gdt_ts", "gdt_ha", "tm_score", "ca_rmsd_A"), strict=True)
            ]
        )
    worst = np.max(off, axis=0)
    assert worst[0] <= 0.0051 and worst[1] <= 0.0051, worst
    assert worst[2] <= 0.000051 and worst[3] <= 0.00051, worst


def test_the_whole_line_on_one_row_of_each_set(shared: Path) -> None:
    """Reading, matching and scoring together; chain ids of models and natives differ in these files."""
    bench = shared / "bench"
    with (bench / "targets.tsv").open(newline="") as handle:
        rows = {row["set"]: row for row in csv.DictReader(handle, delimiter="\t")}
    assert len(rows) == 3
    for row in rows.values():
        c = compare(read_structure(bench / row["model"]).protein, read_structure(bench / row["native"]).protein)
        assert c.matching.method == "numbering"
        assert c.gdt_ha == pytest.approx(float(row["gdt_ha"]), abs=0.0051) and c.tm_score == pytest.approx(
            float(row["tm_score"]), abs=6e-5
        )
