"""The process in which an upload is read: one task from standard input, within limits of time and memory."""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.errors import RefineError
from refine.queue import request
from refine.queue.known import check_known
from refine.queue.settings import AppSettings, from_dict
from refine.queue.uploads import Preview, Upload, check_upload, examine, read_checked, too_much
from refine.queue.wire import packed, packed_error
from refine.report.comparison import compare_run

Files = Sequence[bytes]
More = Mapping[str, Any]
"""What a task is told besides the settings: plain values."""


def _read(name: str, settings: AppSettings, place: Path, files: Files, _: More) -> tuple[Upload, Preview]:
    upload = check_upload(name, files[0], settings, place)
    return upload, examine(upload, settings, place)


def _compare(name: str, settings: AppSettings, place: Path, files: Files, more: More) -> None:
    upload = check_upload(name, files[0], settings, place)
    read_checked(upload, settings, place)
    compare_run(Path(more["run"]), place / upload.file)


def _known(name: str, settings: AppSettings, place: Path, files: Files, more: More) -> dict[str, Any]:
    upload = Upload(name, more["file"], files[0])
    evidence = dict(zip(more["names"], files[1:], strict=True))
    return check_known(upload, evidence, request.from_dict(more["request"]), settings, place)


READY = b"\n"
"""What the process says when its modules are there."""
TASKS: dict[str, Callable[[str, AppSettings, Path, Files, More], Any]] = {
    "read": _read,
    "compare": _compare,
    "known": _known,
}


def serve() -> None:
    """The process: one of ``TASKS``, within its limits; it ends when its parent does."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    answers.write(READY)
    answers.flush()
    asked = sys.stdin.buffer.read()
    if not asked:
        return
    header, _, data = asked.partition(b"\n")
    task, name, values, place, sizes, more = json.loads(header)
    settings = from_dict(values)
    ends = itertools.accumulate(sizes)
    files = [data[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    _limit(settings)
    try:
        answer = packed(TASKS[task](name, settings, Path(place), files, more))
    except MemoryError:
        free = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (free, free))  # room to say so
        answer = packed_error(too_much(name, f"needs more than {settings.read_mb:,} MB"))
    except RefineError as error:
        answer = packed_error(error)
    answers.write(answer)  # any other error ends the process, and its traceback goes to the server's log
    answers.close()


def _limit(settings: AppSettings) -> None:
    """Bound memory beyond what the imported modules hold, and processor time; macOS knows no bound of memory."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(spent.ru_utime + spent.ru_stime + settings.read_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))  # the first is SIGXCPU, which tells why
    status = Path("/proc/self/status")
    if status.exists():
        held = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmData"))
        most = held * 1024 + int(settings.read_mb * 1e6)
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))
