"""What comes from a browser is read in a process of its own: it can take neither the server's time nor its memory.

One such process waits ahead, its modules imported, since that takes longer than reading most files.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from refine.errors import InputError, RefineError
from refine.queue.settings import AppSettings, from_dict
from refine.queue.uploads import Preview, Upload, check_upload, examine, read_checked, shown_name
from refine.queue.wire import packed, packed_error, unpacked
from refine.report.comparison import compare_run
from refine.workers import THREAD_VARIABLES

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
    upload, preview = _isolated("read", name, settings, data)
    return upload, preview


def compare_upload(run: Path, name: str, data: bytes, settings: AppSettings) -> None:
    """Compare the run folder ``run`` with an uploaded native, in a process of its own; see ``report.comparison``.

    Raises:
        InputError: the native cannot be read or compared, or took more time or memory than the settings allow.
    """
    _isolated("compare", name, settings, data, str(run.resolve()))


def _read(name: str, settings: AppSettings, place: Path, data: bytes, _: str) -> tuple[Upload, Preview]:
    upload = check_upload(name, data, settings, place)
    return upload, examine(upload, settings, place)


def _compare(name: str, settings: AppSettings, place: Path, data: bytes, run: str) -> None:
    upload = check_upload(name, data, settings, place)
    read_checked(upload, settings, place)
    compare_run(Path(run), place / upload.file)


_TASKS: dict[str, Callable[[str, AppSettings, Path, bytes, str], Any]] = {"read": _read, "compare": _compare}


def _isolated(task: str, name: str, settings: AppSettings, data: bytes, run: str = "") -> Any:
    """One of ``_TASKS`` in a process, with a folder of its own that is deleted after."""
    with _at_once, tempfile.TemporaryDirectory(prefix="refine-upload-") as place:
        with _lock:
            process = _waiting.pop() if _waiting else _start()
        try:
            asked = json.dumps([task, name, dataclasses.asdict(settings), place, run]).encode()
            answer, _ = process.communicate(asked + b"\n" + data, settings.read_seconds)
        except subprocess.TimeoutExpired as error:
            raise _too_much(name, f"takes longer than {settings.read_seconds:g} s") from error
        finally:
            process.kill()
            process.wait()
            warm()
    if process.returncode == 1 and not answer:  # Python ended by an error that is none of the file's
        raise RuntimeError(f"reading {shown_name(name)!r} failed: a fault of refine, its traceback is in the log")
    if not answer:
        raise _too_much(name, f"needs more than {settings.read_mb:,} MB or {settings.read_seconds:g} s")
    return unpacked(answer)


def _too_much(name: str, what: str) -> InputError:
    return InputError(f"reading this file {what}, the limit of this server", file=shown_name(name), remedy=REMEDY)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-c", "from refine.queue.isolated import serve; serve()"]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,  # its errors go to the server's log
    )


def serve() -> None:
    """The process: one task from standard input, within its limits; it ends when its parent does."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    asked = sys.stdin.buffer.read()
    if not asked:
        return
    header, _, data = asked.partition(b"\n")
    task, name, values, place, run = json.loads(header)
    settings = from_dict(values)
    _limit(settings)
    try:
        answer = packed(_TASKS[task](name, settings, Path(place), data, run))
    except MemoryError:
        free = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (free, free))  # room to say so
        answer = packed_error(_too_much(name, f"needs more than {settings.read_mb:,} MB"))
    except RefineError as error:
        answer = packed_error(error)
    answers.write(answer)  # any other error ends the process, and its traceback goes to the server's log
    answers.close()


def _limit(settings: AppSettings) -> None:
    """Bound memory beyond what the imported modules hold, and processor time; macOS knows no bound of memory."""
    seconds = int(settings.read_seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    status = Path("/proc/self/status")
    if status.exists():
        held = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmData"))
        most = held * 1024 + int(settings.read_mb * 1e6)
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))
