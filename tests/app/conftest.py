"""The app and a browser, started once for all tests of the pages; tests elsewhere start browsers of their own after."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.queue.places import wait_for

if TYPE_CHECKING:
    from tests.app.browser import Server, Visitor


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    from tests.app.browser import CHROMIUM, FLAGS, SECONDS, sync_api

    if CHROMIUM is None:
        pytest.skip("no chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=SECONDS * 1000)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from tests.app.browser import CHROMIUM, Server

    if CHROMIUM is None:
        pytest.skip("no chromium")
    server = Server(tmp_path_factory.mktemp("app"))
    yield server
    for job in server.store.jobs():
        server.store.cancel(job.id, job.user)
    wait_for(lambda: not any(job.active for job in server.store.jobs()), 60)
    server.kill(signal.SIGTERM)


@pytest.fixture
def visitor(request: pytest.FixtureRequest, browser: Any, server: Server) -> Iterator[Visitor]:
    """A visitor with the theme that a test is parametrised with, by default the light one."""
    from tests.app.browser import LOOKS, USER, Visitor

    theme = getattr(request, "param", "light")
    visitor = Visitor(browser, server, viewport=LOOKS[theme], color_scheme=theme)
    visitor.known_as(USER)
    yield visitor
    visitor.context.close()
