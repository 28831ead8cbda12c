"""Arrow columns as JSON: every value comes back, every type has its form; schemas take a receipt."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_gateway import render

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.none()
NUMBERS = st.floats(width=64) | st.none()
COUNTS = st.integers(-(2**63), 2**63 - 1) | st.none()
ROWS = st.lists(st.tuples(TEXTS, NUMBERS, COUNTS, st.booleans() | st.none()))


def rows_of(table: pa.Table) -> Any:
    """The rows as a client reads them."""
    return json.loads(render.dumps(render.columns_and_rows(table)))["rows"]


@given(ROWS)
def test_every_value_comes_back_as_it_was(rows: list[tuple[str | None, float | None, int | None, bool | None]]) -> None:
    kinds = [pa.string(), pa.float64(), pa.int64(), pa.bool_()]
    columns = [pa.array([row[index] for row in rows], kind) for index, kind in enumerate(kinds)]
    table = pa.table(columns, names=["text", "number", "count", "flag"])

    expected = [[text, _json_number(number), count, flag] for text, number, count, flag in rows]
    assert rows_of(table) == expected


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([datetime(2025, 1, 1, 7, 30)], pa.timestamp("s")), "2025-01-01T07:30:00"),
        (pa.array([datetime(2025, 1, 1, 7, 30, 0, 999_999)], pa.timestamp("us")), "2025-01-01T07:30:00"),
        (pa.array([datetime(2025, 1, 1, 7, 30, tzinfo=UTC)], pa.timestamp("s", "UTC")), "2025-01-01T07:30:00Z"),
        (pa.array([date(2025, 1, 1)]), "2025-01-01"),
        (pa.array([Decimal("12.50")]), 12.5),
        (pa.array(["a", None]).dictionary_encode(), "a"),
        (pa.array([['x"', None]]), ['x"', None]),
        (pa.array([None], pa.null()), None),
        (pa.array(["x"], pa.large_string()), "x"),
        (pa.array(['tab\t"quote" \\ \x7f \u2028']), 'tab\t"quote" \\ \x7f \u2028'),
    ],
    ids=str,
)
def test_a_type_has_its_json_form(array: pa.Array, expected: object) -> None:
    assert rows_of(pa.table({"value": array}))[0] == [expected]


def test_columns_of_different_chunks_stay_row_by_row() -> None:
    table = pa.table(
        {"a": pa.chunked_array([["x"], ["y", "z"]]), "b": pa.chunked_array([[1, 2], [3]])},
    )

    assert rows_of(table) == [["x", 1], ["y", 2], ["z", 3]]


def test_the_schema_is_found_however_the_stream_is_cut() -> None:
    table = pa.table({"a": [1, 2]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    stream = sink.getvalue().to_pybytes()

    beginnings = [render.relabelled(stream[:size], b"{}") for size in range(len(stream) + 1)]

    first = next(size for size, beginning in enumerate(beginnings) if beginning is not None)
    assert pa.ipc.open_stream(b"".join([beginnings[first] or b"", stream[first:]])).read_all().equals(table)
    assert pa.ipc.open_stream(beginnings[-1]).schema.metadata == {b"sluice.receipt": b"{}"}


def _json_number(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
