"""Whose turn it is in the queue: users with fewer running jobs first, then the oldest job."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

from refine.queue.job import Job

LATE = 0.1
"""What a job that has taken longer than was estimated goes on for, as part of its time so far."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """When a waiting job starts, as things stand.

    Attributes:
        ahead: jobs that start before it.
        seconds: until it starts, by the estimates of the jobs.
    """

    ahead: int
    seconds: float


def next_job(waiting: Iterable[Job], running: Iterable[Job]) -> Job | None:
    """The waiting job that starts next; None where none waits."""
    of_user = Counter(job.user for job in running)
    return min(waiting, key=lambda job: (of_user[job.user], job.submitted), default=None)


def turn_of(job: Job, waiting: Sequence[Job], running: Sequence[Job], at_once: int, now: float) -> Turn:
    """When ``job``, one of ``waiting``, starts if every job takes as long as was estimated, or, where it has taken that
    long already, a tenth longer.

    Args:
        job: that waits.
        waiting, running: all jobs that do; at_once: how many run at the same time.
        now: seconds since the epoch.
    """
    left, ends = list(waiting), [(_end(one, now), one) for one in running]
    clock = now
    for ahead in range(len(waiting)):
        ends.sort(key=lambda end: end[0])
        while len(ends) >= at_once:
            clock, _ = ends.pop(0)
        following = next_job(left, (one for _, one in ends))
        assert following is not None
        if following.id == job.id:
            return Turn(ahead, clock - now)
        left.remove(following)
        ends.append((clock + following.estimate, following))
    raise AssertionError("the job does not wait")


def _end(job: Job, now: float) -> float:
    started = job.started or now
    return max(started + job.estimate, now + LATE * (now - started))
