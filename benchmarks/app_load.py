"""Load on the web app: the first visit, an upload of 1,000 residues, and many users who submit at once while jobs run.

    python benchmarks/app_load.py --users 20 --out benchmarks/results/app_load.json

The app is started here, on a free port and in a temporary folder. The visits and the upload are timed in Chromium,
until the form or the 3-D view is there. Each of the many users is a session of Streamlit's own protocol (a websocket
with its protobuf messages), as a browser holds one: open the page, take the example, press Refine, then look at the
job's page again and again while jobs run. A page's time is from asking until the server says that the page is complete;
drawing it in a browser is not part of it. Processor time of the server a page is given beside, which other programs
disturb less; wall times mean nothing on a machine that is busy otherwise (``load_average_before``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import websockets
from app_process import FLAGS, QUICK, served
from playwright.sync_api import sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from refine.queue.job import DONE
from refine.queue.store import Store

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "1a8o_model.pdb"
LONG = 1000
"""Residues of the upload that is timed."""
PATIENCE = 600.0
"""Seconds."""


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


def long_model() -> bytes:
    """Copies of the example side by side, a chain each, of ``LONG`` residues and more."""
    atoms = [line for line in EXAMPLE.read_text().splitlines() if line.startswith("ATOM")]
    residues = len({line[22:27] for line in atoms})
    lines = []
    for copy in range(-(-LONG // residues)):
        for line in atoms:
            x = float(line[30:38]) + 60.0 * (copy % 5)
            y = float(line[38:46]) + 60.0 * (copy // 5)
            lines.append(f"{line[:21]}{chr(ord('A') + copy)}{line[22:30]}{x:8.3f}{y:8.3f}{line[46:]}")
    return "\n".join([*lines, "END", ""]).encode()


def in_browser(port: int, chromium: str) -> dict[str, float]:
    """Seconds of the first visit of a server that has just started, of a second visitor, and of an upload of ``LONG``
    residues until it is drawn.
    """
    upload = {"name": "long.pdb", "mimeType": "text/plain", "buffer": long_model()}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        seconds = {}
        for name in ("first_visit_s", "second_visitor_s"):
            page = browser.new_context().new_page()
            page.set_default_timeout(PATIENCE * 1000)
            began = time.monotonic()
            page.goto(f"http://127.0.0.1:{port}/")
            page.locator("input[type=file]").first.wait_for(state="attached")
            seconds[name] = round(time.monotonic() - began, 2)
        began = time.monotonic()
        page.locator("input[type=file]").first.set_input_files(upload)  # type: ignore[arg-type]
        page.get_by_text("Reading …").wait_for()
        seconds["spinner_s"] = round(time.monotonic() - began, 2)
        page.locator(".refine-viewer[data-drawn]").first.wait_for()
        seconds["long_upload_to_3d_s"] = round(time.monotonic() - began, 2)
        browser.close()
    return seconds


def under_load(port: int, store: Store, users: int, looks: int, wait: float) -> dict[str, Any]:
    """Figures of many users at once."""
    began = time.monotonic()
    visits = asyncio.run(crowd(port, users, looks))
    submitted = {job for _, job in visits}
    while any(job.active for job in store.jobs()) and time.monotonic() - began < wait:
        time.sleep(1)
    times = sorted(t for some, _ in visits for t in some)
    seen = sorted(t for some, _ in visits for t in some[4:])
    return {
        "users": users,
        "jobs_submitted": len(submitted),
        "jobs_in_the_queue": len(store.jobs()),
        "jobs_done": len({job.id for job in store.jobs(states=(DONE,))} & submitted),
        "lost": len(submitted - {job.id for job in store.jobs()}),
        "pages": len(times),
        "median_s": round(statistics.median(times), 2),
        "p95_s": round(times[int(0.95 * len(times))], 2),
        "median_of_looks_s": round(statistics.median(seen), 2) if seen else None,
        "seconds": round(time.monotonic() - began, 1),
    }


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--looks", type=int, default=5, help="looks of each user at the page of the job")
    parser.add_argument("--wait", type=float, default=1800, help="seconds until all jobs must be done")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="for visits and upload")
    parser.add_argument("--no-browser", dest="chromium", action="store_const", const=None, help="leave them out")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    figures: dict[str, Any] = {"load_average_before": round(os.getloadavg()[0], 1), "processors": os.cpu_count()}
    with tempfile.TemporaryDirectory() as place, served(Path(place), QUICK) as (port, store, server):
        if options.chromium:
            figures |= in_browser(port, options.chromium)
        spent = cpu_seconds(server)
        figures |= under_load(port, store, options.users, options.looks, options.wait)
        figures["server_cpu_s_per_page"] = round((cpu_seconds(server) - spent) / figures["pages"], 3)
    print(json.dumps(figures, indent=1))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
