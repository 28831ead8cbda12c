"""Figures seen against others: the chosen rows against the rest, a range against an earlier one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.web_page import WebPage, number

pytestmark = pytest.mark.browser

PAGE = "/d/hold-history?r=2025-10-01..2025-12-31&x.hold_type=all"
BODY = {"start_date": "2025-10-01", "end_date": "2025-12-31"}


def options(http: httpx.Client, query_id: str, **filters: Any) -> dict[str, dict[str | None, int]]:
    """Return the rows of each value by filter."""
    answer = http.post("/api/reject-history/options", json={"query_id": query_id, **filters}).json()["options"]
    return {name: {item["value"]: item["row_count"] for item in found["values"]} for name, found in answer.items()}


def test_what_sets_the_chosen_rows_apart_is_counted_against_the_rest(web: WebPage, http: httpx.Client) -> None:
    body = {"start_date": "2025-11-01", "end_date": "2025-12-15", "views": []}
    query = http.post("/api/reject-history/query", json=body, headers={"Prefer": "wait=60"}).json()["query_id"]
    everything = options(http, query)
    reasons = everything["loss_reason"]
    reason = max((item for item in reasons if item is not None), key=lambda item: reasons[item])
    chosen = options(http, query, sel_reason=[reason])
    web.open_result("/d/reject-history?r=2025-11-01..2025-12-15")
    web.page.locator(f"section[aria-labelledby='view-reason_pareto'] .bar:has(.name:text-is('{reason}'))").click()
    expect(web.page.locator(".chip")).to_have_count(1)

    web.page.get_by_role("button", name="Explain selection").click()
    rows = web.page.get_by_test_id("explain").locator("tbody tr")
    expect(rows.first).to_be_visible()
    name, value, inside, outside = rows.first.locator("td").all_inner_texts()[:4]

    fields = {item.get("title", key): key for key, item in filter_schemas(http).items()}
    counts = everything[fields[name]]
    seen = chosen[fields[name]][value]
    assert [number(part) for part in inside.split("·")[0].split("/")] == [seen, sum(chosen[fields[name]].values())]
    rest = sum(counts.values()) - sum(chosen[fields[name]].values())
    assert [number(part) for part in outside.split("·")[0].split("/")] == [counts[value] - seen, rest]


def filter_schemas(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """Return the filters of the rejects by name."""
    schemas: dict[str, dict[str, Any]] = http.get("/api/datasets/reject-history").json()["filters"]["properties"]
    return schemas


def test_a_figure_is_seen_against_the_range_before(web: WebPage, http: httpx.Client) -> None:
    before = {"start_date": "2025-07-01", "end_date": "2025-09-30", "hold_type": "all", "views": ["hours"]}
    answer = http.post("/api/hold-history/query", json=before, headers={"Prefer": "wait=60"}).json()
    was = answer["views"]["hours"]["rows"][0][0]
    web.open_result(PAGE)
    assert web.page.locator("[data-moved]").count() == 0

    web.page.get_by_test_id("compare").select_option("prev")

    moved = web.page.locator("[data-moved='avg_released_hours']")
    expect(moved).to_contain_text(f"was {was:,.2f}")
    expect(web.page.get_by_text("2025-07-01 – 2025-09-30")).to_be_visible()
    now = float(web.page.locator("[data-kpi='avg_released_hours']").inner_text().replace(",", ""))
    assert float(moved.inner_text().split(" %")[0].replace(",", "")) == pytest.approx(100 * (now - was) / was, abs=0.1)
    assert "cmp=prev" in web.page.url


def test_the_page_tells_what_its_requests_took_when_it_is_asked(web: WebPage) -> None:
    web.open(f"{PAGE}&debug=1")
    panel = web.page.get_by_test_id("debug")

    expect(panel.locator("tbody tr", has_text="/api/hold-history/plan").first).to_be_visible()
    assert panel.locator("tbody tr").first.locator("td").nth(2).inner_text() != "–"
