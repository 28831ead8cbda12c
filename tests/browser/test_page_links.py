"""What a page says of itself in its address, and what is kept of it: links, short links, saved views."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.axe import violations
from tests.browser.web_page import WebPage, fetched, tab

pytestmark = pytest.mark.browser

PAGE = "/d/hold-history?r=2025-10-01..2025-12-31"
BARS = "section[aria-labelledby='view-reason_pareto'] .bar"
MARKUP = "<img src=x onerror=\"document.title='owned'\">"


def shown(web: WebPage) -> tuple[list[str], str, list[str]]:
    """Return what can be told apart: chosen bars, the order of the rows, the columns."""
    chosen = web.page.locator(f"{BARS}[aria-pressed='true'] .name").all_inner_texts()
    order = web.page.locator(".th[aria-sort]").all_inner_texts()
    return chosen, order[0] if order else "", web.page.locator(".th").all_inner_texts()


def test_14_reload_and_back_and_forward_restore_each_step(web: WebPage) -> None:
    web.open_result(f"{PAGE}&cols=lot_id,qty,hold_reason&s=qty:desc")
    bars = web.page.locator(BARS)
    steps = [shown(web)]
    for index in (0, 1):
        bars.nth(index).click()
        expect(bars.nth(index)).to_have_attribute("aria-pressed", "true")
        web.await_rows()
        steps.append(shown(web))
    assert [step[0] for step in steps] == [[], [bars.nth(0).locator(".name").inner_text()], steps[2][0]]

    web.page.reload()
    web.await_rows()
    assert shown(web) == steps[2]
    for step in (steps[1], steps[0]):
        web.page.go_back()
        expect(web.page.locator(f"{BARS}[aria-pressed='true']")).to_have_count(len(step[0]))
        web.await_rows()
        assert shown(web) == step
    web.page.go_forward()
    expect(web.page.locator(f"{BARS}[aria-pressed='true']")).to_have_count(1)
    web.await_rows()
    assert shown(web) == steps[1]


def garbage(seed: int) -> str:
    """Return an address of a page with fields that somebody's editor, mail program or malice has been at."""
    chosen = random.Random(seed)
    page = chosen.choice(
        ["/d/hold-history", "/d/wip", "/d/nothing", "/trace", "/timeline", "/saved/x", "/p/%00", "/ops/x"]
    )
    names = [
        "r",
        "f.mode",
        "f.",
        "x.reason",
        "x.",
        "s",
        "v",
        "cols",
        "cmp",
        "m.trend",
        "seed",
        "depth",
        "dir",
        "debug",
        "__proto__",
    ]
    values = [
        "",
        "%",
        "%E0%A4%A",
        "~null",
        "!",
        "!!,",
        ",,,",
        "-0d",
        "..",
        "NaN",
        "a" * 300,
        "%00",
        "%F0%9F%8F%AD",
        "[]",
        "__proto__",
    ]
    fields = [f"{chosen.choice(names)}={chosen.choice(values)}" for _ in range(chosen.randint(1, 6))]
    return f"{page}?{'&'.join(fields)}"


def test_15_no_address_however_broken_gives_a_blank_page(web: WebPage) -> None:
    web.refusals_expected = True
    blank = []
    for seed in range(16):
        address = garbage(seed)
        web.open(address)
        expect(web.page.locator("h1")).to_be_attached()
        if len(web.page.locator("main").inner_text().strip()) < 8:
            blank.append(address)
    assert blank == []


def test_15_a_state_too_long_for_an_address_becomes_a_short_link(web: WebPage, browser: Browser, page_url: str) -> None:
    names = [f"GA{number:010}-{number % 7}" for number in range(200)]
    web.open("/trace")
    web.page.get_by_label("Names").fill("\n".join(names))
    web.page.get_by_role("button", name="Trace", exact=True).click()
    web.page.wait_for_url("**/p/*")
    link = web.page.url.removeprefix(page_url)

    with tab(browser, page_url) as other:
        other.open(link)
        expect(other.page.get_by_label("Names")).to_have_value("\n".join(names))
        other.page.wait_for_url(f"**{link}")
        other.page.reload()
        expect(other.page.get_by_label("Names")).to_have_value("\n".join(names))
        other.page.get_by_role("link", name="Operations").click()
        expect(other.page.locator("h1")).to_have_text("Operations")
        other.page.go_back()
        other.page.wait_for_url(f"**{link}")
        expect(other.page.get_by_label("Names")).to_have_value("\n".join(names))


def test_15_a_short_link_that_leads_nowhere_says_so(web: WebPage) -> None:
    web.refusals_expected = True
    web.open("/p/aaaaaaaaaaaa")

    expect(web.page.get_by_role("heading", level=1)).to_have_text("This link leads nowhere any more")


def a_day_later(route: Route) -> None:
    """Answer the catalogue as it will be tomorrow."""
    answer = fetched(route)
    catalogue = answer.json()
    today = catalogue["plant_time"][:10]
    tomorrow = day_after(today, 1)
    route.fulfill(response=answer, json={**catalogue, "plant_time": catalogue["plant_time"].replace(today, tomorrow)})


