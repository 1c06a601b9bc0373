"""The app in a real browser: upload, run, result, download; bad files; reload, restart, cancel, two users.

Skipped where there is no Chromium.
"""

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
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from refine.queue.job import CANCELLED, DONE, RUNNING
from refine.queue.process import alive
from refine.queue.settings import AppSettings
from refine.queue.store import Store
from refine.run.result import read_run
from tests.queue.places import ROOT, example, quick_settings, short_model, wait_for

pytest.importorskip("streamlit")
sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
Image = pytest.importorskip("PIL.Image")  # comes with Streamlit
CHROMIUM = os.environ.get("REFINE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-gpu-compositing", "--disable-gpu-rasterization"]
"""WebGL in software, and nothing else on that path: to compose the pages by it as well took three times as long."""
SECONDS = 240.0
"""Patience with one step."""
SCRIPT_NAME = "<img src=x onerror=window.evil=1>.pdb"


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
        picture = self.page.locator(".refine-viewer .stage").first.screenshot(timeout=SECONDS * 1000)
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)

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


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=SECONDS * 1000)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("app"))
    yield server
    for job in server.store.jobs():
        server.store.cancel(job.id, job.user)
    wait_for(lambda: not any(job.active for job in server.store.jobs()), 60)
    server.kill(signal.SIGTERM)


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


def test_upload_run_result_download(browser: sync_api.Browser, server: Server) -> None:
    visitor = Visitor(browser, server)
    page = visitor.page
    visitor.goto()
    visitor.upload("short.pdb", short_model())
    page.get_by_text("Chain A: 151 to 170, 20 residues").wait_for()
    before = visitor.drawn()
    assert 0.01 < painted(before) < 0.6 and strong(before, 0) > 50  # red marks of clashes
    fixed = visitor.click_residue()
    page.get_by_text(f"--freeze={fixed}").wait_for()
    assert strong(visitor.drawn(), 2) > strong(before, 2) + 20  # the picked residue is violet
    job_id = visitor.submit()
    visitor.badge(DONE)
    assert server.state(job_id) == DONE
    verdict = json.loads((server.store.folder(job_id) / "run" / "run.json").read_text())["verdict"]
    page.get_by_text(verdict).first.wait_for()
    coloured = visitor.drawn()
    assert 0.01 < painted(coloured) < 0.6
    page.get_by_label("Colour by").select_option("displacement")
    page.get_by_label("input", exact=True).uncheck()
    moved = visitor.drawn()
    assert np.abs(moved - coloured).max() > 60
    assert (
        strong(moved, 2) > 500 and strong(moved, 0) == 0
    )  # blue: without networks model 1 is the input, finished, in its place
    index = int(visitor.click_residue()[2:])  # the report numbers residues from 1
    note = page.locator(".refine-viewer .view-note")
    result = read_run(server.store.folder(job_id) / "run")
    row = result.per_residue[result.per_residue["model"] == "model_1"].iloc[index - 1]
    sync_api.expect(note).to_contain_text(f"displacement {row['displacement']:.2f} Å")
    sync_api.expect(note).to_contain_text(f" {row['number']} ")
    page.locator(".refine-viewer .stage").press(".")
    following = row["number"] + 1 if row["number"] != 170 else 151
    sync_api.expect(note).to_contain_text(f" {following} ")  # the page answers the key a moment later
    model_row = page.get_by_role("row").filter(has_text="Model 1").first
    assert f"{result.scores.loc['model_1', 'score']:.1f}" in model_row.inner_text()
    with page.expect_download() as got:
        page.get_by_role("button", name=re.compile("Model 1 as PDB")).click()
    assert got.value.suggested_filename == "short_model_1.pdb"
    assert Path(got.value.path()).read_bytes() == (server.store.folder(job_id) / "run" / "model_1.pdb").read_bytes()
    with page.expect_download() as got:
        page.get_by_role("button", name=re.compile("Everything as zip")).click()
    with zipfile.ZipFile(got.value.path()) as archive:
        assert {"short_refined/run.json", "short_refined/model_1.cif", "short_refined/report.html"} <= set(
            archive.namelist()
        )
    for tab in ("Distances", "Ramachandran", "Energy"):
        page.get_by_role("tab", name=tab).click()
        page.get_by_role("tabpanel", name=tab).locator("canvas, svg").first.wait_for()
    compared_with_a_native(visitor, server.store.folder(job_id) / "run")
    page.get_by_text("Show the full report here").click()
    report = page.frame_locator("iframe")
    report.locator("#verdict", has_text="No better").wait_for()
    report.get_by_text("Along the sequence").first.wait_for()
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    model_row.scroll_into_view_if_needed()
    assert strong(np.asarray(Image.open(io.BytesIO(model_row.screenshot())).convert("RGB")).astype(int), 0) == 0
    assert "\t" in model_row.inner_text() and (model_row.bounding_box() or {})["width"] > 300
    page.get_by_role("button", name="Refine again from this model").click()
    page.get_by_text("short_model_1.cif").first.wait_for()
    assert visitor.complaints == []
    visitor.context.close()


