"""Rows that the page holds: what its own thread computes equals what the gateway answers, and outlives its copy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from tests.browser.web_page import WebPage, tab
from tests.browser.web_source import WEB_DIR
from tests.dataset_frames import load
from tests.every_dataset import Values, asked, looked_at
from tests.local_looks import Asked, Json, worker_path
from tests.polling import poll_until
from tests.running_suite import RunningSuite, open_http

pytestmark = pytest.mark.browser

GOLDENS = WEB_DIR / "src" / "local" / "goldens"
GOLDEN_QUESTIONS: Mapping[str, Json] = {
    "hold-history": {"start_date": "2025-06-12", "end_date": "2025-06-20"},
    "reject-history": {"mode": "date_range", "start_date": "2025-10-01", "end_date": "2025-10-14"},
}
GOLDEN_LOOKS: Mapping[str, Sequence[Json]] = {
    "hold-history": [
        {},
        {"hold_type": "all", "record_type": ["new", "on_hold", "released"], "sort": "lot_id", "descending": False},
        {"hold_type": "all", "reason": {"exclude": [None]}, "page": 2},
        {"hold_type": "all", "reason": ["Low yield", "(not filled)"], "duration_range": ">3d"},
        {"hold_type": "all", "days": "new:2025-06-14..2025-06-17"},
        {"record_type": ["released"], "day_filter": "2025-06-18:release", "sort": "qty"},
    ],
    "reject-history": [
        {},
        {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "scope": "all"},
        {"granularity": "week", "metric_mode": "defect", "metric_filter": "defect"},
        {"trend_dates": ["2025-10-03", "2025-10-04"], "sort": "lot_id", "descending": True},
    ],
}

SLICED_HERE = ("hold-history", "reject-history", "resource-history", "mid-section-defect", "lot-history")
"""Datasets whose views use between them everything that the page can compute."""

LOOK_HERE = """
async ({ address, opening, looks }) => {
  const worker = new Worker(address, { type: "module" });
  const ask = (order, id) => new Promise((resolve) => {
    const heard = (event) => {
      if (event.data.id !== id) return;
      worker.removeEventListener("message", heard);
      resolve(event.data);
    };
    worker.addEventListener("message", heard);
    worker.postMessage({ ...order, id });
  });
  const opened = await ask({ open: opening }, 0);
  const answers = [];
  for (const [index, look] of looks.entries()) answers.push(await ask(look, index + 1));
  worker.terminate();
  return { opened, answers };
}
"""


@pytest.fixture(scope="module")
def gateway(suite: RunningSuite) -> Iterator[httpx.Client]:
    with open_http(suite.url) as client:
        yield client


@pytest.fixture(scope="module")
def definitions(gateway: httpx.Client) -> dict[str, Json]:
    """Definitions of all datasets that are queried, by name."""
    listed = gateway.get("/api/datasets").raise_for_status().json()["datasets"]
    return {dataset["name"]: dataset for dataset in listed if dataset["kind"] == "query"}


@pytest.fixture(scope="module")
def blank(browser: Browser, page_url: str) -> Iterator[WebPage]:
    """A tab on a page that asks for nothing, from which workers are started."""
    with tab(browser, page_url) as opened:
        opened.open("/saved")
        expect(opened.page.locator("h1")).to_be_visible()
        yield opened


@pytest.fixture(scope="module")
def worker(gateway: httpx.Client) -> str:
    """The worker's address, relative to the page."""
    return worker_path(gateway).removeprefix("/")


def looked_here(page: Page, worker: str, case: Json) -> list[Json]:
    """Return what the worker answers: each view of each look by itself, so that one refused spoils no other."""
    names = list(case["computation"]["views"])
    opening = {
        "address": f"/api/{case['route']}/frame?query_id={case['query_id']}&format=arrow",
        "computation": case["computation"],
        "parameters": case["parameters"],
        "formats": case["formats"],
        "asOf": case["as_of_time"],
        "mostRows": 1_000_000,
        "mostBytes": 400_000_000,
    }
    opening["address"] = page.evaluate("(path) => new URL(path.slice(1), document.baseURI).href", opening["address"])
    looks = [{"views": [name], "body": look["body"]} for look in case["looks"] for name in names]
    answered = page.evaluate(LOOK_HERE, {"address": worker, "opening": opening, "looks": looks})
    assert "opened" in answered["opened"], answered["opened"]
    answers: list[Json] = answered["answers"]
    return answers


