"""Work in several processes of this machine, one thread each; a process that dies loses nothing but time."""

from __future__ import annotations

import collections
import dataclasses
import logging
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
ATTEMPTS = 3
"""How often a task may take its process down before it is given up."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS")


@dataclasses.dataclass(frozen=True)
class Ended(Generic[T]):
    """How a task ended: its answer, or an error."""

    task: T
    answer: Any = None
    error: str = ""


@dataclasses.dataclass
class _Worker(Generic[T]):
    process: BaseProcess
    connection: Connection
    task: T | None = None


class LocalWorkers(Generic[T]):
    """Processes that do tasks, started as needed; use as a context manager, which ends them.

    Args:
        work: a function of a module, called with a task in a process; the answer must travel.
        workers: how many.

    A process that is killed is replaced and its task done again, ``ATTEMPTS`` times at most. Scripts need the
    ``if __name__ == "__main__":`` guard of multiprocessing.
    """

    def __init__(self, work: Callable[[T], Any], workers: int) -> None:
        assert workers >= 1, workers
        self._work, self._count = work, workers
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker[T]] = []

    def __enter__(self) -> LocalWorkers[T]:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()

    @property
    def process_ids(self) -> list[int]:
        """Of the living processes."""
        return [w.process.pid for w in self._workers if w.process.pid is not None]

    def run(self, tasks: Sequence[T]) -> Iterator[Ended[T]]:
        """Do ``tasks``; gives each as it ends, in no fixed order."""
        waiting = collections.deque((task, 1) for task in tasks)
        attempts: dict[int, int] = {}
        while waiting or any(w.task is not None for w in self._workers):
            while waiting and (worker := self._free()) is not None:
                task, attempt = waiting.popleft()
                self._give(worker, task)
                attempts[id(worker)] = attempt
            for worker in self._ready():
                given = worker.task
                ended = self._hear(worker)
                if given is None:
                    continue
                if ended is not None:
                    yield ended
                elif attempts[id(worker)] >= ATTEMPTS:
                    yield Ended(given, error=f"took its process down {ATTEMPTS} times")
                else:
                    log.warning("a worker process died; its task is done again")
                    waiting.append((given, attempts[id(worker)] + 1))

    def _free(self) -> _Worker[T] | None:
        """An idle process, a new one while there may be more, or None."""
        for worker in self._workers:
            if worker.task is None:
                return worker
        return self._start() if len(self._workers) < self._count else None

    def _start(self) -> _Worker[T]:
        ours, theirs = self._context.Pipe()
        kept = {name: os.environ.get(name) for name in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
        try:
            process = self._context.Process(target=_serve, args=(self._work, theirs), daemon=True)
            process.start()
        finally:
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _give(self, worker: _Worker[T], task: T) -> None:
        worker.task = task
        try:
            worker.connection.send(task)
        except OSError:
            log.info("a worker process died while idle")  # _ready finds it

    def _ready(self) -> list[_Worker[T]]:
        """Processes that have answered or died; waits for one."""
        found = set(wait([w.connection for w in self._workers] + [w.process.sentinel for w in self._workers]))
        return [w for w in self._workers if w.connection in found or w.process.sentinel in found]

    def _hear(self, worker: _Worker[T]) -> Ended[T] | None:
        """The answer of a process, which is idle again; None when it died, and it is taken off the list."""
        try:
            if worker.connection.poll():
                ended = Ended(worker.task, *worker.connection.recv())
                worker.task = None
                return ended  # type: ignore[return-value]
        except (EOFError, OSError):
            pass
        worker.connection.close()
        worker.process.join(timeout=5)
        worker.process.kill()
        self._workers.remove(worker)
        return None


def _serve(work: Callable[[Any], Any], connection: Connection) -> None:
    """A process: do what comes through the pipe until it closes. Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("refine").propagate = False
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            connection.send((work(task), ""))
        except Exception:  # the job border
            connection.send((None, traceback.format_exc()))
