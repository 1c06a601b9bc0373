"""Stores and jobs for the tests of the queue and of the app."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from refine.queue.job import QUEUED, Job, new_id
from refine.queue.request import Request
from refine.queue.settings import AppSettings
from refine.queue.store import Store

ROOT = Path(__file__).resolve().parent.parent.parent
QUICK = """
networks = "none"
workers = 1
models = 1
[propagation]
replicas = 2
steps = 4
keep_every = 2
[finishing]
relax = false
"""


def example() -> bytes:
    """The whole example."""
    return (ROOT / "examples" / "1a8o_model.pdb").read_bytes()


def short_model() -> bytes:
    """Twenty residues of the example."""
    lines = example().decode().splitlines()
    return "\n".join([*(x for x in lines if x.startswith("ATOM") and int(x[22:26]) < 171), "END", ""]).encode()


def quick_settings(folder: Path, **changes: object) -> AppSettings:
    """Settings of an app whose runs take no time."""
    base = folder / "quick.toml"
    base.write_text(QUICK)
    settings = AppSettings(folder=str(folder / "jobs"), base=str(base))
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


def submitted(
    store: Store,
    user: str = "anna",
    data: bytes = b"ATOM",
    request: Request | None = None,
    file: str = "model.pdb",
    **known: bytes,
) -> Job:
    """A job that was taken in; ``known`` are files beside its model, by name."""
    options = (request or Request()).to_dict()
    job = Job(new_id(), user, file, file, QUEUED, options, 20, 1.0, time.time())
    store.submit(job, {file: data, **known})
    return job


def wait_for(done: Callable[[], bool], seconds: float, each: Callable[[], object] = lambda: None) -> None:
    """Wait until ``done``, calling ``each`` in between."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not within {seconds} s"
        each()
        time.sleep(0.1)
