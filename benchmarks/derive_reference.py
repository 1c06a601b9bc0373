"""Derive the Ramachandran and rotamer tables of refine/structure/tables from the shared training structures.

    python benchmarks/derive_reference.py [--shared ../shared] [--out refine/structure/tables]

Source: train split of data/index.tsv, X-ray at 2.0 Å or better, each chain weighted by 1 / (chains of its 30 %
cluster), so that a family of ten close relatives counts as one protein. A first pass over all chains drops those with a
poor backbone of their own (under 96 % favoured or over 0.3 % outliers; the tables are made from the rest). Residues
with an alternate location, an occupancy below 1, a backbone B factor of 30 Å² or more (40 Å² for side chains), or
without bonded neighbours are left out.

Ramachandran: counts on a periodic 3° grid, smoothed in two passes as Lovell et al. (2003, Proteins 50:437) do: a pilot
density, then a kernel whose width follows the inverse square root of the pilot (Abramson 1982). A contour is the
density above which a stated share of the residues lies (98 % favoured; 99.95 % allowed for the general class, 99.9 %
for the small classes, as in MolProbity).

Rotamers: per residue type a mixture of axis-parallel wrapped Gaussians in chi space, started at the staggered bins and
fitted by weighted EM; probabilities also on a 20° phi, psi grid (posterior counts smoothed, shrunk to the type's
overall probability with a weight of 10).
Outlier: the mixture density below which 0.3 % of the residues lie; favoured: 2 % (MolProbity's shares; Hintze et al.
2016). Amide and imidazole flips of the depositors are taken as they are.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import itertools
import logging
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from biotite.structure.io.pdbx import BinaryCIFFile
from numpy.typing import NDArray

from refine.constants import AMINO_ACIDS, ATOM14, CHI_ATOMS, CHI_PERIOD_180, MAX_PEPTIDE_BOND, THREE_TO_ONE
from refine.structure.arrays import dihedral

log = logging.getLogger("derive_reference")

MAX_RESOLUTION = 2.0
MIN_FAVOURED, MAX_OUTLIERS = 0.96, 0.003
MAX_B_BACKBONE, MAX_B_SIDE_CHAIN = 30.0, 40.0
CLASSES = ("general", "glycine", "proline", "pre-proline", "ile-val")
GRID = 120  # 3 degrees
PILOT_SD, BASE_SD, MIN_SD, MAX_SD = 8.0, 5.0, 4.0, 16.0  # degrees
FAVOURED_SHARE = 0.98
ALLOWED_SHARE = (0.9995, 0.999, 0.999, 0.999, 0.999)
BACKGROUND = 1e-5  # weight of a uniform density, so that the logarithm stays finite
BACKBONE_GRID = 18  # 20 degrees
BACKBONE_SD, SHRINK = 20.0, 10.0
MIN_ROTAMER = 0.002
ROTAMER_BACKGROUND = 1e-6
ROTAMER_SHARES = (0.98, 0.997)


class Residues(NamedTuple):
    """Accepted residues of all chains, one row each; angles in radians, absent chi are NaN."""

    kind: NDArray[np.int64]
    before_proline: NDArray[np.bool_]
    phi: NDArray[np.float64]
    psi: NDArray[np.float64]
    chi: NDArray[np.float64]
    good_side: NDArray[np.bool_]
    weight: NDArray[np.float64]


def read_chain(path: Path) -> Residues:
    with gzip.open(path) as handle:
        site = BinaryCIFFile.read(handle).block["atom_site"]
    column = {
        key: site[key].as_array()
        for key in ("label_atom_id", "label_comp_id", "label_alt_id", "pdbx_PDB_ins_code", "auth_seq_id")
    }
    xyz = np.stack([site[f"Cartn_{axis}"].as_array() for axis in "xyz"], -1).astype(np.float64)
    b, occupancy = site["B_iso_or_equiv"].as_array(), site["occupancy"].as_array()
    number, insertion = column["auth_seq_id"], column["pdbx_PDB_ins_code"]
    new = np.concatenate([[True], (number[1:] != number[:-1]) | (insertion[1:] != insertion[:-1])])
    residue = np.cumsum(new) - 1
    names = [THREE_TO_ONE.get(three) for three in column["label_comp_id"][new]]
    length = len(names)
    coords, b14 = np.full((length, 14, 3), np.nan), np.zeros((length, 14))
    clean = np.ones(length, dtype=bool)
    for k, name in enumerate(column["label_atom_id"]):
        i = residue[k]
        if names[i] is None or name not in ATOM14[names[i]]:
            continue
        slot = ATOM14[names[i]].index(name)
        coords[i, slot], b14[i, slot] = xyz[k], b[k]
        clean[i] &= column["label_alt_id"][k] == "." and occupancy[k] >= 0.999
    return measure(names, coords, b14, clean)


def measure(names: list[str | None], coords: NDArray, b14: NDArray, clean: NDArray) -> Residues:
    length = len(names)
    n, ca, c = coords[:, 0], coords[:, 1], coords[:, 2]
    bonded = np.linalg.norm(c[:-1] - n[1:], axis=-1) <= MAX_PEPTIDE_BOND
    inner = np.zeros(length, dtype=bool)
    inner[1:-1] = bonded[:-1] & bonded[1:]
    phi, psi = np.full(length, np.nan), np.full(length, np.nan)
    phi[1:] = dihedral(c[:-1], n[1:], ca[1:], c[1:])
    psi[:-1] = dihedral(n[:-1], ca[:-1], c[:-1], n[1:])
    chi = np.full((length, 4), np.nan)
    for i, aa in enumerate(names):
        for k, atoms in enumerate(CHI_ATOMS[aa] if aa else ()):
            chi[i, k] = dihedral(*(coords[i, ATOM14[aa].index(atom)] for atom in atoms))
    standard = np.array([aa is not None for aa in names])
    keep = inner & clean & standard & np.isfinite(phi) & np.isfinite(psi) & (b14[:, :4].max(1) < MAX_B_BACKBONE)
    complete = np.array(
        [aa is not None and np.isfinite(chi[i, : len(CHI_ATOMS[aa])]).all() for i, aa in enumerate(names)]
    )
    kind = np.array([AMINO_ACIDS.index(aa) if aa else -1 for aa in names])
    before = np.array([names[i + 1] == "P" if i + 1 < length else False for i in range(length)])
    good_side = complete & (b14.max(1) < MAX_B_SIDE_CHAIN)
    return Residues(kind[keep], before[keep], phi[keep], psi[keep], chi[keep], good_side[keep], np.ones(keep.sum()))


def read_all(shared: Path, limit: int | None) -> Residues:
    with (shared / "data" / "index.tsv").open(newline="") as handle:
        rows = [
            row
            for row in csv.DictReader(handle, delimiter="\t")
            if row["split"] == "train"
            and row["quality"] == "xray_2.5"
            and float(row["resolution_A"] or 99) <= MAX_RESOLUTION
        ][:limit]
    parts = [read_chain(shared / "data" / "chains" / f"{row['id']}.bcif.gz") for row in rows]
    clusters = [row["cluster30"] for row in rows]
    first = ramachandran_tables(join(parts, clusters))
    good = [is_clean(part, first) for part in parts]
    return join(
        [p for p, g in zip(parts, good, strict=True) if g], [c for c, g in zip(clusters, good, strict=True) if g]
    )


def join(parts: list[Residues], clusters: list[str]) -> Residues:
    """All chains' residues in one, each weighted by 1 / (chains of its cluster)."""
    members = Counter(clusters)
    weighted = [
        part._replace(weight=np.full(len(part.kind), 1 / members[c])) for part, c in zip(parts, clusters, strict=True)
    ]
    residues = Residues(*(np.concatenate(column) for column in zip(*weighted, strict=True)))
    log.info(
        "%d chains in %d clusters, %d residues of weight %.0f",
        len(parts),
        len(members),
        len(residues.kind),
        residues.weight.sum(),
    )
    return residues


