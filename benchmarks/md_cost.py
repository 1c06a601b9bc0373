"""What a molecular dynamics refinement costs on this machine, beside our default run, one after the other.

    python benchmarks/md_cost.py
        the example model
    python benchmarks/md_cost.py model.pdb --seconds 120 --out benchmarks/results/md_cost.json
        another one, with the numbers written to a file

Measures the speed of explicit-solvent OpenMM (amber14 with TIP3P, PME, 10 Å cutoff, 4 fs steps with hydrogens of 3 amu,
constraints, 300 K, constant volume, 9 Å of water around the protein) after a default ``refine run``, both in one
process, and prints the ratio for the lengths of published protocols. The ratio is of machine time here; MD is usually
run on GPUs, where our networks are faster too.

Protocols, and where their lengths stand:
- ``prefmd``: 5 runs of 30 ns, the Mirjalili/Feig type of protocol: weakly restrained trajectories, selection, averaging
  (Mirjalili, Noyes & Feig 2014, Proteins 82 S2:196). Length: scripts/prefmd_OpenMM.sh in github.com/feiglab/prefmd
  (mdruns=5, mdsteps=15000000 of 2 fs).
- ``prefmd2``: 5 trajectories of 10 x 10 ns at 360 K, the CASP13/14 type of the Feig group (Heo, Arbour, Janson & Feig
  2021, JCTC 17:1931). Length: default/prod.json (dynsteps 2500000 of 0.004 ps, iter 10) and scripts/prefmd2.py
  (n_traj = 5) in github.com/feiglab/prefmd2.
- ``prefmd2 --extensive``: 10 trajectories of 20 x 50 ns; default/prod_ext.json and n_traj = 10 there. That the group's
  CASP14 entries had exactly this length we could not read in a source.

Known gains of such protocols, on other targets than ours: CASP10, the best group improved almost 90 % of the targets
(Nugent, Cozzetto & Jones 2014, Proteins 82 S2:98); CASP11, the best groups over 70 %, by 3-5 % on average (Modi &
Dunbrack 2016, Proteins 84 S1:260); CASP13, the four best groups +3.99, +3.01, +2.99, +1.50 points of GDT-HA, every
other at most +0.09 (tables of the Prediction Center). Ours comes from the summary of a benchmark (``--ours``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import openmm
from openmm import app, unit
from pdbfixer import PDBFixer

from refine.pipeline import refine_file
from refine.settings import RunSettings, read_settings

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "1a8o_model.pdb"
PROTOCOLS = {"prefmd": 5 * 30.0, "prefmd2": 5 * 10 * 10.0, "prefmd2 --extensive": 10 * 20 * 50.0}
"""Nanoseconds of production; equilibration, scoring and averaging come on top."""
STEP_FS = 4.0
CASP13_BEST = (3.99, 3.01, 2.99, 1.50)


def solvated(path: Path) -> app.Modeller:
    """A complete model with hydrogens in a box of TIP3P water with neutralising ions."""
    fixer = PDBFixer(filename=str(path))
    fixer.removeHeterogens(False)
    fixer.missingResidues = {}
    fixer.findMissingAtoms()
    fixer.addMissingAtoms()
    modeller = app.Modeller(fixer.topology, fixer.positions)
    modeller.addHydrogens(pH=7.0)
    modeller.addSolvent(force_field(), model="tip3p", padding=0.9 * unit.nanometer)
    return modeller


def force_field() -> app.ForceField:
    return app.ForceField("amber14/protein.ff14SB.xml", "amber14/tip3p.xml")


def md_speed(modeller: app.Modeller, seconds: float, minimise: int) -> dict[str, Any]:
    """Nanoseconds a day, from at least 20 steps and about ``seconds`` of steps after a short minimisation and 60 steps
    of warming up.
    """
    system = force_field().createSystem(
        modeller.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=1.0 * unit.nanometer,
        constraints=app.HBonds,
        rigidWater=True,
        hydrogenMass=3.0 * unit.amu,
    )
    integrator = openmm.LangevinMiddleIntegrator(300 * unit.kelvin, 1 / unit.picosecond, STEP_FS * unit.femtosecond)
    simulation = app.Simulation(modeller.topology, system, integrator)
    simulation.context.setPositions(modeller.positions)
    simulation.minimizeEnergy(maxIterations=minimise)
    simulation.context.setVelocitiesToTemperature(300 * unit.kelvin, 1)
    for femtoseconds, warming in ((0.5, 50), (STEP_FS, 10)):
        integrator.setStepSize(femtoseconds * unit.femtosecond)
        simulation.step(warming)
    steps, began, cpu = 0, time.monotonic(), time.process_time()
    while steps < 20 or time.monotonic() - began < seconds:
        simulation.step(10)
        steps += 10
    simulation.context.getState(getEnergy=True)
    wall, cpu = time.monotonic() - began, time.process_time() - cpu
    return {
        "atoms": system.getNumParticles(),
        "platform": simulation.context.getPlatform().getName(),
        "steps": steps,
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "ns_per_day": steps * STEP_FS * 1e-6 / wall * 86_400,
        "ns_per_cpu_day": steps * STEP_FS * 1e-6 / cpu * 86_400,
    }


def our_run(path: Path, settings: RunSettings, folder: Path) -> tuple[dict[str, Any], Path]:
    """Seconds of one run, finishing and all its models included; and its model 1, a clean start for the MD."""
    began, before = time.monotonic(), os.times()
    result = refine_file(path, folder, settings)
    wall, after = time.monotonic() - began, os.times()
    cpu = sum(after[k] - before[k] for k in range(4))
    numbers = {
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "residues": result.record["residues"],
        "models": len(result.models),
    }
    return numbers, folder / "model_1.pdb"


def ratios(md: dict[str, Any], ours: dict[str, Any], gain: float | None) -> dict[str, dict[str, float]]:
    """For each protocol: days of MD here, how many of our runs fit into that, and the ratio of CPU time for each point
    of GDT-HA, ``gain`` being ours and CASP13's best group's that of MD.
    """
    table = {}
    for name, length in PROTOCOLS.items():
        days = length / md["ns_per_day"]
        cpu_days = length / md["ns_per_cpu_day"]
        table[name] = {
            "ns": length,
            "days": days,
            "ratio_wall": days * 86_400 / ours["wall_seconds"],
            "ratio_cpu": cpu_days * 86_400 / ours["cpu_seconds"],
        }
        if gain is not None:
            table[name]["ratio_cpu_per_point"] = table[name]["ratio_cpu"] * gain / CASP13_BEST[0]
    return table


def our_gain(summary: Path | None) -> tuple[float | None, str]:
    """Our mean change of GDT-HA as a benchmark's summary has it, and in words."""
    if summary is None:
        return None, "not given (--ours summary.json of refine bench)"
    values = json.loads(summary.read_text(encoding="utf-8"))
    of = values["methods"]["ours"]["metrics"]["oligo_gdtha"]
    mean = of["delta_mean"]
    interval = f"[{mean['low']:+.2f}, {mean['high']:+.2f}]"
    return float(mean["value"]), f"{mean['value']:+.2f} {interval} on {of['n']} targets ({values['bench']['label']})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--seconds", type=float, default=60.0, help="of MD to measure")
    parser.add_argument("--minimise", type=int, default=200, help="iterations before the MD")
    parser.add_argument("--settings", type=Path, help="of our run (default: the defaults)")
    parser.add_argument("--ours", type=Path, metavar="SUMMARY.json", help="benchmark summary to take our gain from")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()
    settings = read_settings(options.settings) if options.settings else RunSettings()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        ours, model = our_run(options.model, settings, Path(folder) / "run")
        times = f"{ours['wall_seconds']:.0f} s, {ours['cpu_seconds']:.0f} CPU s"
        print(f"refine run: {ours['residues']} residues, {ours['models']} models, {times}")
        md = md_speed(solvated(model), options.seconds, options.minimise)
    print(
        f"MD: {md['atoms']} atoms, {md['steps']} steps of {STEP_FS:.0f} fs on {md['platform']}: "
        f"{md['ns_per_day']:.2f} ns/day"
    )
    gain, told = our_gain(options.ours)
    table = ratios(md, ours, gain)
    for name, of in table.items():
        print(
            f"{name}: {of['ns']:.0f} ns = {of['days']:.0f} days here, {of['ratio_wall']:.0f} of our runs "
            f"({of['ratio_cpu']:.0f} by CPU, {of.get('ratio_cpu_per_point', float('nan')):.0f} per point gained)"
        )
    best = ", ".join(f"{v:+.2f}" for v in CASP13_BEST)
    print(f"mean change of GDT-HA: ours {told}; best groups of CASP13 {best} on its 29 targets")
    if options.out:
        machine = {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "load_before": load,
            "openmm": openmm.__version__,
        }
        numbers = {
            "model": options.model.name,
            "machine": machine,
            "networks": settings.networks,
            "md": md,
            "ours": ours,
            "protocols": table,
            "our_delta_gdtha": gain,
        }
        numbers["casp13_best_groups_delta_gdtha"] = list(CASP13_BEST)
        options.out.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
