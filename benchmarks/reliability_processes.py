"""Kills, full disks, damaged weights and folders, hostile folders, determinism and a soak: rows for the table of
``benchmarks/reliability.py``.

    python benchmarks/reliability_processes.py [--quick] [--seed N]

prints these rows alone. The damaged folders are those of tests/run/damage.py, so the checkout has to be there. A disk
is full where root may mount a small tmpfs; elsewhere a limit on the size of a file stands in for it (the note says
which).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import random
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from reliability_rows import Row  # noqa: E402

from refine.errors import RefineError  # noqa: E402
from refine.networks.weights import load_networks  # noqa: E402
from refine.pipeline import refine_file  # noqa: E402
from refine.queue.store import Store  # noqa: E402
from refine.queue.supervisor import Supervisor  # noqa: E402
from refine.report.comparison import compare_run  # noqa: E402
from refine.report.page import write_report  # noqa: E402
from refine.resources import models_dir  # noqa: E402
from refine.run.result import read_run  # noqa: E402
from refine.settings import read_settings  # noqa: E402
from tests.orphans import marked, new_mark  # noqa: E402
from tests.queue.places import QUICK, quick_settings, short_model, submitted  # noqa: E402
from tests.run.damage import DAMAGES  # noqa: E402
from tests.run.run_folder import make_run, two_chains  # noqa: E402

SHORT = "models = 2\n[propagation]\nreplicas = 3\nsteps = 6\nkeep_every = 2\n[finishing]\nmax_iterations = 20\n"
"""All stages of a default run with its networks, each short."""
RESULTS = ("model_1.cif", "model_1.pdb", "model_2.cif", "scores.csv", "per_residue.csv", "rpdd.npz", "ensemble.pdb",
           "trace.csv", "input.cif")  # fmt: skip
LIMIT = 600.0
"""Seconds after which a run hangs; it takes some ten on an idle machine."""
ORPHANS = 20.0
"""Seconds in which processes must be gone."""
DISKS = (32, 64, 128, 256, 512, 1024)
"""kB."""


class Place:
    """Input, settings and the results of one undisturbed run, in a folder for everything else."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.input, self.settings = folder / "piece.pdb", folder / "short.toml"
        self.input.write_bytes(short_model())
        self.settings.write_text(SHORT)
        began = time.monotonic()
        done = self.wait(self.start(folder / "whole"))
        assert done == (0, ""), done
        self.seconds = time.monotonic() - began

    def command(self, out: Path, *more: str) -> list[str]:
        words = ["run", str(self.input), "--settings", str(self.settings), "--out", str(out), "--quiet", *more]
        return [sys.executable, "-m", "refine", *words]

    def start(self, out: Path, *more: str, **environment: str) -> subprocess.Popen[str]:
        return started(self.command(out, *more), environment)

    def wait(self, process: subprocess.Popen[str]) -> tuple[int | None, str]:
        """Exit code and what was printed as an error; None when it hung."""
        try:
            return (process.wait(LIMIT), process.stderr.read()) if process.stderr else (process.wait(LIMIT), "")
        except subprocess.TimeoutExpired:
            process.kill()
            return None, ""

    def same(self, out: Path) -> bool:
        """Whether a folder holds the results of the undisturbed run, to the byte."""
        return all((out / n).is_file() and (out / n).read_bytes() == self.bytes(n) for n in RESULTS)

    def bytes(self, name: str) -> bytes:
        return (self.folder / "whole" / name).read_bytes()

    def new(self) -> Path:
        return self.folder / secrets.token_hex(4)