def compared(case: Json, answers: Sequence[Json]) -> tuple[list[str], list[str]]:
    """Return views of looks that the worker left to the gateway, and the differences of all others."""
    names = list(case["computation"]["views"])
    refused, wrong = [], []
    for number, answer in enumerate(answers):
        look, name = case["looks"][number // len(names)], names[number % len(names)]
        if "refused" in answer:
            refused.append(f"{case['dataset']}.{name}: {answer['refused']}")
            continue
        found, expected = answer["tables"][name], look["views"][name]
        if (found["rows"], found.get("page")) != (expected["rows"], expected.get("page")):
            rows = zip(found["rows"], expected["rows"], strict=False)
            first = next(((mine, theirs) for mine, theirs in rows if mine != theirs), "other rows or another page")
            wrong.append(f"{case['dataset']} {case['parameters']} {look['body']} {name}: {first}")
    return refused, wrong


@pytest.mark.parametrize("name", SLICED_HERE)
def test_random_slices_equal_those_of_the_gateway(
    name: str,
    twin_path: Path,
    gateway: httpx.Client,
    definitions: dict[str, Json],
    blank: WebPage,
    worker: str,
) -> None:
    dataset = next(item for item in load() if item.name == name)
    values = Values.of(twin_path)
    refused: list[str] = []
    wrong: list[str] = []

    # The first that is drawn is always the simplest, so that two are needed for one that is not.
    @settings(max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def look_around(data: st.DataObject) -> None:
        question = Asked(gateway, definitions[name], data.draw(asked(dataset, values)))
        offered = question.options()
        slices: list[dict[str, Any]] = [data.draw(looked_at(dataset, offered)) for _ in range(3)]
        case = question.case(slices, frame=False)
        left, differing = compared(case, looked_here(blank.page, worker, case))
        refused.extend(left)
        wrong.extend(differing)

    look_around()
    assert wrong == []
    assert refused == []


@pytest.mark.parametrize("name", GOLDEN_QUESTIONS)
def test_the_goldens_that_the_page_is_built_against_are_what_the_gateway_answers(
    name: str, request: pytest.FixtureRequest, gateway: httpx.Client, definitions: dict[str, Json]
) -> None:
    question = Asked(gateway, definitions[name], GOLDEN_QUESTIONS[name])
    case = question.case(GOLDEN_LOOKS[name])
    path = GOLDENS / f"{name}.json"
    if request.config.getoption("--write-golden"):
        text = json.dumps(case, ensure_ascii=False, indent=1, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")

    golden = json.loads(path.read_text(encoding="utf-8"))
    for part in ("looks", "parameters", "formats", "as_of_time"):
        assert case[part] == golden[part], part


PAGE = "/d/hold-history?r=2025-09-02..2025-12-31&x.hold_type=all"


def drag_over_the_trend(web: WebPage) -> None:
    """Begin to draw a stretch over the middle of the trend with the mouse, which stays pressed."""
    chart = web.page.locator("section[aria-labelledby='view-trend'] .chart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    web.page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    web.page.mouse.down()
    web.page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=8)


def moved(web: WebPage) -> bool:
    """Move the mouse a little further, to and fro, as a hand does; true."""
    box = web.page.locator("section[aria-labelledby='view-trend'] .chart").bounding_box()
    assert box is not None
    for share in (0.45, 0.55):
        web.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
    return True


def bars(web: WebPage) -> str:
    """Return the reasons and their figures as they are shown."""
    return web.page.locator("section[aria-labelledby='view-reason_pareto'] .bars").inner_text()


def test_a_stretch_that_is_drawn_shows_at_once_and_asks_when_it_ends(web: WebPage) -> None:
    web.open_result(PAGE)
    shown = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bars .value")
    before = shown.all_inner_texts()
    with web.page.expect_event("worker"):
        drag_over_the_trend(web)
    looks = len(web.calls("/view"))
    # What is drawn shows as soon as the rows are here.
    poll_until(lambda: moved(web) and shown.all_inner_texts() != before, 60, "the bars of what is drawn")
    assert len(web.calls("/view")) == looks

    web.page.mouse.up()
    expect(web.page.locator(".chip", has_text="Days")).to_be_visible()
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)

    assert len(web.calls("/view")) > looks


def test_esc_gives_a_drawn_stretch_up(web: WebPage) -> None:
    web.open_result(PAGE)
    before = bars(web)
    drag_over_the_trend(web)
    expect(web.page.locator(".stretch")).to_be_visible()
    web.page.keyboard.press("Escape")
    web.page.mouse.up()

    expect(web.page.locator(".stretch")).to_have_count(0)
    assert (bars(web), "x.days" in web.page.url) == (before, False)


def test_rows_that_expired_are_looked_at_in_the_page_that_still_holds_them(web: WebPage, http: httpx.Client) -> None:
    web.refusals_expected = True
    web.open_result(PAGE)
    before = bars(web)
    drag_over_the_trend(web)
    # Once something shows that was drawn, the rows are here.
    poll_until(lambda: moved(web) and bars(web) != before, 60, "the bars of what is drawn")
    web.page.mouse.up()
    expect(web.page.locator(".chip", has_text="Days")).to_be_visible()
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)
    web.page.locator(".chip", has_text="Days").get_by_role("button").click()
    expect(web.page.locator(".chip", has_text="Days")).to_have_count(0)
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)
    queries = len(web.calls("/query"))
    expired = {"type": "/problems/CACHE_EXPIRED", "title": "", "status": 410, "detail": "", "code": "CACHE_EXPIRED"}
    body = json.dumps(expired)
    web.page.route(
        "**/api/hold-history/view",
        lambda route: route.fulfill(status=410, content_type="application/problem+json", body=body),
    )

    bar = web.page.locator("section[aria-labelledby='view-reason_pareto'] .bar").first
    name = bar.locator(".name").inner_text()
    bar.click()
    expect(web.page.get_by_text("from the rows this page holds")).to_be_visible()
    expect(web.page.locator("[aria-busy='true']")).to_have_count(0)

    question = {"start_date": "2025-09-02", "end_date": "2025-12-31", "views": []}
    query_id = http.post("/api/hold-history/query", json=question, headers={"Prefer": "wait=60"}).json()["query_id"]
    look = {"query_id": query_id, "view": "list", "hold_type": "all", "reason": name, "page_size": "1"}
    expected = http.get("/api/hold-history/view", params=look).json()["views"]["list"]["page"]["total_count"]
    assert (web.grid_count(), len(web.calls("/query"))) == (expected, queries)
