"""What one kcal/mol of the learned terms is worth, two ways, and how our charges agree with OpenMM's.

    python benchmarks/energy_unit.py --data DATA_FOLDER --out FILE.json [--count 8] [--moves 6] [--write models/small]

Crystal structures at 2 Å or better of the valid and test splits of index.tsv, smallest first, each prepared and
minimised in OpenMM (ff14SB, OBC), and small smooth moves of each, minimised likewise with their backbones held.

1. Slope of OpenMM's energy differences on those of the learned terms, robust, medians of each protein taken off.
2. Mean square fluctuation that the learned terms allow a residue among fixed ones, kT tr K⁻¹, and that of the crystal,
   3 B / 8π² of CA. Their ratio is the factor that gives the learned terms the crystal's fluctuations.
3. Spearman of the term "electrostatics" without its inner cutoff with what charges and solvent contribute to OpenMM's
   energy, over the same moves.

``--write`` puts 1 and 2 beside the trained files, where scores.csv and, after ``python -m refine.training.card``, the
card take them from.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import torch
from numpy.typing import NDArray
from openmm import unit
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from refine.energy.curvature import Curved, curved_part
from refine.energy.electrostatics import HALF_WIDTH, Electrostatics
from refine.energy.learned import KT
from refine.energy.unit import LEARNED, UNIT_FILE
from refine.engine import Engine
from refine.files import csv_rows, json_text, write_text
from refine.networks.checksums import read_checksums
from refine.networks.weights import Networks, load_networks
from refine.physics.conditions import Conditions
from refine.physics.forcefield import KJ_PER_KCAL, ForceFieldSystem
from refine.physics.forces import BONDED, NONBONDED, SOFT, SOLVENT
from refine.physics.platform import open_context
from refine.physics.titration import titratable
from refine.settings import RunSettings
from refine.structure.prepare import prepare
from refine.structure.protein import Protein
from refine.structure.ride import ride
from refine.training.decoys import deformed

Array = NDArray[np.float64]
HOLD = 5
"""Force group of what holds the backbone, which no energy contains."""
STIFFNESS = 5.0
"""kcal/mol/Å² on N, CA, C and O."""
LADDER = (((BONDED, SOFT, HOLD), 0.0, 60), ((BONDED, NONBONDED, SOLVENT, HOLD), 1.0, 150))
"""Force groups, share of the charges and iterations of both minimisations."""


class Minimiser:
    """OpenMM's minimum near models of one protein, and its energy there."""

    def __init__(self, protein: Protein) -> None:
        self._field = ForceFieldSystem(protein, np.ones(len(protein), dtype=np.bool_))
        self._hold = openmm.CustomExternalForce("0.5*k*((x-x0)^2+(y-y0)^2+(z-z0)^2)")
        self._hold.addGlobalParameter("k", STIFFNESS * KJ_PER_KCAL * 100)
        for name in ("x0", "y0", "z0"):
            self._hold.addPerParticleParameter(name)
        self._backbone = [int(p) for p in self._field.particle[:, :4].ravel() if p >= 0]
        for particle in self._backbone:
            self._hold.addParticle(particle, (0.0, 0.0, 0.0))
        self._hold.setForceGroup(HOLD)
        self._field.system.addForce(self._hold)
        self._field.add_solvent()
        _, self._context = open_context(self._field.system, "cpu", 1)

    def minimised(self, model: Protein) -> tuple[Protein, float, float]:
        """The minimum, its energy and the part of charges and solvent, kcal/mol."""
        x = 0.1 * self._field.positions(model)
        for n, particle in enumerate(self._backbone):
            self._hold.setParticleParameters(n, particle, x[particle].tolist())
        self._hold.updateParametersInContext(self._context)
        self._context.setPositions(x)
        for groups, charges, iterations in LADDER:
            self._context.setParameter("charge_scale", charges)
            self._context.getIntegrator().setIntegrationForceGroups(set(groups))
            openmm.LocalEnergyMinimizer.minimize(self._context, 5.0, iterations)
        end = self._context.getState(positions=True).getPositions(asNumpy=True)._value * 10
        coords, oxt = self._field.coordinates(end, model)
        whole = self._energy({BONDED, NONBONDED, SOLVENT})
        charged = self._energy({NONBONDED, SOLVENT})
        self._context.setParameter("charge_scale", 0.0)
        return model.with_coords(coords[None], oxt[None]), whole, charged - self._energy({NONBONDED})

    def _energy(self, groups: set[int]) -> float:
        energy = self._context.getState(energy=True, groups=groups).getPotentialEnergy()
        return float(energy.value_in_unit(unit.kilocalories_per_mole))


def fluctuations(engine: Engine) -> Array:
    """(L,) Å² that the learned terms allow each residue among the others, at rest."""
    energy = curved_part(engine.energy.at(engine.coords))
    assert energy is not None
    blocks = [t.curvature(engine.coords).scaled(energy.weight(t.name)) for t in energy.terms if isinstance(t, Curved)]
    stiffness = sum(blocks[1:], start=blocks[0]).shift[0]
    inverse = torch.linalg.inv(stiffness.double())
    return np.asarray(KT * inverse.diagonal(dim1=-2, dim2=-1).sum(-1).numpy())


