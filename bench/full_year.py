"""Questions of a full year at a real plant's size: complete, right, the engine's memory flat, the cache in its budget.

Rejects, all machines, the jobs of 50 machines, the busiest station with its genealogy and events, and the rejects of a
work order of 30,000 lots; then every view of each. The warehouse is the Oracle stand-in in a process of its own, as it
is in a plant, so that what the engine holds is the engine's. What each question finds is counted at the plant itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
from sluice_client.ports import take_free

from bench.long_query import memory_tier_bytes
from bench.measure import Comparison, PeakSampler
from bench.serving import serving
from bench.stand_in_process import stand_in
from bench.year_plant import LARGE_ORDER, year_plant
from tests.running_suite import RunningSuite

YEAR = {"start_date": "2025-01-01", "end_date": "2025-12-31"}
START, END = datetime(2025, 1, 1), datetime(2026, 1, 1)
MACHINE_COUNT = 50
ENGINE_LIMIT_MIB = 64
CACHE_BUDGET_BYTES = 2048 << 20
QUERY_LIMIT_S, VIEW_LIMIT_S = 3600.0, 1200.0
EVERY_REJECT = {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"}
_COUNTS = Path(__file__).with_name("year_counts.sql")
_MACHINES = "select RESOURCEID from DWH.DW_MES_JOB group by all order by count(*) desc, RESOURCEID limit $count"
_LOOK_S = 1.0
_MIB = 1 << 20

Json = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What is asked, and a number of its answer that is known otherwise.

    Attributes:
        filters: view-time filters of the view that holds the number.
        cell: view and column of the number; the column `total_count` is the rows of a paged view.
    """

    name: str
    route: str
    body: Json
    cell: tuple[str, str]
    expected: int
    filters: Mapping[str, str]


def run(share: float = 1.0) -> tuple[list[Comparison], list[str]]:
    """Return no comparison of times, and lines that say whether the promises hold."""
    plant = year_plant(share)
    asked = _questions(plant)
    lines: list[str] = []
    with _serving(plant) as (suite, http):
        # A small query of each first, so that what every process loads once is not counted as growth.
        for question in asked:
            _ended(http, question.route, question.body | _small(question))
        for question in asked:
            try:
                lines += _lines(suite, http, question)
            except RuntimeError as error:
                lines.append(f"{question.name}: {error} BROKEN")
    return [], lines


@contextmanager
def _serving(plant: Path) -> Iterator[tuple[RunningSuite, httpx.Client]]:
    (port,) = take_free(1)
    with tempfile.TemporaryDirectory() as folder, stand_in(plant, port, Path(folder) / "stand-in.log") as oracle:
        extra = {
            "query-engine": {**oracle.environment, "SLUICE_QUERY_ENGINE_WAREHOUSE_URL": oracle.url},
            "cache": {"SLUICE_CACHE_MEMORY_MAX_BYTES": str(CACHE_BUDGET_BYTES)},
        }
        with serving(plant, extra) as served:
            yield served


def _questions(plant: Path) -> list[Question]:
    with duckdb.connect(str(plant), read_only=True) as connection:
        machines = [row[0] for row in connection.execute(_MACHINES, {"count": MACHINE_COUNT}).fetchall()]
        binds = {"start": START, "end": END, "machines": machines, "order": LARGE_ORDER}
        (counts,) = connection.sql(_COUNTS.read_text(encoding="utf-8"), params=binds).to_arrow_table().to_pylist()
    order = {"mode": "container", "container_input_type": "work_order", "container_values": [LARGE_ORDER]}
    station = {"mode": "date_range", "stations": [counts["station"]], **YEAR}
    number, rejects = ("count", "row_count"), "reject-history"
    return [
        Question("rejects", rejects, YEAR, number, counts["reject_count"], EVERY_REJECT),
        Question("all machines", "resource/history", YEAR, ("kpi", "machine_count"), counts["machine_count"], {}),
        Question(
            f"jobs of {MACHINE_COUNT} machines",
            "job-query",
            {"resource_ids": machines, **YEAR},
            ("list", "total_count"),
            counts["job_count"],
            {},
        ),
        Question(
            f"detection at {counts['station']}",
            "mid-section-defect",
            station,
            ("kpi", "lot_count"),
            counts["lot_count"],
            {},
        ),
        Question(
            f"rejects of a work order of {counts['order_lot_count']:,} lots",
            rejects,
            order,
            number,
            counts["order_reject_count"],
            EVERY_REJECT,
        ),
    ]


def _small(question: Question) -> Json:
    if "start_date" in question.body:
        return {"start_date": YEAR["end_date"]}
    return {"container_input_type": "lot", "container_values": ["no such lot"]}


