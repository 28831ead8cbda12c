"""From a bar to its lots, their family and what happened to them, without typing a name again."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.web_page import WebPage

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


def test_21_a_failed_domain_leaves_the_others(web: WebPage, order: str) -> None:
    web.refusals_expected = True
    web.page.route("**/api/events/holds", lambda route: route.abort())
    web.open(f"/timeline?s={order}-001,{order}-002")

    expect(web.page.get_by_text("Holds unavailable")).to_be_visible()
    expect(web.page.locator("tbody tr").first).to_be_visible()
    rejects = web.page.get_by_role("button", name="Rejects")
    rejects.click()
    expect(rejects).to_have_attribute("aria-pressed", "false")
