"""One progress interface for the command line, the web page and the run folder.

A stage reports by calling a ``Progress``; what becomes of the event is the listener's business.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Callable
from typing import IO, TextIO

STAGES = ("read", "repair", "energy", "relax", "propagate", "sample", "ensemble", "finish", "write")


@dataclasses.dataclass(frozen=True)
class Event:
    """What a run is doing.

    Attributes:
        stage: one of ``STAGES``, or ``"done"``.
        step, total: how far the stage is; total 0 where the stage does not count.
        energy: free energy in kcal/mol, best replica, where known.
        moved: mean distance of its CA atoms from the input in Å, where known.
        confidence: expected CA lDDT × 100 of the structure that ``energy`` is of, where known.
        message: a short remark.
        elapsed: seconds since the run began.
        remaining: estimated seconds to the end of the stage, where known.
    """

    stage: str
    step: int = 0
    total: int = 0
    energy: float | None = None
    message: str = ""
    elapsed: float = 0.0
    remaining: float | None = None
    moved: float | None = None
    confidence: float | None = None


Listener = Callable[[Event], None]


class Progress:
    """Stamps events with time and hands them to listeners. Carries no science and never raises on its own."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners
        self._start = time.monotonic()
        self._stage = ""
        self._stage_start = self._start

    def also(self, *listeners: Listener) -> Progress:
        """A new interface with more listeners, clock restarted."""
        return Progress(*self._listeners, *listeners)

    def __call__(
        self,
        stage: str,
        step: int = 0,
        total: int = 0,
        energy: float | None = None,
        message: str = "",
        moved: float | None = None,
        confidence: float | None = None,
    ) -> None:
        """Report; see ``Event`` for the arguments."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._stage_start = stage, now
        remaining = (now - self._stage_start) / step * (total - step) if 0 < step <= total else None
        event = Event(stage, step, total, energy, message, now - self._start, remaining, moved, confidence)
        for listener in self._listeners:
            listener(event)


class Bar:
    """A live one-line bar on a terminal, cut to its width so that it stays one line."""

    WIDTH = 24

    def __init__(self, stream: TextIO | None = None, label: str = "") -> None:
        self._stream = stream or sys.stderr
        self._label = label
        self._last = 0.0

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.stage != "done" and event.step not in (0, event.total) and now - self._last < 0.1:
            return
        self._last = now
        line = self._line(event)
        if event.stage == "repair" and event.message:  # a note stays on the screen, whole
            text = f"{self._label} {describe(event)}".strip() + "\n"
        else:
            text = f"{line}\n" if event.stage == "done" else line[: shutil.get_terminal_size().columns - 1]
        self._stream.write(f"\r\x1b[2K{text}")
        self._stream.flush()

    def _line(self, event: Event) -> str:
        filled = int(self.WIDTH * event.step / event.total) if event.total else 0
        bar = "█" * filled + "·" * (self.WIDTH - filled) if event.total else " " * self.WIDTH
        return f"{self._label} {bar} {describe(event)}".strip()


class PlainLines:
    """One line per stage and per tenth of a stage, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, label: str = "") -> None:
        self._stream = stream or sys.stderr
        self._label = label
        self._seen: tuple[str, int] = ("", -1)

    def __call__(self, event: Event) -> None:
        tenth = 10 * event.step // event.total if event.total else 0
        if (event.stage, tenth) == self._seen and not event.message:
            return
        self._seen = (event.stage, tenth)
        self._stream.write(f"{self._label} {describe(event)}".strip() + "\n")
        self._stream.flush()


class JsonLines:
    """Events as JSON lines, at most ten a second (the first and last of a stage always).

    They end where the disk is full: progress is no reason to stop a run.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last = 0.0
        self._stage = ""

    def __call__(self, event: Event) -> None:
        first = event.stage != self._stage
        if not first and event.step not in (0, event.total) and event.elapsed - self._last < 0.1:
            return
        self._last, self._stage = event.elapsed, event.stage
        record = {k: round(v, 3) if isinstance(v, float) else v for k, v in dataclasses.asdict(event).items()}
        with contextlib.suppress(OSError):
            self._stream.write(json.dumps(record) + "\n")
            self._stream.flush()


def describe(event: Event) -> str:
    """``propagate 30/200  energy -512.3  4 s left`` and the like."""
    parts = [event.stage + (f" {event.step}/{event.total}" if event.total else "")]
    if event.energy is not None:
        parts.append(f"energy {event.energy:.1f} kcal/mol")
    if event.remaining is not None and event.step < event.total:
        parts.append(f"{event.remaining:.0f} s left")
    if event.stage == "done":
        parts.append(f"{event.elapsed:.0f} s")
    if event.message:
        parts.append(event.message)
    return "  ".join(parts)
