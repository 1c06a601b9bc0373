"""What comes from a browser is read in a process of its own: it can take neither the server's time nor its memory.

Importing what reads takes longer than reading most files, so it is done once: in a process (``reading``) that forks
another for every task and reads nothing itself. (The fork server of multiprocessing would run our pages in each.)
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from refine.queue.request import Request
from refine.queue.settings import AppSettings
from refine.queue.uploads import Preview, Upload, shown_name, too_much
from refine.queue.wire import unpacked
from refine.workers import THREAD_VARIABLES

WALL = 5.0
"""Seconds by the clock that a reading may take for each second of processor time that it may: on a busy machine."""
_at_once = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))
_lock = threading.Lock()
_forking: list[tuple[subprocess.Popen[bytes], socket.socket]] = []
"""The process that forks, and the socket by which it is asked to; empty before the first."""


def warm() -> None:
    """Start the process that forks, so that the first upload need not wait for its imports."""
    with _lock:
        _asked_by()


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
    asked = [task, name, dataclasses.asdict(settings), len(files), more or {}]
    answer = b""
    with _at_once, tempfile.TemporaryDirectory(prefix="refine-upload-") as place:
        connection, pid, end = _forked()
        with connection, end:
            try:
                for part in (json.dumps([*asked, place]).encode(), *files):
                    connection.send_bytes(part)
                if not connection.poll(WALL * settings.read_seconds):
                    os.kill(pid, signal.SIGKILL)
                    raise too_much(name, f"takes longer than {WALL * settings.read_seconds:g} s by the clock")
                answer = connection.recv_bytes()
            except (EOFError, ConnectionError):
                pass  # it ended without an answer; how, comes next
            finally:
                code = int(end.readline() or 1)
    if code == 1 and not answer:  # Python ended by an error that is none of the file's
        raise RuntimeError(f"reading {shown_name(name)!r} failed: a fault of refine, its traceback is in the log")
    if code == -signal.SIGXCPU:
        raise too_much(name, f"takes longer than {settings.read_seconds:g} s")
    if not answer:
        raise too_much(name, f"needs more than {settings.read_mb:,} MB or {settings.read_seconds:g} s")
    return unpacked(answer)


def _forked() -> tuple[Connection, int, IO[bytes]]:
    """A reading process: the connection to it, its number, and from where a line says how it ended."""
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    with _lock:
        socket.send_fds(_asked_by(), [b"\n"], [theirs.fileno(), write_end])
    theirs.close()
    os.close(write_end)
    end = os.fdopen(read_end, "rb")
    number = end.readline()  # when its modules are there: what takes time from now on is the file
    if not number:
        raise RuntimeError("the process that reads uploads did not start; why is in the log")
    return Connection(ours.detach()), int(number), end


def _asked_by() -> socket.socket:
    """The socket of the process that forks, which is started where none runs."""
    if _forking and _forking[0][0].poll() is None:
        return _forking[0][1]
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-c", "from refine.queue.reading import serve; serve()"]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=2, env=environment)  # prints go to our log
    theirs.close()
    _forking[:] = [(process, ours)]
    return ours
