"""What comes from a browser is read in a process of its own: it can take neither the server's time nor its memory.

One such process waits ahead, its modules imported, since that takes longer than reading most files.
"""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from refine.errors import InputError, RefineError
from refine.queue.settings import AppSettings
from refine.queue.uploads import Preview, Upload, check_upload, examine, read_checked, shown_name
from refine.report.comparison import compare_run
from refine.workers import THREAD_VARIABLES

T = TypeVar("T")
REMEDY = "Cut out the chains you want to refine, or use the refine command on your own machine"
_lock = threading.Lock()
_at_once = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))
_waiting: list[subprocess.Popen[bytes]] = []


def warm() -> None:
    """Start a process that waits for the next upload, unless one waits already."""
    with _lock:
        if not _waiting:
            _waiting.append(_start())


def read_upload(name: str, data: bytes, settings: AppSettings) -> tuple[Upload, Preview]:
    """``uploads.check_upload`` and ``uploads.examine`` in a process of their own.

    Raises:
        InputError: as these two, or the file took more time or memory than the settings allow.
    """
    return _isolated(_read, name, settings, data)


def compare_upload(run: Path, name: str, data: bytes, settings: AppSettings) -> None:
    """Compare the run folder ``run`` with an uploaded native, in a process of its own; see ``report.comparison``.

    Raises:
        InputError: the native cannot be read or compared, or took more time or memory than the settings allow.
    """
    _isolated(_compare, name, settings, data, run)


def _read(name: str, settings: AppSettings, place: Path, data: bytes) -> tuple[Upload, Preview]:
    upload = check_upload(name, data, settings, place)
    return upload, examine(upload, settings, place)


def _compare(name: str, settings: AppSettings, place: Path, data: bytes, run: Path) -> None:
    upload = check_upload(name, data, settings, place)
    read_checked(upload, settings, place)
    compare_run(run, place / upload.file)


def _isolated(task: Callable[..., T], name: str, settings: AppSettings, *arguments: Any) -> T:
    """``task(name, settings, place, *arguments)`` in a process, ``place`` a folder of its own that is deleted after."""
    with _at_once, tempfile.TemporaryDirectory(prefix="refine-upload-") as place:
        with _lock:
            process = _waiting.pop() if _waiting else _start()
        try:
            asked = pickle.dumps((task, name, settings, Path(place), arguments))
            answer, _ = process.communicate(asked, settings.read_seconds)
        except subprocess.TimeoutExpired as error:
            raise _too_much(name, f"takes longer than {settings.read_seconds:g} s") from error
        finally:
            process.kill()
            process.wait()
            warm()
    if not answer:
        raise _too_much(name, f"needs more than {settings.read_mb:,} MB or {settings.read_seconds:g} s")
    value, raised = pickle.loads(answer)
    if raised is not None:
        raise raised
    return value  # type: ignore[no-any-return]


def _too_much(name: str, what: str) -> InputError:
    return InputError(f"reading this file {what}, the limit of this server", file=shown_name(name), remedy=REMEDY)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-c", "from refine.queue.isolated import serve; serve()"]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )


def serve() -> None:
    """The process: one task from standard input, within its limits; it ends when its parent does."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    asked = sys.stdin.buffer.read()
    if not asked:
        return
    task, name, settings, place, arguments = pickle.loads(asked)
    _limit(settings)
    value: Any = None
    error: Exception | None = None
    try:
        value = task(name, settings, place, *arguments)
    except MemoryError:
        error = _too_much(name, f"needs more than {settings.read_mb:,} MB")
    except Exception as raised:  # the border of the process: whoever asked is told
        if not isinstance(raised, RefineError):
            raised.add_note(traceback.format_exc())  # a traceback does not travel
        error = raised
    answers.write(pickle.dumps((value, error)))
    answers.close()


def _limit(settings: AppSettings) -> None:
    """Bound memory beyond what the imported modules hold, and processor time; macOS knows no bound of memory."""
    seconds = int(settings.read_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    status = Path("/proc/self/status")
    if status.exists():
        held = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmData"))
        most = held * 1024 + int(settings.read_mb * 1e6)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
