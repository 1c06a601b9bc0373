"""Load on the web app: many users submit at once while jobs run. Nothing may be lost, and pages must answer.

    python benchmarks/app_load.py --users 20 --out benchmarks/results/app_load.json

Each user is a session of Streamlit's own protocol (a websocket with its protobuf messages), as a browser holds one:
open the page, take the example, press Refine, then look at the job's page again and again while jobs run. A page's time
is from asking until the server says that the page is complete; drawing it in a browser is not part of it. The app is
started here, on a free port and in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from refine.queue.job import DONE
from refine.queue.settings import AppSettings
from refine.queue.store import Store

QUICK = """
networks = "none"
workers = 1
models = 1
[propagation]
replicas = 2
steps = 20
[finishing]
relax = false
"""
PATIENCE = 120.0


class Session:
    """One user: the widgets that the page shows, by what is written on them, and the time each page took."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.buttons: dict[str, str] = {}
        self.choices: dict[str, tuple[str, list[str]]] = {}
        self.seen: list[str] = []
        self.kept: dict[str, Any] = {}
        self.query = ""
        self.cache: dict[str, ForwardMsg] = {}

    async def show(self, query: str | None = None, press: str = "", choose: tuple[str, str] | None = None) -> float:
        """Ask for the page, perhaps with a button pressed or a choice made; gives the seconds until it was complete."""
        message = BackMsg()
        rerun = message.rerun_script
        if query is not None:
            self.query = query
        rerun.query_string = self.query
        rerun.cached_message_hashes.extend(self.cache)  # as a browser does: what it has is not sent again
        if choose:
            widget, options = self.choices[choose[0]]
            self.kept[widget] = [options[options.index(choose[1])]]
        for widget, value in self.kept.items():
            state = rerun.widget_states.widgets.add()
            state.id = widget
            state.string_array_value.data.extend(value)
        if press:
            state = rerun.widget_states.widgets.add()
            state.id, state.trigger_value = self.buttons[press], True
        began = time.monotonic()
        await self.socket.send(message.SerializeToString())
        self.seen.clear()
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(await asyncio.wait_for(self.socket.recv(), PATIENCE))
            if answer.WhichOneof("type") == "ref_hash":
                answer = self.cache[answer.ref_hash]
            elif answer.hash and answer.metadata.cacheable:
                self.cache[answer.hash] = answer
            kind = answer.WhichOneof("type")
            if kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
                self.note(answer.delta.new_element)
            elif kind == "page_info_changed":
                self.query = answer.page_info_changed.query_string
            elif kind == "script_finished" and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                return time.monotonic() - began

    def note(self, element: Any) -> None:
        """Keep what the page shows."""
        kind = element.WhichOneof("type")
        if kind == "button":
            self.buttons[element.button.label] = element.button.id
        elif kind == "button_group":
            self.choices[element.button_group.label] = (
                element.button_group.id,
                [o.content for o in element.button_group.options],
            )
        elif kind in ("markdown", "alert", "heading", "exception"):
            inside = getattr(element, kind)
            self.seen.append(getattr(inside, "body", None) or getattr(inside, "message", ""))


async def visit(port: int, looks: int) -> tuple[list[float], str]:
    """One user from the first page to ``looks`` looks at the job; gives the seconds of each page and the job's id."""
    times = []
    async with websockets.connect(
        f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None, open_timeout=PATIENCE
    ) as connection:
        session = Session(connection)
        times.append(await session.show(""))
        times.append(await session.show(choose=("Where is your model?", "Use the example")))
        times.append(await session.show(press="Take the example"))
        times.append(await session.show(press="Refine"))
        job = session.query.removeprefix("?").removeprefix("job=")
        for _ in range(looks):
            await asyncio.sleep(2)
            times.append(await session.show())
    return times, job


async def crowd(port: int, users: int, looks: int) -> list[tuple[list[float], str]]:
    """All users at once."""
    return await asyncio.gather(*(visit(port, looks) for _ in range(users)))


def served(folder: Path) -> Iterator[tuple[int, Store]]:
    """The app in ``folder``, until the caller is done with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = folder / "quick.toml"
    base.write_text(QUICK)
    jobs = folder / "jobs"
    command = [sys.executable, "-m", "refine", "app", "--port", str(port), "--folder", str(jobs), "--base", str(base)]
    with (folder / "app.txt").open("wb") as output:
        app = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        wait_until_up(port, app)
        store = Store(AppSettings(folder=str(jobs), base=str(base)))
        yield port, store
        for job in store.jobs():
            store.cancel(job.id, job.user)
        while any(job.active for job in store.jobs()):
            time.sleep(0.5)
    finally:
        app.terminate()
        app.wait(60)


def wait_until_up(port: int, app: subprocess.Popen[bytes]) -> None:
    """Wait for the first answer of the server."""
    while app.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("the app ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--looks", type=int, default=5, help="looks of each user at the page of the job")
    parser.add_argument("--wait", type=float, default=1800, help="seconds until all jobs must be done")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for port, store in served(Path(place)):
            began = time.monotonic()
            visits = asyncio.run(crowd(port, options.users, options.looks))
            submitted = {job for _, job in visits}
            while any(job.active for job in store.jobs()) and time.monotonic() - began < options.wait:
                time.sleep(1)
            done = {job.id for job in store.jobs(states=(DONE,))}
            times = sorted(t for some, _ in visits for t in some)
            looks = sorted(t for some, _ in visits for t in some[4:])
            figures = {
                "users": options.users,
                "jobs_submitted": len(submitted),
                "jobs_in_the_queue": len(store.jobs()),
                "jobs_done": len(done & submitted),
                "lost": len(submitted - {job.id for job in store.jobs()}),
                "pages": len(times),
                "median_s": round(statistics.median(times), 2),
                "p95_s": round(times[int(0.95 * len(times))], 2),
                "median_of_looks_s": round(statistics.median(looks), 2) if looks else None,
                "seconds": round(time.monotonic() - began, 1),
                "load_average": round(os.getloadavg()[0], 1),
            }
            print(json.dumps(figures, indent=1))
            if options.out:
                options.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
