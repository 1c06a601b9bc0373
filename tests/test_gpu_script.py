"""The script that measures a GPU, where there is none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gpu
import pytest
import torch

from refine.engine import Engine


def test_the_same_device_agrees_and_another_free_energy_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu.agreement("cpu")["passed"]
    engine_on, made = gpu.engine_on, []

    def weaker(device: str, path: Path) -> Engine:
        engine: Engine = engine_on(device, path)
        made.append(engine)
        if len(made) == 1:
            return engine
        settings = dataclasses.replace(engine.settings, learned={"prior": 0.9})
        return Engine(engine.protein, engine.networks, settings, pull=True)

    monkeypatch.setattr(gpu, "engine_on", weaker)
    assert not gpu.agreement("cpu")["passed"]


def test_linear_layers_are_counted() -> None:
    """Twice the replicas, twice the operations; a layer's operations are those of its matrix product."""
    engine = gpu.engine_on("cpu", gpu.EXAMPLE)
    once, _ = gpu.linear_work(engine, engine.coords + 0.01)
    twice, _ = gpu.linear_work(engine, torch.cat((engine.coords, engine.coords)) + 0.02)
    assert once > 1e9 and twice == pytest.approx(2 * once, rel=0.02)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    assert gpu.main() == 2 and "no CUDA device" in capsys.readouterr().err
