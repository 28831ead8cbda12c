"""Arrow as a spreadsheet: every type has its cell, no text runs, nothing is cut, nothing is left on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_gateway import spreadsheet
from sluice_gateway.errors import TextTooLong, TooManyRows
from sluice_gateway.messages import JSONObject

from tests.spreadsheets import Sheet, Value, instant, read

RECEIPT: JSONObject = {
    "query_id": "0123456789abcdef",
    "status": "complete",
    "tier": None,
    "chunks": {"total": 13, "failed": 0},
    "failed_ranges": [],
}
GAP: JSONObject = {"part": "slice", "code": "QUERY_TIMEOUT"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def sheets_of(table: pa.Table, receipt: JSONObject = RECEIPT, folder: Path | None = None) -> dict[str, Sheet]:
    """The sheets as a spreadsheet program reads them."""
    with spreadsheet.write(table.to_batches(), table.schema, {"value": "Value"}, receipt, folder) as file:
        return read(file.read())


def cell_of(array: pa.Array) -> tuple[Value, str]:
    """The one value of an array as a cell, and how it is shown."""
    sheet = sheets_of(pa.table({"value": array}))["rows"]
    [_, [value]], [_, [pattern]] = sheet.rows, sheet.patterns
    return value, pattern


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([-5], pa.int64()), -5.0),
        (pa.array([12.25]), 12.25),
        (pa.array([Decimal("12.50")]), 12.5),
        (pa.array([True]), True),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.array([["x", None]]), '["x",null]'),
        (pa.array([10**15 - 1]), float(10**15 - 1)),
        (pa.array([10**15]), "1000000000000000"),
        (pa.array([Decimal("1234567890.1234567")]), "1234567890.1234567"),
        (pa.array([date(1900, 2, 28)]), "1900-02-28"),
        (pa.array([datetime(1899, 12, 31, 7, 30)], pa.timestamp("s")), "1899-12-31T07:30:00"),
    ],
    ids=str,
)
def test_a_type_has_its_cell(array: pa.Array, expected: Value) -> None:
    value, _ = cell_of(array)

    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize(
    ("array", "expected", "pattern"),
    [
        (pa.array([date(1900, 3, 1)]), datetime(1900, 3, 1), "yyyy-mm-dd"),
        (pa.array([date(9999, 12, 31)]), datetime(9999, 12, 31), "yyyy-mm-dd"),
        (
            pa.array([datetime(2024, 2, 29, 7, 29, 59)], pa.timestamp("s")),
            datetime(2024, 2, 29, 7, 29, 59),
            "yyyy-mm-dd hh:mm:ss",
        ),
        (pa.array([datetime(2024, 1, 1, 12)], pa.timestamp("ns")), datetime(2024, 1, 1, 12), "yyyy-mm-dd hh:mm:ss"),
        (pa.array([time(7, 30)]), datetime(1899, 12, 30, 7, 30), "hh:mm:ss"),
    ],
    ids=str,
)
def test_days_and_times_are_numbers_shown_as_such(array: pa.Array, expected: datetime, pattern: str) -> None:
    value, shown = cell_of(array)

    assert (instant(value), shown) == (expected, pattern)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_no_cell(value: float | None) -> None:
    rows = sheets_of(pa.table({"value": pa.array([value], pa.float64()), "after": [1]}))["rows"].rows

    assert rows[1] == [None, 1.0]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "{=1+1}", "+1", "@SUM(A1)", "http://sluice.test", "mailto:a@b.c", "internal:rows!A1", "<r><t>1</t></r>"],
)
def test_a_text_is_never_run(text: str) -> None:
    sheet = sheets_of(pa.table({"value": [text]}))["rows"]

    assert (sheet.rows[1], sheet.formula_count, sheet.link_count) == ([text], 0, 0)


@given(TEXTS)
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert cell_of(pa.array([text]))[0] == text


def test_a_text_of_the_longest_kind_is_whole() -> None:
    text = "x" * 32_767

    assert cell_of(pa.array([text]))[0] == text


@pytest.mark.parametrize(
    "text", ["x" * 32_768, "\U0001f600" * 16_384, f"<r>{'x' * 32_768}</r>"], ids=["x", "😀", "<r>"]
)
def test_a_longer_text_is_refused_with_its_column(text: str, tmp_path: Path) -> None:
    table = pa.table({"value": ["short", text]})

    with pytest.raises(TextTooLong) as caught:
        spreadsheet.write(table.to_batches(), table.schema, {}, RECEIPT, tmp_path)

    assert (caught.value.reason, caught.value.metadata["column"]) == ("RESULT_TOO_LARGE", "value")
    assert list(tmp_path.iterdir()) == []


def test_columns_are_headed_by_their_titles_and_the_heading_stays() -> None:
    zoned = pa.array([datetime(2025, 1, 1, tzinfo=UTC)], pa.timestamp("s", "UTC"))

    sheet = sheets_of(pa.table({"value": [1], "other": [2], "read": zoned}))["rows"]

    assert (sheet.rows[0], sheet.frozen_rows) == (["Value", "other", "read (UTC)"], 1)


def test_no_rows_are_a_heading() -> None:
    assert sheets_of(pa.table({"value": pa.array([], pa.int64())}))["rows"].rows == [["Value"]]


def test_rows_of_many_batches_stay_in_order() -> None:
    table = pa.table({"value": range(10_001)})
    pieces = pa.Table.from_batches(table.to_batches(max_chunksize=777))

    rows = sheets_of(pieces)["rows"].rows

    assert [row[0] for row in rows[1:]] == list(range(10_001))


def test_the_receipt_is_a_sheet_with_a_row_for_each_field() -> None:
    sheet = sheets_of(pa.table({"value": [1]}))["receipt"]

    assert sheet.rows == [
        ["field", "value"],
        ["query_id", "0123456789abcdef"],
        ["status", "complete"],
        ["tier"],
        ["chunks.total", 13.0],
        ["chunks.failed", 0.0],
    ]


def test_a_complete_answer_opens_on_its_rows() -> None:
    sheets = sheets_of(pa.table({"value": [1]}))

    assert [name for name, sheet in sheets.items() if sheet.shown] == ["rows"]


def test_an_incomplete_answer_opens_on_its_receipt_with_the_gaps() -> None:
    sheets = sheets_of(pa.table({"value": [1]}), {**RECEIPT, "status": "partial", "failed_ranges": [GAP]})

    assert [name for name, sheet in sheets.items() if sheet.shown] == ["receipt"]
    assert sheets["receipt"].rows[-1] == ["failed_ranges.1.code", "QUERY_TIMEOUT"]


def test_more_rows_than_a_sheet_holds_are_refused_while_they_come(tmp_path: Path) -> None:
    # Rows of no columns cost nothing to write.
    batch = pa.record_batch(pa.StructArray.from_arrays([pa.nulls(2_000_000, pa.int64())], ["value"]))

    with pytest.raises(TooManyRows, match="1,048,575"):
        spreadsheet.write([batch], batch.schema, {}, RECEIPT, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_rows_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    table = pa.table({"value": [1]})

    def breaking() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches()
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        spreadsheet.write(breaking(), table.schema, {}, RECEIPT, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_while_a_spreadsheet_is_sent_it_has_no_name(tmp_path: Path) -> None:
    table = pa.table({"value": [1]})

    with spreadsheet.write(table.to_batches(), table.schema, {}, RECEIPT, tmp_path) as file:
        assert (list(tmp_path.iterdir()), file.read(2)) == ([], b"PK")
