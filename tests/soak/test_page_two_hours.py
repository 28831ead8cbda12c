"""A page that is used for two hours grows by little and leaves nothing running: 50 runs, 500 slices.

`--soak-share 0.02` takes that share of the time and of the clicks.
"""

from __future__ import annotations

import json
import random
import re
import time
from typing import Final

import pytest
from playwright.sync_api import Browser, CDPSession, Page, Request, expect

from tests.browser.conftest import browser, page_url  # noqa: F401
from tests.browser.web_page import tab
from tests.repo.tree import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(3 * 3600)]

REPORT: Final = ROOT / "var" / "page-soak.json"
LENGTH_S: Final = 2 * 3600
RUN_COUNT: Final = 50
SLICES_PER_RUN: Final = 10
MOST_GROWTH: Final = 30 * 1024 * 1024
MOST_NODES: Final = 3500
"""Elements of the page of a dataset, whatever was clicked before."""
WARM_UPS: Final = 2
"""Runs before memory is looked at: code is compiled and caches of the page are filled by then."""
STREAM: Final = re.compile(r"/api/queries/[0-9a-f]{16}/events$")
CHARTS: Final = "[_echarts_instance_]"


def heap_bytes(session: CDPSession) -> int:
    """Return the bytes of live objects."""
    session.send("HeapProfiler.collectGarbage")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return int(next(metric["value"] for metric in metrics if metric["name"] == "JSHeapUsedSize"))


def run_once(page: Page, number: int) -> None:
    """Ask for another range, then slice: bars, a stretch of days, and back."""
    draw = random.Random(number)
    month = draw.randint(1, 11)
    ends = page.locator("input[type='date']")
    ends.nth(0).fill(f"2025-{month:02}-01")
    ends.nth(1).fill(f"2025-{month + 1:02}-{draw.randint(1, 28):02}")
    page.locator("button.run").click()
    expect(page.locator(".receipt .badge").first).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    for _ in range(SLICES_PER_RUN):
        slice_once(page, draw)


def slice_once(page: Page, draw: random.Random) -> None:
    """Choose a bar, or draw a stretch on the trend."""
    expect(page.locator("[aria-busy='true']")).to_have_count(0)
    bars = page.locator("section[aria-labelledby='view-reason_pareto'] .bar")
    if draw.random() < 0.7 and bars.count():
        bars.nth(draw.randrange(bars.count())).click()
    else:
        box = page.locator("section[aria-labelledby='view-trend'] .chart").bounding_box()
        assert box is not None
        left = draw.uniform(0.1, 0.6)
        page.mouse.move(box["x"] + box["width"] * left, box["y"] + 90)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * (left + 0.2), box["y"] + 90, steps=6)
        page.mouse.up()
    expect(page.locator("[aria-busy='true']")).to_have_count(0)


def streams_of(page: Page) -> set[Request]:
    """Return the page's event streams that are open, kept true from now on."""
    streams: set[Request] = set()

    def began(asked: Request) -> None:
        if STREAM.search(asked.url):
            streams.add(asked)

    def ended(asked: Request) -> None:
        streams.discard(asked)

    page.on("request", began)
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    return streams


def test_30_two_hours_of_clicks_leave_memory_workers_streams_and_charts_as_they_were(
    browser: Browser,  # noqa: F811
    page_url: str,  # noqa: F811
    request: pytest.FixtureRequest,
) -> None:
    share = float(request.config.getoption("--soak-share"))
    runs = max(WARM_UPS + 2, round(RUN_COUNT * share))
    with tab(browser, page_url) as web:
        web.refusals_expected = True
        page = web.page
        streams = streams_of(page)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        web.choose("2025-01-01", "2025-01-31")
        before = 0
        started = time.monotonic()
        for number in range(runs):
            run_once(page, number)
            if number + 1 == WARM_UPS:
                before = heap_bytes(session)
            # What is left of the time is spent as people spend it: looking.
            due = started + LENGTH_S * share * (number + 1) / runs
            page.wait_for_timeout(max(0.0, due - time.monotonic()) * 1000)
            del web.asked[:-200]
        growth = heap_bytes(session) - before
        held = (len(page.workers), page.locator(CHARTS).count() - page.locator(".chart").count(), len(streams))
        nodes = page.evaluate("document.querySelectorAll('*').length")
        page.get_by_role("link", name="Saved").first.click()
        expect(page.locator("h1")).to_be_visible()
        left = (len(page.workers), page.locator(CHARTS).count(), len(streams))
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({"runs": runs, "heap_growth_bytes": growth, "elements": nodes}), encoding="utf-8")
    assert growth < MOST_GROWTH
    assert nodes <= MOST_NODES
    # A worker holds the rows of the result; each chart that is shown has one drawing; no stream outlives its query.
    assert (held[0] <= 1, held[1:]) == (True, (0, 0))
    assert left == (0, 0, 0)