def compared_with_a_native(visitor: Visitor, run: Path) -> None:
    """Upload the native on the page of a result: numbers appear, and it lies in the view, in green."""
    page = visitor.page
    assert strong(visitor.drawn(), 1) < 20
    visitor.upload("native.pdb", (ROOT / "examples" / "1a8o_native.pdb").read_bytes())
    table = page.get_by_role("table").filter(has_text="GDT-HA")
    table.wait_for()
    gdt_ha = json.loads((run / "comparison.json").read_text())["scores"]["model_1"]["gdt_ha"]
    assert f"{gdt_ha:.2f}" in table.get_by_role("row").filter(has_text="Model 1").inner_text()
    page.get_by_label("native", exact=True).wait_for()
    wait_for(lambda: strong(visitor.drawn(), 1) > 50, SECONDS)


def test_a_bad_file_and_a_script_as_its_name(browser: sync_api.Browser, server: Server) -> None:
    visitor = Visitor(browser, server, viewport={"width": 400, "height": 900}, color_scheme="dark")
    page = visitor.page
    visitor.goto()
    visitor.upload("picture.pdb", b"\x89PNG\r\n\x1a\n" + bytes(100))
    page.get_by_text("The file is a picture, not a structure").wait_for()
    assert page.get_by_role("button", name="Refine", exact=True).count() == 0
    visitor.upload(SCRIPT_NAME, short_model())
    page.locator("strong", has_text=SCRIPT_NAME).wait_for()
    picture = visitor.drawn()
    assert picture[30, 30].max() < 60 and painted(picture) > 0.01  # dark ground, something on it
    assert page.evaluate("window.evil") is None and page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("[data-testid=stMain]").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    assert visitor.complaints == []
    visitor.context.close()


def test_the_keyboard_reaches_everything(browser: sync_api.Browser, server: Server) -> None:
    visitor = Visitor(browser, server)
    visitor.goto()
    visitor.page.get_by_role("radio", name="Use the example").or_(
        visitor.page.get_by_role("button", name="Use the example")
    ).first.wait_for()
    seen = set()
    for _ in range(14):
        visitor.page.keyboard.press("Tab")
        seen.add(visitor.page.evaluate("document.activeElement.innerText || document.activeElement.tagName"))
    text = "\n".join(seen)
    assert all(word in text for word in ("Jobs", "Upload"))
    visitor.context.close()


