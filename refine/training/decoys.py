"""The decoy factory: natives made wrong the way real models are wrong.

Every function takes and returns backbones (L, 4, 3) in Å (N, CA, C, O; numpy float32) and moves residues, never
invents or removes them. ``restore_bonds`` afterwards repairs the covalent geometry that a move has bent, so that
stretched bonds do not give the move away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from refine.constants import MAX_CA_CA
from refine.energy.bonds import ANGLES, BONDS
from refine.structure.arrays import rotation_from_vector
from refine.training.elastic import Strain, deformation
from refine.training.targets import whole_superposition

Backbone = NDArray[np.float32]


SWEEP = (*BONDS[:3], *ANGLES[:2], BONDS[3], ANGLES[2], ANGLES[4], ANGLES[3])
"""Within the residue first, then to the next: the order of the sweep is part of what an example is."""


def restore_bonds(backbone: Backbone, bonded: NDArray[np.bool_], sweeps: int = 12, scale: float = 1.0) -> Backbone:
    """Bonds and 1–3 distances brought back towards ``scale`` times ideal by position-based sweeps; omega stays free.

    The distances are those of ``propagation.constraints``, the sweep is not: that one leaves alone what is within a
    tolerance and makes peptides flat. Sharing only its arithmetic, in torch, gives the same coordinates to 1e-6 Å and
    takes six times as long (15 ms against 2.4 ms for 10 sweeps of 230 residues), which would more than double the time
    of an example.
    """
    x = backbone.astype(np.float64, copy=True)
    joined = bonded[:-1]
    for _ in range(sweeps):
        for link in SWEEP:
            step = int(link.to_next)
            a = x[: len(x) - step, link.first]
            b = x[step:, link.second - 4 * step]
            delta = b - a
            length = np.sqrt(np.einsum("ij,ij->i", delta, delta))[:, None] + 1e-9
            move = 0.5 * (1.0 - scale * link.ideal / length) * delta
            if step:
                move = move * joined[:, None]
            a += move
            b -= move
    return x.astype(np.float32)


def move_residues(backbone: Backbone, shift: NDArray[np.float64], turn: NDArray[np.float64]) -> Backbone:
    """Each residue moved rigidly: turned about its CA by ``turn`` (L, 3) rad, then shifted by ``shift`` (L, 3) Å."""
    ca = backbone[:, 1:2]
    turned = (rotation_from_vector(turn) @ (backbone - ca).transpose(0, 2, 1)).transpose(0, 2, 1)
    return (turned + ca + shift[:, None]).astype(np.float32)


def random_field(
    points: NDArray[np.float32], length: float, rng: np.random.Generator, features: int = 48
) -> NDArray[np.float64]:
    """A smooth Gaussian random vector field (L, 3) of unit variance and correlation length ``length`` Å at ``points``.

    Random Fourier features of the squared-exponential kernel (Rahimi & Recht 2007).
    """
    waves = rng.normal(size=(3, features)) / length
    phase = rng.uniform(0, 2 * np.pi, features)
    return np.sqrt(2.0 / features) * np.cos(points @ waves + phase) @ rng.normal(size=(features, 3))


def correlated_shift(backbone: Backbone, rng: np.random.Generator, amplitude: float, length: float) -> Backbone:
    """Neighbouring residues displaced and turned together (field of rms ``amplitude`` Å per axis over ``length`` Å)."""
    ca = backbone[:, 1]
    shift = amplitude * random_field(ca, length, rng)
    turn = min(amplitude / length, 0.35) * random_field(ca, length, rng)
    return move_residues(backbone, shift, turn)


def segment_shift(backbone: Backbone, rng: np.random.Generator, amplitude: float, count: int) -> Backbone:
    """``count`` segments of 4–25 residues (helices, strands, hairpins, loops) moved as rigid bodies, ends blended."""
    x = backbone.copy()
    for _ in range(count):
        size = int(rng.integers(4, 26))
        start = int(rng.integers(-2, max(1, len(x) - size + 2)))
        lo, hi = max(start, 0), min(start + size, len(x))
        if hi - lo < 3:
            continue
        weight = np.minimum(1.0, np.minimum(np.arange(1, hi - lo + 1), np.arange(hi - lo, 0, -1)) / 3.0)
        ca = x[lo:hi, 1].astype(np.float64)
        axis = (ca[-1] - ca[0]) / max(np.linalg.norm(ca[-1] - ca[0]), 1e-6)
        turn = rng.normal(scale=0.12 * amplitude, size=3) + axis * rng.normal(scale=0.2 * amplitude)
        centre = ca.mean(0)
        rot = rotation_from_vector(np.clip(turn, -0.8, 0.8))
        goal = (ca - centre) @ rot.T + centre + rng.normal(scale=0.6 * amplitude, size=3)
        x[lo:hi] = move_residues(x[lo:hi], (goal - ca) * weight[:, None], np.clip(turn, -0.8, 0.8) * weight[:, None])
    return x


def crankshafts(backbone: Backbone, rng: np.random.Generator, degrees: float, count: int) -> Backbone:
    """Torsion noise with exact closure: ``count`` stretches of 2–12 residues turned about the line CA(i)–CA(j)."""
    x = backbone.astype(np.float64)
    for _ in range(count):
        span = int(rng.integers(2, 13))
        i = int(rng.integers(0, max(1, len(x) - span)))
        j = min(i + span, len(x) - 1)
        axis = x[j, 1] - x[i, 1]
        norm = np.linalg.norm(axis)
        if j - i < 2 or norm < 1e-3:
            continue
        rot = rotation_from_vector(axis / norm * np.radians(rng.normal(scale=degrees)))
        flat = x[i : j + 1].reshape(-1, 3)
        inner = slice(2, len(flat) - 3)  # C and O of i … N of j: both pivots stay
        flat[inner] = (flat[inner] - x[i, 1]) @ rot.T + x[i, 1]
        x[i : j + 1] = flat.reshape(-1, 4, 3)
    return x.astype(np.float32)


def wrong_loops(backbone: Backbone, rng: np.random.Generator, count: int) -> Backbone:
    """``count`` stretches of 4–14 residues rebuilt badly: closed, but turned far by nested crankshafts."""
    x = backbone
    for _ in range(count):
        size = min(int(rng.integers(4, 15)), len(x))
        lo = int(rng.integers(0, len(x) - size + 1))
        x = np.concatenate((x[:lo], crankshafts(x[lo : lo + size], rng, float(rng.uniform(25, 90)), 4), x[lo + size :]))
    return x


def threaded(
    native: Backbone,
    rows: NDArray[np.int64],
    template: Backbone,
    bonded: NDArray[np.bool_],
    rng: np.random.Generator,
    longest: int = 12,
) -> tuple[NDArray[np.int64], Backbone]:
    """The target's sequence on a homologue's backbone, with gaps rebuilt as loops: complete, as models are.

    Args:
        native: (L, 4, 3) the whole target, from which the shape of missing loops is taken before it is disturbed.
        rows: (A,) ascending residues of the target that have a partner; template: (A, 4, 3) backbones of their
            partners.
        bonded: (L,) peptide bonds of the target.
        longest: insertions beyond this many residues stay open.

    Returns:
        the residues (A',) of the target that are now placed, and their backbones; deletions are drawn together.
    """
    placed, parts = [rows[:1]], [template[:1]]
    for k in range(1, len(rows)):
        first, last = int(rows[k - 1]) + 1, int(rows[k])
        if 0 < last - first <= longest:
            near = slice(max(0, k - 3), k + 3)
            ends = native[rows[near], 1].astype(np.float64), template[near, 1].astype(np.float64)
            rot, shift = whole_superposition(*ends, rounds=2)
            loop = (native[first:last] @ rot.T + shift).astype(np.float32)
            placed.append(np.arange(first, last))
            parts.append(crankshafts(loop, rng, float(rng.uniform(10, 70)), 3) if last - first > 3 else loop)
        placed.append(rows[k : k + 1])
        parts.append(template[k : k + 1])
    every, start = np.concatenate(placed), np.concatenate(parts)
    joined = bonded[every] & np.r_[np.diff(every) == 1, False]
    return every, restore_bonds(start, joined, 16)


def misaligned(
    rows: NDArray[np.int64], template: Backbone, rng: np.random.Generator, *, throughout: bool = False
) -> tuple[NDArray[np.int64], Backbone]:
    """An alignment with a mistake in its register: a stretch of residues lies 1–4 places off along the template.

    Args:
        rows: (A,) ascending residues of the target; template: (A, 4, 3) backbones of their partners.
        throughout: the whole chain instead, up to a quarter of its length off: well-formed, and a wrong fold.

    Returns:
        the residues that keep a partner, and its backbone. Those pushed out at one end are left for ``threaded`` to
        rebuild, the gap at the other end for it to close.
    """
    count = len(rows)
    sign = 1 if rng.random() < 0.5 else -1
    if throughout:
        step = sign * int(rng.integers(2, max(3, count // 4)))
        begin, end = max(0, -step), min(count, count - step)
        return rows[begin:end], template[begin + step : end + step]
    step = sign * int(rng.integers(1, 5))
    size = int(rng.integers(6, 31))
    if count < size + 12:
        return rows, template
    first = int(rng.integers(5, count - size - 5))
    last = first + size
    source, paired = np.arange(count), np.ones(count, dtype=np.bool_)
    source[first:last] += step
    paired[(slice(last, last + step) if step > 0 else slice(first + step, first))] = False
    return rows[paired], template[source[paired]]


def rearranged(
    backbone: Backbone, rng: np.random.Generator, hinges: int, compactness: float, tries: int = 8
) -> Backbone:
    """The right pieces put together wrongly: what follows each of ``hinges`` residues turned about its N–CA and CA–C.

    Geometry stays what it was but for the torsions of the hinges. Of ``tries`` turns of a hinge the one is taken that
    makes fewest clashes and, by the weight ``compactness`` (0 unfolds), the smallest radius of gyration.
    """
    x = backbone.astype(np.float64)
    if len(x) < 8:
        return backbone
    for i in rng.integers(3, len(x) - 3, hinges):
        best, least = x, np.inf
        for _ in range(tries):
            trial = x.copy()
            for first, second, behind in (
                (0, 1, 2),
                (1, 2, 3),
            ):  # phi moves C, O and what follows; psi moves O and what follows
                pivot = trial[i, second].copy()
                axis = pivot - trial[i, first]
                rot = rotation_from_vector(axis / np.linalg.norm(axis) * rng.uniform(-np.pi, np.pi))
                trial[i, behind:] = (trial[i, behind:] - pivot) @ rot.T + pivot
                trial[i + 1 :] = (trial[i + 1 :] - pivot) @ rot.T + pivot
            ca = trial[:, 1]
            between = cdist(ca[: i + 1], ca[i + 1 :])
            cost = np.count_nonzero(between < 4.2) + compactness * np.sqrt(ca.var(0).sum())
            if cost < least:
                best, least = trial, cost
        x = best
    return x.astype(np.float32)


def compacted(backbone: Backbone, rng: np.random.Generator, spread: float) -> Backbone:
    """Drawn together or apart about the centre, by a factor that may differ along three random axes."""
    ca = backbone[:, 1].astype(np.float64)
    basis, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    stretch = basis @ np.diag(1 + rng.normal(scale=spread, size=3)) @ basis.T
    centred = ca - ca.mean(0)
    return move_residues(backbone, centred @ stretch.T - centred, np.zeros_like(ca))


def jittered(backbone: Backbone, rng: np.random.Generator, amplitude: float) -> Backbone:
    """Independent noise on every residue: shifts of ``amplitude`` Å per axis and turns to match."""
    shape = (len(backbone), 3)
    return move_residues(
        backbone, rng.normal(scale=amplitude, size=shape), rng.normal(scale=0.35 * amplitude, size=shape)
    )


def perturbed(native: Backbone, rng: np.random.Generator, severity: float) -> Backbone:
    """A random mixture of the errors above; ``severity`` 1 gives a median local error near 1 Å, 0 almost nothing."""
    x = native
    if rng.random() < 0.6 * min(severity, 1.0):
        x = wrong_loops(x, rng, int(rng.integers(1, 2 + len(x) // 30)))
    if rng.random() < 0.7:
        for _ in range(int(rng.integers(1, 4))):
            length = float(np.exp(rng.uniform(np.log(2.5), np.log(16.0))))
            x = correlated_shift(x, rng, severity * float(np.exp(rng.uniform(np.log(0.1), np.log(1.6)))), length)
    if rng.random() < 0.5:
        x = segment_shift(x, rng, severity * rng.uniform(0.5, 4.0), int(rng.integers(1, 2 + len(x) // 25)))
    if rng.random() < 0.5:
        x = crankshafts(x, rng, severity * rng.uniform(5, 45), int(rng.integers(1, 2 + len(x) // 8)))
    if rng.random() < 0.3:
        x = compacted(x, rng, 0.04 * severity)
    if rng.random() < 0.5:
        x = jittered(x, rng, severity * rng.uniform(0.02, 0.3))
    return x


def deformed(native: Backbone, rng: np.random.Generator, severity: float) -> Backbone:
    """Well-formed and wrong, as good predictors err: smooth deformations, rigid segment shifts, rarely a wrong loop."""
    x = native
    for _ in range(int(rng.integers(1, 3))):
        length = float(np.exp(rng.uniform(np.log(5.0), np.log(20.0))))
        x = correlated_shift(x, rng, severity * float(np.exp(rng.uniform(np.log(0.2), np.log(1.5)))), length)
    if rng.random() < 0.5:
        x = segment_shift(x, rng, severity * rng.uniform(0.3, 2.0), int(rng.integers(1, 2 + len(x) // 40)))
    if rng.random() < 0.25:
        x = wrong_loops(x, rng, int(rng.integers(1, 2 + len(x) // 60)))
    return x


def peptides_turned(backbone: Backbone, rng: np.random.Generator, degrees: float) -> Backbone:
    """Every peptide plane turned about its CA–CA line by an angle of standard deviation ``degrees``; CA stay."""
    x = backbone.astype(np.float64)
    start = x[:-1, 1].copy()
    axis = x[1:, 1] - start
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.radians(rng.normal(scale=degrees, size=length.shape)) * (length < MAX_CA_CA)
    rot = rotation_from_vector(axis / np.maximum(length, 1e-6) * angle)
    for rows, atom in ((slice(0, -1), 2), (slice(0, -1), 3), (slice(1, None), 0)):  # C and O of i, N of i + 1
        x[rows, atom] = (rot @ (x[rows, atom] - start)[..., None])[..., 0] + start
    return x.astype(np.float32)


def strained(backbone: Backbone, rng: np.random.Generator, severity: float) -> Backbone:
    """Strands, helices and contacts a few per cent too long or too short, and bent a little.

    Strands are short and contacts wide on the average, as in the models of refined150-dev; homologues treated so are
    biased as these are, but a third to two thirds as much (benchmarks/LOG.md, 31).
    """
    strain = Strain(
        severity * rng.normal(-0.015, 0.03), severity * rng.normal(0.002, 0.01), severity * rng.normal(0.015, 0.025)
    )
    return move_residues(backbone, *deformation(backbone, strain, severity * rng.uniform(0.0, 0.5), rng))


def thermal(native: Backbone, rng: np.random.Generator, severity: float) -> Backbone:
    """As dynamics leave a structure: swollen, bent along its soft modes, peptides turned, some loop torsions far.

    Strands and distances are stretched as in the perturbed crystal structures of the loop modelling benchmarks;
    hydrogen bonds of sheets spread twice as far as there, and helices half as far again (benchmarks/LOG.md, 31).
    """
    strain = Strain(
        severity * rng.normal(0.03, 0.02), severity * rng.normal(0.02, 0.012), severity * rng.normal(0.02, 0.02)
    )
    x = move_residues(native, *deformation(native, strain, severity * rng.uniform(0.3, 1.0), rng))
    x = peptides_turned(x, rng, severity * rng.uniform(2, 9))
    return crankshafts(x, rng, severity * rng.uniform(10, 30), int(len(x) * rng.uniform(0.0, 0.08)))


def disguised(
    backbone: Backbone, bonded: NDArray[np.bool_], rng: np.random.Generator, most: float, inflation: float = 0.0
) -> Backbone:
    """Local geometry made to tell nothing: the same repair of bonds and noise (up to ``most`` Å), whatever came before.

    Without it a network learns to see a perturbation by its bent bonds, takes real models for natives and holds still.
    With ``inflation`` all lengths, bonds too, are made longer or shorter by up to that fraction: force fields and
    servers differ in their covalent lengths, and whole models are larger or smaller for it.
    """
    if most == 0.0:
        return backbone
    scale = 1.0 + (rng.uniform(-inflation, inflation) if inflation else 0.0)
    centre = backbone[:, 1].mean(0)
    x = (centre + scale * (backbone - centre)).astype(np.float32) if inflation else backbone
    x = restore_bonds(x, bonded, int(rng.integers(4, 16)), scale) if rng.random() < 0.85 else x
    noise = rng.uniform(0.0, most)
    return (x + rng.normal(scale=noise, size=x.shape)).astype(np.float32)
