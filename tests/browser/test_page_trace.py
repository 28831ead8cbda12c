"""From a bar to its lots, their family and what happened to them, without typing a name again."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.made_families import tell
from tests.browser.web_page import WebPage, number

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def order(suite_http: httpx.Client) -> str:
    """A work order of which something is left to trace."""
    answer = suite_http.post(
        "/api/hold-history/query",
        json={"start_date": "2025-10-01", "end_date": "2025-12-31", "views": ["list"], "page_size": 200},
        headers={"Prefer": "wait=60"},
    ).json()
    orders = [row[1] for row in answer["views"]["list"]["rows"] if str(row[1]).startswith("GA")]
    return str(orders[0])


def nodes(page: Page) -> set[str]:
    """Return the ids of the containers that are shown."""
    return set(page.locator("[data-node]").evaluate_all("(items) => items.map((item) => item.dataset.node)"))


def test_20_graph_and_table_list_the_same_containers(web: WebPage, order: str) -> None:
    web.open(f"/trace?kind=work_order&seed={order}")
    expect(web.page.locator("[data-node]").first).to_be_visible()
    expect(web.page.get_by_text("Loading the genealogy")).to_have_count(0)
    drawn = nodes(web.page)
    asked = len(web.asked)

    web.page.get_by_role("button", name="Table").click()

    assert nodes(web.page) == drawn
    assert len(web.asked) == asked


def test_19_names_that_mean_nothing_are_listed(web: WebPage, order: str) -> None:
    web.open("/trace")
    web.page.get_by_label("Kind").select_option("work_order")
    web.page.get_by_label("Names").fill(f"{order}\nGA0000000000\tGA0000000001")
    web.page.get_by_role("button", name="Trace", exact=True).click()

    expect(web.page.get_by_text("Not found: GA0000000000, GA0000000001")).to_be_visible()
    expect(web.page.locator("[data-node]").first).to_be_visible()


def test_18_a_lot_leads_to_its_family_its_timeline_and_back(web: WebPage) -> None:
    web.open_result("/d/hold-history?r=2025-10-01..2025-12-31")
    bar = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").first
    bar.click()
    expect(bar).to_have_attribute("aria-pressed", "true")
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)
    sliced = web.page.url
    lot = web.page.locator(".line .td a[href*='kind=lot_id']", has_text="GA").first
    name = lot.inner_text()
    lot.click()
    seed = web.page.locator(f".node.seed[aria-label*='{name}']")
    expect(seed).to_be_visible()
    seed.click()
    web.page.get_by_role("link", name="Open timeline").click()
    expect(web.page.get_by_test_id("event-count")).to_be_visible()
    expect(web.page.locator("tbody tr").first).to_contain_text(name)

    web.page.go_back()
    web.page.go_back()

    expect(web.page.locator(".chip")).to_have_count(1)
    assert web.page.url == sliced


def test_18_descendants_of_the_lots_behind_a_bar_lead_to_their_events_and_their_history(
    web: WebPage, http: httpx.Client
) -> None:
    web.open_result("/d/hold-history?r=2025-10-01..2025-12-31&x.hold_type=all")
    web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").nth(2).click()
    expect(web.page.locator(".chip").first).to_be_visible()
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)
    web.page.get_by_role("button", name="Lots behind these rows").click()
    lots = number(web.page.get_by_test_id("lot-count").inner_text())
    assert 0 < lots <= web.grid_count()
    web.page.get_by_role("dialog", name="Lots behind these rows").get_by_role("link", name="Trace", exact=True).click()
    found = web.page.get_by_text(re.compile(r"^[\d,]+ containers? found$"))
    expect(found).to_be_visible()
    unknown = web.page.get_by_text("Not found:")
    named = unknown.inner_text().partition(":")[2].split(",") if unknown.count() else []
    # A lot whose record is gone goes by its key, which is no name.
    assert number(found.inner_text()) + len(named) == lots
    expect(web.page.get_by_text("Loading the genealogy")).to_have_count(0)

    web.page.get_by_role("button", name="Table", exact=True).click()
    unfold = web.page.get_by_role("button", name="Show all siblings")
    if unfold.count():
        unfold.click()
    rows = web.page.locator("tr[data-node]:not(:has(strong))")
    ids = []
    for index in range(3):
        ids.append(rows.nth(index).get_attribute("data-node"))
        rows.nth(index).get_by_role("checkbox").check()
    expect(web.page.get_by_text("3 selected")).to_be_visible()
    web.page.get_by_role("link", name="Open timeline").click()
    expect(web.page.get_by_test_id("event-count")).to_be_visible()

    web.page.go_back()
    expect(web.page.get_by_text("3 selected")).to_be_visible()
    expect(web.page.locator("tr[data-node] input:checked")).to_have_count(3)
    web.page.locator("aside").get_by_role("link", name="Lot history", exact=True).click()
    expect(web.page.locator("h1")).to_have_text("Lot history")
    web.page.locator("button.run").click()
    expect(web.page.locator(".receipt .badge").first).to_be_visible()
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)
    asked = {"mode": "keys", "container_ids": ids, "views": ["list"]}
    answer = http.post("/api/lot-history/query", json=asked, headers={"Prefer": "wait=60"}).json()
    assert web.grid_count() == answer["views"]["list"]["page"]["total_count"]


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until what has the focus is what is meant; fails after more than the page has to offer."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never reaches {selector}")


def test_26_the_way_from_a_bar_to_the_history_of_its_lots_needs_no_mouse(web: WebPage) -> None:
    web.open_result("/d/hold-history?r=2025-10-01..2025-12-31&x.hold_type=all")
    keys = web.page.keyboard
    tab_to(web.page, "section[aria-labelledby='view-reason_pareto'] .bar")
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        keys.press(key)
    expect(web.page.locator(".bar[aria-pressed='true']")).to_have_count(1)
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)
    tab_to(web.page, ".lots > button")
    keys.press("Enter")
    expect(web.page.get_by_test_id("lot-count")).to_be_visible()
    tab_to(web.page, ".lots a[href*='/trace?'], .lots a[href*='/p/']")
    keys.press("Enter")
    expect(web.page.get_by_text("Loading the genealogy")).to_have_count(0)
    expect(web.page.locator("[data-node]").first).to_be_visible()

    tab_to(web.page, "[data-node]")
    keys.press("Enter")
    expect(web.page.get_by_text("1 selected")).to_be_visible()
    tab_to(web.page, "aside a[href*='/lot-history?']")
    keys.press("Enter")
    expect(web.page.locator("h1")).to_have_text("Lot history")
    keys.press("Control+Enter")
    expect(web.page.locator(".receipt .badge").first).to_be_visible()


FAMILY = [
    ("root", "left", "split_from"),
    ("root", "right", "split_from"),
    ("left", "one", "split_from"),
    ("right", "two", "split_from"),
    ("one", "both", "merge_source"),
    ("two", "both", "merge_source"),
    ("one", "again", "gd_rework_source"),
    ("wafer", "root", "wafer_origin"),
    ("again", "one", "split_from"),
]


@pytest.fixture
def family(web: WebPage) -> WebPage:
    """A tab that traces two lots of a family with everything that a plant can do to lots, a loop and a cut included."""
    tell(web, ["one", "two"], FAMILY, truncated=["wafer"])
    web.open("/trace?kind=lot_id&seed=ONE,TWO")
    # The lots asked for are there before their family is.
    expect(web.page.locator("path.edge")).to_have_count(len(FAMILY))
    return web


def test_20_each_kind_of_edge_is_drawn_as_its_own(family: WebPage) -> None:
    counts = {kind: family.page.locator(f"path.edge.{kind}").count() for kind in ("split", "merge", "rework", "origin")}

    legend = family.page.locator(".legend").inner_text()
    assert counts == {"split": 5, "merge": 2, "rework": 1, "origin": 1}
    assert all(word in legend for word in ("split", "merge", "rework", "wafer origin"))


def test_20_a_loop_and_a_cut_are_said(family: WebPage) -> None:
    expect(family.page.get_by_text("A loop in the records is drawn in red.")).to_be_visible()
    expect(family.page.get_by_text("The depth limit cut the walk at 1 container")).to_be_visible()
    assert family.page.locator("path.edge.loop").count() == 1


def test_20_common_ancestors_are_those_of_every_seed(family: WebPage) -> None:
    family.page.get_by_role("button", name="Common ancestors").click()

    names = family.page.get_by_test_id("common").get_by_role("button").all_inner_texts()
    assert sorted(names) == ["ROOT", "WAFER"]


def test_20_a_large_family_is_one_card_until_it_is_opened(web: WebPage) -> None:
    tell(web, ["p"], [("p", f"c{number:02}", "split_from") for number in range(30)])
    web.open("/trace?kind=lot_id&seed=P")
    card = web.page.get_by_role("button", name="30 siblings")
    expect(card).to_be_visible()
    expect(web.page.locator("[data-node]")).to_have_count(2)

    card.click()
    expect(web.page.locator("[data-node]")).to_have_count(31)
    web.page.get_by_role("button", name="Fold large families").click()
    expect(web.page.locator("[data-node]")).to_have_count(2)


def test_21_a_failed_domain_leaves_the_others(web: WebPage, order: str) -> None:
    web.refusals_expected = True
    web.page.route("**/api/events/holds", lambda route: route.abort())
    web.open(f"/timeline?s={order}-001,{order}-002")

    expect(web.page.get_by_text("Holds unavailable")).to_be_visible()
    expect(web.page.locator("tbody tr").first).to_be_visible()
    rejects = web.page.get_by_role("button", name="Rejects")
    rejects.click()
    expect(rejects).to_have_attribute("aria-pressed", "false")


def test_a_machines_old_job_does_not_stretch_the_first_view_of_a_lot_and_is_one_click_away(
    web: WebPage, order: str
) -> None:
    job = {"CREATEDATE": "2019-05-01T00:00:00", "COMPLETEDATE": "2019-05-02T00:00:00", "JOBID": "OLD-JOB"}

    def old_job(route: Route) -> None:
        asked = json.loads(route.request.post_data or "{}")
        records = {asked["container_ids"][0]: [job]}
        route.fulfill(json={"domain": "jobs", "records_by_cid": records, "failed_batches": [], "warnings": []})

    web.page.route("**/api/events/jobs", old_job)
    web.open(f"/timeline?s={order}-001,{order}-002")
    outside = web.page.get_by_test_id("outside")
    expect(outside).to_contain_text("outside this view")
    expect(web.page.get_by_text("OLD-JOB")).to_have_count(0)

    web.page.get_by_role("button", name="Show all").click()

    expect(outside).to_have_count(0)
    expect(web.page.locator("tbody").get_by_text("OLD-JOB")).to_be_visible()
    web.page.get_by_role("button", name="Fit").click()
    expect(outside).to_be_visible()


def test_20_ancestors_of_most_seeds_are_counted_where_no_one_is_that_of_all(web: WebPage) -> None:
    seeds = ["s1", "s2", "s3", "s4"]
    tell(web, seeds, [*(("wafer", seed, "wafer_origin") for seed in seeds[:3]), ("other", "s4", "split_from")])
    web.open("/trace?kind=lot_id&seed=S1,S2,S3,S4")
    web.page.get_by_role("button", name="Common ancestors").click()

    expect(web.page.get_by_text("None is shared by all 4.")).to_be_visible()
    expect(web.page.get_by_test_id("common").get_by_role("listitem")).to_have_text(["WAFER LOT · 3 of 4"])
