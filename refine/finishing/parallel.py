"""Finishing of several candidates in several processes, one thread each."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from refine.finishing.finish import Finisher, FinishResult
from refine.finishing.settings import FinishSettings
from refine.structure.protein import Protein
from refine.workers import Workers

log = logging.getLogger(__name__)

Task = tuple[int, Protein, dict[str, bool]]
"""Number of a candidate, the candidate, and what ``Finisher.finish`` is told of it."""

_finisher: Finisher | None = None
"""Of a worker process: made once, at its start."""


class FinishingPool:
    """Processes that finish candidates of one protein; started early, so that their start-up overlaps with the
    propagation.

    Use as a context manager, which ends the processes. The result does not depend on their number. When a process dies
    (killed, out of memory), its candidate is finished in the caller's own. Scripts
    that use more than one worker need the ``if __name__ == "__main__":`` guard of multiprocessing.

    Args:
        workers: processes; 1 finishes in the caller's process.
        reference, settings, mobile: as of ``Finisher``.
    """

    def __init__(
        self, workers: int, reference: Protein, settings: FinishSettings, mobile: NDArray[np.bool_] | None = None
    ) -> None:
        self._arguments = (reference, settings, mobile)
        self._own: Finisher | None = None
        self._workers: Workers[Task] | None = None
        if workers > 1:
            self._workers = Workers(_finish, workers, prepare=_prepare, arguments=self._arguments, attempts=1)
            self._workers.start()

    def __enter__(self) -> FinishingPool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._workers is not None:
            self._workers.__exit__()

    def finish(
        self, candidates: Sequence[Protein], *, refined: bool = False, keep: bool = False, settled: bool = False
    ) -> Iterator[tuple[int, FinishResult]]:
        """Finish ``candidates`` (R = 1 each; the rest as of ``Finisher.finish``) and give index and result as each is
        done.
        """
        how = {"refined": refined, "keep": keep, "settled": settled}
        tasks: list[Task] = [(i, candidate, how) for i, candidate in enumerate(candidates)]
        left = tasks
        if self._workers is not None:
            left = []
            for ended in self._workers.run(tasks):
                if ended.raised is not None:
                    raise ended.raised
                if ended.error:
                    log.warning("a finishing process died; what it left is finished in this process")
                    left.append(ended.task)
                else:
                    yield ended.task[0], ended.answer
        for i, candidate, *_ in sorted(left, key=lambda task: task[0]):
            self._own = self._own or Finisher(*self._arguments)
            yield i, self._own.finish(candidate, **how)


def _prepare(reference: Protein, settings: FinishSettings, mobile: NDArray[np.bool_] | None) -> None:
    """What each process needs, before there is a candidate."""
    global _finisher
    _finisher = Finisher(reference, settings, mobile)


def _finish(task: Task) -> FinishResult:
    _, candidate, how = task
    assert _finisher is not None
    return _finisher.finish(candidate, **how)
