"""Anybody can use the page: no violation of WCAG on any page, theme and language, and nothing runs off the screen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.web_page import WebPage, tab
from tests.browser.web_source import installed

pytestmark = pytest.mark.browser

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = [("en-US", "light"), ("en-US", "dark"), ("zh-TW", "light"), ("zh-TW", "dark")]
RESULT = "/d/hold-history?r=2025-11-01..2025-12-31"
PAGES = ["/", RESULT, "/d/hold-history?r=2022-01-01..2022-12-31", "/trace", "/timeline", "/saved", "/ops"]


def violations(web: WebPage) -> list[str]:
    """Return what axe finds, with the elements it found it on."""
    # Handed over as text: the page's own policy refuses a script that is not the gateway's.
    source = (installed() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    web.page.evaluate(source)
    found: list[Any] = web.page.evaluate(f"async () => (await axe.run({{ runOnly: {json.dumps(TAGS)} }})).violations")
    return [f"{item['id']}: {[node['html'][:160] for node in item['nodes'][:3]]}" for item in found]


@pytest.mark.node
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("locale", "theme"), LOOKS)
def test_25_no_page_has_a_violation(browser: Browser, page_url: str, locale: str, theme: str) -> None:
    wrong: dict[str, list[str]] = {}
    with tab(browser, page_url, locale=locale, color_scheme=theme) as web:
        for path in PAGES:
            web.open(path)
            expect(web.page.locator("h1")).to_be_visible()
            if path == RESULT:
                web.page.locator("button.run").click()
                web.await_rows()
                expect(web.page.locator(".chart canvas").first).to_be_visible()
            wrong |= {path: found} if (found := violations(web)) else {}
    assert wrong == {}


@pytest.mark.parametrize("width", [1280, 1366, 1920, 640])
@pytest.mark.parametrize("locale", ["en-US", "zh-TW"])
def test_27_nothing_runs_off_the_screen(browser: Browser, page_url: str, width: int, locale: str) -> None:
    with tab(browser, page_url, locale=locale, viewport={"width": width, "height": 800}) as web:
        for path in ("/", RESULT, "/trace", "/ops"):
            web.open(path)
            expect(web.page.locator("h1")).to_be_visible()
            over = web.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert (path, over) == (path, 0)


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
