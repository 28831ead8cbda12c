"""The page as a test sees it: what it asked the gateway for, what it complained of, and how long waiting may take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import APIResponse, Browser, ConsoleMessage, Page, Request, Route, expect

from tests.polling import poll_until
from tests.running_suite import RunningSuite
from tests.unread import forget

Json = dict[str, Any]

HOST = "plant.test"
"""Mapped to loopback by the browser; unlike `localhost` it is no secure context, as in most plants."""
PATIENCE_MS = 60_000
RUNS_BY_ITSELF_S = 5
"""A link whose scope takes no longer is run without a click; the number of the page's own store."""

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class WebPage:
    """A tab."""

    page: Page
    url: str
    asked: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    refusals_expected: bool = False
    """Whether the test makes the gateway refuse something; a browser notes each refusal in its console."""

    def open(self, path: str) -> None:
        """Go to an address of the page."""
        self.page.goto(self.url + path)

    def run(self) -> None:
        """Press Run and wait for the rows."""
        self.page.locator("button.run").click()
        self.await_rows()

    def choose(self, start: str, end: str) -> None:
        """Open the holds without a scope, so that nothing runs by itself, and fill in the days."""
        self.open("/d/hold-history")
        ends = self.page.locator("input[type='date']")
        ends.nth(0).fill(start)
        ends.nth(1).fill(end)

    def await_rows(self) -> None:
        """Wait until a receipt and the first rows are shown."""
        expect(self.page.locator(".receipt .badge").first).to_be_visible()
        expect(self.page.locator(".scroller .line").first).to_be_visible()
        expect(self.page.locator("[aria-busy='true']")).to_have_count(0)

    def open_result(self, path: str) -> None:
        """Open an address with a scope and see its rows, read once: by the page itself where that is quick."""
        # What an earlier page still asks for is not the plan that is waited for.
        self.page.goto("about:blank")
        with self.page.expect_response(lambda answer: answer.url.endswith("/plan")) as planned:
            self.open(path)
        plan = planned.value.json()
        estimate_s = plan["estimated_duration_s"]
        there = all(chunk["cached"] for chunk in plan["chunks"])
        if not there and (estimate_s is None or estimate_s > RUNS_BY_ITSELF_S):
            self.page.locator("button.run").click()
        self.await_rows()

    def calls(self, suffix: str) -> list[Json]:
        """Return the bodies of the POSTs whose path ends so."""
        posts = [request for request in self.asked if urlsplit(request.url).path.endswith(suffix)]
        return [json.loads(request.post_data or "{}") for request in posts if request.method == "POST"]

    def grid_count(self) -> int:
        """Return the number of rows that the grid names."""
        return number(self.page.get_by_test_id("grid-count").inner_text())

    def note_request(self, request: Request) -> None:
        """Remember a request; one that leaves the origin is a fault."""
        self.asked.append(request)
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https") and parts.hostname != HOST:
            self.foreign.append(request.url)

    def note_console(self, message: ConsoleMessage) -> None:
        """Remember an error of the console; those of the content security policy are among them."""
        refused = message.text.startswith("Failed to load resource")
        if message.type == "error" and not (refused and self.refusals_expected):
            self.complaints.append(message.text)


SUMMER = ("2024-05-20", "2024-08-31")
"""Days of several chunks, for tests that hold one of them back or let it fail."""


def last_unread(suite: RunningSuite) -> dict[str, Any]:
    """Have `SUMMER` unread and return the rule of a fault that names its last chunk, wherever that starts."""
    forget(suite, "hold-history", {"start_date": SUMMER[0], "end_date": SUMMER[1]})
    return {"statement": "slice", "end_time": f"{SUMMER[1]}T07:30:00"}


def cancel_all(http: httpx.Client) -> None:
    """Withdraw every query that still runs, whoever waits for it, and wait until none does."""
    for query in http.get("/api/ops/queries").json()["queries"]:
        http.delete(f"/api/queries/{query['query_id']}", params={"force": "true"})
    poll_until(lambda: http.get("/api/ops/queries").json()["queries"] == [], 60, "no query to run")


def number(text: str) -> int:
    """Return the digits of a text as a number."""
    return int("".join(letter for letter in text if letter.isdigit()))


def fetched(route: Route) -> APIResponse:
    """Return what the gateway answers to an intercepted request; only the browser knows the host's name."""
    return route.fetch(url=route.request.url.replace(HOST, "127.0.0.1"))


@contextmanager
def watched(page: Page, url: str) -> Iterator[WebPage]:
    """Give a page of a browser; afterwards nothing of it may have gone elsewhere or have been complained of."""
    page.set_default_timeout(PATIENCE_MS)
    seen = WebPage(page, url)
    heard: dict[str, Callable[[Any], None]] = {
        "request": seen.note_request,
        "console": seen.note_console,
        "pageerror": lambda error: seen.complaints.append(str(error)),
    }
    for event, hear in heard.items():
        page.on(event, hear)  # type: ignore[call-overload]  # the stubs know each event by its own signature
    yield seen
    # A request that is intercepted when the page is left is nobody's any more.
    page.unroute_all(behavior="ignoreErrors")
    page.evaluate("try { localStorage.clear() } catch { /* not one of our pages */ }")
    page.goto("about:blank")
    for event, hear in heard.items():
        page.remove_listener(event, hear)
    found = {"went elsewhere": seen.foreign, "complained of": seen.complaints}
    assert not any(found.values()), found


@contextmanager
def tab(browser: Browser, url: str, **options: Any) -> Iterator[WebPage]:
    """Give a tab of a profile of its own, watched."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, "locale": "en-US", **options})
    with watched(context.new_page(), url) as seen:
        yield seen
    context.close()
