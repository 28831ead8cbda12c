"""What is downloaded is what is shown, in every format, and says when something is missing. Two tabs read once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.web_page import WebPage, fetched, number, tab
from tests.running_suite import RunningSuite
from tests.spreadsheets import read as read_sheets
from tests.unread import forget

pytestmark = pytest.mark.browser

PAGE = "/d/hold-history?r=2025-10-01..2025-12-31&x.hold_type=all&x.duration_range=>3d&s=qty:desc"


@pytest.fixture(scope="module")
def chinese(browser: Browser, page_url: str) -> Iterator[WebPage]:
    """A tab in Chinese with a sliced and sorted result and its export dialogue."""
    with tab(browser, page_url, locale="zh-TW") as opened:
        opened.open_result(PAGE)
        opened.page.get_by_role("button", name="匯出", exact=True).click()
        yield opened


def downloaded(web: WebPage, file_format: str, folder: Path) -> tuple[str, Path]:
    """Return name and place of the file that the dialogue gives."""
    web.page.locator(f"input[name='format'][value='{file_format}']").check()
    with web.page.expect_download() as waiting:
        web.page.get_by_test_id("download").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return waiting.value.suggested_filename, path


def test_23_a_csv_holds_the_rows_that_are_counted_and_opens_as_what_it_is(chinese: WebPage, tmp_path: Path) -> None:
    _, path = downloaded(chinese, "csv", tmp_path)

    content = path.read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    counted = number(chinese.page.get_by_test_id("export-rows").inner_text())
    assert content.startswith(b"\xef\xbb\xbf")
    assert len(rows) == counted == chinese.grid_count()
    assert [int(row["qty"]) for row in rows] == sorted((int(row["qty"]) for row in rows), reverse=True)
    assert not [text for row in rows for text in row.values() if text[:1] in ("=", "+", "@")]


def test_23_spreadsheet_and_parquet_hold_the_same_rows(chinese: WebPage, tmp_path: Path) -> None:
    _, text = downloaded(chinese, "csv", tmp_path)
    _, sheet = downloaded(chinese, "xlsx", tmp_path)
    _, columns = downloaded(chinese, "parquet", tmp_path)

    rows = list(csv.DictReader(io.StringIO(text.read_text(encoding="utf-8-sig"))))
    table = pq.read_table(columns)
    lots = [row["lot_id"] for row in rows]
    quantities = [int(row["qty"]) for row in rows]
    assert (table["lot_id"].to_pylist(), table["qty"].to_pylist()) == (lots, quantities)
    assert str(table.schema.field("hold_time").type).startswith("timestamp")
    _, *in_sheet = read_sheets(sheet.read_bytes())["rows"].rows
    assert len(in_sheet) == len(rows)
    assert {row[list(rows[0]).index("lot_id")] for row in in_sheet} == set(lots)


def test_24_a_spreadsheet_is_refused_where_its_rows_do_not_fit(web: WebPage) -> None:
    def larger(route: Route) -> None:
        answer = fetched(route)
        views = answer.json()
        if "page" in views.get("views", {}).get("list", {}):
            views["views"]["list"]["page"]["total_count"] = 1_048_576
        route.fulfill(response=answer, json=views)

    web.page.route("**/api/hold-history/view", larger)
    web.open_result(PAGE)
    web.page.get_by_role("button", name="Export", exact=True).click()

    expect(web.page.locator("input[value='xlsx']")).to_be_disabled()
    expect(web.page.get_by_role("dialog")).to_contain_text("1,048,575")
    expect(web.page.locator("input[value='csv']")).to_be_enabled()


def test_24_a_partial_export_is_confirmed_and_says_so_in_its_name(
    web: WebPage, suite: RunningSuite, tmp_path: Path
) -> None:
    forget(suite, "hold-department", {"start_date": "2024-03-01", "end_date": "2024-06-30"})
    failing = {"statement": "placed", "start_time": "2024-05-01T07:30:00", "code": "WAREHOUSE_ERROR"}
    with suite.faults([failing]):
        web.open_result("/d/hold-department?r=2024-03-01..2024-06-30")
    expect(web.page.locator(".receipt .badge").first).to_have_text("Partial")
    web.page.get_by_role("button", name="Export", exact=True).click()
    expect(web.page.get_by_test_id("download")).to_have_attribute("aria-disabled", "true")

    web.page.get_by_role("dialog").get_by_role("checkbox").check()
    name, path = downloaded(web, "csv", tmp_path)

    assert name.endswith("-partial.csv")
    assert "sluice.receipt" in path.read_text(encoding="utf-8-sig").splitlines()[-1]


def test_06_two_tabs_with_one_scope_read_once(
    browser: Browser, page_url: str, suite: RunningSuite, http: httpx.Client
) -> None:
    scope = {"start_date": "2024-08-01", "end_date": "2024-11-30"}
    forget(suite, "hold-department", scope)
    chunks = http.post("/api/hold-department/plan", json=scope).json()["chunks"]
    missing = [chunk for chunk in chunks if not chunk["cached"]]
    before = suite.statements.count()
    slow = {"statement": "placed", "delay_s": 1.0}
    with tab(browser, page_url) as one, tab(browser, page_url) as other, suite.faults([slow]):
        for web in (one, other):
            web.open("/d/hold-department")
            web.page.get_by_role("textbox", name="From").fill(scope["start_date"])
            web.page.get_by_role("textbox", name="To").fill(scope["end_date"])
        for web in (one, other):
            web.page.locator("button.run").click()
        for web in (one, other):
            web.await_rows()
        assert one.grid_count() == other.grid_count() > 0

    assert 1 < len(missing) == suite.statements.count() - before
