"""The app in a real browser: upload, run, result, download; bad files; reload, restart, cancel, two users.

Skipped where there is no Chromium.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np

from refine.queue.job import CANCELLED, DONE, RUNNING
from refine.queue.process import alive
from refine.run.result import read_run
from tests.app.browser import SECONDS, Image, Server, Visitor, expect, painted, strong, sync_api
from tests.queue.places import ROOT, example, short_model, wait_for

SCRIPT_NAME = "<img src=x onerror=window.evil=1>.pdb"


def test_upload_run_result_download(browser: sync_api.Browser, server: Server) -> None:
    visitor = Visitor(browser, server)
    page = visitor.page
    visitor.goto()
    visitor.upload("short.pdb", short_model())
    page.get_by_text("Chain A: 151 to 170, 20 residues").wait_for()
    before = visitor.drawn_so(lambda picture: strong(picture, 0) > 50)  # red marks of clashes
    assert 0.01 < painted(before) < 0.6
    fixed = visitor.click_residue()
    page.get_by_text(f"--freeze={fixed}").wait_for()
    visitor.drawn_so(lambda picture: strong(picture, 2) > strong(before, 2) + 20)  # the picked residue is violet
    job_id = visitor.submit()
    visitor.badge(DONE)
    assert server.state(job_id) == DONE
    verdict = json.loads((server.store.folder(job_id) / "run" / "run.json").read_text())["verdict"]
    page.get_by_text(verdict).first.wait_for()
    page.get_by_label("Colour by").wait_for()
    coloured = visitor.drawn_so(lambda picture: 0.01 < painted(picture) < 0.6)
    page.get_by_label("Colour by").select_option("displacement")
    page.get_by_label("input", exact=True).uncheck()
    # Blue: without networks model 1 is the input, finished, in its place.
    moved = visitor.drawn_so(lambda picture: strong(picture, 2) > 500 and strong(picture, 0) == 0)
    assert np.abs(moved - coloured).max() > 60
    index = int(visitor.click_residue()[2:])  # the report numbers residues from 1
    note = page.locator(".refine-viewer .view-note")
    result = read_run(server.store.folder(job_id) / "run")
    row = result.per_residue[result.per_residue["model"] == "model_1"].iloc[index - 1]
    expect(note).to_contain_text(f"displacement {row['displacement']:.2f} Å")
    expect(note).to_contain_text(f" {row['number']} ")
    visitor.settled()  # a key that comes while the page is sent anew is lost
    page.locator(".refine-viewer .stage").press(".")
    expect(note).to_contain_text(f" {row['number'] + 1 if row['number'] != 170 else 151} ")
    model_row = page.get_by_role("row").filter(has_text="Model 1").first
    expect(model_row).to_contain_text(f"{result.scores.loc['model_1', 'score']:.1f}")
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
    visitor.fits()
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
    visitor.drawn_so(lambda picture: strong(picture, 1) < 20)
    visitor.upload("native.pdb", (ROOT / "examples" / "1a8o_native.pdb").read_bytes())
    table = page.get_by_role("table").filter(has_text="GDT-HA")
    table.wait_for()
    gdt_ha = json.loads((run / "comparison.json").read_text())["scores"]["model_1"]["gdt_ha"]
    expect(table.get_by_role("row").filter(has_text="Model 1")).to_contain_text(f"{gdt_ha:.2f}")
    page.get_by_label("native", exact=True).wait_for()
    visitor.drawn_so(lambda picture: strong(picture, 1) > 50)


def test_a_bad_file_and_a_script_as_its_name(browser: sync_api.Browser, server: Server) -> None:
    visitor = Visitor(browser, server, viewport={"width": 400, "height": 900}, color_scheme="dark")
    page = visitor.page
    visitor.goto()
    visitor.upload("picture.pdb", b"\x89PNG\r\n\x1a\n" + bytes(100))
    page.get_by_text("The file is a picture, not a structure").wait_for()
    expect(page.get_by_role("button", name="Refine", exact=True)).to_have_count(0)
    visitor.upload(SCRIPT_NAME, short_model())
    page.locator("strong", has_text=SCRIPT_NAME).wait_for()
    # Dark ground, something on it.
    visitor.drawn_so(lambda picture: picture[30, 30].max() < 60 and painted(picture) > 0.01)
    assert page.evaluate("window.evil") is None and page.locator("img[src=x]").count() == 0
    visitor.fits()
    assert visitor.complaints == []
    visitor.context.close()


def test_the_keyboard_reaches_everything(browser: sync_api.Browser, server: Server) -> None:
    visitor = Visitor(browser, server)
    visitor.goto()
    visitor.page.get_by_role("radio", name="Use the example").or_(
        visitor.page.get_by_role("button", name="Use the example")
    ).first.wait_for()
    seen = set()
    for _ in range(16):
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
    bert.page.get_by_text("Next in the queue: it starts in about").wait_for()

    bert.goto(f"?job={long}")  # a shared address shows the job, and lets nobody else stop it
    bert.badge(RUNNING)
    expect(bert.page.get_by_role("button", name="Cancel")).to_have_count(0)
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
    expect(bert.page.get_by_text("long.pdb")).to_have_count(0)
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
