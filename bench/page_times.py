"""(p) How quick the web page is in a real browser: medians of five beside a calibration loop run in the same browser.

Budgets are those of an office machine; what lies above one is named and breaks nothing, since the machine decides too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.hold_plant import hold_plant
from bench.measure import Comparison, percentile
from bench.serving import serving
from tests.browser.made_families import tell
from tests.browser.web_page import HOST, PATIENCE_MS, WebPage, tab
from tests.browser_programs import chromium
from tests.local_looks import formats, worker_path
from tests.polling import poll_until

HOLD_COUNT: Final = 1_000_000
START, END = "2024-01-01", "2025-12-30"
SCOPE: Final = f"/d/hold-history?r={START}..{END}"
ROUNDS: Final = 5
CLICKS: Final = 15
FAMILY_SIZE: Final = 500
SLOW_NETWORK: Final = {
    "offline": False,
    "latency": 5,
    "downloadThroughput": 10_000_000 / 8,
    "uploadThroughput": 10_000_000 / 8,
}

CALIBRATION: Final = """
() => {
  const started = performance.now();
  let sum = 0;
  for (let at = 0; at < 30_000_000; at += 1) sum = (sum + at * 7) % 1_000_003;
  return sum < 0 ? 0 : performance.now() - started;
}
"""
PAINT: Final = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
WATCH_CHART: Final = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('.chart canvas')) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { window.chartAt = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""
SETTLED: Final = """
const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
const settled = async () => {
  while (document.querySelector("[aria-busy='true']")) await new Promise((done) => setTimeout(done, 2));
  await painted();
};
"""


def _clicked(targets: str, seen: str) -> str:
    """Return the script that clicks one of the elements that CSS names and returns the ms until it is seen."""
    return f"""async (at) => {{{SETTLED}
  const targets = document.querySelectorAll({targets!r});
  const started = performance.now();
  targets[at % targets.length].click();
  {seen}
  return performance.now() - started;
}}"""


CLICK_BAR: Final = _clicked("section[aria-labelledby=view-reason_pareto] .bar", "await painted(); await settled();")
REDRAW: Final = _clicked("section[aria-labelledby=view-trend] [aria-label=Measure] button", "await painted();")
JUMP: Final = """
async (row) => {
  const scroller = document.querySelector(".scroller");
  const started = performance.now();
  scroller.scrollTop = 26 * row;
  for (;;) {
    await new Promise((done) => requestAnimationFrame(done));
    const line = scroller.querySelector(`.line[aria-rowindex="${row + 2}"]`);
    if (line && !line.textContent.startsWith("…")) return performance.now() - started;
  }
}
"""
SCROLL: Final = """
async () => {
  const scroller = document.querySelector(".scroller");
  const frames = [];
  let last = performance.now();
  for (let at = 0; at < 120; at += 1) {
    scroller.scrollTop = 26 * ((at * 7919) % 100_000);
    await new Promise((done) => requestAnimationFrame(done));
    frames.push(performance.now() - last);
    last = performance.now();
  }
  return frames;
}
"""
LOOK_LOCALLY: Final = """
async ({ worker, opening, bodies }) => {
  const script = new Worker(worker, { type: "module" });
  const ask = (order, id) => new Promise((done) => {
    script.onmessage = (event) => done(event.data);
    script.postMessage({ ...order, id });
  });
  const started = performance.now();
  const opened = await ask({ open: opening }, 0);
  const loaded = performance.now() - started;
  const times = [];
  for (const [at, body] of bodies.entries()) {
    const from = performance.now();
    const answer = await ask({ views: ["reason_pareto", "duration", "hours"], body }, at + 1);
    if (!answer.tables) throw new Error(answer.refused);
    times.push(performance.now() - from);
  }
  script.terminate();
  return { opened, loaded, times };
}
"""


@dataclass(frozen=True)
class Budget:
    """What was measured, in milliseconds, against what was allowed."""

    name: str
    times_ms: Sequence[float]
    most_ms: float
    share: float = 0.5

    def line(self) -> str:
        """Return one line for the report."""
        found = percentile(tuple(self.times_ms), self.share)
        kind = "median" if self.share == 0.5 else f"p{round(self.share * 100)}"
        verdict = "within" if found <= self.most_ms else "ABOVE"
        return f"{self.name}: {kind} {found:,.0f} ms of {len(self.times_ms)}, {verdict} {self.most_ms:,.0f} ms"


def run() -> tuple[list[Comparison], list[str]]:
    """Return no comparisons, and a line for each budget."""
    plant = hold_plant(HOLD_COUNT)
    with (
        serving(plant) as (suite, http),
        _browser() as browser,
    ):
        url = suite.url.replace("127.0.0.1", HOST)
        query_id, row_count = _read(http)
        calibration = _calibrated(browser, url)
        budgets = [*_first_paints(browser, url), *_explored(browser, url)]
        local, loaded = _sliced_locally(browser, url, http, query_id)
        family = _family(browser, url)
    lines = [f"rows in the frame: {row_count:,}; calibration loop of 30 M steps: {calibration:,.0f} ms"]
    return [], [*lines, *(item.line() for item in (*budgets, local, family)), loaded]


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
        launched = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield launched
        launched.close()


def _read(http: httpx.Client) -> tuple[str, int]:
    body = {"start_date": START, "end_date": END, "views": []}
    answer = http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=300"}, timeout=320)
    answer.raise_for_status()
    return answer.json()["query_id"], answer.json()["receipt"]["row_count"]


def _calibrated(browser: Browser, url: str) -> float:
    with tab(browser, url) as web:
        web.open("/saved")
        return statistics.median([float(web.page.evaluate(CALIBRATION)) for _ in range(ROUNDS)])


def _throttled(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW_NETWORK)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})


def _first_paints(browser: Browser, url: str) -> list[Budget]:
    return [
        Budget("first contentful paint", _opened(browser, url, "/", PAINT), 300),
        Budget("the same at 10 Mbit/s and a quarter of the CPU", _opened(browser, url, "/", PAINT, _throttled), 1000),
        Budget(
            "first chart of a cached year after its address was opened, throttled alike",
            _opened(browser, url, "/d/hold-history?r=2025-01-01..2025-12-30", "() => window.chartAt ?? 0", _throttled),
            3000,
        ),
    ]


def _opened(
    browser: Browser, url: str, path: str, ask: str, prepare: Callable[[Page], None] = lambda page: None
) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        with tab(browser, url) as web:
            web.page.add_init_script(WATCH_CHART)
            prepare(web.page)
            web.open(path)
            times.append(poll_until(lambda: float(web.page.evaluate(ask)), PATIENCE_MS / 1000, path))
    return times


def _explored(browser: Browser, url: str) -> list[Budget]:
    with tab(browser, url) as web:
        web.open_result(SCOPE)
        page = web.page
        expect(page.locator(".chart canvas").first).to_be_visible()
        clicks = [page.evaluate(CLICK_BAR, at) for at in range(CLICKS)]
        page.keyboard.press("Escape")
        web.open_result(SCOPE)
        redraws = [page.evaluate(REDRAW, at) for at in range(1, ROUNDS + 1)]
        jumps = [page.evaluate(JUMP, 3_000 * (at + 1)) for at in range(ROUNDS)]
        frames = page.evaluate(SCROLL)
        plans = [_planned(web, day) for day in range(1, ROUNDS + 1)]
    return [
        Budget("slice click until all views are painted, gateway, 1 M rows", clicks, 300, 0.95),
        Budget("another measure on the trend until it is painted", redraws, 80),
        Budget("jump to rows that are not loaded until they are painted", jumps, 200),
        Budget("frame while 120 jumps scroll the grid", frames, 33, 0.95),
        Budget("plan after an edit of the scope, its wait for more edits included", plans, 350),
    ]


def _planned(web: WebPage, day: int) -> float:
    with web.page.expect_response("**/plan") as answered:
        started = web.page.evaluate("performance.now()")
        web.page.locator("input[type='date']").nth(0).fill(f"2024-02-{day:02}")
    assert answered.value.ok
    return float(web.page.evaluate("performance.now()")) - float(started)


def _sliced_locally(browser: Browser, url: str, http: httpx.Client, query_id: str) -> tuple[Budget, str]:
    dataset = http.get("/api/datasets/hold-history").json()
    reasons = http.post("/api/hold-history/options", json={"query_id": query_id}).json()["options"]["reason"]["values"]
    bodies: list[dict[str, Any]] = [{"hold_type": "all", "reason": [item["value"]]} for item in reasons[:CLICKS]]
    with tab(browser, url) as web:
        opening = {
            "address": f"{url}/api/hold-history/frame?query_id={query_id}&format=arrow",
            "computation": http.get("/api/datasets/hold-history/computation").json(),
            "parameters": {"start_date": START, "end_date": END},
            "formats": formats(dataset),
            "asOf": None,
            "mostRows": HOLD_COUNT * 2,
            "mostBytes": 1 << 30,
        }
        asked = {"worker": url + worker_path(http), "opening": opening, "bodies": bodies}
        web.open("/saved")
        found = web.page.evaluate(LOOK_LOCALLY, asked)
    line = (
        f"rows brought into the page: {found['opened']['opened']['bytes'] / 1e6:,.0f} MB in {found['loaded']:,.0f} ms"
    )
    return Budget("slice of three views by the page's own thread, 1 M rows", found["times"], 80), line


def _family(browser: Browser, url: str) -> Budget:
    edges = [(f"n{(at - 1) // 3}", f"n{at}", "split_from") for at in range(1, FAMILY_SIZE)]
    times = []
    for _ in range(ROUNDS):
        with tab(browser, url) as web:
            tell(web, ["n0"], edges)
            web.open("/trace?kind=lot_id&seed=N0")
            expect(web.page.locator("[data-node]").first).to_be_visible()
            unfold = web.page.get_by_role("button", name="Show all siblings")
            table = web.page.get_by_role("button", name="Table", exact=True)
            if unfold.count():
                unfold.click()
            table.click()
            graph = web.page.get_by_role("button", name="Graph", exact=True)
            expect(graph).to_be_visible()
            script = (
                "async (button) => {"
                + SETTLED
                + "const from = performance.now(); button.click(); await painted(); return performance.now() - from; }"
            )
            times.append(float(graph.evaluate(script)))
    return Budget(f"family of {FAMILY_SIZE} laid out and painted", times, 150)
