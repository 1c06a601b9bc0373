"""The app started as a user starts it, and browsers that visit it; for the tests that need Chromium."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from refine.queue.job import Job, new_id
from refine.queue.request import Request
from refine.queue.settings import AppSettings
from refine.queue.store import Store
from tests.queue.places import quick_settings, short_model, wait_for

pytest.importorskip("streamlit")
sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
Image = pytest.importorskip("PIL.Image")  # comes with Streamlit
expect = sync_api.expect
CHROMIUM = os.environ.get("REFINE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-gpu-compositing", "--disable-gpu-rasterization"]
"""WebGL in software, and nothing else on that path: to compose the pages by it as well took three times as long."""
USER = "f" * 32
LOOKS = {"light": {"width": 1280, "height": 900}, "dark": {"width": 400, "height": 900}}
"""Theme → size of the window."""
SECONDS = float(os.environ.get("REFINE_PATIENCE", "90"))
"""Patience with one step; a machine that is busy otherwise needs more."""
expect.set_options(timeout=SECONDS * 1000)


class Server:
    """``refine app`` as a user starts it, on a free port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.settings: AppSettings = quick_settings(folder)
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.start()
        self.store = Store(self.settings)

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "refine",
            "app",
            "--port",
            str(self.port),
            "--folder",
            self.settings.folder,
            "--base",
            self.settings.base,
        ]
        self.process = subprocess.Popen(
            command,
            stdout=(self.folder / "app.txt").open("ab"),
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        wait_for(self.answers, SECONDS)

    def answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (self.folder / "app.txt").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(60)

    def state(self, job_id: str) -> str:
        job = self.store.find(job_id)
        return job.state if job else "gone"


class Visitor:
    """A browser of its own, which notes what it complains about and whom it asks."""

    def __init__(self, browser: sync_api.Browser, server: Server, **settings: object) -> None:
        self.context = browser.new_context(
            accept_downloads=True, **({"viewport": {"width": 1280, "height": 1600}} | settings)
        )
        self.context.set_default_timeout(SECONDS * 1000)
        self.page = self.context.new_page()
        self.server = server
        self.complaints: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", self.asked)

    def asked(self, request: sync_api.Request) -> None:
        if not request.url.startswith(
            (self.server.url, f"ws://127.0.0.1:{self.server.port}", "data:", "blob:", "about:")
        ):
            self.complaints.append(f"asked {request.url}")

    def goto(self, query: str = "") -> None:
        self.page.goto(f"{self.server.url}/{query}")

    def known_as(self, user: str) -> None:
        """Be the user of this cookie."""
        self.context.add_cookies([{"name": "refine_user", "value": user, "url": self.server.url}])

    def upload(self, name: str, data: bytes) -> None:
        self.page.locator("input[type=file]").first.set_input_files(
            {"name": name, "mimeType": "text/plain", "buffer": data}
        )

    def submit(self, steps: int | None = None) -> str:
        """Press the button; gives the id of the job."""
        if steps is not None:
            self.page.get_by_text("Advanced", exact=True).click()
            field = self.page.get_by_label("Steps", exact=True)
            field.fill(str(steps))
            field.press("Enter")
            self.page.get_by_text(f"--steps={steps}").wait_for()
        self.page.get_by_role("button", name="Refine", exact=True).click()
        self.page.wait_for_url(re.compile(r"\?job=[0-9a-f]{20}"))
        return self.page.url.rpartition("=")[2]

    def badge(self, state: str) -> None:
        self.page.get_by_text(state, exact=True).first.wait_for()

    def drawn(self) -> np.ndarray:
        """Pixels (h, w, 3) of the 3-D view once something was drawn."""
        self.page.locator(".refine-viewer[data-drawn]").first.wait_for()
        self.page.wait_for_timeout(300)
        stage = self.page.locator(".refine-viewer .stage").first
        stage.evaluate("place => place.scrollIntoView({block: 'center'})")  # from under the bar with the main button
        picture = stage.screenshot(timeout=SECONDS * 1000)
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)

    def drawn_so(self, seen: Callable[[np.ndarray], bool]) -> np.ndarray:
        """The same once what is drawn is as ``seen`` says."""
        wait_for(lambda: seen(self.drawn()), SECONDS)
        return self.drawn()

    def settled(self) -> None:
        """Wait until the server has sent the whole page, and what it draws is drawn."""
        self.page.locator("[data-test-script-state=notRunning]").first.wait_for()
        for view in self.page.locator(".refine-viewer").all():
            expect(view).to_have_attribute("data-drawn", re.compile("."))

    def fits(self) -> None:
        """Wait until nothing of the page has to be scrolled to sideways."""
        self.page.wait_for_function(
            """() => {
              const main = document.querySelector('[data-testid=stMain]');
              return main && main.scrollWidth <= main.clientWidth && document.documentElement.scrollWidth <= innerWidth;
            }"""
        )

    def click_residue(self) -> str:
        """Click with the mouse into the drawn protein; gives the residue that the view says was hit."""
        mask = not_background(self.drawn())
        for shift in (-3, 3):  # well inside of what is drawn
            mask &= np.roll(mask, shift, 0) & np.roll(mask, shift, 1)
        mask[int(0.8 * len(mask)) :] = False  # where the note with the numbers is
        places = np.argwhere(mask)
        view = self.page.locator(".refine-viewer").first
        for y, x in places[:: max(1, len(places) // 20)].tolist():
            view.locator(".stage").click(position={"x": x, "y": y})
            if hit := view.get_attribute("data-clicked"):
                return hit
        raise AssertionError("no click hit a residue")


def not_background(picture: np.ndarray) -> np.ndarray:
    """Which pixels (h, w) are drawn."""
    return np.abs(picture - picture[30, 30]).max(-1) > 25


def painted(picture: np.ndarray) -> float:
    """Share of the pixels that are drawn."""
    return float(not_background(picture).mean())


def strong(picture: np.ndarray, channel: int) -> int:
    """How many pixels have more of one of red, green, blue than of each of the others, by a quarter of the scale."""
    others = np.delete(picture, channel, -1).max(-1)
    return int((picture[..., channel] - others > 50).sum())


def put(store: Store, state: str, message: str = "") -> Job:
    """A job of a state, as if it had come there; at once, or the supervisor would start it."""
    job_id, now = new_id(), time.time()
    folder = store.root / "jobs" / job_id
    folder.mkdir()
    (folder / "model.pdb").write_bytes(short_model())
    row = {"id": job_id, "user": f"cookie:{USER}", "name": "model.pdb", "file": "model.pdb", "state": state,
           "options": json.dumps(Request().to_dict()), "residues": 20, "estimate": 1.0, "submitted": now,
           "started": now + 3600, "message": message}  # fmt: skip
    with store._change() as database:
        names = ", ".join(row)
        database.execute(f"INSERT INTO jobs ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    found = store.find(job_id)
    assert found is not None
    return found