def measured(path: Path, moves: int, networks: Networks) -> dict[str, Any]:
    """Rows of energies of the native and its moves, and fluctuations of the native, of one chain."""
    native = prepare(path).protein
    engine, minimiser = Engine(native, networks, RunSettings(device="cpu")), Minimiser(native)
    groups, rng, rows = titratable(native), np.random.default_rng(0), []
    for k in range(moves + 1):
        model = native
        if k:
            severity = float(np.exp(rng.uniform(np.log(0.2), np.log(1.2))))
            moved = deformed(native.coords[0, :, :4].astype(np.float32), rng, severity)
            model = ride(native, moved[None].astype(np.float32))
        low, whole, charged = minimiser.minimised(model)
        x = torch.from_numpy(low.coords[:, :, :4].copy())
        with torch.no_grad():
            terms = engine.energy.at(x)(x).replica(0)
            own = Electrostatics.of(low, groups, Conditions(), engine.system, inner=-HALF_WIDTH)(x).sum()
        away = float(np.sqrt(((low.coords[0, :, 1] - native.coords[0, :, 1]) ** 2).sum(-1).mean()))
        learned = sum(terms.get(name, 0.0) for name in LEARNED)
        rows.append({"away": away, "learned": learned, "openmm": whole, "charges": charged, "own_charges": float(own)})
    b = native.b_factors[:, 1].astype(np.float64)
    known = b > 0
    return {
        "residues": len(native),
        "rows": rows,
        "learned_A2": fluctuations(engine)[known].tolist(),
        "crystal_A2": (3 * b[known] / (8 * np.pi**2)).tolist(),
    }


def centred(found: dict[str, dict[str, Any]], key: str) -> Array:
    """Values of all rows, medians of each protein taken off."""
    columns = [np.array([row[key] for row in one["rows"]]) for one in found.values()]
    return np.concatenate([column - np.median(column) for column in columns])


def slope(x: Array, y: Array) -> float:
    """Robust slope of y on x (Huber) through 0."""
    scale = float(np.median(np.abs(y))) or 1.0
    return float(least_squares(lambda s: (s[0] * x - y) / scale, [1.0], loss="huber").x[0])


def summary(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures of the module's text, with bootstrap intervals over proteins."""
    names, rng = list(found), np.random.default_rng(0)

    def figures(chosen: list[str]) -> dict[str, float]:
        some = {f"{n}": found[name] for n, name in enumerate(chosen)}
        learned, whole = centred(some, "learned"), centred(some, "openmm")
        ratio = [np.median(one["learned_A2"]) / np.median(one["crystal_A2"]) for one in some.values()]
        order = [spearmanr(one["learned_A2"], one["crystal_A2"]).statistic for one in some.values()]
        return {
            "by_energy": slope(learned, whole),
            "order_by_energy": float(spearmanr(learned, whole).statistic),
            "by_fluctuation": float(np.median(ratio)),
            "order_by_fluctuation": float(np.mean(order)),
            "spearman_charges": float(spearmanr(centred(some, "own_charges"), centred(some, "charges")).statistic),
        }

    drawn = [figures([str(name) for name in rng.choice(names, len(names))]) for _ in range(500)]
    told: dict[str, Any] = {"proteins": len(found), "structures": sum(len(one["rows"]) for one in found.values())}
    for key, value in figures(names).items():
        low, high = np.percentile([one[key] for one in drawn], [2.5, 97.5])
        told[key] = [round(float(v), 4) for v in (value, low, high)]
    return told


def write_unit(told: dict[str, Any], folder: Path) -> None:
    """unit.json of the trained files in ``folder``, with the checksums of those that make the energy."""
    sums = read_checksums(folder) or {}
    networks = {name: value for name, value in sums.items() if name.startswith(("prior", "likelihood"))}
    values = {key: value for key, value in told.items() if key != "spearman_charges"}
    write_text(folder / UNIT_FILE, json_text(values | {"networks": networks}))


def chains(data: Path, count: int) -> list[Path]:
    """Files of the smallest chains of 50 residues or more, by the rule of the module's text, one of a cluster."""
    chosen: dict[str, tuple[int, str]] = {}
    with (data / "index.tsv").open(encoding="utf-8") as file:
        for row in csv_rows(file, delimiter="\t"):
            resolution = float(row["resolution_A"] or "nan")
            size = int(row["residues"])
            if row["split"] in ("valid", "test") and resolution <= 2.0 and size >= 50:
                chosen[row["cluster30"]] = min(chosen.get(row["cluster30"], (size, row["id"])), (size, row["id"]))
    return [data / "chains" / f"{name}.bcif.gz" for _, name in sorted(chosen.values())[:count]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of index.tsv and chains")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8, help="chains, smallest first")
    parser.add_argument("--moves", type=int, default=6, help="moves of each")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="trained files that unit.json is written to")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help="this part of so many, to share the work")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = load_networks()
    found: dict[str, dict[str, Any]] = json.loads(args.out.read_text()) if args.out.is_file() else {}
    for path in chains(args.data, args.count)[args.part[0] :: args.part[1]]:
        if path.name not in found:
            found[path.name] = measured(path, args.moves, networks)
            print(path.name, found[path.name]["residues"], file=sys.stderr, flush=True)
            args.out.write_text(json.dumps(found) + "\n")
    told = summary(found)
    print(json.dumps(told, indent=1))
    if args.write:
        write_unit(told, args.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