def is_clean(part: Residues, tables: dict[str, NDArray]) -> bool:
    """Whether a chain's own backbone is good: at least 96 % favoured and at most 0.3 % outliers by the first pass."""
    kind = ramachandran_class(part)
    value = tables["log_density"][kind, node(part.phi, GRID), node(part.psi, GRID)]
    favoured, outlier = value >= tables["favoured"][kind], value < tables["allowed"][kind]
    return len(kind) > 0 and bool(favoured.mean() >= MIN_FAVOURED and outlier.mean() <= MAX_OUTLIERS)


def smooth(grid: NDArray, sd_degrees: float) -> NDArray:
    """Periodic Gaussian smoothing of (..., n, n) grids that span 360° on both axes."""
    n = grid.shape[-1]
    frequency = np.fft.fftfreq(n) * n  # cycles per 360 degrees
    kernel = np.exp(-0.5 * (frequency * np.radians(sd_degrees)) ** 2)
    return np.fft.ifft2(np.fft.fft2(grid) * kernel[:, None] * kernel[None, :]).real.clip(min=0)


def node(angle: NDArray, n: int) -> NDArray[np.int64]:
    """Nearest of the n grid nodes at -180° + 360° k / n."""
    return np.rint((np.degrees(angle) + 180) / (360 / n)).astype(np.int64) % n


