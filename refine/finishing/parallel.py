"""Finishing of several candidates in several processes, one thread each."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray

from refine.finishing.finish import Finisher, FinishResult
from refine.finishing.settings import FinishSettings
from refine.structure.protein import Protein

log = logging.getLogger(__name__)

_finisher: Finisher | None = None
"""Of a worker process: made once, at its start."""


class FinishingPool:
    """Processes that finish candidates of one protein; started early, so that their start-up overlaps with the
    propagation.

    Use as a context manager. Leaving it by an exception ends the processes at once. The result does not depend on the
    number of processes. When a process dies (killed, out of memory), its candidates are done again in the caller's own.
    Scripts that use more than one worker need the ``if __name__ == "__main__":`` guard of multiprocessing.

    Args:
        workers: processes; 1 finishes in the caller's process.
        reference, settings, mobile: as of ``Finisher``.
    """

    def __init__(
        self, workers: int, reference: Protein, settings: FinishSettings, mobile: NDArray[np.bool_] | None = None
    ) -> None:
        self._arguments = (reference, settings, mobile)
        self._executor: ProcessPoolExecutor | None = None
        self._own: Finisher | None = None
        self._before = set(multiprocessing.active_children())
        if workers > 1:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(
                workers, mp_context=context, initializer=_prepare, initargs=self._arguments
            )
            for _ in range(workers):
                self._executor.submit(_warm)

    def __enter__(self) -> FinishingPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is None:
            return
        if kind is not None:
            for child in set(multiprocessing.active_children()) - self._before:
                child.terminate()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def finish(
        self, candidates: Sequence[Protein], *, refined: bool = False, keep: bool = False
    ) -> Iterator[tuple[int, FinishResult]]:
        """Finish ``candidates`` (R = 1 each; ``refined`` and ``keep`` as of ``Finisher.finish``) and give index and
        result as each is done.
        """
        done: set[int] = set()
        if self._executor is not None:
            try:
                futures: dict[Future[FinishResult], int] = {
                    self._executor.submit(_finish, c, refined, keep): i for i, c in enumerate(candidates)
                }
                for future in as_completed(futures):
                    result = future.result()
                    done.add(futures[future])
                    yield futures[future], result
            except BrokenProcessPool:
                log.warning("a finishing process died; what it left is finished in this process")
        if len(done) == len(candidates):
            return
        self._own = self._own or Finisher(*self._arguments)
        for i in sorted(set(range(len(candidates))) - done):
            yield i, self._own.finish(candidates[i], refined=refined, keep=keep)


def _prepare(reference: Protein, settings: FinishSettings, mobile: NDArray[np.bool_] | None) -> None:
    """Each process: one thread, Ctrl-C is the parent's business, and the system is built before it is needed."""
    global _finisher
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _finisher = Finisher(reference, settings, mobile)


def _warm() -> None:
    """Nothing: starting the process was the work."""


def _finish(candidate: Protein, refined: bool, keep: bool) -> FinishResult:
    assert _finisher is not None
    return _finisher.finish(candidate, refined=refined, keep=keep)
