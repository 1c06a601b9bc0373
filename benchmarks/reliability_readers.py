"""Readers held against odd and damaged files: each is read, repaired, written and read back, or refused with words.

A section of ``benchmarks/reliability.py``. Files are tried in another process, which is replaced when it takes more
than ``LIMIT`` seconds of CPU (so that a busy machine hangs nobody), ten times as long by the clock, or dies; it has
``MEMORY`` bytes.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from reliability_corpus import FORMATS
from reliability_inputs import odd_inputs
from reliability_mutants import mutant
from reliability_rows import Row
from reliability_shapes import odd_files

from refine.errors import InputError
from refine.structure.protein import HeteroAtom, Protein
from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.write import fits_pdb, write_cif, write_pdb

LIMIT = 20.0
MEMORY = 6_000_000_000
MUTANTS = 50_000
Outcome = tuple[str, str, str]
"""Name, ``accepted``, ``refused``, ``crashed`` or ``hung``, and what was said."""
REPORTED = 500
"""Files after which the row so far goes to standard error: the whole takes hours."""
NOTED = 8
"""Most failures that a row names."""


def rows(seed: int, quick: bool) -> list[Row]:
    """Odd structure files, mutants of each format, and odd settings, manifests and selections; ``quick``: one in 50."""
    step, count = (50, MUTANTS // 50) if quick else (1, MUTANTS)
    each = count // len(FORMATS) + 1
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(FORMATS) + 2) as pool:
        reader = stack.enter_context(Worker(attempt))  # processes are made before there are threads
        mutants = {form: stack.enter_context(Worker(functools.partial(attempt_mutant, form))) for form in FORMATS}
        jobs = [
            lambda: _row("odd structure files", _odd_files(reader, seed, step)),
            *(functools.partial(_mutant_row, worker, seed, form, each) for form, worker in mutants.items()),
            lambda: _row("odd settings, manifests, selections", odd_inputs(seed, 3000 // step)),
        ]
        return list(pool.map(lambda job: job(), jobs))


def _odd_files(worker: Worker, seed: int, step: int) -> Iterator[Outcome]:
    for file in itertools.islice(odd_files(seed), 0, None, step):
        yield file.name, *worker.ask(file.data)


def _mutant_row(worker: Worker, seed: int, form: str, count: int) -> Row:
    """Mutants are made where they are tried, each from its own seed, which is its name."""
    names = (f"{form} {seed} {k}" for k in range(count))
    return _row(f"mutants, {form}", ((name, *worker.ask(name.encode())) for name in names))


def attempt_mutant(form: str, name: bytes) -> tuple[str, str]:
    """``attempt`` of the mutant of that name; what is written is written in one format, by turns."""
    rng = random.Random(name.decode())
    return attempt(mutant(rng, form), form=rng.choice(("cif", "pdb")))


def _row(name: str, outcomes: Iterable[Outcome]) -> Row:
    """The row of these outcomes."""
    row, failures = Row(name), []
    for case, outcome, said in outcomes:
        row.tried += 1
        setattr(row, outcome, getattr(row, outcome) + 1)
        if outcome in ("crashed", "hung"):
            failures.append(f"{case}: {said}")
        row.note = "; ".join(failures[:NOTED])
        if row.tried % REPORTED == 0:
            sys.stderr.write(f"{row}\n")
    return row


class Worker:
    """A process that answers questions one after the other; replaced when it is late or dies."""

    def __init__(self, work: Callable[[bytes], tuple[str, str]]) -> None:
        self._work = work
        self._start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(theirs, self._work), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, data: bytes) -> tuple[str, str]:
        """How the work on ``data`` ended, and what was said."""
        try:
            self._connection.send_bytes(data)
            if self._answers():
                outcome, said = self._connection.recv()
                return outcome, said
            outcome, said = "hung", f"no answer in {LIMIT:.0f} s"
        except (EOFError, OSError):
            outcome, said = "crashed", "the process died"
        self.end()
        self._start()
        return outcome, said

    def _answers(self) -> bool:
        """Whether there is an answer in time."""
        if self._connection.poll(1.0):
            return True
        used, begun = self._cpu_seconds(), time.monotonic()
        while not self._connection.poll(0.5):
            if self._cpu_seconds() - used > LIMIT or time.monotonic() - begun > 10 * LIMIT:
                return False
        return True

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _answer(connection: Connection, work: Callable[[bytes], tuple[str, str]]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.fsync = lambda stream: None  # a power cut is not what is tried here, and it takes most of the time
    while True:
        connection.send(work(connection.recv_bytes()))


def attempt(data: bytes, form: str = "") -> tuple[str, str]:
    """Read, repair, write (in ``form`` or in both) and read back a file: ``accepted``, ``refused`` or ``crashed``, and
    the message.
    """
    with tempfile.TemporaryDirectory(prefix="refine-reliability-") as place:
        path = Path(place) / "odd"
        path.write_bytes(data)
        try:
            protein = repair(read_structure(path)).protein
        except InputError as error:
            complete = error.file == str(path) and error.message and error.remedy
            return ("refused", str(error)) if complete else ("crashed", f"no file or remedy in: {error}")
        except Exception:  # what this script looks for
            return "crashed", _last_lines()
        try:
            return _written_and_read(protein, Path(place), form)
        except Exception:  # the same
            return "crashed", _last_lines()


def _written_and_read(protein: Protein, place: Path, only: str) -> tuple[str, str]:
    writers = {"cif": write_cif} | ({"pdb": write_pdb} if fits_pdb(protein) is None else {})
    for form, write in writers.items():
        if only in writers and form != only:
            continue
        path = place / f"again.{form}"
        write(protein, path)
        try:
            again = read_structure(path).protein
        except InputError as error:
            return "crashed", f"what was written as {form} is refused: {error.message}"
        difference = different(protein, again, form)
        if difference:
            return "crashed", f"what was written as {form} reads back with other {difference}"
    return "accepted", ""


def _last_lines() -> str:
    return " | ".join(line.strip() for line in traceback.format_exc().strip().split("\n")[-3:])


def different(protein: Protein, again: Protein, form: str) -> str:
    """The first field in which two proteins differ by more than the decimals of the format; ``""`` for none."""
    for name in ("sequence", "residue_ids"):
        if getattr(protein, name) != getattr(again, name):
            return name
    for name in ("mask", "oxt_mask", "bonded"):
        if not np.array_equal(getattr(protein, name), getattr(again, name)):
            return name
    b = np.minimum(protein.b_factors, 999.99) if form == "pdb" else protein.b_factors
    if len(protein.hetero) != len(again.hetero):
        return "number of hetero atoms"
    if any(_identity(a, form) != _identity(b, form) for a, b in zip(protein.hetero, again.hetero, strict=True)):
        return "hetero atoms"
    if any(a.name != b.name and len(a.name) <= 4 for a, b in zip(protein.hetero, again.hetero, strict=True)):
        return "names of hetero atoms"
    most = 3 if form == "pdb" else 1000  # longer ones are short in PDB files
    names = [(a.residue_name, b.residue_name) for a, b in zip(protein.hetero, again.hetero, strict=True)]
    if any(one != two and len(one) <= most for one, two in names):
        return "names of hetero residues"
    numbers = (
        ([h.position for h in protein.hetero], [h.position for h in again.hetero], 0.00101, "hetero positions"),
        (protein.coords, again.coords, 0.00101, "coords"),
        (protein.oxt, again.oxt, 0.00101, "oxt"),
        (b[protein.mask], again.b_factors[protein.mask], 0.0101, "b_factors"),
        (protein.occupancies[protein.mask], again.occupancies[protein.mask], 0.0101, "occupancies"),
    )
    for one, two, tolerance, name in numbers:
        if not np.allclose(one, two, rtol=1e-5, atol=tolerance):
            return name
    bonds = [[(c.kind, c.first, c.second) for c in p.connections] for p in (protein, again)]
    return "" if bonds[0] == bonds[1] else "connections"


def _identity(atom: HeteroAtom, form: str) -> tuple[object, ...]:
    """What a file tells of a hetero atom besides names, which are short in PDB files, and its numbers."""
    altloc = atom.altloc.upper() if form == "pdb" else atom.altloc  # gemmi writes capitals; ``prepare`` notes it
    charge = 0 if form == "pdb" and abs(atom.charge) > 9 else atom.charge
    return atom.chain, atom.number, atom.insertion, atom.element, altloc, charge, atom.is_hetatm
