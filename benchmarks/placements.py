"""Whether charges beyond the learned cutoff rank placements of two chains better.

    python benchmarks/placements.py --data DATA_FOLDER --out FILE.json [--count 12] [--decoys 14]

Complexes: pairs of chains of one PDB entry in index.tsv with 40 or more contacts (heavy atoms within 5 Å) and up to 260
residues together, one of an entry, smallest first. Decoys: the second chain turned at random about its middle and moved
along a random line until it touches the first as closely as in the crystal. Energies: all terms without
"electrostatics" (F), with it (F + F_LR, its inner cutoff 12 Å), and the charges alone, with and without the inner
cutoff. Told are the native's rank, and Spearman of the energy with the RMSD of the second chain.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.stats import spearmanr

from refine.bench.statistics import mean_interval
from refine.energy.electrostatics import HALF_WIDTH, Electrostatics
from refine.engine import Engine
from refine.errors import RefineError
from refine.files import csv_rows
from refine.networks.weights import Networks, load_networks
from refine.physics.conditions import Conditions
from refine.physics.titration import titratable
from refine.settings import RunSettings
from refine.structure.prepare import prepare
from refine.structure.protein import Protein

Array = NDArray[np.float64]
MOST_RESIDUES, LEAST_RESIDUES, CONTACTS = 260, 30, 40
SCORES = ("without", "with", "charges", "charges_everywhere")
CLOSEST = 2
"""Percent of the heavy atoms of the second chain that may be nearer to the first than the crystal's nearest ones."""


@dataclasses.dataclass(frozen=True)
class Complex:
    """Two chains of one entry.

    Attributes:
        protein: both, as chains A and B; second: (L,) the residues of B.
    """

    name: str
    protein: Protein
    second: NDArray[np.bool_]


def complexes(data: Path, part: int = 0, parts: int = 1) -> Iterator[Complex]:
    """Complexes by the rule of the module's text; each of ``parts`` looks at its share of the entries."""
    entries: dict[str, list[tuple[int, str]]] = {}
    with (data / "index.tsv").open(encoding="utf-8") as file:
        for row in csv_rows(file, delimiter="\t"):
            if row["pdb_id"] and int(row["residues"]) >= LEAST_RESIDUES:
                entries.setdefault(row["pdb_id"], []).append((int(row["residues"]), row["id"]))
    pairs = []
    for entry, chains in entries.items():
        both = min(itertools.combinations(sorted(chains), 2), default=None)
        if both is not None and both[0][0] + both[1][0] <= MOST_RESIDUES:
            pairs.append((both[0][0] + both[1][0], entry, both[0][1], both[1][1]))
    for _, entry, *ids in sorted(pairs)[part::parts]:
        try:
            first, second = (prepare(data / "chains" / f"{name}.bcif.gz").protein for name in ids)
        except RefineError:
            continue
        x, y = (p.coords[0][p.mask].astype(np.float64) for p in (first, second))
        near = cKDTree(x).query(y)[0]
        if (near < 5.0).sum() >= CONTACTS and near.min() > 2.0:
            yield Complex(entry, joined(first, second), np.arange(len(first) + len(second)) >= len(first))


def joined(first: Protein, second: Protein) -> Protein:
    """Both as chains A and B, without hetero atoms."""
    parts = [first.with_hetero([]), second.with_hetero([])]
    ids = [dataclasses.replace(r, chain="AB"[k]) for k, p in enumerate(parts) for r in p.residue_ids]
    names = ("coords", "oxt")
    merged: dict[str, Any] = {n: np.concatenate([getattr(p, n) for p in parts], 1) for n in names}
    for n in ("mask", "bonded", "oxt_mask", "b_factors", "occupancies"):
        merged[n] = np.concatenate([getattr(p, n) for p in parts])
    sequence = first.sequence + second.sequence
    order = np.arange(len(sequence))
    return Protein(sequence=sequence, residue_ids=tuple(ids), file_order=order, name="complex", **merged)


