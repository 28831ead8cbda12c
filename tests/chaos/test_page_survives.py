"""Processes are killed under an open page: it says what is away, keeps what it has, and goes on without a reload."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import browser, kept_tab  # noqa: F401
from tests.browser.web_page import HOST, WebPage, watched
from tests.chaos.test_kill_one import await_return, kill
from tests.polling import poll_until
from tests.running_suite import Json, RunningSuite, open_http

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PAGE = "/d/hold-history?r=2025-11-01..2025-12-31"
QUESTION = {"start_date": "2025-11-01", "end_date": "2025-12-31"}
BARS = "section[aria-labelledby='view-reason_pareto'] .bar"
AWAY = "A process of Sluice is down or starting."


@pytest.fixture
def web(kept_tab: Page, mortal_suite: RunningSuite) -> Iterator[WebPage]:  # noqa: F811
    """A tab before the suite whose processes are killed; it never loads its document again by itself."""
    with watched(kept_tab, mortal_suite.url.replace("127.0.0.1", HOST)) as opened:
        opened.refusals_expected = True
        yield opened


@pytest.fixture(scope="module")
def lot(mortal_suite: RunningSuite) -> str:
    """A lot that was held."""
    rows = asked(mortal_suite, QUESTION)["rows"]
    return str(next(row[0] for row in rows if str(row[0]).startswith("GA")))


def asked(suite: RunningSuite, question: Json) -> Json:
    """Return the rows that the gateway lists for a question and its filters."""
    body = {**question, "views": ["list"], "page_size": 200}
    with open_http(suite.url) as http:
        answer = http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=60"}).raise_for_status()
    rows: Json = answer.json()["views"]["list"]
    return rows


def documents(web: WebPage) -> int:
    """Return how often the page was loaded."""
    return len([request for request in web.asked if request.resource_type == "document"])


def retried(page: Page) -> bool:
    """Press Retry where the page offers it; return whether nothing is loading, waited for or refused."""
    retry = page.get_by_role("button", name="Retry", exact=True)
    # In one step, since the page may have helped itself between two.
    if retry.evaluate_all("(buttons) => { buttons[0]?.click(); return buttons.length; }"):
        return False
    return page.locator("[aria-busy='true']").count() == 0 and page.get_by_text("Trying again in").count() == 0


def test_29_while_the_gateway_is_away_the_result_and_the_form_are_kept(
    web: WebPage, mortal_suite: RunningSuite
) -> None:
    web.open_result(PAGE)
    loads = documents(web)
    field = web.page.get_by_role("textbox", name="From")
    field.fill("2025-11-05")

    old = kill(mortal_suite, "gateway")
    web.page.locator("button.run").click()
    expect(web.page.get_by_text("The gateway does not answer.").first).to_be_visible()
    expect(web.page.locator(BARS).first).to_be_visible()
    await_return(mortal_suite, "gateway", old)
    web.page.get_by_role("button", name="Retry", exact=True).first.click()

    rows = asked(mortal_suite, {**QUESTION, "start_date": "2025-11-05"})["page"]["total_count"]
    expect(web.page.get_by_test_id("grid-count")).to_have_text(f"{rows:,} rows")
    assert (field.input_value(), documents(web)) == ("2025-11-05", loads)


def test_29_a_slice_is_answered_after_the_cache_was_away(web: WebPage, mortal_suite: RunningSuite) -> None:
    web.open_result(PAGE)
    loads, everything = documents(web), web.grid_count()
    bar = web.page.locator(BARS).first
    name = bar.locator(".name").inner_text()

    old = kill(mortal_suite, "cache")
    bar.click()
    expect(bar).to_have_attribute("aria-pressed", "true")
    await_return(mortal_suite, "cache", old)
    # The page asks again by itself, three times; who waited longer than that presses the button.
    poll_until(lambda: retried(web.page), 120, "the slice")

    sliced = asked(mortal_suite, {**QUESTION, "reason": name})["page"]["total_count"]
    assert everything > sliced > 1
    expect(web.page.get_by_test_id("grid-count")).to_have_text(f"{sliced:,} rows")
    assert documents(web) == loads


def test_29_a_trace_goes_on_after_lineage_was_away(web: WebPage, mortal_suite: RunningSuite, lot: str) -> None:
    web.open("/trace")
    names = web.page.get_by_label("Names")
    names.fill(lot)

    old = kill(mortal_suite, "lineage")
    web.page.get_by_role("button", name="Trace", exact=True).click()
    expect(web.page.get_by_text(AWAY).first).to_be_visible()
    assert names.input_value() == lot
    await_return(mortal_suite, "lineage", old)
    web.page.get_by_role("button", name="Retry", exact=True).first.click()

    expect(web.page.locator("[data-node]").first).to_be_visible()
    assert documents(web) == 1


def test_29_a_time_line_goes_on_after_events_were_away(web: WebPage, mortal_suite: RunningSuite, lot: str) -> None:
    web.open("/timeline")
    web.page.locator("textarea").fill(lot)

    old = kill(mortal_suite, "lineage")
    web.page.locator("form button[type='submit']").click()
    expect(web.page.get_by_text(AWAY).first).to_be_visible()
    await_return(mortal_suite, "lineage", old)
    poll_until(lambda: retried(web.page), 120, "the events")

    expect(web.page.get_by_test_id("event-count")).to_be_visible()
    assert documents(web) == 1
