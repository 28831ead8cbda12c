"""Pictures of every state that the page of a dataset knows, in each language and theme, for people to look at.

They are written to var/pictures; where an older one is there, the share of pixels that differ is written beside them
and judged by whoever looks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from tests.browser.axe import violations
from tests.browser.conftest import browser, page_url  # noqa: F401
from tests.browser.web_page import HOST, SUMMER, WebPage, cancel_all, last_unread, tab
from tests.repo.tree import ROOT
from tests.running_suite import RunningSuite

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

FOLDER: Final = ROOT / "var" / "pictures"
LOOKS: Final = [("en-US", "light"), ("en-US", "dark"), ("zh-TW", "light"), ("zh-TW", "dark")]
RESULT: Final = "/d/hold-history?r=2025-11-01..2025-12-31"

DIFFERENCE: Final = """
async ([one, other]) => {
  const pixels = async (text) => {
    const image = new Image();
    image.src = `data:image/png;base64,${text}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height).data;
  };
  const [a, b] = [await pixels(one), await pixels(other)];
  if (a.length !== b.length) return 1;
  let count = 0;
  const same = (at) => a[at] === b[at] && a[at + 1] === b[at + 1] && a[at + 2] === b[at + 2];
  for (let at = 0; at < a.length; at += 4) if (!same(at)) count += 1;
  return count / (a.length / 4);
}
"""


def refusal(status: int, code: str, retry_after_s: int = 0) -> Callable[[Route], None]:
    """Return an answer as the gateway refuses."""
    body = {"type": f"/problems/{code}", "title": code, "status": status, "detail": "", "code": code}
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else {}

    def answer(route: Route) -> None:
        route.fulfill(status=status, headers=headers, content_type="application/problem+json", body=json.dumps(body))

    return answer


def asked_through(route: Route) -> APIResponse:
    """Return what the gateway answers; only the browser knows the name that it is shown under."""
    return route.fetch(url=route.request.url.replace(HOST, "127.0.0.1"))


def with_receipt(**changes: object) -> Callable[[Route], None]:
    """Return an answer of the gateway whose receipt says something else."""

    def answer(route: Route) -> None:
        response = asked_through(route)
        body = response.json()
        if "receipt" in body:
            body["receipt"].update(changes)
        route.fulfill(response=response, json=body)

    return answer


def press_run(web: WebPage) -> None:
    web.page.locator("button.run").click()


def never_run(web: WebPage) -> None:
    web.choose("2023-12-01", "2023-12-31")
    expect(web.page.locator(".cells .cell.planned").first).to_be_visible()


def no_rows(web: WebPage) -> None:
    web.choose("2022-01-01", "2022-01-31")
    press_run(web)
    expect(web.page.locator(".banner strong").first).to_be_visible()


def slice_empty(web: WebPage) -> None:
    web.open_result(RESULT)
    web.open(f"{RESULT}&x.reason=nobody")
    expect(web.page.locator(".banner .button").first).to_be_visible()


def running_first(web: WebPage) -> None:
    web.choose(*SUMMER)
    press_run(web)
    expect(web.page.locator(".cells .cell.done, .cells .cell.reused").first).to_be_visible()


def running_again(web: WebPage) -> None:
    web.open_result(RESULT)
    ends = web.page.locator("input[type='date']")
    for field, day in zip((ends.nth(0), ends.nth(1)), SUMMER, strict=True):
        field.fill(day)
    press_run(web)
    expect(web.page.locator(".cells .cell.running, .cells .cell.queued").first).to_be_visible()


def partial(web: WebPage) -> None:
    web.choose(*SUMMER)
    press_run(web)
    web.await_rows()
    expect(web.page.locator(".banner.warn").first).to_be_visible()


def truncated(web: WebPage) -> None:
    cut = [{"part": "slice", "start": "2025-11-01T07:30:00", "end": "2025-11-08T07:30:00", "code": "ROW_CAP"}]
    web.page.route("**/api/hold-history/view", with_receipt(status="truncated", truncated_ranges=cut))
    web.open_result(RESULT)
    expect(web.page.locator(".banner.warn").first).to_be_visible()


def expired(web: WebPage) -> None:
    web.open_result(RESULT)
    web.page.route("**/api/hold-history/view", refusal(410, "CACHE_EXPIRED"))
    web.page.route("**/api/hold-history/plan", long_plan)
    web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").first.click()
    expect(web.page.locator(".banner.warn .button.primary")).to_be_visible()


def long_plan(route: Route) -> None:
    response = asked_through(route)
    route.fulfill(response=response, json={**response.json(), "estimated_duration_s": 40})


def failed(web: WebPage) -> None:
    web.choose("2025-02-01", "2025-02-27")
    web.page.route("**/api/hold-history/query", refusal(500, "INTERNAL"))
    press_run(web)
    expect(web.page.get_by_role("alert").first).to_be_visible()


def cache_degraded(web: WebPage) -> None:
    web.page.route("**/api/hold-history/view", with_receipt(degraded=True, tier="memory"))
    web.open_result(RESULT)
    expect(web.page.locator(".badge.stale").first).to_be_visible()


def warehouse_busy(web: WebPage) -> None:
    web.choose("2025-02-01", "2025-02-26")
    web.page.route("**/api/hold-history/query", refusal(503, "POOL_EXHAUSTED", 300))
    press_run(web)
    expect(
        web.page.get_by_role("button", name="Try now").or_(web.page.get_by_role("button", name="立即重試"))
    ).to_be_visible()


def offline(web: WebPage) -> None:
    web.open_result(RESULT)
    web.page.route("**/api/**", lambda route: route.abort())
    press_run(web)
    expect(web.page.get_by_role("alert").first).to_be_visible()


STATES: Final[Mapping[str, Callable[[WebPage], None]]] = {
    "never-run": never_run,
    "no-rows": no_rows,
    "slice-empty": slice_empty,
    "running-first": running_first,
    "running-again": running_again,
    "partial": partial,
    "truncated": truncated,
    "expired": expired,
    "failed": failed,
    "cache-degraded": cache_degraded,
    "warehouse-busy": warehouse_busy,
    "offline": offline,
}


def differing_share(page: Page, one: bytes, other: bytes) -> float:
    """Return the share of pixels that are not the same; 1 where the sizes differ."""
    page.goto("about:blank")
    texts = [base64.b64encode(picture).decode("ascii") for picture in (one, other)]
    return float(page.evaluate(DIFFERENCE, texts))


@pytest.mark.parametrize(("locale", "theme"), LOOKS)
def test_31_every_state_has_its_picture_and_no_violation(
    browser: Browser,  # noqa: F811
    page_url: str,  # noqa: F811
    suite: RunningSuite,
    http: httpx.Client,
    locale: str,
    theme: str,
) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    written: dict[str, float | None] = {}
    wrong: dict[str, list[str]] = {}
    for name, reach in STATES.items():
        path: Path = FOLDER / f"{name}-{locale}-{theme}.png"
        before = path.read_bytes() if path.exists() else None
        last = last_unread(suite)
        fault = {**last, "code": "WAREHOUSE_ERROR"} if name == "partial" else {**last, "delay_s": 600}
        with (
            suite.faults([fault]),
            tab(browser, page_url, locale=locale, color_scheme=theme, reduced_motion="reduce") as web,
        ):
            web.refusals_expected = True
            reach(web)
            now = web.page.screenshot(path=str(path))
            wrong |= {name: found} if (found := violations(web)) else {}
            web.page.unroute_all(behavior="ignoreErrors")
            cancel_all(http)
            written[name] = None if before is None else differing_share(web.page, before, now)
    shares = {name: round(share, 4) for name, share in written.items() if share is not None}
    (FOLDER / f"differences-{locale}-{theme}.json").write_text(json.dumps(shares, indent=1), encoding="utf-8")
    assert (sorted(written), wrong) == (sorted(STATES), {})
