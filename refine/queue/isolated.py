"""What comes from a browser is read in a process of its own: it can take neither the server's time nor its memory.

Importing what reads takes longer than reading most files, so it is done once: in the fork server of multiprocessing,
which forks a process (``reading``) for every task and reads nothing itself.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from refine.queue.request import Request
from refine.queue.settings import AppSettings
from refine.queue.uploads import Preview, Upload, shown_name, too_much
from refine.queue.wire import unpacked

WALL = 5.0
"""Seconds by the clock that a reading may take for each second of processor time that it may: on a busy machine."""
_END = 10.0
"""Seconds that a process that has answered may take to end."""
_at_once = threading.BoundedSemaphore(max(1, os.cpu_count() or 1))
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["refine.queue.reading"])


def warm() -> None:
    """Start what forks the reading processes, so that the first upload need not wait for its imports."""
    forkserver.ensure_running()


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
    with _at_once, tempfile.TemporaryDirectory(prefix="refine-upload-") as place:
        connection, theirs = _context.Pipe()
        process = _context.Process(target=_read, args=(theirs, place), daemon=True)
        process.start()
        theirs.close()
        answer = b""
        try:
            for part in (json.dumps(asked).encode(), *files):
                connection.send_bytes(part)
            if not connection.poll(WALL * settings.read_seconds):
                raise too_much(name, f"takes longer than {WALL * settings.read_seconds:g} s by the clock")
            answer = connection.recv_bytes()
            process.join(_END)
        except (EOFError, ConnectionError):  # it ended without an answer
            process.join(_END)
        finally:
            process.kill()
            process.join()
            connection.close()
    if process.exitcode == 1 and not answer:  # Python ended by an error that is none of the file's
        raise RuntimeError(f"reading {shown_name(name)!r} failed: a fault of refine, its traceback is in the log")
    if process.exitcode == -signal.SIGXCPU:
        raise too_much(name, f"takes longer than {settings.read_seconds:g} s")
    if not answer:
        raise too_much(name, f"needs more than {settings.read_mb:,} MB or {settings.read_seconds:g} s")
    return unpacked(answer)


def _read(connection: Connection, place: str) -> None:
    """The process; its modules are there already, where it was forked."""
    from refine.queue.reading import serve

    serve(connection, Path(place))
