"""The report in a real browser: drawn, linked together, readable on a phone, deaf to markup in names. Skipped without
Chromium.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refine.report.comparison import compare_run
from refine.report.page import write_report
from refine.structure.write import write_cif
from tests.run.run_folder import HOSTILE, make_run, two_chains

api = pytest.importorskip("playwright.sync_api", reason="no playwright")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
ROOT = Path(__file__).parent.parent.parent
CONTRAST = ROOT / "tests" / "app" / "contrast.js"
SECONDS = float(os.environ.get("REFINE_PATIENCE", "120"))
SOFTWARE = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    protein = two_chains(chain=HOSTILE)
    run = make_run(folder / "run", protein, name=f"{HOSTILE}.pdb")
    write_cif(protein, folder / "native.cif")
    return compare_run(run, folder / "native.cif").report


EVIDENCE = {
    "files": [{"file": "rows.tsv", "kind": "rows", "rows": 1, "input_holds": 0, "model_1_holds": 1,
               "input_violation": 3.0, "model_1_violation": 0.2}],
    "rows": [{"file": "rows.tsv", "line": 2, "kind": "distance", "first": "A:10 CA", "second": "A:30 CA", "lower": 9.0,
              "upper": 9.0, "sigma": 1.0, "weight": 0.5, "input": 14.0, "model_1": 9.2, "input_holds": False,
              "model_1_holds": True}],
}  # fmt: skip


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, report: Path) -> dict[str, Path]:
    """Reports with all parts: the one above with evidence, and that of the sample of the app."""
    folder = tmp_path_factory.mktemp("reports")
    for name, source in (("made", report.parent), ("sample", ROOT / "app" / "example" / "run")):
        shutil.copytree(source, folder / name)
    record = json.loads((folder / "made" / "run.json").read_text())
    (folder / "made" / "run.json").write_text(json.dumps(record | {"evidence": EVIDENCE}))
    return {name: write_report(folder / name) for name in ("made", "sample")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
        yield chromium
        chromium.close()


def opened(browser: Any, report: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    """The page, drawn, and what it complained about or asked the network for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(SECONDS * 1000)
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "blob:", "data:")) else complaints.append(request.url),
    )
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn=yes] #viewer[data-drawn]", state="attached")
    return page, complaints


@pytest.fixture(scope="module")
def desktop(browser: Any, report: Path) -> Iterator[tuple[Any, list[str]]]:
    page, complaints = opened(browser, report, 1280, "light")
    yield page, complaints
    page.close()


def picture(page: Any, selector: str) -> np.ndarray:
    """Pixels (H, W, 3) of an element as they are on the screen."""
    return np.asarray(Image.open(io.BytesIO(page.locator(selector).first.screenshot())).convert("RGB")).astype(int)


def share_drawn(pixels: np.ndarray) -> float:
    """Share of the pixels, frame left out, that differ from the commonest colour."""
    inner = pixels[4:-4, 4:-4].reshape(-1, 3)
    colours, count = np.unique(inner, axis=0, return_counts=True)
    return float((np.abs(inner - colours[count.argmax()]).sum(1) > 30).mean())


def test_nothing_complains_and_nothing_is_fetched(desktop: tuple[Any, list[str]]) -> None:
    page, complaints = desktop
    assert complaints == []
    assert page.locator("text=could not be drawn").count() == 0
    assert "owned" != page.title() and HOSTILE in page.title() and page.locator("img").count() == 0
    assert HOSTILE in page.locator("h1").inner_text()


def test_the_structures_are_drawn_and_can_be_hidden(desktop: tuple[Any, list[str]]) -> None:
    page, _ = desktop
    assert share_drawn(picture(page, "#viewer .stage")) > 0.01
    boxes = page.locator("#viewer input[type=checkbox]")
    assert boxes.count() == 4
    for k in range(4):
        boxes.nth(k).uncheck()
    page.wait_for_timeout(500)
    nearly_empty = share_drawn(picture(page, "#viewer .stage"))  # the ion stays
    boxes.nth(1).check()
    page.get_by_label("Colour by").select_option("displacement")
    page.wait_for_timeout(500)
    assert share_drawn(picture(page, "#viewer .stage")) > nearly_empty + 0.003
    assert "Displacement" in page.locator("#viewer .view-legend").inner_text()