def started(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    paths = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.Popen(
        command, env=os.environ | paths | environment, stdout=null, stderr=pipe, text=True, start_new_session=True
    )


def gone(mark: dict[str, str]) -> bool:
    """Whether the processes with this mark end in time; those that do not are killed."""
    end = time.monotonic() + ORPHANS
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    for line in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    return not left


def add(row: Row, what: str, note: str = "") -> None:
    """Count one more that was ``accepted``, ``refused``, ``crashed`` or ``hung``; the first notes are kept."""
    row.tried += 1
    setattr(row, what, getattr(row, what) + 1)
    if note and len(row.note) < 300:
        row.note += ("; " if row.note else "") + note


def interrupted(place: Place, name: str, number: signal.Signals, count: int) -> Row:
    """Runs that get a signal at a random moment: no process is left, and ``--resume`` gives the same bytes."""
    row = Row(name)
    for _ in range(count):
        mark, out = new_mark(), place.new()
        process = place.start(out, **mark)
        time.sleep(place.random.uniform(0.0, place.seconds))
        process.send_signal(number)
        _, error = place.wait(process)
        left = not gone(mark)
        code, later = place.wait(place.start(out, "--resume"))
        good = code == 0 and place.same(out) and (out / "report.html").is_file() and "Traceback" not in error + later
        what = "hung" if left or code is None else "accepted" if good else "crashed"
        add(row, what, "" if what == "accepted" else f"orphans: {left}, exit {code}: {(error + later)[-100:]}")
        shutil.rmtree(out)
    return row


def bench_killed(place: Place, count: int) -> Row:
    row = Row("bench killed (-9) in a target, --resume")
    manifest = place.folder / "targets.tsv"
    lines = [f"t{k}\t{place.input}\t{place.folder / 'whole' / 'input.cif'}" for k in range(2)]
    manifest.write_text("\n".join(["target\tmodel\tnative", *lines, ""]))
    for _ in range(count):
        mark, out = new_mark(), place.new()
        words = [
            "bench",
            str(manifest),
            "--methods",
            "start,ours",
            "--settings",
            str(place.settings),
            "--out",
            str(out),
        ]
        command = [sys.executable, "-m", "refine", *words, "--workers", "2", "--quiet"]
        process = started(command, mark)
        time.sleep(place.random.uniform(0.3, 1.0) * place.seconds)
        process.kill()
        place.wait(process)
        left = not gone(mark)
        code, error = place.wait(started([*command, "--resume"], {}))
        what = "hung" if left or code is None else "accepted" if code == 0 else "crashed"
        add(row, what, "" if what == "accepted" else f"orphans: {left}, exit {code}: {error[-100:]}")
        shutil.rmtree(out)
    return row


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[tuple[Callable[[], None] | None, str]]:
    """A file system of so many kB mounted at ``folder``, or what a child does to be as limited; and which it is."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    if os.getuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        try:
            yield None, "tmpfs"
        finally:
            subprocess.run(["umount", str(folder)], check=False)
    else:
        limit = (size * 1024, size * 1024)
        yield (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)), "RLIMIT_FSIZE"


def full_disks(place: Place) -> Row:
    """The first error is told, nothing is half written, and no record says that the run goes on."""
    row = Row("full disk, six sizes")
    for size in DISKS:
        folder = place.new()
        with small_disk(folder, size) as (limit, kind):
            out = folder / "out"
            environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            ended = subprocess.run(
                place.command(out), env=environment, capture_output=True, text=True, preexec_fn=limit, check=False
            )
            record = out / "run.json"
            status = json.loads(record.read_text())["status"] if record.is_file() else "none"
            partial = [p.name for p in out.glob(".partial-*")] if out.is_dir() else []
        told = ended.stderr.startswith("refine: cannot write") and len(ended.stderr.splitlines()) == 1
        good = ended.returncode == 0 and status == "done"
        refused = told and ended.returncode in (2, 4) and status in ("failed", "none") and not partial
        note = f"{size} kB: exit {ended.returncode}, {status}, {ended.stderr.strip()[-80:]}"
        add(row, "accepted" if good else "refused" if refused else "crashed", "" if good or refused else note)
    row.note = f"{kind} of {', '.join(map(str, DISKS))} kB" + (f"; {row.note}" if row.note else "")
    return row


def damaged_weights(place: Place, count: int) -> Row:
    row = Row("trained files with 1 to 20 flipped bits, cut, or of random bytes")
    for k in range(count):
        model = shutil.copytree(models_dir() / "small", place.new())
        path = place.random.choice(sorted(model.glob("*.safetensors")))
        data = bytearray(path.read_bytes())
        if k % 3 == 0:
            data = data[: place.random.randrange(len(data))]
        elif k % 3 == 1:
            data[10_000:] = place.random.randbytes(len(data) - 10_000)
        else:
            for _ in range(place.random.randint(1, 20)):
                data[place.random.randrange(len(data))] ^= 1 << place.random.randrange(8)
        path.write_bytes(data)
        try:
            load_networks(model)
            add(row, "crashed", f"{path.name} taken")
        except RefineError as error:
            add(row, "refused" if path.name in str(error) else "crashed")
        shutil.rmtree(model)
    return row


def damaged_folders(place: Place) -> Row:
    row = Row("damaged run folders (report, compare, read_run)")
    whole = make_run(place.new(), two_chains())
    compare_run(whole, whole / "input.cif")
    for name, damage in DAMAGES.items():
        folder = shutil.copytree(whole, place.new())
        damage(folder)
        try:
            run = read_run(folder)
            write_report(folder)
            compare_run(folder, whole / "input.cif")
            add(row, "accepted")
            del run
        except RefineError:
            add(row, "refused")
        except Exception as error:  # what is counted here
            add(row, "crashed", f"{name}: {type(error).__name__}: {error}")
        shutil.rmtree(folder)
    return row


def hostile_folders(place: Place) -> Row:
    """Links planted under every name that a run writes: none is written through."""
    row = Row("links planted in the output folder")
    names = [*RESULTS, "run.json", "log.txt", "progress.jsonl", "report.html", "cite.bib", "current.cif", "model_2.pdb"]
    victim = place.folder / "victim"
    for target in (victim, place.folder / "absent"):
        victim.write_text("precious")
        out = place.new()
        out.mkdir()
        for name in names:
            (out / name).symlink_to(target)
        code, _ = place.wait(place.start(out, "--resume"))
        safe = victim.read_text() == "precious" and not (place.folder / "absent").exists()
        add(row, "hung" if code is None else "accepted" if code == 0 and safe and place.same(out) else "crashed")
    out = place.new()
    out.symlink_to(out)
    code, error = place.wait(place.start(out))
    add(row, "refused" if code == 2 and "Traceback" not in error else "crashed", "" if code == 2 else error[-100:])
    return row


def determinism(place: Place, quick: bool) -> Row:
    """The same bytes whatever the threads, the locale, the directory and the installed copy; others for other seeds."""
    row = Row("same bytes: again, threads, locale, directory, wheel; other seed differs")
    site = place.folder / "site"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(site)]
    pip = [sys.executable, "-m", "pip", "install", *options]
    variants: list[Mapping[str, str]] = [{}, {"OMP_NUM_THREADS": "2"}, {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo"}]
    if not quick and subprocess.run([*pip, str(ROOT)], check=False, capture_output=True).returncode == 0:
        variants.append({"PYTHONPATH": str(site)})
    for environment in variants:
        out = place.new()
        code, error = place.wait(place.start(out, **environment))
        add(row, "accepted" if code == 0 and place.same(out) else "crashed", f"{dict(environment)}" if code else "")
    with contextlib.chdir(place.folder):
        code, _ = place.wait(place.start(Path(place.new().name)))
    add(row, "accepted" if code == 0 else "crashed")
    out = place.new()
    code, _ = place.wait(place.start(out, "--seed", "5"))
    differs = (out / "trace.csv").read_bytes() != place.bytes("trace.csv")
    add(row, "accepted" if code == 0 and differs else "crashed")
    return row


def memory() -> float:
    """Resident megabytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def soak(place: Place, runs: int) -> Row:
    """Runs in a row in this process: memory within 5 % of what it was after the first tenth, no temporary file left."""
    row = Row("soak: runs in one process")
    toml = place.folder / "quick.toml"
    toml.write_text(QUICK)
    temporary = place.folder / "temporary"  # of this process alone: others of the machine write to the common one
    temporary.mkdir()
    before, settings, tempfile.tempdir = tempfile.tempdir, read_settings(toml), str(temporary)
    base = 0.0
    for k in range(runs):
        out = place.new()
        add(row, "accepted" if refine_file(place.input, out, settings).models else "crashed")
        shutil.rmtree(out)
        base = memory() if k + 1 == max(runs // 10, 2) else base
    growth = memory() / base - 1
    left, tempfile.tempdir = list(temporary.iterdir()), before
    row.note = f"memory {base:.0f} MB, {growth:+.1%} at the end; temporary files left: {len(left)}"
    if growth > 0.05:
        row.accepted, row.crashed = row.accepted - 1, 1
    return row


def queue_soak(place: Place, jobs: int) -> Row:
    row = Row("soak: jobs through the queue")
    folder = place.new()
    folder.mkdir()
    store = Store(quick_settings(folder, at_once=2, user_jobs=jobs))
    supervisor, ids = Supervisor(store), []
    os.environ["OMP_NUM_THREADS"] = "1"
    for _ in range(jobs):
        ids.append(submitted(store, data=short_model()).id)
    base, end = 0.0, time.monotonic() + jobs * 60
    while any(job.active for job in store.jobs()) and time.monotonic() < end:
        supervisor.tick()
        base = base or memory()
        time.sleep(0.2)
    for one in ids:
        job = store.find(one)
        add(row, "accepted" if job and job.state == "DONE" else "hung" if job and job.active else "crashed")
    row.note = f"memory of the supervising process {base:.0f} MB, {memory() / base - 1:+.1%} at the end"
    return row


def rows(seed: int, quick: bool) -> list[Row]:
    """All rows, told on standard error as they come; ``quick`` tries a few of each kind."""
    rows = []
    for row in rows_one_by_one(seed, quick):
        sys.stderr.write(f"{row}\n")
        rows.append(row)
    return rows


def rows_one_by_one(seed: int, quick: bool) -> Iterator[Row]:
    folder = Path(tempfile.mkdtemp(prefix="reliability-"))
    try:
        place = Place(folder, seed)

        def count(full: int) -> int:
            return max(1, full // 20) if quick else full

        yield interrupted(place, "run killed (-9), --resume", signal.SIGKILL, count(50))
        yield interrupted(place, "run ended by SIGTERM, --resume", signal.SIGTERM, count(10))
        yield interrupted(place, "run ended by Ctrl-C, --resume", signal.SIGINT, count(10))
        yield bench_killed(place, count(5))
        yield full_disks(place)
        yield damaged_weights(place, count(120))
        yield damaged_folders(place)
        yield hostile_folders(place)
        yield determinism(place, quick)
        yield soak(place, count(200))
        yield queue_soak(place, count(50))
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a few of each kind")
    options = parser.parse_args()
    for row in rows_one_by_one(options.seed, options.quick):
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
