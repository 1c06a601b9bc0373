"""The processes in which uploads are read: each does one task, within limits of time and memory.

They are forks of one that has its modules and does nothing else (``serve``); between it and each stands one more, which
tells how the reading ended.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

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


TASKS: dict[str, Callable[[str, AppSettings, Path, Files, More], Any]] = {
    "read": _read,
    "compare": _compare,
    "known": _known,
}


def serve() -> None:
    """Fork for every pair of files that arrives at standard input, a socket: a connection to the server and where the
    end is told. It ends when the server does.
    """
    torch.set_num_threads(1)
    gc.freeze()  # a search for garbage in a fork would copy the memory that it shares
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    asked = socket.socket(fileno=0)
    while True:
        message, files, _, _ = socket.recv_fds(asked, 1, 2)
        if not message:
            return
        if os.fork() == 0:
            asked.close()
            _keep(*files)
        for file in files:
            os.close(file)


def _keep(task: int, told: int) -> None:
    """Fork the process that reads; tell its number and, when it has ended, its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(told)
        code = 1
        try:
            _answer(Connection(task))
            code = 0
        finally:
            if code:
                sys.excepthook(*sys.exc_info())  # a fault of ours, for the server's log
            os._exit(code)
    os.close(task)
    os.write(told, f"{pid}\n".encode())
    os.write(told, f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
    os._exit(0)


def _answer(connection: Connection) -> None:
    """One of ``TASKS``, within its limits; the answer goes as bytes."""
    task, name, values, count, more, place = json.loads(connection.recv_bytes())
    settings = from_dict(values)
    files = [connection.recv_bytes() for _ in range(count)]
    _limit(settings)
    try:
        answer = packed(TASKS[task](name, settings, Path(place), files, more))
    except MemoryError:
        free = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (free, free))  # room to say so
        answer = packed_error(too_much(name, f"needs more than {settings.read_mb:,} MB"))
    except RefineError as error:
        answer = packed_error(error)
    connection.send_bytes(answer)


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
