"""The SLURM recipe renders a job script that starts one worker of one thread."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT


def test_the_job_script_renders() -> None:
    pytest.importorskip("dask_jobqueue")
    script = ROOT / "benchmarks" / "slurm_cluster.py"
    command = [sys.executable, str(script), "--print", "--queue", "batch", "--account", "lab", "--walltime", "01:30:00"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    text = ended.stdout
    for line in (
        "#SBATCH -p batch",
        "#SBATCH -A lab",
        "#SBATCH -t 01:30:00",
        "#SBATCH --cpus-per-task=1",
        "export OMP_NUM_THREADS=1",
    ):
        assert line in text, text
    assert "distributed.cli.dask_worker tcp://" in text and "--nthreads 1" in text and "--lifetime 85m" in text
