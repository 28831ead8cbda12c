"""Answers around 07:30 that a person has reviewed: the twin's judge and the running suite must both give them.

The range is the day before, of and after the planted edges: holds and releases at 07:29:59 and 07:30:00, durations on
the edge of a range. `make golden` writes what the judge says, never what the suite answered.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sluice_twin import PLANT_TIME, read_raw, truth
from sluice_twin.hold_oddities import EDGE_DAY
from sluice_twin.holds import TABLE as HOLDS
from sluice_twin.steps import group_of_work_center

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "hold-history"
START, END = (EDGE_DAY.date() + timedelta(days=days) for days in (-1, 1))
EVERYTHING = truth.Filters(hold_type="all", record_type=frozenset({"new", "on_hold", "released"}))
VIEWS = ("trend", "reason_pareto", "duration", "hours", "list")

pytestmark = pytest.mark.golden


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as a reviewer reads them: one line each, nothing for NULL."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if value is None else plain(value) for value in row] for row in rows])
    return text.getvalue()


def plain(value: object) -> str:
    """Return a value as JSON would write it: instants to the second, whole floats without a fraction."""
    match value:
        case datetime():
            return value.isoformat(timespec="seconds")
        case date():
            return value.isoformat()
        case float() if value.is_integer():
            return str(int(value))
    return str(value)


def records_as_csv(records: Sequence[dict[str, object]]) -> str:
    """Return records that share their keys."""
    return as_csv(list(records[0]), [list(record.values()) for record in records])


@pytest.fixture(scope="module")
def judged(twin_path: Path) -> dict[str, str]:
    """The judge's answer for each view."""
    holds = read_raw(twin_path, HOLDS, truth.RAW_HOLD_COLUMNS)
    containers = read_raw(twin_path, "DW_MES_CONTAINER", truth.RAW_CONTAINER_COLUMNS)
    groups = group_of_work_center()
    rows = truth.hold_rows(holds, containers, start=START, end=END, as_of=PLANT_TIME, groups=groups)
    return {
        "trend": records_as_csv(truth.trend(rows, START, END)),
        "reason_pareto": records_as_csv(truth.reason_pareto(rows, START, END, EVERYTHING)),
        "duration": records_as_csv(truth.duration(rows, START, END, EVERYTHING)),
        "hours": records_as_csv([dict(truth.hours(rows, START, END, EVERYTHING))]),
        "list": records_as_csv([listed(hold) for hold in truth.listed(rows, START, END, EVERYTHING)]),
    }


def listed(hold: truth.Hold) -> dict[str, object]:
    """Return the sixteen columns of the list for one hold."""
    return {
        "lot_id": hold.lot_id,
        "workorder": hold.workorder,
        "product": hold.product,
        "package": hold.package,
        "workcenter": hold.workcenter,
        "hold_reason": hold.reason,
        "qty": truth.plain(hold.quantity),
        "hold_time": hold.hold_time,
        "hold_employee": hold.hold_employee,
        "hold_comment": hold.hold_comment,
        "release_time": hold.release_time,
        "release_employee": hold.release_employee,
        "release_comment": hold.release_comment,
        "hold_hours": truth.two_places(hold.hours),
        "ncr": hold.ncr,
        "future_hold_comment": hold.future_hold_comment,
    }


@pytest.fixture(scope="module")
def answered(suite: Any) -> dict[str, str]:
    """The suite's answer for each view, over HTTP."""
    with httpx.Client(base_url=suite.url, timeout=60.0, trust_env=False) as http:
        body = {"start_date": START.isoformat(), "end_date": END.isoformat()}
        started = http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=60"})
        assert started.status_code == 200, started.text
        filters = {"hold_type": "all", "record_type": ["new", "on_hold", "released"], "page_size": 200}
        asked = {"query_id": started.json()["query_id"], "view": list(VIEWS), **filters}
        answer = http.post("/api/hold-history/view", json=asked)
        assert answer.status_code == 200, answer.text
    views = answer.json()["views"]
    return {name: as_csv([column["name"] for column in view["columns"]], view["rows"]) for name, view in views.items()}


@pytest.mark.parametrize("view", VIEWS)
def test_the_judge_says_what_was_reviewed(view: str, judged: dict[str, str], request: pytest.FixtureRequest) -> None:
    golden = GOLDEN / f"{view}.csv"
    if request.config.getoption("--write-golden"):
        golden.write_text(judged[view], encoding="utf-8")
    assert judged[view] == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("view", VIEWS)
def test_the_suite_answers_what_was_reviewed(view: str, answered: dict[str, str]) -> None:
    assert answered[view] == (GOLDEN / f"{view}.csv").read_text(encoding="utf-8")
