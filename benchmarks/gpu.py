"""A GPU against the CPU: the same numbers, how near to what the hardware allows, how fast it trains.

    python benchmarks/gpu.py
        on the first CUDA device; writes benchmarks/results/gpu.json and prints the table
    python benchmarks/gpu.py --train PACK --minutes 5
        trains a prior of the packaged size for five minutes besides
    python benchmarks/gpu.py --device cpu --replicas 2 --residues 70 --out table.json
        the script itself, tried where there is no GPU

Numbers: energy terms, forces and four steps without noise of the example, on the device and on the CPU (float32, TF32
off). Speed: one step of the propagation (networks, then forces) of many replicas, over two floors measured in the same
process: the floating-point operations of the networks' linear layers at the rate of a large matrix product, and the
bytes that these layers read and write at the rate of a copy. A step cannot be faster than the larger of the two.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from speed import EXAMPLE, bundle
from torch import Tensor

from refine.engine import Engine, load_networks_of
from refine.files import json_text, write_text
from refine.propagation.propagate import propagate
from refine.settings import RunSettings
from refine.structure.prepare import prepare

RESULTS = Path(__file__).parent / "results" / "gpu.json"
ENERGY_TOLERANCE, FORCE_TOLERANCE, MOVE_TOLERANCE = 1e-4, 1e-2, 0.01
"""Largest difference between devices: energies relative to their size + 1 kcal/mol, forces relative to their root mean
square, positions after four steps in Å. Float32 sums in another order; moves amplify it."""
REPEATS = 5
ROWS_OF_PRODUCT = 4096


def engine_on(device: str, path: Path) -> Engine:
    settings = RunSettings(device=device)
    return Engine(prepare(path).protein, load_networks_of(settings), settings, pull=True)


def forces_of(engine: Engine, coords: Tensor) -> Tensor:
    """One step's work: the energy taken at ``coords`` (R, L, 4, 3) Å, and its forces there."""
    forces, _ = engine.drift.at(coords).forces(coords)
    return forces


def agreement(device: str) -> dict[str, Any]:
    """The example on both devices: largest differences, and whether they are within the tolerances."""
    here, there = (engine_on(name, EXAMPLE) for name in ("cpu", device))
    terms = [engine.score().terms for engine in (here, there)]
    energy = max(abs(terms[0][k] - terms[1][k]) / (abs(terms[0][k]) + 1.0) for k in terms[0])
    forces = [forces_of(engine, engine.coords).cpu() for engine in (here, there)]
    force = float((forces[0] - forces[1]).abs().max() / forces[0].pow(2).mean().sqrt())
    plan = dataclasses.replace(here.settings.propagation, replicas=1, steps=4, noise=None)
    ends = []
    for engine in (here, there):
        mobile = torch.ones(len(engine.system), dtype=torch.bool, device=engine.system.device)
        ends.append(propagate(engine.drift, engine.coords, plan, 0, mobile, engine.constraints).final.cpu())
    move = float((ends[0] - ends[1]).norm(dim=-1).max())
    passed = energy <= ENERGY_TOLERANCE and force <= FORCE_TOLERANCE and move <= MOVE_TOLERANCE
    return {"energy": energy, "forces": force, "positions after 4 steps, Å": move, "passed": passed}


