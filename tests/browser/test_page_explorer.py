"""The page of a dataset: what it asks for, what it shows, what a click changes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.web_page import WebPage, number, tab
from tests.polling import poll_until
from tests.running_suite import RunningSuite
from tests.unread import forget

pytestmark = pytest.mark.browser

QUARTER = "r=2025-10-01..2025-12-31"
PAGE = f"/d/hold-history?{QUARTER}"
BODY = {"start_date": "2025-10-01", "end_date": "2025-12-31"}


@pytest.fixture(scope="module")
def query_id(suite: RunningSuite) -> str:
    """The quarter, read once for the module."""
    with httpx.Client(base_url=suite.url, timeout=60.0, trust_env=False) as client:
        answer = client.post("/api/hold-history/query", json=BODY, headers={"Prefer": "wait=60"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["query_id"])


@pytest.fixture(scope="module")
def seen(browser: Browser, page_url: str, query_id: str) -> Iterator[WebPage]:
    """A tab that shows the quarter; tests leave its slice empty."""
    with tab(browser, page_url) as opened:
        opened.open_result(PAGE)
        yield opened


def pareto(web: WebPage) -> dict[str, int]:
    """Return the bars of the reasons by name."""
    bars = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar")
    names = bars.locator(".name").all_inner_texts()
    values = bars.locator(".value").all_inner_texts()
    return {name: number(value) for name, value in zip(names, values, strict=True)}


def test_01_figures_equal_those_of_the_gateway(seen: WebPage, http: httpx.Client, query_id: str) -> None:
    asked = {"query_id": query_id, "view": "reason_pareto,hours,list"}
    views = http.get("/api/hold-history/view", params=asked).json()["views"]

    expected = {row[0]: row[2] for row in views["reason_pareto"]["rows"]}
    shown = pareto(seen)
    hours = seen.page.locator("[data-kpi='avg_released_hours']").inner_text()
    assert shown == {name: expected[name] for name in shown}
    assert len(shown) == min(15, len(expected))
    assert float(hours.replace(",", "")) == views["hours"]["rows"][0][0]
    assert seen.grid_count() == views["list"]["page"]["total_count"]


def test_02_a_slice_looks_and_never_queries(web: WebPage, query_id: str) -> None:
    web.open_result(PAGE)
    before = web.grid_count()
    queries = len(web.calls("/query"))

    web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").first.click()
    expect(web.page.locator(".chip")).to_have_count(1)
    expect(web.page.get_by_test_id("grid-count")).not_to_have_text(f"{before:,} rows")

    assert len(web.calls("/query")) == queries
    assert {body["query_id"] for body in web.calls("/view")} == {query_id}
    assert web.grid_count() < before


def test_02_a_bar_leaves_its_own_pareto_whole(web: WebPage) -> None:
    web.open_result(PAGE)
    before = pareto(web)

    web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").first.click()
    expect(web.page.locator(".bar[aria-pressed='true']")).to_have_count(1)

    assert pareto(web) == before


def test_02_esc_and_back_undo_a_slice(web: WebPage) -> None:
    web.open_result(PAGE)
    bars = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar")
    bars.nth(0).click()
    expect(web.page.locator(".chip")).to_have_count(1)
    bars.nth(1).click(modifiers=["Control"])
    expect(web.page.locator(".bar[aria-pressed='true']")).to_have_count(2)

    web.page.go_back()
    expect(web.page.locator(".bar[aria-pressed='true']")).to_have_count(1)
    web.page.keyboard.press("Escape")

    expect(web.page.locator(".chip")).to_have_count(0)


def answer_late(web: WebPage, first: list[Route]) -> None:
    """Hold back the first look at the charts after this; all others pass."""

    def handle(route: Route) -> None:
        if not first and "reason_pareto" not in (route.request.post_data or ""):
            first.append(route)
        else:
            route.continue_()

    web.page.route("**/api/hold-history/view", handle)


def test_05_a_late_answer_never_overwrites_a_newer_one(web: WebPage) -> None:
    web.open_result(PAGE)
    held: list[Route] = []
    answer_late(web, held)
    bars = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar")
    bars.nth(0).click()
    poll_until(lambda: web.page.evaluate("1") and held, 60, "the first look was held back")
    bars.nth(1).click()
    expect(bars.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)
    newer = web.page.locator("[data-kpi='avg_released_hours']").inner_text()

    for route in held:
        route.abort() if route.request.failure else route.continue_()
    web.page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 300))")

    assert web.page.locator("[data-kpi='avg_released_hours']").inner_text() == newer


def exported(http: httpx.Client, query_id: str, **filters: str) -> list[dict[str, str]]:
    """Return the rows of the CSV."""
    text = http.get("/api/hold-history/export", params={"query_id": query_id, "format": "csv", **filters}).text
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_07_sums_of_bars_grid_and_export_agree_with_a_slice(web: WebPage, http: httpx.Client, query_id: str) -> None:
    web.open_result(f"{PAGE}&x.hold_type=all&x.duration_range=>3d")
    rows = exported(http, query_id, hold_type="all", duration_range=">3d")

    assert len(rows) == web.grid_count()
    more = web.page.locator("section[aria-labelledby='view-reason_pareto'] .more button")
    if more.count():
        more.click()
    assert sum(pareto(web).values()) == sum(int(row["qty"]) for row in rows)


def test_07_an_excluded_value_is_gone_from_grid_and_export(web: WebPage, http: httpx.Client, query_id: str) -> None:
    web.open_result(PAGE)
    total = web.grid_count()
    bar = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").first
    name = bar.locator(".name").inner_text()
    bar.click(modifiers=["Alt"])
    expect(web.page.locator(".chip")).to_contain_text(name)
    expect(web.page.get_by_test_id("grid-count")).not_to_have_text(f"{total:,} rows")

    rows = exported(http, query_id, reason=f'{{"exclude": ["{name}"]}}')
    assert (len(rows), {row["hold_reason"] for row in rows} & {name}) == (web.grid_count(), set())


def test_13_nothing_ever_covers_the_page(web: WebPage) -> None:
    web.open("/d/hold-history?r=2025-01-01..2025-09-30")
    web.page.locator("button.run").click()

    field = web.page.get_by_role("textbox", name="From")
    field.fill("2025-02-01")
    expect(field).to_have_value("2025-02-01")
    expect(web.page.get_by_text("Showing the previous scope")).to_be_visible()
    web.await_rows()
    assert field.input_value() == "2025-02-01"


def test_14_a_link_shows_the_same_in_a_fresh_profile_and_another_language(
    web: WebPage, browser: Browser, page_url: str
) -> None:
    web.open_result(f"{PAGE}&x.hold_type=all&s=qty:desc&cols=lot_id,qty,hold_reason&m.reason_pareto=hold_count")
    rows = web.page.locator(".scroller .line").first.inner_text()
    link = web.page.url.removeprefix(page_url)

    with tab(browser, page_url, locale="zh-TW") as other:
        other.open(link)
        other.await_rows()
        assert other.page.locator(".scroller .line").first.inner_text() == rows
        assert pareto(other) == pareto(web)
        assert other.page.locator("html").get_attribute("lang") == "zh-Hant-TW"


@pytest.mark.parametrize(
    "query",
    [
        "r=yesterday",
        "r=2025-13-01..2025-01-01",
        "x.hold_type=nonsense",
        "x.nothing=1",
        "s=qty:sideways",
        "cols=,,",
        "v=%00",
    ],
)
def test_15_what_a_link_says_wrong_is_named_and_never_a_blank_page(web: WebPage, query: str) -> None:
    web.open(f"/d/hold-history?{query}")

    expect(web.page.get_by_text("mean nothing here")).to_be_visible()
    expect(web.page.get_by_role("heading", level=1)).to_have_text("Hold history")


@pytest.mark.parametrize("web", [{"timezone_id": "America/New_York"}, {"timezone_id": "Asia/Taipei"}], indirect=True)
def test_16_the_browsers_zone_shifts_no_date(web: WebPage, http: httpx.Client, query_id: str) -> None:
    web.open_result(PAGE)
    asked: dict[str, str | int] = {"query_id": query_id, "view": "list", "page_size": 1}
    first = http.get("/api/hold-history/view", params=asked).json()["views"]["list"]["rows"][0]

    shown = web.page.locator(".scroller .line").first.inner_text()
    assert first[7].replace("T", " ")[:16] in shown


def test_17_a_link_is_copied_without_a_secure_context(web: WebPage) -> None:
    web.open_result(PAGE)
    assert web.page.evaluate("window.isSecureContext") is False

    web.page.get_by_role("button", name="Copy link").click()

    expect(web.page.get_by_role("button", name="Copied")).to_be_visible()


def test_17_a_copied_link_names_its_days(web: WebPage) -> None:
    web.open_result("/d/hold-history?r=-30d")
    web.page.get_by_role("button", name="Copy link").click()
    expect(web.page.get_by_role("button", name="Copied")).to_be_visible()

    web.page.get_by_role("button", name="Save", exact=True).click()
    box = web.page.get_by_role("dialog").get_by_label("Note")
    box.focus()
    web.page.keyboard.press("Control+V")

    expect(box).to_have_value(re.compile(r"[?&]r=\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d"))


def test_22_a_list_of_values_asks_when_it_closes_and_esc_restores(web: WebPage) -> None:
    web.open_result(PAGE)
    looks = len(web.calls("/view"))
    trigger = web.page.locator(".popup", has_text="Reason").locator("button.pick")
    trigger.click()
    boxes = web.page.get_by_role("dialog", name="Reason").get_by_role("checkbox")
    expect(boxes.nth(3)).to_be_visible()
    for index in (1, 2, 3):
        boxes.nth(index).check()
    assert len(web.calls("/view")) == looks

    web.page.keyboard.press("Escape")
    expect(trigger).to_be_focused()
    assert len(web.calls("/view")) == looks

    trigger.click()
    boxes.nth(1).check()
    web.page.get_by_role("button", name="Apply").click()
    expect(web.page.locator(".chip")).to_have_count(1)
    assert len(web.calls("/view")) > looks


def test_28_a_tooltip_breaks_no_policy(seen: WebPage) -> None:
    chart = seen.page.locator(".chart canvas").first
    expect(chart).to_be_visible()
    chart.hover(position={"x": 400, "y": 120})

    expect(seen.page.locator(".tip")).to_be_visible()


def test_28_a_view_is_drawn_as_a_table_too(seen: WebPage) -> None:
    panel = seen.page.locator("section[aria-labelledby='view-trend']")
    panel.get_by_role("button", name="View as table").click()
    expect(panel.locator("tbody tr").first).to_be_visible()
    panel.get_by_role("button", name="View as chart").click()

    expect(panel.locator("canvas").first).to_be_visible()


def test_every_dataset_of_the_catalogue_opens(web: WebPage, http: httpx.Client) -> None:
    names = [item["name"] for item in http.get("/api/datasets").json()["datasets"]]
    web.refusals_expected = True
    web.open("/")
    for name in names:
        web.page.locator(f"main a[href$='/d/{name}']").first.click()
        expect(web.page.locator("h1")).not_to_have_text(name)
        expect(web.page.locator(".controls")).to_be_attached()
        web.page.go_back()


def test_the_grid_loads_the_block_that_is_scrolled_to(web: WebPage, http: httpx.Client, query_id: str) -> None:
    filters = {"hold_type": "all", "record_type": "new,on_hold,released"}
    web.open_result(f"{PAGE}&x.hold_type=all&x.record_type=new,on_hold,released")
    assert web.grid_count() > 220
    asked: dict[str, str | int] = {"query_id": query_id, "view": "list", "page": 2, "page_size": 200, **filters}
    row = http.get("/api/hold-history/view", params=asked).json()["views"]["list"]["rows"][10]

    web.page.locator(".scroller").evaluate("(element) => { element.scrollTop = 26 * 205; }")

    expect(web.page.locator(".line[aria-rowindex='212']")).to_contain_text(row[0])


def test_08_what_is_cached_is_planned_as_cached_and_not_read_again(
    web: WebPage, http: httpx.Client, suite: RunningSuite
) -> None:
    forget(suite, "hold-history", {"start_date": "2024-01-01", "end_date": "2024-02-29"})
    february = {"start_date": "2024-02-01", "end_date": "2024-02-29", "views": []}
    assert http.post("/api/hold-history/query", json=february, headers={"Prefer": "wait=60"}).status_code == 200

    # No request is intercepted here: a browser that is watched so asks for everything anew.
    with web.page.expect_response(lambda answer: "2024-02-29" in (answer.request.post_data or "")) as asked:
        web.choose("2024-01-01", "2024-02-29")
    chunks = asked.value.json()["chunks"]
    cached = [chunk for chunk in chunks if chunk["cached"]]
    assert 0 < len(cached) < len(chunks)
    expect(web.page.locator(".cells .cell.reused")).to_have_count(len(cached))
    expect(web.page.locator(".cells .cell.planned")).to_have_count(len(chunks) - len(cached))
    before = suite.statements.count()

    web.run()

    expect(web.page.locator(".cells .cell.reused")).to_have_count(len(cached))
    assert suite.statements.count() - before <= len(chunks) - len(cached) + 1
