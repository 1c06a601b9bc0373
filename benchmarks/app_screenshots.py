"""Pictures of every page and state of the web app, at two widths and in both themes, to be looked at.

    python benchmarks/app_screenshots.py shots --readme app/screenshot.png

Starts the app in a temporary folder, puts jobs of every state into its queue (the result is the sample of the app, a
default run of the example; a short run has evidence), visits the pages in Chromium and writes
``STATE_WIDTH_THEME.png`` of each whole page. With ``--readme`` the picture in app/README.md as well. ``--only`` takes
states by the beginning of their names.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from app_process import FLAGS, served
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from refine.queue.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job, new_id
from refine.queue.request import RUN, Request
from refine.queue.settings import AppSettings
from refine.queue.store import Store
from refine.report.page import write_report

ROOT = Path(__file__).resolve().parent.parent
MODEL, SAMPLE = ROOT / "examples" / "1a8o_model.pdb", ROOT / "app" / "example" / "run"
USER = "0" * 32
WIDTHS, THEMES = (1280, 400), ("light", "dark")
PATIENCE = 600_000.0
"""Milliseconds."""
TALLEST = 6000


@dataclasses.dataclass(frozen=True)
class App:
    """The app that is looked at: its address, and the jobs in it by what they show."""

    url: str
    store: Store
    jobs: Mapping[str, str]


EVIDENCE = """kind\tfirst\tsecond\tvalue\tsigma\tupper\tweight
distance\tA:155 CA\tA:185 CA\t14.7\t1.0\t\t1
distance\tA:160 CA\tA:200 CA\t15.2\t1.0\t\t0.5
contact\tA:165 CA\tA:210 CA\t\t\t13\t1
"""


def submitted(store: Store, name: str, data: bytes, **options: object) -> str:
    """The id of a new job of ``USER``."""
    request = Request(**options)  # type: ignore[arg-type]
    job = Job(new_id(), f"cookie:{USER}", name, "model.pdb", QUEUED, request.to_dict(), 70, 60.0, time.time())
    store.submit(job, {job.file: data, **{file: EVIDENCE.encode() for file in request.evidence}})
    return job.id


def state_of(store: Store, job_id: str) -> str:
    """Its state."""
    job = store.find(job_id)
    return job.state if job else ""


def until(store: Store, job_id: str, state: str) -> None:
    """Wait for a state of a job."""
    while (now := state_of(store, job_id)) != state:
        if now == FAILED:
            raise SystemExit(f"the job failed: {(store.folder(job_id) / 'console.txt').read_text()}")
        time.sleep(0.5)


def done_before(folder: Path) -> str:
    """The id of a job that is done in the job folder of an app that does not run yet: with the sample as its result."""
    store = Store(AppSettings(folder=str(folder)))
    job_id = submitted(store, MODEL.name, MODEL.read_bytes(), models=3)
    store.start_next()
    shutil.copytree(SAMPLE, store.folder(job_id) / RUN)
    write_report(store.folder(job_id) / RUN)
    store.end(job_id, DONE, "done", 0)
    return job_id


def jobs_of_every_state(store: Store) -> dict[str, str]:
    """One that is done with evidence, one failed, one cancelled, one that runs and one that waits."""
    data = MODEL.read_bytes()
    known = submitted(store, "with evidence", data, models=1, freeze="A:151-156", evidence=("evidence_rows.tsv",))
    until(store, known, DONE)
    failed = submitted(store, "no model at all", b"ATOM      1  N   MET A   1\n")
    until_ended(store, failed)
    running = submitted(store, "a long run", data, steps=5000, freeze="A:151-156")
    until(store, running, RUNNING)
    cancelled = submitted(store, "cancelled", data)
    store.cancel(cancelled, f"cookie:{USER}")
    until(store, cancelled, CANCELLED)
    queued = submitted(store, "waits", data)
    return {
        "known": known,
        "failed": failed,
        "running": running,
        "cancelled": cancelled,
        "queued": queued,
    }


def until_ended(store: Store, job_id: str) -> None:
    """Wait for the end of a job, whichever."""
    while (job := store.find(job_id)) is not None and job.active:
        time.sleep(0.5)


def settled(page: Page) -> None:
    """Wait until the server has sent the page and what it draws is drawn."""
    expect(page.locator("[data-test-script-state=notRunning]").first).to_be_visible()
    for view in page.locator(".refine-viewer").all():
        if view.is_visible():
            expect(view).to_have_attribute("data-drawn", re.compile("."))
    page.wait_for_timeout(1500)


def goto(page: Page, app: App, query: str = "") -> None:
    """Open a page of the app."""
    page.goto(f"{app.url}/{query}")
    settled(page)


def start(page: Page, app: App) -> None:
    goto(page, app)


def paste(page: Page, app: App) -> None:
    goto(page, app)
    page.get_by_text("Paste text").click()
    settled(page)


def example(page: Page, app: App) -> None:
    goto(page, app)
    page.get_by_text("Use the example").click()
    settled(page)


def read(page: Page, app: App) -> None:
    goto(page, app)
    page.locator("input[type=file]").first.set_input_files(MODEL)
    page.get_by_text("Chain A: 151 to 220").wait_for()
    settled(page)


def advanced(page: Page, app: App) -> None:
    read(page, app)
    fixed = page.get_by_role("textbox", name="Residues that stay fixed")
    fixed.fill("A:151-156")
    fixed.press("Enter")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_text("What you know").click()
    rows = {"name": "rows.tsv", "mimeType": "text/plain", "buffer": EVIDENCE.encode()}
    page.locator("input[type=file]").nth(1).set_input_files(rows)
    page.get_by_text("A:165 CA").wait_for()
    settled(page)


def refused(page: Page, app: App) -> None:
    goto(page, app)
    picture = {"name": "picture.pdb", "mimeType": "text/plain", "buffer": b"\x89PNG\r\n\x1a\n" + bytes(100)}
    page.locator("input[type=file]").first.set_input_files(picture)
    page.get_by_text("The file is a picture").wait_for()
    settled(page)


def job(name: str) -> Callable[[Page, App], None]:
    """The page of one of ``App.jobs``."""

    def show(page: Page, app: App) -> None:
        goto(page, app, f"?job={app.jobs[name]}")

    return show


def running(page: Page, app: App) -> None:
    goto(page, app, f"?job={app.jobs['running']}")
    page.get_by_text("Moved so far").wait_for()
    settled(page)


def tab(name: str) -> Callable[[Page, App], None]:
    """A result with one of its tabs open."""

    def show(page: Page, app: App) -> None:
        goto(page, app, f"?job={app.jobs['done']}")
        page.get_by_role("tab", name=name).click()
        page.get_by_role("tabpanel", name=name).locator("canvas, svg").first.wait_for()
        settled(page)

    return show


def report(page: Page, app: App) -> None:
    goto(page, app, f"?job={app.jobs['done']}")
    page.get_by_text("Show the full report here").click()
    page.frame_locator("iframe").locator("html[data-drawn=yes]").wait_for(state="attached")
    settled(page)


def asked(page: Page, app: App) -> None:
    goto(page, app, f"?job={app.jobs['failed']}")
    page.get_by_role("button", name="Delete this job").click()
    page.get_by_role("button", name="Delete it").wait_for()
    settled(page)


def deleted(page: Page, app: App) -> None:
    gone = submitted(app.store, "to be deleted", MODEL.read_bytes())
    app.store.cancel(gone, f"cookie:{USER}")
    goto(page, app, f"?job={gone}")
    page.get_by_role("button", name="Delete this job").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("to be deleted was deleted").wait_for()
    settled(page)


def ask_to_share(page: Page, app: App) -> None:
    goto(page, app, f"?job={app.jobs['done']}")
    page.get_by_role("button", name="Share", exact=True).click()
    page.get_by_role("button", name="Make a link").or_(page.get_by_text("Whoever has this link")).first.wait_for()
    if page.get_by_role("button", name="Make a link").is_visible():
        page.get_by_role("button", name="Make a link").click()
    page.get_by_text("Whoever has this link").wait_for()
    settled(page)


def shared(page: Page, app: App) -> None:
    goto(page, app, f"?s={app.store.share(app.jobs['done'], f'cookie:{USER}')}")


def place(query: str) -> Callable[[Page, App], None]:
    """The page of a query."""
    return lambda page, app: goto(page, app, query)


STATES: dict[str, Callable[[Page, App], None]] = {
    "start": start,
    "start_paste": paste,
    "start_example": example,
    "read": read,
    "read_options": advanced,
    "refused": refused,
    "queued": job("queued"),
    "running": running,
    "cancelled": job("cancelled"),
    "failed": job("failed"),
    "result_chain": tab("Along the chain"),
    "result_distances": tab("Distances"),
    "result_ramachandran": tab("Ramachandran"),
    "result_energy": tab("Energy"),
    "result_report": report,
    "result_evidence": job("known"),
    "delete_asked": asked,
    "deleted": deleted,
    "jobs": place("?jobs=all"),
    "share": ask_to_share,
    "shared": shared,
    "shared_gone": place("?s=taken-back"),
    "not_found": place("?job=00000000000000000000"),
    "help": place("?help=all"),
    "sample": place("?sample=1a8o"),
}


def whole(page: Page, width: int) -> bytes:
    """A picture of the page at its whole height."""
    height = page.locator("[data-testid=stMain]").evaluate("e => e.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(max(height, 600), TALLEST)})
    page.wait_for_timeout(1500)
    return page.screenshot(timeout=PATIENCE)


def visitors(
    browser: Browser, app: App, widths: Sequence[int], themes: Sequence[str]
) -> Iterator[tuple[int, str, BrowserContext]]:
    """A browser of ``USER`` at each width and theme."""
    for width in widths:
        for theme in themes:
            size = {"width": width, "height": 900}
            context = browser.new_context(viewport=size, color_scheme=theme)  # type: ignore[arg-type]
            context.set_default_timeout(PATIENCE)
            context.add_cookies([{"name": "refine_user", "value": USER, "url": app.url}])
            yield width, theme, context
            context.close()


def small(picture: bytes, out: Path) -> None:
    """Write a picture in 256 colours."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--readme", type=Path, help="also write the picture in app/README.md")
    parser.add_argument("--only", default=("",), nargs="+", help="states whose names begin with these")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--themes", nargs="+", choices=THEMES, default=THEMES)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        done = done_before(folder / "jobs")
        port, store, _ = stack.enter_context(served(folder))
        player = stack.enter_context(sync_playwright())
        app = App(f"http://127.0.0.1:{port}", store, {"done": done, **jobs_of_every_state(store)})
        browser = player.chromium.launch(executable_path=options.chromium, args=FLAGS, timeout=PATIENCE)
        for width, theme, context in visitors(browser, app, options.widths, options.themes):
            for name, show in STATES.items():
                if not name.startswith(tuple(options.only)):
                    continue
                page = context.new_page()
                show(page, app)
                (options.out / f"{name}_{width}_{theme}.png").write_bytes(whole(page, width))
                print(f"{name} {width} {theme}", flush=True)
                page.close()
            if options.readme and (width, theme) == (WIDTHS[0], THEMES[0]):
                page = context.new_page()
                page.set_viewport_size({"width": width, "height": 1180})
                job("done")(page, app)
                small(page.screenshot(timeout=PATIENCE), options.readme)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