def test_a_click_on_a_map_shows_that_pair(desktop: tuple[Any, list[str]]) -> None:
    page, _ = desktop
    maps = page.locator("#maps figure.map canvas")
    assert maps.count() >= 4
    for k in range(maps.count()):
        maps.nth(k).scroll_into_view_if_needed()
        assert (
            len(np.unique(picture(page, f"#maps figure.map:nth-of-type({k + 1}) canvas").reshape(-1, 3), axis=0)) > 40
        )
    before = page.locator("#histogram h3").inner_text()
    box = maps.first.bounding_box()
    maps.first.click(position={"x": 46 + 0.75 * (box["width"] - 62), "y": 6 + 0.1 * (box["width"] - 62)})
    after = page.locator("#histogram h3").inner_text()
    assert after != before and after.startswith("A ") and HOSTILE[:12] in after
    assert (
        page.locator("#histogram svg rect").count() >= 1 and "12 snapshots" in page.locator("#histogram").inner_text()
    )
    maps.first.press("ArrowDown")
    assert page.locator("#histogram h3").inner_text() != after


def test_charts_and_tracks_hold_the_residues(desktop: tuple[Any, list[str]]) -> None:
    page, _ = desktop
    assert (
        page.locator("#trace-energy svg path[stroke]").count() == 2
        and page.locator("#trace-temperature svg path[stroke]").count() == 1
    )
    page.locator("[data-trace=terms]").click()
    assert page.locator("#trace-energy svg path[stroke]").count() == 1
    assert page.locator("#rama-before circle").count() == 44 and page.locator("#rama-after circle").count() > 30
    tracks = page.locator("#tracks svg")
    assert "chain A" in tracks.text_content() and "14A" not in tracks.text_content() and "20" in tracks.text_content()
    assert "lDDT to native" in page.locator("#tracks .names").inner_text()
    tracks.click(position={"x": 12 * 5 + 6, "y": 80})
    assert (
        "14A" in page.locator("#track-readout").inner_text()
        and "14A" in page.locator("#viewer .view-note").inner_text()
    )
    page.locator("#model").select_option("model_2")
    assert page.locator("#rama-after h3").inner_text() == "model 2"
    view = page.locator("#viewer")
    assert view.get_by_label("model 2").is_checked() and not view.get_by_label("model 1").is_checked()
    view.locator(".stage").press(".")  # from residue 14A to the next one
    assert "model 2" in view.locator(".view-note").inner_text() and " 15 " in view.locator(".view-note").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["made", "sample"])
def test_all_text_can_be_read_and_nothing_is_beside_the_page(
    browser: Any, reports: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    page, complaints = opened(browser, reports[name], width, scheme)
    for details in page.locator("details").all():
        details.evaluate("node => { node.open = true; }")
    page.locator("#tracks svg").click(position={"x": 30, "y": 80})  # what a click says must be read, too
    assert page.evaluate(CONTRAST.read_text(encoding="utf-8"), 4.5) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    page.close()


def test_the_input_is_drawn_transparent(desktop: tuple[Any, list[str]]) -> None:
    page, _ = desktop
    looks = """faint => StructureView.prototype.looks.call({ style: 'cartoon', colourOf: () => 0 }, { faint }, null)"""
    assert page.evaluate(looks, True)["cartoon"]["opacity"] == 0.5
    assert page.evaluate(looks, False)["cartoon"]["opacity"] == 1


def test_charts_have_author_numbers_and_chain_borders_and_squares_are_square(desktop: tuple[Any, list[str]]) -> None:
    page, _ = desktop
    api.expect(page.locator("#tracks svg line.border")).to_have_count(1)
    box = page.locator("#rama-after rect.axis")
    assert box.get_attribute("width") == box.get_attribute("height")


def test_a_phone_in_the_dark(browser: Any, report: Path) -> None:
    page, complaints = opened(browser, report, 400, "dark")
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert picture(page, "h1")[0, 0].max() < 60  # dark page
    assert share_drawn(picture(page, "#viewer .stage")) > 0.01
    first = page.locator("#scores tbody tr:nth-child(2) th").bounding_box()
    assert first["width"] > 90 and first["height"] < 80  # words are not broken letter by letter
    page.locator("#theme").click()
    assert picture(page, "h1")[0, 0].min() > 200
    page.close()
