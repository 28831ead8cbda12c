"""What the form takes and says: days and words in fields of their own, the theme, what was saved."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.web_page import WebPage

pytestmark = pytest.mark.browser


def test_a_day_of_a_trend_is_chosen_by_a_date_and_a_word_and_the_address_says_both(web: WebPage) -> None:
    web.open_result("/d/hold-history?r=2025-11-01..2025-11-30")
    day = web.page.get_by_role("group", name="Day", exact=True)
    day.get_by_label("Day", exact=True).fill("2025-11-05")
    expect(web.page).to_have_url(re.compile(r"x\.day_filter=2025-11-05:new"))
    expect(web.page.locator(".chip")).to_contain_text("Day: 2025-11-05 New")

    day.get_by_role("combobox").select_option("release")
    expect(web.page).to_have_url(re.compile(r"x\.day_filter=2025-11-05:release"))

    web.page.get_by_role("button", name="Remove Day").click()
    expect(day.get_by_label("Day", exact=True)).to_have_value("")
    expect(web.page).not_to_have_url(re.compile("day_filter"))


def test_several_days_take_effect_once_both_ends_are_there(web: WebPage) -> None:
    web.open_result("/d/hold-history?r=2025-11-01..2025-11-30")
    days = web.page.get_by_role("group", name="Days", exact=True)
    days.get_by_label("Days: first").fill("2025-11-05")
    expect(web.page).not_to_have_url(re.compile(r"x\.days"))
    days.get_by_label("Days: last").fill("2025-11-09")

    expect(web.page).to_have_url(re.compile(r"x\.days=new:2025-11-05\.\.2025-11-09"))
    expect(web.page.locator(".chip")).to_contain_text("Days: New 2025-11-05 – 2025-11-09")


def test_each_click_on_the_theme_shows_the_other_one(web: WebPage) -> None:
    web.open("/")
    shown = web.page.locator("html")
    expect(shown).to_have_attribute("data-theme", "light")
    theme = web.page.locator("header").get_by_role("button", name=re.compile("theme"))
    for wanted in ("dark", "light", "dark"):
        theme.click()
        expect(shown).to_have_attribute("data-theme", wanted)
    theme.click()


def test_what_was_saved_is_said_with_its_name(web: WebPage) -> None:
    web.open_result("/d/hold-history?r=2025-11-01..2025-11-30")
    web.page.get_by_role("button", name="Save", exact=True).click()
    dialog = web.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Holds of November")
    dialog.get_by_role("button", name="Save", exact=True).click()

    expect(web.page.get_by_test_id("kept")).to_contain_text("Saved: Holds of November")
    expect(dialog).to_have_count(0)


def test_what_says_the_kind_of_typed_values_is_there_only_where_values_are_typed(web: WebPage) -> None:
    web.open("/d/reject-history")
    kind = web.page.get_by_text("What is typed", exact=True)
    expect(web.page.get_by_label("From", exact=True)).to_be_visible()
    expect(kind).to_have_count(0)

    web.page.get_by_role("button", name="Lots", exact=True).click()

    expect(kind).to_be_visible()


def test_the_wheel_over_a_table_of_a_view_scrolls_the_page_until_all_rows_are_asked_for(web: WebPage) -> None:
    web.open_result("/d/reject-history?r=2025-11-01..2025-11-30")
    card = web.page.locator("section[aria-labelledby='view-analytics']")
    card.scroll_into_view_if_needed()
    table = card.get_by_role("region")
    expect(card.locator("tbody tr")).to_have_count(12)
    assert table.evaluate("(box) => box.scrollHeight <= box.clientHeight + 1")

    card.get_by_role("button", name=re.compile("^Show all")).click()

    expect(card.locator("tbody tr").nth(12)).to_be_visible()
