"""The page while a query runs: chunks as they end, streams that break, tabs that nobody looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.browser.web_page import SUMMER, WebPage, cancel_all, last_unread, tab
from tests.polling import poll_until
from tests.running_suite import RunningSuite
from tests.unread import forget

pytestmark = pytest.mark.browser

HIDDEN = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })"
"""A tab behind another one, as a page sees itself there."""
STREAM = re.compile(r"/api/queries/[0-9a-f]{16}/events$")
STATE = re.compile(r"/api/queries/[0-9a-f]{16}$")
OTHER_TABS = 7
"""With the one in front more than the six connections that a browser has for one address."""


def asked(requests: list[Request], pattern: re.Pattern[str]) -> list[Request]:
    """Return the requests whose address matches."""
    return [request for request in requests if pattern.search(request.url)]


@pytest.fixture
def running(web: WebPage, suite: RunningSuite) -> Iterator[WebPage]:
    """A tab whose query is under way and waits for one of its chunks."""
    web.refusals_expected = True
    with suite.faults([{**last_unread(suite), "delay_s": 120}]):
        web.choose(*SUMMER)
        web.page.locator("button.run").click()
        expect(web.page.locator(".cells .cell.done").first).to_be_visible()
        yield web
        cancel = web.page.get_by_role("button", name="Cancel")
        if cancel.count():
            cancel.click()
            expect(web.page.get_by_text("Cancelled. Finished chunks are kept")).to_be_visible()


def test_09_chunks_change_as_they_end_and_a_hidden_tab_closes_its_stream(running: WebPage) -> None:
    states = running.page.locator(".cells .cell")
    assert states.count() > running.page.locator(".cells .cell.done").count()
    assert len(asked(running.asked, STREAM)) == 1
    ended: list[Request] = []

    def hear(request: Request) -> None:
        ended.append(request)

    running.page.on("requestfailed", hear)
    running.page.on("requestfinished", hear)

    running.page.evaluate(f"() => {{ {HIDDEN}; document.dispatchEvent(new Event('visibilitychange')); }}")

    poll_until(lambda: running.page.evaluate("1") and asked(ended, STREAM), 60, "the stream to be closed")
    poll_until(
        lambda: running.page.evaluate("1") and len(asked(running.asked, STATE)) > 1, 60, "the page to ask instead"
    )
    expect(running.page.get_by_role("button", name="Cancel")).to_be_visible()


def test_09_a_stream_that_is_lost_is_no_error(web: WebPage, suite: RunningSuite) -> None:
    web.refusals_expected = True
    forget(suite, "hold-history", {"start_date": "2024-06-03", "end_date": "2024-07-10"})
    cut: list[Route] = []

    def end_at_once(route: Route) -> None:
        cut.append(route)
        route.fulfill(content_type="text/event-stream", body=": cut\n\n")

    web.page.route("**/api/queries/*/events", end_at_once)
    web.choose("2024-06-03", "2024-07-10")
    web.run()

    assert len(cut) == 1
    assert asked(web.asked, STATE)
    expect(web.page.locator(".receipt .badge").first).to_have_text("Complete")


def opened_in_background(stack: ExitStack, page: Page, url: str, number: int) -> Page:
    """Return a tab of the same window that nobody looks at, with a query that runs."""
    other = page.context.new_page()
    stack.callback(other.close)
    other.add_init_script(HIDDEN)
    web = WebPage(other, url)
    web.choose(f"2023-0{number}-01", f"2023-0{number}-28")
    web.page.locator("button.run").click()
    expect(other.get_by_role("button", name="Cancel")).to_be_visible()
    return other


def test_12_eight_tabs_with_running_queries_leave_the_page_in_front_answering(
    web: WebPage, suite: RunningSuite, http: httpx.Client
) -> None:
    web.refusals_expected = True
    forget(suite, "hold-history", {"start_date": "2023-01-01", "end_date": "2023-08-28"})
    with ExitStack() as stack:
        stack.enter_context(suite.faults([{"statement": "slice", "delay_s": 60}]))
        stack.callback(cancel_all, http)
        for number in range(1, OTHER_TABS + 1):
            opened_in_background(stack, web.page, web.url, number)
        web.choose("2023-08-01", "2023-08-28")
        web.page.locator("button.run").click()
        expect(web.page.get_by_role("button", name="Cancel")).to_be_visible()

        web.page.goto(f"{web.url}/ops")

        expect(web.page.get_by_role("heading", name="Running queries")).to_be_visible()
        listed = web.page.locator("tbody tr", has_text=re.compile("hold.history", re.IGNORECASE))
        poll_until(lambda: listed.count() > 0, 60, "queries to be listed")


def test_26_motion_stops_for_who_asks_and_all_that_is_walked_says_what_it_is(
    browser: Browser, page_url: str, suite: RunningSuite
) -> None:
    with (
        tab(browser, page_url, reduced_motion="reduce") as web,
        suite.faults([{**last_unread(suite), "delay_s": 120}]),
    ):
        web.choose(*SUMMER)
        web.page.locator("button.run").click()
        moving = web.page.locator(".cells .cell.running").first
        expect(moving).to_be_visible()
        assert moving.evaluate("(cell) => getComputedStyle(cell).animationName") == "none"
        assert web.page.get_by_role("list").filter(has=web.page.locator(".cell.running")).count() == 1
        assert re.search(r"\d{4}-\d{2}-\d{2}.*running", moving.get_attribute("aria-label") or "", re.IGNORECASE)
        web.page.get_by_role("button", name="Cancel").click()
        expect(web.page.get_by_text("Cancelled. Finished chunks are kept")).to_be_visible()

        web.open_result("/d/hold-history?r=2025-11-01..2025-12-31")
        grid = web.page.get_by_role("grid")
        assert grid.get_attribute("aria-rowcount") == str(web.grid_count() + 1)
        assert web.page.get_by_role("columnheader", name="Lot", exact=True).count() == 1
        bar = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").first
        assert bar.get_attribute("aria-pressed") == "false"
        assert web.page.get_by_role("img", name=re.compile(r"^Trend\. .*lowest")).count() == 1
