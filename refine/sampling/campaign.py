"""A campaign of simulations: which candidates were chosen and what came of each, in a file that only grows.

Everything is a row of ``campaign.sqlite``, written once and never changed: what the candidates were, each choice with
its reasons, each result. Choices depend on candidates alone, by a count of rounds instead of a clock, so a campaign
that was killed goes on as it would have, and any number of workers makes the same choices.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from refine.dispatch import dispatch
from refine.errors import EngineError, InputError
from refine.sampling.promotion import Candidates, Choice, PromotionSettings, promote, voronoi_weights

DATABASE = "campaign.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL,
    content TEXT NOT NULL, UNIQUE (kind, number)
);
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the record of a campaign only grows'); END;
CREATE TRIGGER IF NOT EXISTS never_deleted BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the record of a campaign only grows'); END;
"""
_WAIT = 20.0
"""Seconds a transaction waits for those of other processes."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One simulation: its rank among the choices, the candidate, the seed of its noise."""

    rank: int
    candidate: int
    seed: int


Work = Callable[[Job], Any]
"""A function of a module that simulates one candidate; its answer must be JSON."""


class Campaign:
    """The record of one campaign.

    Args:
        folder: made when missing; holds ``campaign.sqlite``.
        settings: of the choice; seed: from which those of the jobs follow.
        how: whatever else must be the same when the campaign goes on, as plain values.

    Raises:
        InputError: the folder cannot be used, or holds a campaign with other settings or another seed.
    """

    def __init__(
        self, folder: Path, settings: PromotionSettings, seed: int, how: Mapping[str, Any] | None = None
    ) -> None:
        self.path, self.settings, self.seed = folder / DATABASE, settings, seed
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._database() as database:
                database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                f"the campaign cannot be recorded: {error}", file=str(self.path), remedy="Give another folder"
            ) from error
        self._once("campaign", 0, dataclasses.asdict(settings) | {"seed": seed} | dict(how or {}), "settings or seed")

    def choose(self, number: int, candidates: Candidates, count: int) -> list[Choice]:
        """The choices of round ``number`` among all candidates up to then; those of earlier rounds are kept.

        A round that was chosen already gives the same choices again.

        Args:
            number: 0, 1, …, in order.
            candidates: of this round and all before it, in the same order.
            count: of simulations in this round.

        Raises:
            InputError: the round was chosen from other candidates, or the round before was not chosen.
        """
        rounds = self._contents("round")
        if number > len(rounds):
            raise InputError(f"round {number} of the campaign comes before round {len(rounds)}")
        what = {"candidates": _digest(candidates), "total": len(candidates), "count": count}
        self._once("round", number, what, "candidates")
        before = [c for c in self.choices() if c["round"] < number]
        chosen = promote(candidates, count, self.settings, tuple(c["candidate"] for c in before))
        for k, one in enumerate(chosen):
            rank = len(before) + k
            novelty = one.novelty if np.isfinite(one.novelty) else None
            seed = int(np.random.SeedSequence((self.seed, rank)).generate_state(1)[0])
            self._once(
                "choice",
                rank,
                {
                    "round": number, "candidate": one.index, "novelty": novelty, "priority": one.priority,
                    "seed": seed,
                },
                "choices",
            )  # fmt: skip
        return chosen

    def run(self, work: Work, *, workers: int = 1, scheduler: str = "") -> None:
        """Do every chosen job that has no result yet; a result is recorded when it ends, and each job once.

        Raises:
            EngineError: a job failed; the others are done and recorded first.
        """
        done = self.results()
        due = [job for job in self.jobs() if job.rank not in done]
        failed: list[str] = []
        for ended in dispatch(work, due, workers=workers, scheduler=scheduler):
            if ended.error:
                failed.append(f"candidate {ended.task.candidate}: {ended.error.strip().splitlines()[-1]}")
            else:
                self._append("result", ended.task.rank, ended.answer)
        if failed:
            raise EngineError(
                f"{len(failed)} simulations failed, first {failed[0]}", remedy="Run again: the others are kept"
            )

    def choices(self) -> list[dict[str, Any]]:
        """What was chosen, in order: round, candidate, novelty (None for the first), priority, seed."""
        return [content for _, content in sorted(self._contents("choice").items())]

    def jobs(self) -> list[Job]:
        return [Job(rank, c["candidate"], c["seed"]) for rank, c in enumerate(self.choices())]

    def results(self) -> dict[int, Any]:
        """Rank → answer of the work."""
        return self._contents("result")

    def weights(self, candidates: Candidates) -> dict[int, float]:
        """Rank → share of the coarse ensemble it stands for, over those that have a result; every average of the
        simulations takes these.

        Raises:
            InputError: there is no result yet.
        """
        done = sorted(self.results())
        chosen = self.choices()
        shares = voronoi_weights(candidates, tuple(chosen[rank]["candidate"] for rank in done))
        return dict(zip(done, shares.tolist(), strict=True))

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_WAIT)) as database, database:
            yield database

    def _contents(self, kind: str) -> dict[int, Any]:
        with self._database() as database:
            rows = database.execute("SELECT number, content FROM events WHERE kind = ?", (kind,)).fetchall()
        return {number: json.loads(content) for number, content in rows}

    def _append(self, kind: str, number: int, content: Any) -> None:
        text = json.dumps(content, sort_keys=True)
        with self._database() as database:
            database.execute(
                "INSERT OR IGNORE INTO events (kind, number, at, content) VALUES (?, ?, ?, ?)",
                (kind, number, time.time(), text),
            )

    def _once(self, kind: str, number: int, content: Any, what: str) -> None:
        """Append what is not there; refuse when something else is."""
        self._append(kind, number, content)
        if self._contents(kind)[number] != json.loads(json.dumps(content)):
            raise InputError(
                f"the folder holds a campaign with other {what}", file=str(self.path), remedy="Give another folder"
            )


def _digest(candidates: Candidates) -> str:
    digest = hashlib.sha256()
    for field in dataclasses.fields(candidates):
        digest.update(np.ascontiguousarray(getattr(candidates, field.name)).tobytes())
    return digest.hexdigest()