def seconds_of(work: Callable[[], object], device: str) -> float:
    """Least wall seconds of ``work`` after a first call."""
    times = []
    for _ in range(REPEATS + 1):
        begun = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def rates(device: str) -> tuple[float, float]:
    """FLOP/s of a large float32 matrix product and bytes/s of a copy."""
    n = ROWS_OF_PRODUCT if device == "cuda" else 1024
    a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    big = torch.empty(64 * n * n // 16, device=device)
    return (
        2.0 * n**3 / seconds_of(lambda: a @ b, device),
        2.0 * big.numel() * 4 / seconds_of(lambda: big.clone(), device),
    )


def linear_work(engine: Engine, coords: Tensor) -> tuple[float, float]:
    """Floating-point operations and bytes of the linear layers in one step, passes for gradients included."""
    operations = size = 0.0

    def count(module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal operations, size
        wide = module.weight.numel()  # type: ignore[union-attr, operator]
        times = 2 if output.requires_grad else 1  # the gradient of the input is another product
        operations += times * 2.0 * inputs[0].numel() / inputs[0].shape[-1] * wide
        size += times * 4.0 * (inputs[0].numel() + output.numel() + wide)

    assert engine.networks is not None
    networks = (*engine.networks.priors, engine.networks.likelihood)
    layers = [m for network in networks for m in network.modules() if isinstance(m, torch.nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        forces_of(engine, coords)
    finally:
        for hook in hooks:
            hook.remove()
    return operations, size


def speed(device: str, replicas: int, residues: int) -> dict[str, Any]:
    """A step of ``replicas`` of a protein of ``residues`` against both floors."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.pdb"
        bundle(residues, path)
        engine = engine_on(device, path)
    noise = torch.randn(replicas, *engine.coords.shape[1:], generator=torch.Generator().manual_seed(0))
    coords = engine.coords + 0.01 * noise.to(engine.coords)
    offsets = iter(range(1, 1000))  # another place at each call, so that nothing is remembered
    step = seconds_of(lambda: forces_of(engine, coords + 1e-4 * next(offsets)), device)
    operations, size = linear_work(engine, coords + 1e-4 * next(offsets))
    flops, bandwidth = rates(device)
    floor = max(operations / flops, size / bandwidth)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    return {
        "replicas": replicas, "residues": len(engine.system), "seconds a step": step,
        "TFLOP a step": operations / 1e12, "GB a step": size / 1e9, "TFLOP/s of the device": flops / 1e12,
        "GB/s of the device": bandwidth / 1e9, "floor, s": floor, "times the floor": step / floor, "peak GiB": memory,
    }  # fmt: skip


def training(device: str, data: Path, minutes: float) -> dict[str, Any]:
    """Steps that ``refine train`` does in so many minutes, and its last line of log."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "train.toml"
        settings.write_text('network = "prior"\nsteps = 1000000\nbatch = 16\nevery = 20\nwarmup = 200\n')
        words = ["train", str(data), "--out", f"{folder}/run", "--settings", str(settings), "--device", device]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "refine", *words],
                timeout=60 * minutes, capture_output=True, text=True, check=False,
            )  # fmt: skip
            raise SystemExit(f"training stopped: {done.stderr[-500:]}")
        except subprocess.TimeoutExpired:
            log = Path(folder) / "run" / "log.jsonl"
            rows = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    if not rows:
        return {"minutes": minutes, "steps": 0}
    return {"minutes": minutes, "batch": 16, "seconds a step": rows[-1]["seconds"] / rows[-1]["step"], "last": rows[-1]}


def lines(result: dict[str, Any]) -> list[str]:
    """The table in text."""
    text = [f"| {result['device']} | |", "|---|---|"]
    for part in ("agreement", "speed", "training"):
        for name, value in (result.get(part) or {}).items():
            text.append(f"| {part}: {name} | {f'{value:.4g}' if isinstance(value, float) else value} |")
    return text


def main() -> int:
    """Measure, write, print; 1 when the numbers differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--replicas", type=int, default=64)
    parser.add_argument("--residues", type=int, default=300)
    parser.add_argument(
        "--train", type=Path, metavar="PACK", help="what `refine train` takes; nothing is trained without"
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("there is no CUDA device; --device cpu tries the script without one\n")
        return 2
    torch.backends.cuda.matmul.allow_tf32 = False
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    result: dict[str, Any] = {"device": name, "torch": torch.__version__, "agreement": agreement(options.device)}
    result["speed"] = speed(options.device, options.replicas, options.residues)
    if options.train:
        result["training"] = training(options.device, options.train, options.minutes)
    write_text(options.out, json_text(result))
    sys.stdout.write("\n".join(lines(result)) + "\n")
    return 0 if result["agreement"]["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
