"""Many inputs at once: in several processes of this machine, or on a Dask cluster. The results do not depend on it."""

from __future__ import annotations

import dataclasses
import functools
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import torch

from refine.batch import BatchItem, Outcome, Summary, run_item
from refine.dispatch import dispatch
from refine.engine import load_networks_of
from refine.errors import RefineError
from refine.files import stem
from refine.networks.weights import Networks
from refine.pipeline import RunResult, refine_file
from refine.progress import Progress
from refine.run.folder import RunFolder
from refine.settings import RunSettings


@dataclasses.dataclass(frozen=True)
class Task:
    """One input to refine, in whatever process; small, so that it travels."""

    item: BatchItem
    settings: RunSettings


def run_many(
    items: Sequence[BatchItem],
    settings: RunSettings,
    *,
    workers: int,
    scheduler: str = "",
    resume: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Outcome]:
    """Refine ``items``, several at once; one that fails does not stop the others.

    ``runs.csv`` beside the run folders gets a line as each ends, and the order of ``items`` at the end. A process that
    is killed loses nothing: its input is begun anew in another.

    Args:
        items: what ``batch.plan`` gave; settings: of all.
        workers: processes of this machine, one thread each.
        scheduler: address of a running Dask scheduler, used instead; its workers see the same files under the same
            paths.
        resume: keep what is done with the same settings, begin the others anew.
        tell: gets a line as each input ends.

    Returns:
        how each ended, in the order of ``items``; those missing were not reached when it was interrupted.

    Raises:
        InputError, EngineError: as of ``dispatch``.
    """
    settings, outcomes = travelling(settings), {}
    tasks = []
    with Summary(items[0].out.parent) as summary:
        for item in items:
            refused = _refused(item, resume=resume)
            if refused is None:
                tasks.append(Task(BatchItem(item.path.resolve(), item.out.resolve()), settings))
            else:
                outcomes[item.out.resolve()] = summary.noted(refused)
        try:
            for ended in dispatch(refine_task, tasks, workers=workers, scheduler=scheduler):
                outcome = ended.answer or Outcome(ended.task.item, error=ended.error, exit_code=1)
                outcomes[ended.task.item.out] = summary.noted(outcome)
                tell(f"[{len(outcomes)}/{len(items)}] {stem(outcome.item.path)}: {outcome.error or 'done'}")
        except KeyboardInterrupt:
            tell("interrupted; continue with --resume")
            unfinished = next(item for item in items if item.out.resolve() not in outcomes)
            outcomes[unfinished.out.resolve()] = Outcome(unfinished, error="interrupted", exit_code=4)
        ordered = [outcomes[item.out.resolve()] for item in items if item.out.resolve() in outcomes]
        summary.settle(ordered)
    return ordered


def refine_task(task: Task) -> Outcome:
    """Refine one input in this process, with one thread; the trained files are loaded once a process."""
    torch.set_num_threads(1)

    def work(item: BatchItem, progress: Progress) -> RunResult:
        networks = _loaded(task.settings.networks, task.settings.device)
        return refine_file(item.path, item.out, task.settings, progress, resume=True, networks=networks)

    if threading.current_thread() is not threading.main_thread():
        return run_item(task.item, work, Progress())  # on a cluster, whose workers handle signals themselves
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run_item(task.item, work, Progress())
    except KeyboardInterrupt:
        raise SystemExit(4) from None  # run.json says "interrupted"; the process has nothing more to do
    finally:
        signal.signal(signal.SIGTERM, before)


def travelling(settings: RunSettings) -> RunSettings:
    """``settings`` with a folder of trained files by its full path."""
    folder = Path(settings.networks)
    return dataclasses.replace(settings, networks=str(folder.resolve())) if folder.is_dir() else settings


@functools.lru_cache(maxsize=2)
def _loaded(networks: str, device: str) -> Networks | None:
    return load_networks_of(RunSettings(networks=networks, device=device))


def _refused(item: BatchItem, *, resume: bool) -> Outcome | None:
    """An item whose folder is not free; tasks resume in any case, as one may be begun again after its process died."""
    try:
        RunFolder(item.out).check(resume=resume)
    except RefineError as error:
        return Outcome(item, error=str(error), exit_code=error.exit_code)
    return None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
