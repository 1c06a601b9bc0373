"""Work in several processes of this machine, one thread each; a process that dies loses nothing but time, and none
outlives the one that started it.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

from refine.parent import end_with_parent, kill_group

log = logging.getLogger(__name__)

T = TypeVar("T")
ATTEMPTS = 3
"""How often a task may take its process down before it is given up."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS")


@dataclasses.dataclass(frozen=True)
class Ended(Generic[T]):
    """How a task ended.

    Attributes:
        task: which, the caller's own object.
        answer: what the work returned.
        error: the traceback of what it raised, or that its process died; empty when there is an answer.
        raised: the exception itself, with the traceback as a note; None when the process died.
    """

    task: T
    answer: Any = None
    error: str = ""
    raised: Exception | None = None


@dataclasses.dataclass
class _Worker(Generic[T]):
    process: BaseProcess
    connection: Connection
    task: T | None = None
    attempt: int = 0

    @property
    def leader(self) -> int:
        """Id of the process, which is that of its group too."""
        assert self.process.pid is not None
        return self.process.pid


class Workers(Generic[T]):
    """Processes that do tasks, started as needed; use as a context manager, which ends them.

    Scripts need the ``if __name__ == "__main__":`` guard of multiprocessing.

    Args:
        work: a function of a module, called with a task in a process; the answer must travel.
        count: how many processes at most.
        prepare: a function of a module that each process calls first, with ``arguments``.
        attempts: how often a task is given to a process; one whose process was killed is given to another until then.
    """

    def __init__(
        self,
        work: Callable[[T], Any],
        count: int,
        *,
        prepare: Callable[..., None] | None = None,
        arguments: tuple[Any, ...] = (),
        attempts: int = ATTEMPTS,
    ) -> None:
        assert count >= 1 and attempts >= 1, (count, attempts)
        self._serving = (work, prepare, arguments)
        self._count, self._attempts = count, attempts
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker[T]] = []

    def __enter__(self) -> Workers[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(list(self._workers))

    def start(self) -> None:
        """Start all processes now, so that they are ready when the tasks come."""
        while len(self._workers) < self._count:
            self._start()

    def run(self, tasks: Sequence[T]) -> Iterator[Ended[T]]:
        """Do ``tasks``; gives each as it ends, in no fixed order. Leaving the iterator ends what is still running."""
        waiting = collections.deque((task, 1) for task in tasks)
        try:
            while waiting or any(w.task is not None for w in self._workers):
                while waiting and (worker := self._free()) is not None:
                    self._give(worker, *waiting.popleft())
                for worker in self._ready():
                    task, attempt = worker.task, worker.attempt
                    ended = self._answer(worker)
                    if task is None:
                        continue
                    if ended is not None:
                        if waiting:  # the process need not wait for what the caller does with the answer
                            self._give(worker, *waiting.popleft())
                        yield ended
                    elif attempt >= self._attempts:
                        yield Ended(task, error=f"took its process down {attempt} times")
                    else:
                        log.warning("a worker process died; its task is done again")
                        waiting.append((task, attempt + 1))
        finally:
            self._end([worker for worker in self._workers if worker.task is not None])

    def _free(self) -> _Worker[T] | None:
        """An idle process, a new one while there may be more, or None."""
        for worker in self._workers:
            if worker.task is None:
                return worker
        return self._start() if len(self._workers) < self._count else None

    def _start(self) -> _Worker[T]:
        ours, theirs = self._context.Pipe()
        with _one_thread_for_children():
            process = self._context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
        theirs.close()
        worker: _Worker[T] = _Worker(process, ours)
        self._workers.append(worker)
        self._tell(worker, self._serving)
        return worker

    def _give(self, worker: _Worker[T], task: T, attempt: int) -> None:
        worker.task, worker.attempt = task, attempt
        self._tell(worker, task)

    def _tell(self, worker: _Worker[T], what: Any) -> None:
        try:
            worker.connection.send(what)
        except OSError:
            log.info("a worker process died while idle")  # _ready finds it

    def _ready(self) -> list[_Worker[T]]:
        """Processes that have answered or died; waits for one."""
        signalled = set(wait([w.connection for w in self._workers] + [w.process.sentinel for w in self._workers]))
        return [w for w in self._workers if w.connection in signalled or w.process.sentinel in signalled]

    def _answer(self, worker: _Worker[T]) -> Ended[T] | None:
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
        kill_group(worker.leader)
        self._workers.remove(worker)
        return None

    def _end(self, workers: Sequence[_Worker[T]]) -> None:
        for worker in workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
            kill_group(worker.leader)
            self._workers.remove(worker)


@contextlib.contextmanager
def _one_thread_for_children() -> Iterator[None]:
    """Processes that are started in the block have one thread; numerical libraries read these variables at start."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _serve(connection: Connection) -> None:
    """A process: do what comes through the pipe until it closes. Ctrl-C is the parent's business.

    The work comes through the pipe too: to load it takes seconds, and the process shall not outlive its parent in them.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("refine").propagate = False
    with contextlib.suppress(EOFError, ConnectionError):  # the parent is gone, or wants no more
        work, prepare, arguments = connection.recv()
        if prepare is not None:
            prepare(*arguments)
        while True:
            connection.send_bytes(_answer(work, connection.recv()))


def _answer(work: Callable[[Any], Any], task: Any) -> bytes:
    """What ``Ended`` holds besides the task, as it travels."""
    try:
        return bytes(ForkingPickler.dumps((work(task), "", None)))
    except Exception as error:  # the job border
        trace = traceback.format_exc()
        error.add_note(trace)
        return bytes(ForkingPickler.dumps((None, trace, _portable(error))))


def _portable(error: Exception) -> Exception:
    """``error`` if it survives the way to another process, else its name and text."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except (pickle.PicklingError, TypeError, AttributeError):
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
