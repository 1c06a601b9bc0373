"""What comes from a browser is read in a process of its own: it can take neither the server's time nor its memory.

One such process (``reading``) waits ahead, its modules imported, since that takes longer than reading most files.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.queue.request import Request
from refine.queue.settings import AppSettings
from refine.queue.uploads import Preview, Upload, shown_name, too_much
from refine.queue.wire import unpacked
from refine.workers import THREAD_VARIABLES

WALL = 5.0
"""Seconds by the clock that a reading may take for each second of processor time that it may: on a busy machine."""
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
    upload, preview = _isolated("read", name, settings, [data])
    return upload, preview


def read_known(upload: Upload, files: Mapping[str, bytes], request: Request, settings: AppSettings) -> dict[str, Any]:
    """``known.check_known`` in a process of its own: evidence and temperatures, held against an upload.

    Raises:
        InputError: as that, or it took more time or memory than the settings allow.
    """
    more = {"file": upload.file, "names": list(files), "request": request.to_dict()}
    facts: dict[str, Any] = _isolated("known", upload.name, settings, [upload.data, *files.values()], more)
    return facts


def compare_upload(run: Path, name: str, data: bytes, settings: AppSettings) -> None:
    """Compare the run folder ``run`` with an uploaded native, in a process of its own; see ``report.comparison``.

    Raises:
        InputError: the native cannot be read or compared, or took more time or memory than the settings allow.
    """
    _isolated("compare", name, settings, [data], {"run": str(run.resolve())})


def _isolated(
    task: str, name: str, settings: AppSettings, files: Sequence[bytes], more: Mapping[str, Any] | None = None
) -> Any:
    """One of ``reading.TASKS`` on files in a process, with a folder of its own that is deleted after."""
    with _at_once, tempfile.TemporaryDirectory(prefix="refine-upload-") as place:
        with _lock:
            process = _waiting.pop() if _waiting else _start()
        assert process.stdout is not None
        process.stdout.read(1)  # it has its modules: what takes time from now on is the file
        try:
            asked = [task, name, dataclasses.asdict(settings), place, [len(data) for data in files], more or {}]
            answer, _ = process.communicate(
                b"".join((json.dumps(asked).encode(), b"\n", *files)), WALL * settings.read_seconds
            )
        except subprocess.TimeoutExpired as error:
            raise too_much(name, f"takes longer than {WALL * settings.read_seconds:g} s by the clock") from error
        finally:
            process.kill()
            process.wait()
            warm()
    if process.returncode == 1 and not answer:  # Python ended by an error that is none of the file's
        raise RuntimeError(f"reading {shown_name(name)!r} failed: a fault of refine, its traceback is in the log")
    if process.returncode == -signal.SIGXCPU:
        raise too_much(name, f"takes longer than {settings.read_seconds:g} s")
    if not answer:
        raise too_much(name, f"needs more than {settings.read_mb:,} MB or {settings.read_seconds:g} s")
    return unpacked(answer)


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-c", "from refine.queue.reading import serve; serve()"]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,  # its errors go to the server's log
    )
