"""Every page in a real browser, in both themes and at two widths: readable, nothing cut off; and what each is for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refine.queue.job import CANCELLED, DONE, FAILED, RUNNING
from refine.queue.request import RUN
from tests.app.browser import LOOKS, Server, Visitor, expect, put, strong, sync_api
from tests.queue.places import example, short_model
from tests.run.run_folder import make_run, two_chains

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
LEAST = 4.5
EVIDENCE = b"kind\tfirst\tsecond\tvalue\tweight\ndistance\tA:152 CA\tA:165 CA\t12\t0.5\ncontact\tA:151\tA:168\t\t\n"


themes = pytest.mark.parametrize("visitor", list(LOOKS), indirect=True)


def poor(visitor: Visitor) -> list[dict[str, object]]:
    """Text that is hard to read."""
    visitor.settled()
    visitor.fits()
    found: list[dict[str, object]] = visitor.page.evaluate(CONTRAST, LEAST)
    return found


@themes
def test_pages_without_a_job(visitor: Visitor) -> None:
    for query, words in (
        ("", "Where is your model?"),
        ("?help=all", "How to read a result"),
        ("?job=00000000000000000000", "No such job"),
        ("?s=nothing", "This link leads nowhere"),
    ):
        visitor.goto(query)
        visitor.page.get_by_text(words).first.wait_for()
        assert poor(visitor) == [], query
    assert visitor.complaints == []


@themes
def test_a_model_that_was_read_and_one_that_was_refused(visitor: Visitor) -> None:
    page = visitor.page
    visitor.goto()
    visitor.upload("picture.pdb", b"\x89PNG\r\n\x1a\n" + bytes(100))
    page.get_by_text("The file is a picture, not a structure").wait_for()
    assert poor(visitor) == []
    visitor.upload("short.pdb", short_model())
    page.get_by_text("Chain A: 151 to 170, 20 residues").wait_for()
    expect(page.get_by_role("button", name="Refine", exact=True)).to_be_in_viewport()  # without scrolling
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("B column").first.wait_for()
    assert poor(visitor) == []
    assert visitor.complaints == []


@themes
def test_jobs_of_every_state(visitor: Visitor, server: Server) -> None:
    page = visitor.page
    for state, message, words in (
        (FAILED, "There are columns missing in line 1", "There are columns missing"),
        (CANCELLED, "cancelled", "This job was cancelled"),
        (RUNNING, "", "Starting …"),
    ):
        job = put(server.store, state, message)
        visitor.goto(f"?job={job.id}")
        page.get_by_text(words).first.wait_for()
        assert poor(visitor) == [], state
        if state == CANCELLED:
            page.get_by_role("button", name="Delete this job").click()
            page.get_by_role("button", name="Delete it").wait_for()
            assert poor(visitor) == []
        with server.store._change() as database:
            database.execute("UPDATE jobs SET state = ? WHERE id = ?", (CANCELLED, job.id))
    visitor.goto("?jobs=all")
    page.get_by_role("button", name="Open").first.wait_for()
    assert poor(visitor) == []
    assert visitor.complaints == []


@themes
def test_the_sample_is_a_result_that_nobody_computed(visitor: Visitor, server: Server) -> None:
    page = visitor.page
    before = len(server.store.jobs())
    visitor.goto("?help=all")
    page.get_by_role("button", name="See a finished result").click()
    page.get_by_text("comes with refine; nothing is computed").wait_for()
    page.get_by_text(re.compile("^(Better|Uncertain|No better)")).first.wait_for()
    assert poor(visitor) == []
    for tab in ("Along the chain", "Distances", "Ramachandran", "Energy"):
        page.get_by_role("tab", name=tab).click()
        page.get_by_role("tabpanel", name=tab).locator("canvas, svg").first.wait_for()
        assert poor(visitor) == [], tab
    for name in ("Share", "Delete this job", "Refine again from this model"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert len(server.store.jobs()) == before
    assert visitor.complaints == []


def test_charts_have_author_numbers_and_are_square(visitor: Visitor) -> None:
    page = visitor.page
    visitor.goto("?sample=1a8o")
    tracks = page.locator("#tracks svg")
    expect(tracks).to_contain_text("160")
    expect(tracks).to_contain_text("chain A")
    expect(page.locator(".strip-axis").first).to_contain_text("160")
    page.get_by_role("tab", name="Ramachandran").click()
    frame = page.locator("#rama-after rect.axis")
    expect(frame).to_be_visible()
    width, height = (float(frame.get_attribute(name) or 0) for name in ("width", "height"))
    assert width == height > 100
    page.get_by_role("tab", name="Distances").click()
    shown = page.locator("#maps figure.map canvas").first
    expect(shown).to_be_visible()
    picture = shown.evaluate(
        """canvas => {
          const { data, width, height } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          const filled = (k) => data[4 * k + 3] === 255;
          const columns = [], rows = [];
          for (let x = 0; x < width; x += 1) {
            let n = 0;
            for (let y = 0; y < height; y += 1) n += filled(y * width + x);
            if (n > height / 2) columns.push(x);
          }
          for (let y = 0; y < height; y += 1) {
            let n = 0;
            for (let x = 0; x < width; x += 1) n += filled(y * width + x);
            if (n > width / 2) rows.push(y);
          }
          return [columns.length, rows.length];
        }"""
    )
    assert picture[0] > 100 and abs(picture[0] - picture[1]) <= 2


def test_chains_are_told_apart_in_charts(visitor: Visitor, server: Server) -> None:
    page = visitor.page
    job = put(server.store, DONE)
    make_run(server.store.folder(job.id) / RUN, two_chains())
    visitor.goto(f"?job={job.id}")
    expect(page.locator("#tracks svg line.border")).to_have_count(1)
    expect(page.locator("#tracks svg")).to_contain_text("chain B")


def test_residues_that_stay_fixed_are_seen_before_during_and_after(visitor: Visitor, server: Server) -> None:
    page = visitor.page
    visitor.goto()
    visitor.upload("long.pdb", example())
    page.get_by_text("Chain A: 151 to 220").wait_for()
    visitor.settled()
    page.get_by_label("Marks").uncheck()
    plain = strong(visitor.drawn_so(lambda picture: strong(picture, 0) == 0), 2)
    field = page.get_by_role("textbox", name="Residues that stay fixed")
    field.fill("A:151-165")
    field.press("Enter")
    page.get_by_text("--freeze=A:151-165").wait_for()
    visitor.drawn_so(lambda picture: strong(picture, 2) > plain + 200)
    visitor.submit(steps=5000)
    page.get_by_label("Now", exact=True).wait_for()
    expect(page.get_by_text("stays fixed", exact=True).first).to_be_visible()
    expect(page.get_by_label("Fixed residues").first).to_be_checked()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    visitor.badge(CANCELLED)

    visitor.goto()
    visitor.upload("short.pdb", short_model())
    page.get_by_text("Chain A: 151 to 170").wait_for()
    field.fill("A:151-155")
    field.press("Enter")
    page.get_by_text("--freeze=A:151-155").wait_for()
    visitor.submit()
    visitor.badge(DONE)
    page.get_by_label("Colour by").wait_for()
    expect(page.get_by_text("stays fixed", exact=True).first).to_be_visible()
    expect(page.locator("#tracks svg rect.frozen")).to_have_count(5)


def test_evidence_is_shown_before_and_after(visitor: Visitor) -> None:
    page = visitor.page
    visitor.goto()
    visitor.upload("short.pdb", short_model())
    page.get_by_text("Chain A: 151 to 170, 20 residues").wait_for()
    page.get_by_text("What you know").click()
    files = page.locator("input[type=file]").nth(1)
    files.set_input_files({"name": "wrong.tsv", "mimeType": "text/plain", "buffer": EVIDENCE.replace(b"165", b"999")})
    page.get_by_text("line 2: there is no such residue").wait_for()
    expect(page.get_by_role("button", name="Refine", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Remove wrong.tsv").click()
    expect(page.get_by_text("line 2: there is no such residue")).to_have_count(0)
    files.set_input_files({"name": "rows.tsv", "mimeType": "text/plain", "buffer": EVIDENCE})
    row = page.get_by_role("row").filter(has_text="A:165 CA")
    expect(row).to_contain_text("12.0 ± 1.0")
    expect(row).to_contain_text("0.50")
    page.get_by_text("--evidence=./evidence_rows.tsv").wait_for()
    assert poor(visitor) == []
    visitor.submit()
    visitor.badge(DONE)
    page.get_by_role("heading", name="Evidence").wait_for()
    expect(page.get_by_role("table").filter(has_text="hold, input → model 1")).to_contain_text(" → ")
    expect(page.get_by_role("row").filter(has_text="A:165 CA")).to_have_count(1)
    page.get_by_role("button", name="Run again with other options").click()
    page.get_by_text("Evidence of the earlier run: evidence_rows.tsv").wait_for()
    page.get_by_text("--evidence=./evidence_rows.tsv").wait_for()


def test_a_link_shows_a_job_to_others_until_it_is_taken_back(
    visitor: Visitor, browser: sync_api.Browser, server: Server
) -> None:
    page = visitor.page
    job = put(server.store, DONE)
    make_run(server.store.folder(job.id) / RUN, two_chains())
    visitor.goto(f"?job={job.id}")
    page.get_by_role("button", name="Share", exact=True).click()
    page.get_by_role("button", name="Make a link").click()
    page.get_by_text("Whoever has this link").wait_for()
    address = page.get_by_role("dialog").locator("code").inner_text().strip()
    assert re.fullmatch(re.escape(server.url) + r"/\?s=[\w-]{16}", address) and job.id not in address

    other = Visitor(browser, server)
    heard: list[str | bytes] = []
    other.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(frame)))
    other.page.goto(address)
    other.page.get_by_text("is better than the input").first.wait_for()
    other.page.get_by_role("button", name=re.compile("Model 1 as PDB")).wait_for()
    other.page.get_by_role("tab", name="Distances").wait_for()
    other.settled()
    for name in ("Share", "Delete this job", "Run again with other options", "Refine again from this model"):
        expect(other.page.get_by_role("button", name=name)).to_have_count(0)
    said = b"".join(frame if isinstance(frame, bytes) else frame.encode() for frame in heard)
    assert (
        b"is better than the input" in said and job.id.encode() not in said
    )  # who may look is not told the job's address
    assert other.complaints == []

    page.get_by_role("button", name="Take the link back").click()
    page.get_by_role("button", name="Make a link").wait_for()
    other.page.reload()
    other.page.get_by_text("This link leads nowhere").wait_for()
    other.context.close()