def test_reload_restart_two_users_and_cancel(browser: sync_api.Browser, server: Server) -> None:
    anna, bert = Visitor(browser, server), Visitor(browser, server)
    anna.goto()
    anna.upload("long.pdb", example())
    long = anna.submit(steps=5000)
    anna.badge(RUNNING)
    anna.page.get_by_text("Moved so far").wait_for()
    moving = anna.page.locator(".refine-viewer[data-drawn]").first
    first = int(moving.get_attribute("data-drawn") or 0)
    wait_for(lambda: int(moving.get_attribute("data-drawn") or 0) > first, SECONDS)  # the structure was drawn anew
    running = server.store.find(long)
    assert running is not None and running.pid is not None
    os.killpg(running.pid, signal.SIGSTOP)  # so that it does not end before it is cancelled, however slow the pages are
    anna.page.reload()
    anna.badge(RUNNING)
    anna.page.goto("about:blank")  # she leaves; the job goes on
    bert.goto()
    bert.upload("other.pdb", short_model())
    other = bert.submit()
    bert.page.get_by_text("Waiting: 0 jobs before this one").wait_for()

    bert.goto(f"?job={long}")  # a shared address shows the job, and lets nobody else stop it
    bert.badge(RUNNING)
    assert bert.page.get_by_role("button", name="Cancel").count() == 0
    bert.page.goto("about:blank")

    assert anna.complaints == bert.complaints == []
    server.kill()
    assert alive(running.pid, running.pid_start)
    time.sleep(1)
    server.start()
    anna.goto(f"?job={long}")
    anna.badge(RUNNING)
    assert server.store.find(long) == running  # the same process, never started again
    os.killpg(running.pid, signal.SIGCONT)
    anna.page.get_by_role("button", name="Cancel").click()
    anna.page.get_by_text("Cancel this job?").wait_for()
    assert server.state(long) == RUNNING  # asked first
    anna.page.get_by_role("button", name="Cancel the job").click()
    anna.badge(CANCELLED)
    wait_for(lambda: not alive(running.pid, running.pid_start), 30)
    bert.goto(f"?job={other}")
    bert.badge(DONE)
    bert.page.get_by_role("button", name="Jobs").click()
    opens = bert.page.get_by_test_id("stBaseButton-secondary").filter(has_text=re.compile("^Open$"))
    # Not by its role alone: the menu of residues of the page before, there for a moment, is called Open too.
    opens.wait_for()
    bert.page.locator("strong", has_text="other.pdb").wait_for()
    assert bert.page.get_by_text("long.pdb").count() == 0
    bert.page.go_back()
    bert.badge(DONE)
    bert.page.get_by_role("button", name="Delete this job").click()
    bert.page.get_by_role("button", name="Delete it").click()
    bert.page.get_by_text("other.pdb was deleted.").wait_for()
    assert server.state(other) == "gone" and not (server.store.root / "jobs" / other).exists()
    anna.context.close()
    bert.context.close()


def test_every_answer_keeps_other_sites_out(server: Server) -> None:
    for path in ("", "_stcore/health", "no/such/page"):
        request = urllib.request.Request(f"{server.url}/{path}")
        try:
            headers = urllib.request.urlopen(request, timeout=30).headers
        except urllib.error.HTTPError as error:
            headers = error.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy and "object-src 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "SAMEORIGIN"


def test_a_file_that_would_hang_is_refused_in_seconds(browser: sync_api.Browser, server: Server) -> None:
    visitor = Visitor(browser, server)
    visitor.goto()
    visitor.page.locator("input[type=file]").first.wait_for(state="attached")
    line = next(x for x in example().splitlines(keepends=True) if x.startswith(b"ATOM"))
    begin = time.monotonic()
    visitor.upload("repeated.pdb", line * (19_000_000 // len(line)))
    visitor.page.locator("[data-testid=stAlert]").first.wait_for()
    assert (
        time.monotonic() - begin < 2 * server.settings.read_seconds
    )  # of a busy machine; the server answers meanwhile
    assert server.answers()
    visitor.context.close()


def test_it_is_served_to_this_machine_alone(server: Server) -> None:
    addresses = {
        line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"
    }
    mine = {a for a in addresses if a.endswith(f":{server.port:04X}")}
    assert mine == {f"0100007F:{server.port:04X}"}
