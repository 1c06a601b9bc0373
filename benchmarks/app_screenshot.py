"""The picture of the web app in app/README.md: the example's result, made by the app itself in Chromium.

    python benchmarks/app_screenshot.py --chromium /usr/bin/chromium --out app/screenshot.png

Starts the app in a temporary folder, submits the example with the default settings, and takes the page when the job is
done. ``--job URL`` takes a page that is there instead; ``--width``, ``--height`` and ``--dark`` choose how.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PATIENCE = 1_200_000.0
"""Milliseconds."""
FLAGS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-gpu-compositing", "--disable-gpu-rasterization"]
"""WebGL in software, and nothing else on that path, which is slow."""


def refined_example(page: Page, url: str) -> None:
    """Submit the example and wait for its result."""
    page.goto(url)
    page.get_by_text("Use the example").click()
    page.get_by_role("button", name="Take the example").click()
    page.get_by_role("button", name="Refine", exact=True).click()
    page.wait_for_url(re.compile(r"\?job="))


def picture(page: Page, out: Path) -> None:
    """Wait until the result is drawn and write it, in 256 colours to be small."""
    page.get_by_text("DONE", exact=True).first.wait_for()
    page.locator(".refine-viewer[data-drawn]").first.wait_for()
    page.get_by_role("tab", name="Distances").wait_for()
    page.get_by_text("Free energy now").wait_for(state="detached")  # what the page of the running job showed is gone
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.wait_for_timeout(4000)
    picture_of_page = Image.open(io.BytesIO(page.screenshot(timeout=PATIENCE))).convert("RGB")
    picture_of_page.quantize(256, dither=Image.Dither.NONE).save(out, optimize=True)


def wait_until_up(url: str, app: subprocess.Popen[bytes]) -> None:
    """Wait for the first answer of the server."""
    while app.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except OSError:
            continue
    raise SystemExit("the app ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--out", type=Path, default=Path("app/screenshot.png"))
    parser.add_argument("--job", help="address of a job that is done")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1180)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = None
        if not options.job:
            command = [sys.executable, "-m", "refine", "app", "--port", str(port), "--folder", folder]
            app = subprocess.Popen(command, env=os.environ)
            wait_until_up(url, app)
        browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS, timeout=PATIENCE)
        context = browser.new_context(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        if options.job:
            page.goto(options.job)
        else:
            refined_example(page, url)
        picture(page, options.out)
        browser.close()
        if app is not None:
            app.terminate()
            app.wait(60)


if __name__ == "__main__":
    main()
