"""A real Chromium before the running suite, on a host name that is not a secure context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.web_page import HOST, WebPage, tab, watched
from tests.browser_programs import chromium
from tests.running_suite import RunningSuite, open_http


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a module: while it runs, the thread has an event loop that other tests' loops cannot share."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"],
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def page_url(suite: RunningSuite) -> str:
    """Base URL under the name that is not a secure context."""
    return suite.url.replace("127.0.0.1", HOST)


@pytest.fixture(scope="module")
def suite_http(suite: RunningSuite) -> Iterator[httpx.Client]:
    """An HTTP client for a module."""
    with open_http(suite.url) as client:
        yield client


@pytest.fixture(scope="module")
def kept_tab(browser: Browser) -> Page:
    """A tab in English and light that the tests of a module use in turn: one of its own costs a test twice as much."""
    return browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-US").new_page()


@pytest.fixture
def web(browser: Browser, page_url: str, request: pytest.FixtureRequest) -> Iterator[WebPage]:
    """A tab in English and light on which nothing was done; a test may ask for other options by parametrizing it."""
    options: dict[str, Any] = getattr(request, "param", {})
    kept: Page = request.getfixturevalue("kept_tab")
    with tab(browser, page_url, **options) if options else watched(kept, page_url) as opened:
        yield opened
