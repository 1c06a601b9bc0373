"""A Dask cluster on SLURM for ``refine bench --scheduler``: one-thread workers as jobs (dask-jobqueue).

    python benchmarks/slurm_cluster.py --jobs 40 --queue batch
        starts it, prints the scheduler's address, waits for Ctrl-C
    refine bench manifest.tsv --out bench_out --scheduler tcp://…
        on any machine that sees the same folders
    python benchmarks/slurm_cluster.py --jobs 40 --queue batch --print
        the job script alone; submits nothing

The cluster must see the manifest's files and ``--out`` under the same paths everywhere (a shared file system), and
refine installed in the Python that runs this script. A job that ends or is killed gives its target back to the
scheduler; ``--resume`` goes on after that too.
"""

from __future__ import annotations

import argparse
import signal
import sys

from dask_jobqueue import SLURMCluster

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS")


def cluster(queue: str | None, account: str | None, memory: str, walltime: str, folder: str) -> SLURMCluster:
    """One worker of one thread per job; workers stop five minutes before the job's time is over, so that no target is
    cut in the middle.
    """
    return SLURMCluster(
        queue=queue,
        account=account,
        cores=1,
        processes=1,
        memory=memory,
        walltime=walltime,
        python=sys.executable,
        log_directory=folder,
        job_extra_directives=["--nice=100"],
        job_script_prologue=[f"export {name}=1" for name in THREADS],
        worker_extra_args=["--lifetime", f"{max(minutes(walltime) - 5, 1)}m", "--lifetime-stagger", "2m"],
        scheduler_options={"dashboard_address": None},
    )


def minutes(walltime: str) -> int:
    """Minutes of ``HH:MM:SS``."""
    hours, mins, _ = (int(part) for part in walltime.split(":"))
    return 60 * hours + mins


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--queue")
    parser.add_argument("--account")
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--walltime", default="02:00:00", metavar="HH:MM:SS")
    parser.add_argument("--logs", default="slurm_logs")
    parser.add_argument("--print", action="store_true", dest="show", help="print the job script and end")
    options = parser.parse_args()
    with cluster(options.queue, options.account, options.memory, options.walltime, options.logs) as slurm:
        if options.show:
            print(slurm.job_script())
            return
        slurm.scale(jobs=options.jobs)
        print(slurm.scheduler_address, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