def adaptive_density(counts: NDArray) -> NDArray:
    """(n, n) density per rad² from counts."""
    share = counts / counts.sum()
    pilot = smooth(share, PILOT_SD)
    occupied = share > 0
    mean_log = (share[occupied] * np.log(pilot[occupied])).sum()
    width = np.full_like(pilot, MAX_SD)
    width[pilot > 0] = np.clip(BASE_SD * (pilot[pilot > 0] / np.exp(mean_log)) ** -0.5, MIN_SD, MAX_SD)
    levels = np.geomspace(MIN_SD, MAX_SD, 25)
    nearest = np.abs(np.log(width)[..., None] - np.log(levels)).argmin(-1)
    density = sum(smooth(np.where(nearest == k, share, 0), level) for k, level in enumerate(levels))
    density = (1 - BACKGROUND) * density / density.sum() + BACKGROUND / density.size
    return density / (2 * np.pi / len(counts)) ** 2


def contour(values: NDArray, weight: NDArray, share: float) -> float:
    """Value above which ``share`` of the weight lies."""
    order = np.argsort(-values)
    cumulative = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(cumulative, share * cumulative[-1])])


def ramachandran_class(data: Residues) -> NDArray[np.int64]:
    """(n,) index into CLASSES; glycine and proline come first, then residues before proline, then Ile and Val."""
    gly, pro = data.kind == AMINO_ACIDS.index("G"), data.kind == AMINO_ACIDS.index("P")
    branched = np.isin(data.kind, [AMINO_ACIDS.index(aa) for aa in "IV"])
    return np.select([gly, pro, data.before_proline, branched], [1, 2, 3, 4], 0)


def ramachandran_tables(data: Residues) -> dict[str, NDArray]:
    tables, favoured, allowed = [], [], []
    classes = ramachandran_class(data)
    for k, (name, share) in enumerate(zip(CLASSES, ALLOWED_SHARE, strict=True)):
        chosen = classes == k
        i, j, weight = node(data.phi[chosen], GRID), node(data.psi[chosen], GRID), data.weight[chosen]
        counts = np.zeros((GRID, GRID))
        np.add.at(counts, (i, j), weight)
        log_density = np.log(adaptive_density(counts))
        tables.append(log_density)
        favoured.append(contour(log_density[i, j], weight, FAVOURED_SHARE))
        allowed.append(contour(log_density[i, j], weight, share))
        area = [(log_density > level).mean() for level in (favoured[-1], allowed[-1])]
        log.info(
            "%-12s %7d residues, weight %7.0f; area favoured %.3f, allowed %.3f",
            name,
            chosen.sum(),
            weight.sum(),
            *area,
        )
    return {
        "classes": np.array(CLASSES),
        "log_density": np.array(tables, np.float32),
        "favoured": np.array(favoured, np.float32),
        "allowed": np.array(allowed, np.float32),
    }


def start_bins(aa: str) -> list[tuple[float, ...]]:
    """Chi centres in degrees where the fit of a residue type starts."""
    if aa == "P":
        return [(-27.0, 37.0), (27.0, -37.0)]
    planar = {
        "N": (1, 360),
        "H": (1, 360),
        "W": (1, 360),
        "Q": (2, 360),
        "D": (1, 180),
        "E": (2, 180),
        "F": (1, 180),
        "Y": (1, 180),
    }
    index, period = planar.get(aa, (-1, 360))
    per_chi = [
        tuple(range(-180 if period == 360 else -90, 180 if period == 360 else 90, 90 if aa in "FY" else 60))
        if k == index
        else (60, 180, -60)
        for k in range(len(CHI_ATOMS[aa]))
    ]
    return [tuple(map(float, centre)) for centre in itertools.product(*per_chi)]


def wrap(angle: NDArray, period: NDArray) -> NDArray:
    return angle - period * np.rint(angle / period)


def log_components(chi: NDArray, mean: NDArray, sd: NDArray, period: NDArray) -> NDArray:
    """(n, K) log densities of axis-parallel wrapped Gaussians (nearest image only)."""
    z = wrap(chi[:, None] - mean, period) / sd
    return -0.5 * (z**2).sum(-1) - np.log(sd * np.sqrt(2 * np.pi)).sum(-1)


