"""Tasks to where they are done: this process, processes of this machine, or a Dask cluster. The results are the
same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from refine.errors import EngineError, InputError
from refine.settings_checks import at_least
from refine.workers import Ended, Workers

T = TypeVar("T")
CONNECT_SECONDS = 30
AT_ONCE = 5_000
"""Tasks that a scheduler is given at a time: it holds some kB of each."""
RETRIES = 2
"""How often a cluster runs a task again that raised."""


def dispatch(
    work: Callable[[T], Any], tasks: Sequence[T], *, workers: int = 1, scheduler: str = ""
) -> Iterator[Ended[T]]:
    """Do ``tasks`` and give each as it ends, in no fixed order.

    Args:
        work: a function of a module; it and the tasks travel.
        workers: processes of this machine; leaving the iterator ends them.
        scheduler: address of a running Dask scheduler (``tcp://…``), used instead. Its workers must see the same files
            under the same paths and have refine installed; give each one thread.

    Raises:
        InputError: a bad number of workers, or no dask for a scheduler.
        EngineError: the scheduler cannot be reached.
    """
    if scheduler:
        yield from _on_cluster(work, tasks, scheduler)
        return
    at_least("workers", workers, 1)
    with Workers(work, min(workers, max(len(tasks), 1))) as pool:
        yield from pool.run(tasks)


def _on_cluster(work: Callable[[T], Any], tasks: Sequence[T], scheduler: str) -> Iterator[Ended[T]]:
    """As ``dispatch``. A worker that dies is the scheduler's business: it gives its tasks to another."""
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise InputError("--scheduler needs dask", remedy="Install refine with its extra 'cluster'") from error
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise EngineError(
            f"cannot reach the scheduler {scheduler}: {error}", remedy="Start it, or leave --scheduler out"
        ) from error
    waiting = iter(tasks)
    with client:
        futures = {client.submit(work, t, pure=False, retries=RETRIES): t for t in itertools.islice(waiting, AT_ONCE)}
        completed = as_completed(futures)
        for future in completed:
            task = futures.pop(future)
            if future.status == "finished":
                yield Ended(task, future.result())
            else:
                yield Ended(task, error=str(future.exception()))
            for following in itertools.islice(waiting, 1):
                new = client.submit(work, following, pure=False, retries=RETRIES)
                futures[new] = following
                completed.add(new)
