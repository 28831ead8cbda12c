"""The way from a bar to the machine that its lots share: what helps on it, and what must not stand in it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FloatRect, Locator, Route, ViewportSize, expect

from tests.browser.web_page import WebPage, number
from tests.polling import poll_until

pytestmark = pytest.mark.browser

PAGE = "/d/hold-history?r=2025-09-02..2025-12-31&x.hold_type=all"
"""More days than the trend shows without a slider."""
PARETO = "section[aria-labelledby='view-reason_pareto']"
TREND = "section[aria-labelledby='view-trend']"
LAPTOP: ViewportSize = {"width": 1366, "height": 768}


def box(of: Locator) -> FloatRect:
    found = of.bounding_box()
    assert found is not None
    return found


def shares(web: WebPage) -> list[float]:
    """Return the shares of the machines in their order."""
    texts = web.page.locator("section[aria-labelledby='view-machines'] tbody td:nth-child(4)").all_inner_texts()
    return [float(text) for text in texts]


def test_a_bar_leads_to_the_machines_of_its_lots_and_the_page_says_which_lots_they_are(web: WebPage) -> None:
    web.page.set_viewport_size(LAPTOP)
    web.open_result(PAGE)
    bar = web.page.locator(f"{PARETO} li").nth(14)
    bar.scroll_into_view_if_needed()
    reason = bar.locator(".name").inner_text()
    bar.get_by_role("button", name="Lots behind").click()
    menu = web.page.get_by_role("dialog")
    expect(menu.get_by_test_id("lot-order")).to_have_text("Taken in this order: Held, latest first")
    link = menu.get_by_role("link", name="Lot history", exact=True)
    expect(link).to_be_in_viewport(ratio=1)
    edges = box(menu)
    assert (edges["y"] > 0, edges["y"] + edges["height"] <= LAPTOP["height"]) == (True, True)
    lots = number(menu.get_by_test_id("lot-count").inner_text())

    link.click()

    expect(web.page.locator("h1")).to_have_text("Lot history")
    said = web.page.get_by_test_id("origin")
    expect(said).to_contain_text(f"{lots} lots of")
    if lots > 200:
        expect(said).to_contain_text(f"The first 200 of {lots:,} lots of Hold history · Reason: {reason} · ")
        expect(said).to_contain_text("2025-09-02 – 2025-12-31. Order: Held, latest first.")
    if not web.page.locator("button.run").is_disabled() and web.page.locator(".receipt .badge").count() == 0:
        web.page.locator("button.run").click()
    expect(web.page.get_by_role("heading", name="Machines these lots share")).to_be_visible()
    expect(web.page.locator("section[aria-labelledby='view-machines'] tbody tr").first).to_be_visible()
    assert shares(web) == sorted(shares(web), reverse=True)
    web.await_rows()


def test_other_lots_than_those_that_were_brought_come_from_nowhere(web: WebPage) -> None:
    web.open("/d/lot-history?f.mode=names&f.container_values=GA1-1,GA1-2&of=hold-history,2,300,hold_time,desc")
    expect(web.page.get_by_test_id("origin")).to_have_text(
        "The first 2 of 300 lots of Hold history. Order: Held, latest first."
    )
    web.refusals_expected = True
    values = web.page.get_by_label("Values")
    values.fill("GA1-3")
    values.blur()
    web.page.locator("button.run").click()

    expect(web.page.get_by_test_id("origin")).to_have_count(0)


def test_the_wheel_over_a_trend_scrolls_the_page_and_zooms_with_ctrl(web: WebPage) -> None:
    web.page.set_viewport_size(LAPTOP)
    web.open_result(PAGE)
    web.page.locator(f"{TREND} canvas").first.hover()
    before = web.page.evaluate("window.scrollY")
    web.page.keyboard.down("Control")
    web.page.mouse.wheel(0, 240)
    web.page.keyboard.up("Control")
    assert web.page.evaluate("window.scrollY") == before

    web.page.mouse.wheel(0, 240)

    poll_until(lambda: web.page.evaluate("window.scrollY") > before, 60, "the page to scroll")


def test_a_trend_keeps_its_place_while_it_is_loaded(web: WebPage) -> None:
    web.open_result(PAGE)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    web.page.route(re.compile(r"/assets/TrendChart-.*\.js$"), hold)
    web.open(PAGE)
    expect(web.page.locator(".scroller .line").first).to_be_visible()
    panel = web.page.locator(TREND)
    expect(panel.get_by_text("Loading")).to_be_visible()
    before = box(panel)

    for route in held:
        route.continue_()

    expect(panel.locator("canvas").first).to_be_visible()
    assert box(panel) == before


def test_presets_are_chips_and_a_card_names_what_leaves_it_alone(web: WebPage) -> None:
    web.open_result("/d/hold-history?r=2025-10-01..2025-12-31")
    presets = web.page.locator(".preset")
    assert [text.strip(" ✕\n") for text in presets.all_inner_texts()] == ["Type: Quality", "Records: New"]
    before = web.grid_count()
    web.page.locator(f"{PARETO} .bar").first.click()
    expect(web.page.locator(TREND)).to_contain_text("not narrowed by Type, Records, Reason")
    expect(web.page.locator(PARETO)).not_to_contain_text("not narrowed")
    web.page.locator(".chip").get_by_role("button").click()

    presets.first.get_by_role("button", name="Remove Type").click()

    expect(presets).to_have_count(1)
    expect(web.page.locator(TREND)).to_contain_text("not narrowed by Records")
    expect(web.page.get_by_test_id("grid-count")).not_to_have_text(f"{before:,} rows")
    assert web.grid_count() > before
    assert "x.hold_type=all" in web.page.url


def test_bars_say_what_they_count_and_what_they_leave_out(web: WebPage) -> None:
    web.open_result("/d/hold-history?r=2025-10-01..2025-12-31")

    expect(web.page.locator(PARETO)).to_contain_text("Running %")
    duration = web.page.locator("section[aria-labelledby='view-duration']")
    expect(duration.locator(".name").first).to_have_text("Below 4 h")
    expect(duration).to_contain_text("Holds that are still open are not counted.")
    for panel in (web.page.locator(PARETO), duration):
        expect(panel.get_by_role("button", name="Quantity", exact=True)).to_have_attribute("aria-pressed", "true")


def test_a_calendar_year_is_a_period_and_a_year_of_five_digits_is_none(web: WebPage) -> None:
    web.open("/d/hold-history")
    ends = web.page.locator("input[type='date']")
    web.page.get_by_label("Period").select_option("Last year (2025)")
    assert [ends.nth(0).input_value(), ends.nth(1).input_value()] == ["2025-01-01", "2025-12-31"]

    ends.nth(1).fill("20251-12-31")

    expect(web.page.get_by_text("A year has four digits.")).to_be_visible()
    expect(web.page.locator("button.run")).to_be_disabled()
