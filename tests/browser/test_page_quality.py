"""Anybody can use the page: no violation of WCAG on any page, theme and language, and nothing runs off the screen."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.axe import violations
from tests.browser.web_page import SUMMER, WebPage, cancel_all, last_unread, tab
from tests.running_suite import RunningSuite

pytestmark = pytest.mark.browser

LOOKS = [("en-US", "light"), ("en-US", "dark"), ("zh-TW", "light"), ("zh-TW", "dark")]
RESULT = "/d/hold-history?r=2025-11-01..2025-12-31"
OVER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.node
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("locale", "theme"), LOOKS)
def test_25_no_page_has_a_violation(browser: Browser, page_url: str, locale: str, theme: str) -> None:
    wrong: dict[str, list[str]] = {}
    with tab(browser, page_url, locale=locale, color_scheme=theme) as web:
        for path in ("/d/hold-history?r=2022-01-01..2022-12-31", RESULT):
            web.open_result(path) if path == RESULT else web.open(path)
            expect(web.page.locator("h1")).to_be_visible()
            wrong[path] = violations(web)
        expect(web.page.locator(".chart canvas").first).to_be_visible()
        for path in ("", "trace", "timeline", "saved", "ops"):
            web.page.locator(f"header a[href='/{path}']").first.click()
            web.page.wait_for_url(f"**/{path}")
            expect(web.page.locator("h1")).to_be_visible()
            wrong[path] = violations(web)
    assert {path: found for path, found in wrong.items() if found} == {}


PROBLEM = {"type": "/problems/INTERNAL", "title": "Fault", "status": 500, "detail": "It broke.", "code": "INTERNAL"}


def refuse(route: Route) -> None:
    """Answer as a gateway that breaks."""
    route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(PROBLEM))


def never(route: Route) -> None:
    """Leave the question without an answer."""


def seen_while_running(web: WebPage) -> dict[str, list[str]]:
    """Return the violations of a dataset whose chunks are read, and of pages that wait for an answer."""
    web.choose(*SUMMER)
    web.page.locator("button.run").click()
    expect(web.page.locator(".cells .cell.running, .cells .cell.queued").first).to_be_visible()
    found = {"dataset": violations(web)}
    web.page.route(re.compile("/api/(containers|lineage|events)/"), never)
    for path in ("/ops", "/trace?kind=work_order&seed=GA2*", "/timeline?s=GA2510000001-001"):
        web.open(path)
        expect(web.page.locator("h1")).to_be_visible()
        found[path] = violations(web)
    return found


def seen_in_part(web: WebPage) -> dict[str, list[str]]:
    """Return the violations of a result with a gap, and of a time line without one of its domains."""
    web.choose(*SUMMER)
    web.run()
    expect(web.page.locator(".receipt .badge.warn").first).to_be_visible()
    found = {"dataset": violations(web)}
    lot = web.page.locator(".line .td a[href*='kind=lot_id']", has_text="GA").first.inner_text()
    web.page.route("**/api/events/holds", refuse)
    web.open(f"/timeline?s={lot}")
    expect(web.page.get_by_role("alert").first).to_be_visible()
    return {**found, "timeline": violations(web)}


def seen_refused(web: WebPage) -> dict[str, list[str]]:
    """Return the violations of pages whose question was refused, and of the one without its catalogue."""
    web.page.route(re.compile(r"/api/(?!datasets$|me$)|/health$"), refuse)
    found = {}
    for path in ("/d/hold-history?r=2025-11-01..2025-12-31", "/trace?seed=GA1", "/timeline?s=GA1", "/ops"):
        web.open(path)
        expect(web.page.get_by_role("alert").first).to_be_visible()
        found[path] = violations(web)
    web.page.route("**/api/datasets", refuse)
    web.open("/")
    expect(web.page.get_by_role("alert").first).to_be_visible()
    return {**found, "/": violations(web)}


STATES = [
    ("en-US", "dark", seen_while_running, {"delay_s": 300}),
    ("zh-TW", "light", seen_in_part, {"code": "WAREHOUSE_ERROR"}),
    ("zh-TW", "dark", seen_refused, {}),
]
"""Each state in one look; the soak has every state of a dataset in every look."""


@pytest.mark.node
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("locale", "theme", "look", "fault"), STATES)
def test_25_no_state_of_a_page_has_a_violation(
    browser: Browser,
    page_url: str,
    suite: RunningSuite,
    http: httpx.Client,
    locale: str,
    theme: str,
    look: Callable[[WebPage], dict[str, list[str]]],
    fault: dict[str, Any],
) -> None:
    with (
        suite.faults([{**last_unread(suite), **fault}]),
        tab(browser, page_url, locale=locale, color_scheme=theme) as web,
    ):
        web.refusals_expected = True
        found = look(web)
        cancel_all(http)
    assert {state: wrong for state, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("locale", ["en-US", "zh-TW"])
def test_27_nothing_runs_off_the_screen(browser: Browser, page_url: str, locale: str) -> None:
    over: dict[tuple[str, int], int] = {}
    with tab(browser, page_url, locale=locale) as web:
        for path in ("/", RESULT, "/trace", "/ops"):
            web.open(path)
            expect(web.page.locator("h1")).to_be_visible()
            for width in (1920, 1366, 1280, 640):
                web.page.set_viewport_size({"width": width, "height": 800})
                over[path, width] = web.page.evaluate(OVER)
    assert {where: pixels for where, pixels in over.items() if pixels} == {}


def test_26_the_strip_the_bars_and_the_grid_are_walked_with_arrows(web: WebPage) -> None:
    web.open_result(RESULT)
    bars = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar")
    bars.first.focus()
    web.page.keyboard.press("ArrowDown")
    expect(bars.nth(1)).to_be_focused()
    web.page.keyboard.press("Enter")
    expect(bars.nth(1)).to_have_attribute("aria-pressed", "true")

    grid = web.page.get_by_role("grid")
    grid.focus()
    web.page.keyboard.press("ArrowDown")
    web.page.keyboard.press("ArrowRight")
    expect(grid).to_have_attribute("aria-activedescendant", "cell-1-1")
    web.page.keyboard.press("Enter")
    expect(web.page.get_by_role("dialog")).to_be_visible()
    web.page.keyboard.press("Escape")
    expect(grid).to_be_focused()


def test_keys_of_one_letter_go_to_pages_and_are_letters_in_fields(web: WebPage) -> None:
    web.open("/")
    expect(web.page.locator("h1")).to_be_visible()
    web.page.keyboard.press("/")
    expect(web.page.get_by_role("searchbox")).to_be_focused()
    web.page.keyboard.type("gt")
    expect(web.page.get_by_role("searchbox")).to_have_value("gt")
    web.page.locator("h1").click()
    web.page.keyboard.type("go")

    expect(web.page.locator("h1")).to_have_text("Operations")