def _lines(suite: RunningSuite, http: httpx.Client, question: Question) -> list[str]:
    """Ask one question and every view of it; return what is to be told of it."""
    pids = suite.pids()
    with (
        PeakSampler(pids["query-engine"]) as engine,
        PeakSampler(pids["cache"]) as cache,
        PeakSampler(pids["lineage"]) as lineage,
    ):
        start = time.perf_counter()
        query = _ended(http, question.route, question.body)
        read_s = time.perf_counter() - start
        start = time.perf_counter()
        found, refused = _views(http, query["query_id"], question)
        views_s = time.perf_counter() - start
    receipt = query["receipt"]
    whole = receipt["status"] == "complete" and not receipt["failed_ranges"] and not receipt["truncated_ranges"]
    return [
        f"{question.name}: {receipt['row_count']:,} rows in {receipt['chunks']['total']:,} chunks, {read_s:.1f} s; "
        f"every view {views_s:.1f} s; receipt {receipt['status']} {'kept' if whole else 'BROKEN'}",
        f"  {question.cell[1]} {found}, at the plant {question.expected} "
        f"{'kept' if found == question.expected else 'BROKEN'}",
        *(f"  refused: {view} BROKEN" for view in refused),
        _line("query-engine, RssAnon above idle", engine.growth_mib, ENGINE_LIMIT_MIB),
        _line("cache, bytes of its first tier", memory_tier_bytes(suite) / _MIB, CACHE_BUDGET_BYTES / _MIB),
        f"  cache, RssAnon above idle: {cache.growth_mib:,.0f} MiB; lineage: {lineage.growth_mib:,.0f} MiB",
    ]


def _ended(http: httpx.Client, route: str, body: Json) -> Json:
    """Ask without waiting, look until the query has ended, and return it.

    Raises:
        RuntimeError: it failed, or takes too long.
    """
    answer = http.post(f"/api/{route}/query", json=body | {"views": []}, headers={"Prefer": "wait=0"})
    if answer.status_code not in (200, 202):
        raise RuntimeError(f"{route} is refused: {answer.text}")
    query_id = answer.json()["query_id"]
    until = time.monotonic() + QUERY_LIMIT_S
    while time.monotonic() < until:
        query: Json = _looked_at(http, f"/api/queries/{query_id}").raise_for_status().json()
        if query["status"] in ("completed", "partial"):
            return query
        if query["status"] != "running":
            raise RuntimeError(f"{route} ended as {query['status']}: {query.get('error')}")
        time.sleep(_LOOK_S)
    raise RuntimeError(f"{route} took longer than {QUERY_LIMIT_S:g} s")


def _views(http: httpx.Client, query_id: str, question: Question) -> tuple[int | None, list[str]]:
    """Ask every view, one after the other; return the number that is known otherwise, and what was refused."""
    listed = http.get("/api/datasets").raise_for_status().json()["datasets"]
    dataset = next(item for item in listed if item["route"] == question.route)
    (wanted, column), found, refused = question.cell, None, []
    for name in (view["name"] for view in dataset["views"]):
        answer = _view(http, query_id, question, name)
        if answer.status_code != httpx.codes.OK:
            refused.append(f"{name}: {answer.json()['code']}")
        elif name == wanted:
            found = _cell(answer.json()["views"][name], column)
    return found, refused


def _cell(view: Json, column: str) -> int:
    if column == "total_count":
        return int(view["page"]["total_count"])
    position = [item["name"] for item in view["columns"]].index(column)
    return int(view["rows"][0][position])


def _view(http: httpx.Client, query_id: str, question: Question, name: str) -> httpx.Response:
    asked = {"query_id": query_id, "view": name, **question.filters}
    until = time.monotonic() + VIEW_LIMIT_S
    # The main table goes on being derived where the wait was over first; whoever asks again finds it.
    while True:
        answer = _looked_at(http, f"/api/{question.route}/view", asked)
        if answer.status_code != httpx.codes.GATEWAY_TIMEOUT or time.monotonic() > until:
            return answer


def _looked_at(http: httpx.Client, path: str, asked: Mapping[str, str] | None = None) -> httpx.Response:
    try:
        return http.get(path, params=asked, timeout=VIEW_LIMIT_S)
    except httpx.RemoteProtocolError:
        # Between two looks on a busy machine the gateway may have closed the idle connection; a new one is opened.
        return http.get(path, params=asked, timeout=VIEW_LIMIT_S)


def _line(what: str, value_mib: float, limit_mib: float) -> str:
    kept = "kept" if value_mib <= limit_mib else "BROKEN"
    return f"  {what}: {value_mib:,.0f} MiB (at most {limit_mib:,.0f} MiB) {kept}"