def fit_mixture(aa: str, chi: NDArray, weight: NDArray, steps: int = 40) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Weighted EM. Returns probability (K,), mean, sd (K, n chi), responsibilities (n, K)."""
    period = np.radians([180.0 if (aa, k) in CHI_PERIOD_180 else 360.0 for k in range(chi.shape[1])])
    mean = np.radians(np.array(start_bins(aa)))
    sd = np.full(mean.shape, np.radians(15.0))
    probability = np.full(len(mean), 1 / len(mean))
    uniform = np.log(ROTAMER_BACKGROUND) - np.log(period).sum()
    for step in range(steps):
        joint = log_components(chi, mean, sd, period) + np.log(probability)
        total = np.logaddexp(np.logaddexp.reduce(joint, axis=1), uniform)
        share = np.exp(joint - total[:, None])
        mass = (share * weight[:, None]).sum(0)
        probability = mass / mass.sum()
        if step in (5, 20, steps - 2):
            keep = probability > MIN_ROTAMER
            mean, sd, probability, share, mass = (
                mean[keep],
                sd[keep],
                probability[keep] / probability[keep].sum(),
                share[:, keep],
                mass[keep],
            )
        scaled = share * weight[:, None] / mass
        delta = wrap(chi[:, None] - mean, period)
        shift = np.einsum("nk,nkc->kc", scaled, delta)
        sd = np.sqrt(np.einsum("nk,nkc->kc", scaled, (delta - shift) ** 2)).clip(np.radians(4), np.radians(40))
        mean = wrap(mean + shift, period)
    joint = log_components(chi, mean, sd, period) + np.log(probability)
    share = np.exp(joint - np.logaddexp(np.logaddexp.reduce(joint, axis=1), uniform)[:, None])
    order = np.argsort(-probability)
    return probability[order], mean[order], sd[order], share[:, order]


def backbone_probabilities(share: NDArray, weight: NDArray, phi: NDArray, psi: NDArray, overall: NDArray) -> NDArray:
    """(K, 18, 18) rotamer probabilities given phi and psi."""
    counts = np.zeros((BACKBONE_GRID, BACKBONE_GRID, share.shape[1]))
    np.add.at(counts, (node(phi, BACKBONE_GRID), node(psi, BACKBONE_GRID)), share * weight[:, None])
    counts = smooth(counts.transpose(2, 0, 1), BACKBONE_SD)
    raised = counts + SHRINK * overall[:, None, None]
    return raised / raised.sum(0)


def rotamer_tables(data: Residues) -> dict[str, NDArray]:
    rows: dict[str, list[NDArray]] = {"residue": [], "probability": [], "mean": [], "sd": [], "backbone": []}
    levels = np.full((20, 2), -np.inf)
    for aa in AMINO_ACIDS:
        count = len(CHI_ATOMS[aa])
        if not count:
            continue
        chosen = (data.kind == AMINO_ACIDS.index(aa)) & data.good_side
        chi, weight = data.chi[chosen, :count], data.weight[chosen]
        probability, mean, sd, share = fit_mixture(aa, chi, weight)
        period = np.radians([180.0 if (aa, k) in CHI_PERIOD_180 else 360.0 for k in range(count)])
        density = np.logaddexp.reduce(log_components(chi, mean, sd, period) + np.log(probability), axis=1)
        density = np.logaddexp(density, np.log(ROTAMER_BACKGROUND) - np.log(period).sum())
        levels[AMINO_ACIDS.index(aa)] = [contour(density, weight, s) for s in ROTAMER_SHARES]
        pad = ((0, 0), (0, 4 - count))
        rows["residue"].append(np.full(len(mean), aa))
        rows["probability"].append(probability.astype(np.float32))
        rows["mean"].append(np.pad(mean, pad, constant_values=np.nan).astype(np.float32))
        rows["sd"].append(np.pad(sd, pad, constant_values=np.nan).astype(np.float32))
        rows["backbone"].append(
            backbone_probabilities(share, weight, data.phi[chosen], data.psi[chosen], probability).astype(np.float16)
        )
        log.info(
            "%s %6d residues, %2d rotamers, first %s p %.2f",
            aa,
            len(chi),
            len(mean),
            np.degrees(mean[0]).round(),
            probability[0],
        )
    tables = {key: np.concatenate(parts) for key, parts in rows.items()}
    return tables | {
        "favoured": levels[:, 0].astype(np.float32),
        "allowed": levels[:, 1].astype(np.float32),
        "background": np.float32(ROTAMER_BACKGROUND),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--shared", type=Path, default=root.parent / "shared")
    parser.add_argument("--out", type=Path, default=root / "refine" / "structure" / "tables")
    parser.add_argument("--limit", type=int, default=None, help="read only so many chains (for a trial)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = read_all(options.shared, options.limit)
    options.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out / "ramachandran.npz", **ramachandran_tables(data))
    np.savez_compressed(options.out / "rotamers.npz", **rotamer_tables(data))


if __name__ == "__main__":
    main()