def day_after(day: str, days: int) -> str:
    """Return the day so many days later."""
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def test_16_a_saved_view_of_the_last_days_moves_on_with_the_days(web: WebPage, browser: Browser, page_url: str) -> None:
    web.open_result("/d/hold-history?r=-7d")
    field = web.page.get_by_role("textbox", name="From")
    first = field.input_value()
    web.page.get_by_role("button", name="Save", exact=True).click()
    web.page.get_by_role("dialog").get_by_label("Name").fill("The last week")
    web.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(web.page.get_by_role("dialog")).to_have_count(0)

    with tab(browser, page_url) as other:
        other.page.route("**/api/datasets", a_day_later)
        other.open("/saved")
        other.page.get_by_role("link", name="The last week").first.click()
        later = other.page.get_by_role("textbox", name="From")
        expect(later).to_have_value(day_after(first, 1))


@pytest.fixture
def kept(http: httpx.Client) -> Iterator[Callable[[str, str], str]]:
    """Keeps views at the gateway, and forgets them after the test."""
    made: list[str] = []

    def keep(name: str, path: str) -> str:
        made.append(http.post("/api/saved", json={"name": name, "path": path}).json()["id"])
        return made[-1]

    yield keep
    for view in made:
        http.delete(f"/api/saved/{view}")


def test_a_saved_view_is_renamed_and_its_place_is_taken_by_what_is_shown(
    web: WebPage, http: httpx.Client, kept: Callable[[str, str], str]
) -> None:
    view = kept("Of a week", "/d/hold-history?r=-7d")
    web.open("/saved")
    web.page.get_by_role("button", name="Change Of a week").press("Enter")
    dialog = web.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Of some days")
    assert violations(web) == []
    dialog.get_by_label("Name").press("Enter")
    expect(web.page.get_by_role("link", name="Of some days")).to_be_visible()

    web.open_result("/d/hold-history?r=2025-11-03..2025-11-09")
    web.page.get_by_role("button", name="Save", exact=True).click()
    dialog.get_by_label("Save as").select_option(label="In place of: Of some days")
    dialog.get_by_role("button", name="Replace").click()
    expect(dialog).to_have_count(0)

    found = http.get(f"/api/saved/{view}").json()
    assert (found["name"], found["path"]) == ("Of some days", "/d/hold-history?r=2025-11-03..2025-11-09")


def test_a_dataset_opens_with_the_view_that_was_made_its_default(web: WebPage, kept: Callable[[str, str], str]) -> None:
    kept("Of that week", "/d/hold-history?r=2025-11-03..2025-11-09")
    web.open("/saved")
    web.page.get_by_role("button", name="Default Of that week").press("Enter")
    web.open("/")
    web.page.locator("a.card", has_text="Hold history").first.click()
    expect(web.page.get_by_text("Opened with your default view: Of that week")).to_be_visible()
    expect(web.page.get_by_role("textbox", name="From")).to_have_value("2025-11-03")

    web.page.get_by_role("link", name="Open without it").click()
    expect(web.page.get_by_role("textbox", name="From")).not_to_have_value("2025-11-03")
    expect(web.page.get_by_text("Opened with your default view")).to_have_count(0)


def test_16_a_day_is_half_past_seven_to_half_past_seven(web: WebPage, http: httpx.Client) -> None:
    web.open_result(f"{PAGE}&x.day_filter=2025-11-05:new&x.hold_type=all&x.record_type=new,on_hold,released")
    rows = web.page.locator(".scroller .line")
    expect(rows.first).to_be_visible()
    stamps = [re.findall(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}", text)[0] for text in rows.all_inner_texts()]

    assert stamps
    assert all("2025-11-04 07:30" <= stamp < "2025-11-05 07:30" for stamp in stamps)


def test_32_markup_in_a_saved_name_and_note_is_shown_as_text(web: WebPage, http: httpx.Client) -> None:
    kept = {"path": "/d/hold-history?r=-7d", "name": MARKUP, "note": MARKUP}
    view = http.post("/api/saved", json=kept).json()["id"]
    try:
        for page in ("/saved", "/"):
            web.open(page)
            expect(web.page.get_by_text(MARKUP).first).to_be_visible()
            assert (web.page.locator("img").count(), web.page.title() == "owned") == (0, False)
    finally:
        assert http.delete(f"/api/saved/{view}").status_code == 204


def test_32_markup_in_rows_bars_and_errors_is_shown_as_text(web: WebPage) -> None:
    web.refusals_expected = True

    def marked(route: Route) -> None:
        answer = fetched(route)
        views = answer.json()
        for table in views.get("views", {}).values():
            texts = [at for at, column in enumerate(table["columns"]) if "string" in column["type"]]
            for row in table["rows"][:3]:
                for at in texts:
                    row[at] = MARKUP
        route.fulfill(response=answer, json=views)

    web.page.route("**/api/hold-history/view", marked)
    web.open_result(PAGE)
    expect(web.page.locator(".line a", has_text=MARKUP).first).to_be_visible()
    expect(web.page.locator(BARS, has_text=MARKUP).first).to_be_visible()
    web.page.unroute("**/api/hold-history/view")
    problem = {"type": "x", "title": MARKUP, "status": 400, "detail": MARKUP, "code": "INVALID_PARAMETER"}
    web.page.route(
        "**/api/hold-history/view",
        lambda route: route.fulfill(status=400, content_type="application/problem+json", body=json.dumps(problem)),
    )
    web.page.locator(BARS).nth(4).click()
    expect(web.page.get_by_role("alert").get_by_text(MARKUP).first).to_be_visible()

    assert web.page.locator("img").count() == 0
    assert web.page.title() != "owned"
