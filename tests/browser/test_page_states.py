"""What the page says and does when the answer is not simply there: partial, expired, busy, cancelled, away."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser.axe import violations
from tests.browser.web_page import WebPage
from tests.polling import poll_until
from tests.running_suite import RunningSuite
from tests.unread import forget

pytestmark = pytest.mark.browser

PAGE = "/d/hold-history?r=2025-11-01..2025-12-31"
BARS = "section[aria-labelledby='view-reason_pareto'] .bar"


def refuse(status: int, code: str, times: int, **headers: str) -> tuple[Any, list[Route]]:
    """Return a handler that refuses so many requests as the gateway would, and what it refused."""
    refused: list[Route] = []

    def handle(route: Route) -> None:
        if len(refused) >= times:
            route.continue_()
            return
        refused.append(route)
        body = {"type": f"/problems/{code}", "title": code, "status": status, "detail": "", "code": code}
        route.fulfill(status=status, headers=headers, content_type="application/problem+json", body=json.dumps(body))

    return handle, refused


def test_03_expired_rows_are_asked_for_again_once(web: WebPage) -> None:
    web.refusals_expected = True
    web.open_result(PAGE)
    queries = len(web.calls("/query"))
    handle, refused = refuse(410, "CACHE_EXPIRED", 2)
    web.page.route("**/api/hold-history/view", handle)

    web.page.locator(BARS).first.click()
    expect(web.page.locator(".bar[aria-pressed='true']")).to_have_count(1)
    web.await_rows()

    assert (len(refused), len(web.calls("/query")) - queries) == (2, 1)
    assert web.grid_count() > 0


def test_04_rows_that_expire_again_end_in_words_and_no_loop(web: WebPage) -> None:
    web.refusals_expected = True
    web.open_result(PAGE)
    queries = len(web.calls("/query"))
    handle, _ = refuse(410, "CACHE_EXPIRED", 1000)
    web.page.route("**/api/hold-history/view", handle)

    web.page.locator(BARS).first.click()

    expect(web.page.get_by_text("The rows have expired").first).to_be_visible()
    assert len(web.calls("/query")) - queries == 1


@pytest.mark.parametrize(("status", "code"), [(503, "POOL_EXHAUSTED"), (429, "RATE_LIMITED")])
def test_29_a_busy_warehouse_is_waited_for_with_a_countdown(web: WebPage, status: int, code: str) -> None:
    web.refusals_expected = True
    web.open(PAGE)
    expect(web.page.locator(".cells .cell").first).to_be_visible()
    handle, refused = refuse(status, code, 1, **{"Retry-After": "30"})
    web.page.route("**/api/hold-history/query", handle)

    web.page.get_by_role("textbox", name="From").fill("2025-11-02")
    web.page.locator("button.run").click()
    expect(web.page.get_by_text("Trying again in")).to_be_visible()
    web.page.get_by_role("button", name="Try now").click()
    web.await_rows()

    assert len(refused) == 1
    assert web.page.get_by_role("textbox", name="From").input_value() == "2025-11-02"


def test_10_a_failed_chunk_is_named_and_only_it_is_retried(web: WebPage, suite: RunningSuite) -> None:
    failing = {"statement": "slice", "start_time": "2024-03-31T07:30:00", "code": "WAREHOUSE_ERROR"}
    forget(suite, "hold-history", {"start_date": "2024-03-01", "end_date": "2024-05-31"})
    with suite.faults([failing]):
        web.choose("2024-03-01", "2024-05-31")
        web.page.locator("button.run").click()
        web.await_rows()
        expect(web.page.locator(".receipt .badge").first).to_have_text("Partial")
        expect(web.page.locator(".cells .cell.failed")).to_have_count(1)
        expect(web.page.get_by_text("Not everything could be read")).to_be_visible()
    before = suite.statements.count()
    web.page.locator(".cells .cell.failed").click()
    detail = web.page.get_by_test_id("chunk-detail")
    expect(detail).to_contain_text("2024-03-31 07:30")
    expect(detail).to_contain_text(f"sluice slice {web.calls('/view')[-1]['query_id']}")
    expect(detail).to_contain_text("WAREHOUSE_ERROR")

    detail.get_by_role("button", name="Retry failed").click()
    expect(web.page.locator(".receipt .badge").first).to_have_text("Complete")

    read = [line["binds"]["start_time"] for line in suite.statements.since(before) if line["statement"] == "slice"]
    assert read == ["2024-03-31T07:30:00"]
    expect(web.page.locator(".cells .cell.failed")).to_have_count(0)


def test_10_of_two_failed_chunks_one_is_retried_from_the_strip(web: WebPage, suite: RunningSuite) -> None:
    failing = {"statement": "slice", "code": "WAREHOUSE_ERROR"}
    forget(suite, "hold-history", {"start_date": "2024-09-01", "end_date": "2024-11-30"})
    first, last = {"start_time": "2024-08-31T07:30:00"}, {"end_time": "2024-11-30T07:30:00"}
    with suite.faults([{**failing, **first}, {**failing, **last}]):
        web.choose("2024-09-01", "2024-11-30")
        web.page.locator("button.run").click()
        web.await_rows()
        expect(web.page.locator(".cells .cell.failed")).to_have_count(2)
    before = suite.statements.count()
    web.page.locator(".cells .cell.failed").last.focus()
    web.page.keyboard.press("Enter")
    assert violations(web) == []
    web.page.get_by_role("button", name="Retry this chunk").press("Enter")

    expect(web.page.locator(".cells .cell.failed")).to_have_count(1)
    expect(web.page.locator(".receipt .badge").first).to_have_text("Partial")
    read = [line["binds"]["end_time"] for line in suite.statements.since(before) if line["statement"] == "slice"]
    assert read == ["2024-11-30T07:30:00"]


def test_operations_show_which_days_are_in_the_cache(web: WebPage, suite: RunningSuite) -> None:
    # To the plant's today, which is the last day that is shown.
    forget(suite, "hold-history", {"start_date": "2025-10-01", "end_date": "2026-01-01"})
    web.open_result("/d/hold-history?r=2025-12-10..2025-12-19")
    web.page.keyboard.press("g")
    web.page.keyboard.press("o")
    line = web.page.get_by_role("list", name="Hold history")
    expect(line.locator(".cell.planned").first).to_be_visible()
    cached = line.locator(".cell.reused").last
    assert "2025-12-10" <= str(cached.get_attribute("aria-label"))[15:25] <= "2025-12-19"

    cached.focus()
    web.page.keyboard.press("Enter")
    expect(web.page.get_by_test_id("heat-detail")).to_contain_text("slice")
    assert violations(web) == []
    web.page.get_by_role("link", name="Open these days").press("Enter")
    web.await_rows()


def test_11_cancel_stops_and_what_was_read_is_reused(web: WebPage, suite: RunningSuite) -> None:
    autumn = {"start_date": "2024-09-02", "end_date": "2024-12-31"}
    forget(suite, "hold-history", autumn)
    plan = httpx.post(f"{suite.url}/api/hold-history/plan", json=autumn).raise_for_status().json()
    starts = [chunk["start"] for chunk in plan["chunks"] if chunk["part"] == "slice"]
    web.refusals_expected = True
    with suite.faults([{"statement": "slice", "start_time": start, "delay_s": 120} for start in starts[1:]]):
        web.choose("2024-09-02", "2024-12-31")
        web.page.locator("button.run").click()
        expect(web.page.locator(".cells .cell.done").first).to_be_visible()
        web.page.get_by_role("button", name="Cancel").click()
        expect(web.page.get_by_text("Cancelled. Finished chunks are kept")).to_be_visible()
        poll_until(lambda: not running(web), 60, "the query was cancelled")

    web.page.get_by_role("button", name="Run again").first.click()
    web.await_rows()
    expect(web.page.locator(".cells .cell.reused").first).to_be_visible()


def running(web: WebPage) -> list[Any]:
    answer = web.page.request.get(f"{web.url}/api/ops/queries".replace("plant.test", "127.0.0.1"))
    listed: list[Any] = answer.json()["queries"]
    return listed


def test_29_a_gateway_that_is_away_is_said_and_the_form_is_kept(web: WebPage) -> None:
    web.refusals_expected = True
    web.open_result(PAGE)
    web.page.route("**/api/hold-history/*", lambda route: route.abort())
    web.page.get_by_role("textbox", name="From").fill("2025-11-05")
    web.page.locator("button.run").click()
    expect(web.page.get_by_text("The gateway does not answer.").first).to_be_visible()
    web.page.unroute("**/api/hold-history/*")
    web.page.get_by_role("button", name="Retry").first.click()
    web.await_rows()

    assert web.page.get_by_role("textbox", name="From").input_value() == "2025-11-05"


def test_32_markup_in_what_others_wrote_is_shown_as_text(web: WebPage) -> None:
    web.refusals_expected = True
    markup = "<img src=x onerror=\"document.title='owned'\">"
    definition = {
        "name": "marked",
        "route": "marked",
        "title": markup,
        "description": markup,
        "version": 1,
        "day_rule": markup,
        "max_range_days": 10,
        "parameters": {"type": "object", "properties": {"a": {"title": markup, "type": "string"}}},
        "filters": {"type": "object", "properties": {}},
        "initial_views": [],
        "views": [],
    }
    answer = json.dumps({"plant_time": "2026-01-01T08:00:00", "datasets": [definition]})
    web.page.route("**/api/datasets", lambda route: route.fulfill(content_type="application/json", body=answer))

    web.open("/d/marked")

    expect(web.page.locator("h1")).to_have_text(markup)
    assert web.page.locator("img").count() == 0
    assert web.page.title() != "owned"
