"""(a) All four views with a fresh filter on a 1 M-row frame, over HTTP, against pandas on the same rows in process."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date

import httpx
import pandas as pd
import pyarrow as pa

from bench import pandas_holds
from bench.hold_plant import hold_plant
from bench.measure import Comparison, alternate, percentile
from bench.serving import serving

HOLD_COUNT = 1_000_000
START, END = date(2024, 1, 1), date(2025, 12, 30)
VIEWS = "trend,reason_pareto,duration,list"
ROUNDS = 9
CLICK_COUNT = 60


def run() -> tuple[list[Comparison], list[str]]:
    """Return the comparisons and lines of absolute figures."""
    plant = hold_plant(HOLD_COUNT)
    with serving(plant) as (_, http):
        query_id, row_count = _start(http)
        rows = _rows(http, query_id)
        clicks = _clicks(rows)
        compared = _compare(http, query_id, rows, clicks)
        return compared, [f"rows in the frame: {row_count:,}", _click_line(http, query_id, clicks)]


def _start(http: httpx.Client) -> tuple[str, int]:
    body = {"start_date": START.isoformat(), "end_date": END.isoformat()}
    answer = http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=300"}, timeout=320)
    answer.raise_for_status()
    receipt = answer.json()["receipt"]
    if receipt["status"] != "complete":
        raise RuntimeError(f"the query is {receipt['status']}")
    return answer.json()["query_id"], receipt["row_count"]


def _rows(http: httpx.Client, query_id: str) -> pd.DataFrame:
    answer = http.get("/api/hold-history/frame", params={"query_id": query_id, "format": "arrow"}, timeout=320)
    answer.raise_for_status()
    rows: pd.DataFrame = pa.ipc.open_stream(answer.content).read_all().to_pandas()
    for column in ("hold_day", "release_day"):
        rows[column] = pd.to_datetime(rows[column])
    for column in ("hold_type", "hold_reason", "hold_reason_id"):
        rows[column] = rows[column].astype("category")
    return rows


def _clicks(rows: pd.DataFrame) -> Sequence[pandas_holds.Filters]:
    """Filters of which none comes twice, so that nobody's result cache answers."""
    reasons = [None, *sorted(rows["hold_reason"].dropna().unique())]
    ranges = (*pandas_holds.RANGES, None)
    types = ("quality", "non-quality", "all")
    return [pandas_holds.Filters(*each) for each in itertools.product(types, ranges, reasons)]


def _ask(http: httpx.Client, query_id: str, filters: pandas_holds.Filters) -> None:
    asked = {"query_id": query_id, "view": VIEWS, "record_type": "new,on_hold,released", "hold_type": filters.hold_type}
    if filters.duration_range is not None:
        asked["duration_range"] = filters.duration_range
    if filters.reason is not None:
        asked["reason"] = filters.reason
    answer = http.get("/api/hold-history/view", params=asked)
    answer.raise_for_status()
    answer.json()


def _compare(
    http: httpx.Client, query_id: str, rows: pd.DataFrame, clicks: Sequence[pandas_holds.Filters]
) -> list[Comparison]:
    raw = rows.drop(columns=["rn_hold_day", "rn_reason"])
    fresh = itertools.cycle(clicks)

    def ours(_: int) -> None:
        _ask(http, query_id, next(fresh))

    def deriving(number: int) -> None:
        pandas_holds.four_views(pandas_holds.with_ranks(raw), START, END, clicks[number % len(clicks)])

    def having(number: int) -> None:
        pandas_holds.four_views(rows, START, END, clicks[number % len(clicks)])

    first = alternate(ours, deriving, rounds=ROUNDS)
    second = alternate(ours, having, rounds=ROUNDS)
    return [
        Comparison("four views, 1 M rows, pandas derives the ranks", *first, at_least=5),
        Comparison("four views, 1 M rows, pandas has the ranks", *second, at_least=2),
    ]


def _click_line(http: httpx.Client, query_id: str, clicks: Sequence[pandas_holds.Filters]) -> str:
    def click(number: int) -> None:
        _ask(http, query_id, clicks[(number * 7) % len(clicks)])

    seconds, _ = alternate(click, lambda _: None, rounds=CLICK_COUNT)
    p50, p95 = percentile(seconds, 0.5) * 1000, percentile(seconds, 0.95) * 1000
    return f"filter click, four views over HTTP: p50 {p50:,.0f} ms, p95 {p95:,.0f} ms over {CLICK_COUNT} clicks"
