"""A year of holds over HTTP: what the first look costs the warehouse, and what every further look does not.

The warehouse's own statement log is the witness; the receipts must agree with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e.demo_process import ServingDemo
from tests.running_suite import StatementLog

Json = dict[str, Any]

START = date(2024, 3, 1)
END = date(2025, 2, 28)
"""365 days, both included; no other test of this folder asks for days before 2025-03."""

INITIAL_VIEWS = {"trend", "reason_pareto", "duration", "list"}


@dataclass(frozen=True)
class Asked:
    """One query and what the warehouse saw of it."""

    answer: Json
    statements: list[Json]

    @property
    def parts(self) -> list[str]:
        """Parts that were read, in order."""
        return [line["statement"] for line in self.statements if line["statement"] in ("slice", "carry_in")]

    def range_of(self, part: str) -> tuple[str, str | None]:
        """Bounds of the one statement that read the part."""
        (line,) = (line for line in self.statements if line["statement"] == part)
        return line["binds"]["start_time"], line["binds"].get("end_time")


@dataclass(frozen=True)
class Moves:
    """A year, and then the same year with one end moved after the other."""

    year: Asked
    later_end: Asked
    later_start: Asked
    earlier_start: Asked


def ask(http: httpx.Client, statements: StatementLog, start: date, end: date) -> Asked:
    before = statements.count()
    body = {"start_date": start.isoformat(), "end_date": end.isoformat()}
    response = http.post("/api/hold-history/query", json=body, headers={"Prefer": "wait=60"})
    assert response.status_code == 200, response.text
    return Asked(response.json(), statements.since(before))


@pytest.fixture(scope="module")
def moves(demo: ServingDemo, demo_http: httpx.Client) -> Moves:
    """The year, a week more at its end, a month less at its start, ten days more at its start."""
    log, week = demo.process.statements, timedelta(days=7)
    return Moves(
        year=ask(demo_http, log, START, END),
        later_end=ask(demo_http, log, START, END + week),
        later_start=ask(demo_http, log, START + timedelta(days=30), END + week),
        earlier_start=ask(demo_http, log, START - timedelta(days=10), END + week),
    )


def test_a_year_is_answered_with_its_id(moves: Moves) -> None:
    assert re.fullmatch("[0-9a-f]{16}", moves.year.answer["query_id"])


def test_a_year_is_answered_with_the_four_views(moves: Moves) -> None:
    assert set(moves.year.answer["views"]) >= INITIAL_VIEWS


def test_a_year_has_rows(moves: Moves) -> None:
    assert moves.year.answer["receipt"]["row_count"] > 100


def test_the_receipt_of_the_year_counts_the_statements_that_ran(moves: Moves) -> None:
    assert moves.year.answer["receipt"]["warehouse_statements"] == len(moves.year.statements) > 0


def test_a_later_end_reads_exactly_the_new_week(moves: Moves) -> None:
    assert moves.later_end.parts == ["slice"]
    assert moves.later_end.range_of("slice") == ("2025-02-28T07:30:00", "2025-03-07T07:30:00")


def test_the_receipt_says_that_one_week_was_read(moves: Moves) -> None:
    receipt = moves.later_end.answer["receipt"]
    assert (receipt["chunks"]["run"], receipt["warehouse_statements"]) == (1, 1)
    assert "1 × 7 days read" in receipt["plan"]


def test_a_later_start_reads_nothing(moves: Moves) -> None:
    assert moves.later_start.statements == []


def test_the_receipt_says_that_nothing_was_read(moves: Moves) -> None:
    receipt = moves.later_start.answer["receipt"]
    assert (receipt["chunks"]["run"], receipt["warehouse_statements"], receipt["warehouse_row_count"]) == (0, 0, 0)


def test_an_earlier_start_reads_those_days_and_one_carry_in(moves: Moves) -> None:
    assert sorted(moves.earlier_start.parts) == ["carry_in", "slice"]
    assert moves.earlier_start.range_of("slice") == ("2024-02-19T07:30:00", "2024-02-29T07:30:00")
    assert moves.earlier_start.range_of("carry_in") == ("2024-02-19T07:30:00", None)


def test_the_same_question_has_the_same_id(moves: Moves, demo: ServingDemo, demo_http: httpx.Client) -> None:
    again = ask(demo_http, demo.process.statements, START, END)
    assert (again.answer["query_id"], again.statements) == (moves.year.answer["query_id"], [])


@pytest.mark.parametrize(
    "query",
    [
        "view=trend",
        "view=reason_pareto&hold_type=all",
        "view=duration&hold_type=non-quality&record_type=new,on_hold",
        "view=hours",
        "view=list&page=2&page_size=20&sort=hold_hours",
        "view=list&duration_range=4-24h&record_type=released",
        "view=trend,list&record_type=new&record_type=released",
    ],
)
def test_a_view_costs_the_warehouse_nothing(
    moves: Moves, demo: ServingDemo, demo_http: httpx.Client, query: str
) -> None:
    before = demo.process.statements.count()
    response = demo_http.get(f"/api/hold-history/view?query_id={moves.year.answer['query_id']}&{query}")
    assert response.status_code == 200, response.text
    assert response.json()["receipt"]["warehouse_statements"] == 0
    assert demo.process.statements.since(before) == []


def test_an_export_costs_the_warehouse_nothing(moves: Moves, demo: ServingDemo, demo_http: httpx.Client) -> None:
    before = demo.process.statements.count()
    query = {"query_id": moves.year.answer["query_id"], "format": "csv", "hold_type": "all"}
    assert demo_http.get("/api/hold-history/export", params=query).status_code == 200
    assert demo.process.statements.since(before) == []