def placed(one: Complex, rng: np.random.Generator) -> Protein:
    """The complex with its second chain elsewhere on the first, as close as in the crystal."""
    p, second = one.protein, one.second
    x = p.coords[0].astype(np.float64)
    fixed, moving = x[~second][p.mask[~second]], x[second][p.mask[second]]
    tree, middle = cKDTree(fixed), moving.mean(0)
    share = np.percentile(tree.query(moving)[0], CLOSEST)
    turn, line = Rotation.random(random_state=rng).as_matrix(), rng.normal(size=3)
    line /= np.linalg.norm(line)
    turned = (moving - middle) @ turn.T + fixed.mean(0)
    low, high = 0.0, 200.0
    for _ in range(30):
        at = 0.5 * (low + high)
        inside = np.percentile(tree.query(turned + at * line)[0], CLOSEST) < share
        low, high = (at, high) if inside else (low, at)
    shift = fixed.mean(0) + high * line
    new = x.copy()
    new[second] = (x[second] - middle) @ turn.T + shift
    oxt = p.oxt[0].astype(np.float64)
    oxt[second] = (oxt[second] - middle) @ turn.T + shift
    new = np.where(p.mask[..., None], new, 0.0)
    return p.with_coords(new[None].astype(np.float32), oxt[None].astype(np.float32))


def measured(one: Complex, decoys: int, networks: Networks) -> list[dict[str, float]]:
    """Energies and RMSD (of CA of the second chain) of the native and its decoys, the native first."""
    rng, groups, rows = np.random.default_rng(0), titratable(one.protein), []
    settings = RunSettings(device="cpu")
    settings = dataclasses.replace(settings, energy=dataclasses.replace(settings.energy, electrostatics=1.0))
    engine = Engine(one.protein, networks, settings, groups=groups)
    for k in range(decoys + 1):
        model = placed(one, rng) if k else one.protein
        x = torch.from_numpy(model.coords[:, :, :4].copy())
        with torch.no_grad():
            terms = engine.energy.at(x)(x).replica(0)
            everywhere = Electrostatics.of(model, groups, Conditions(), engine.system, inner=-HALF_WIDTH)(x).sum()
        away = model.coords[0, one.second, 1] - one.protein.coords[0, one.second, 1]
        rows.append(
            {
                "rmsd": float(np.sqrt((away.astype(np.float64) ** 2).sum(-1).mean())),
                "without": terms["total"] - terms["electrostatics"],
                "with": terms["total"],
                "charges": terms["electrostatics"],
                "charges_everywhere": float(everywhere),
            }
        )
    return rows


def summary(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Means over complexes of the native's rank (1 is best) and of Spearman with RMSD."""
    told: dict[str, Any] = {"complexes": len(found), "placements_of_each": len(next(iter(found.values())))}
    for score in SCORES:
        ranks, order = [], []
        for rows in found.values():
            energy = np.array([row[score] for row in rows])
            ranks.append(1 + int((energy[1:] < energy[0]).sum()))
            order.append(float(spearmanr(energy, [row["rmsd"] for row in rows]).statistic))
        told[score] = {
            "rank": float(np.mean(ranks)),
            "first": int(sum(rank == 1 for rank in ranks)),
            "spearman_rmsd": float(np.nanmean(order)),
            "ranks": ranks,
        }
    change: Any = mean_interval(np.array(told["with"]["ranks"], float) - np.array(told["without"]["ranks"], float))
    told["rank_with_minus_without"] = [change.value, change.low, change.high]
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of index.tsv and chains")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12, help="complexes of a part")
    parser.add_argument("--decoys", type=int, default=14, help="of each")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help="this part of so many, to share the work")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = load_networks()
    found: dict[str, Any] = json.loads(args.out.read_text()) if args.out.is_file() else {}
    for one in itertools.islice(complexes(args.data, *args.part), args.count):
        if one.name not in found:
            found[one.name] = measured(one, args.decoys, networks)
            print(one.name, len(one.protein), file=sys.stderr, flush=True)
            args.out.write_text(json.dumps(found) + "\n")
    print(json.dumps(summary(found), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
