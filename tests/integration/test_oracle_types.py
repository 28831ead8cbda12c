"""Columns of Oracle on their way into the declared schema, over a real socket: exact, or refused by name."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sluice_twin.oracle_wire import OracleWireServer
from sluice_warehouse.errors import ContractBroken
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from tests.oracle_rig import TAG, oracle, read, serving

NUMBER = pa.decimal128(38, 0)
"""What the stand-in serves as NUMBER without a precision."""


def one(declared: str, values: list[Any], served: pa.DataType) -> list[Any]:
    """Return a column of values as it arrives."""
    with serving(T=pa.table({"A": pa.array(values, served)})) as (_, warehouse):
        values_read: list[Any] = read(warehouse, "select A as a from DWH.T", {"a": declared}).column("a").to_pylist()
        return values_read


@pytest.mark.parametrize(
    ("declared", "served", "values"),
    [
        ("int64", pa.int64(), [0, -1, 10**17, None]),
        ("int32", pa.int32(), [2**31 - 1, -(2**31), None]),
        ("int64", NUMBER, [2**53 + 1, -(2**63), 2**63 - 1, None]),
        ("float64", pa.float64(), [0.5, -1e100, 1e-100, None]),
        ("decimal(12,6)", pa.decimal128(12, 6), [Decimal("1.500000"), Decimal("-999999.999999"), None]),
        ("decimal(38,0)", NUMBER, [Decimal(10**37), Decimal(-(10**38) + 1), None]),
        ("timestamp[s]", pa.timestamp("s"), [datetime(2025, 6, 18, 7, 30), datetime(1900, 1, 1), None]),
        ("date32", pa.timestamp("s"), [datetime(2025, 6, 18), None]),
        ("string", pa.string(), ["lot 1", "Größe ü 批", "x" * 4000, None]),
        ("dictionary<string>", pa.string(), ["a", "b", "a", None]),
    ],
)
def test_wire_values_arrive_as_they_are(declared: str, served: pa.DataType, values: list[Any]) -> None:
    expected = [value.date() if declared == "date32" and value else value for value in values]
    assert one(declared, values, served) == expected


def test_wire_text_loses_its_padding_and_is_missing_when_empty() -> None:
    assert one("string", ["GA-1   ", "   ", "", " x"], pa.string()) == ["GA-1", None, None, " x"]


@pytest.mark.parametrize("declared", ["int64", "float64", "decimal(18,6)", "timestamp[s]", "date32", "string"])
def test_wire_a_column_of_nothing_keeps_its_type(declared: str) -> None:
    with serving(T=pa.table({"A": pa.array([1], pa.int64())})) as (_, warehouse):
        table = read(warehouse, "select null as a from DWH.T", {"a": declared})
    assert (table.schema, table.column("a").null_count) == (parse_schema({"a": declared}), 1)


@pytest.mark.parametrize(
    ("declared", "served", "value"),
    [
        ("int64", pa.decimal128(38, 2), Decimal("1.25")),
        ("int64", NUMBER, Decimal(2**63)),
        ("int32", pa.int64(), 2**31),
        ("decimal(6,0)", NUMBER, Decimal(10**6)),
        ("decimal(38,10)", NUMBER, Decimal(10**30)),
        ("decimal(38,20)", NUMBER, Decimal(10**37)),
        ("decimal(12,2)", pa.decimal128(12, 4), Decimal("0.0001")),
        ("int64", pa.float64(), 0.5),
        ("timestamp[s]", pa.timestamp("us"), datetime(2025, 1, 1, 0, 0, 0, 1)),
        ("date32", pa.timestamp("s"), datetime(2025, 1, 1, 7, 30)),
    ],
)
def test_wire_a_value_that_does_not_fit_is_refused_by_its_column(
    declared: str, served: pa.DataType, value: Any
) -> None:
    fine = pa.array([1, 2], pa.int64())
    table = pa.table({"FINE": fine, "ODD": pa.array([None, value], served), "ALSO": fine})
    columns = {"fine": "int64", "odd": declared, "also": "int64"}
    with (
        serving(T=table) as (_, warehouse),
        pytest.raises(ContractBroken, match="'odd'") as refused,
    ):
        read(warehouse, "select FINE as fine, ODD as odd, ALSO as also from DWH.T", columns)
    assert str(value) not in refused.value.message


@pytest.mark.parametrize(
    ("declared", "served", "shown"),
    [
        ("int64", pa.string(), "VARCHAR2"),
        ("timestamp[s]", pa.string(), "VARCHAR2"),
        ("string", pa.int64(), "NUMBER"),
        ("string", pa.timestamp("s"), "DATE"),
        ("decimal(12,2)", pa.timestamp("s"), "DATE"),
    ],
)
def test_wire_a_column_of_another_type_is_named_even_without_rows(
    declared: str, served: pa.DataType, shown: str
) -> None:
    table = pa.table({"ODD": pa.array([], served)})
    with serving(T=table) as (_, warehouse), pytest.raises(ContractBroken, match=rf"'odd' of 'part' is {shown}"):
        read(warehouse, "select ODD as odd from DWH.T", {"odd": declared})


def test_wire_a_column_that_is_not_there_is_named() -> None:
    table = pa.table({"A": pa.array([1], pa.int64())})
    with serving(T=table) as (_, warehouse), pytest.raises(ContractBroken, match="'gone' of 'part' is not there"):
        read(warehouse, "select GONE as a from DWH.T", {"a": "int64"})


def test_wire_a_column_that_is_not_declared_is_named() -> None:
    table = pa.table({"A": pa.array([1], pa.int64())})
    with serving(T=table) as (_, warehouse), pytest.raises(ContractBroken, match="'B' of 'part' is not declared"):
        read(warehouse, "select A as a, A as b from DWH.T", {"a": "int64"})


@pytest.mark.parametrize(
    ("bind", "found"),
    [
        (7, 1),
        (2**53 + 1, 0),
        (7.0, 1),
        (7.5, 0),
        (True, 0),
        (None, 0),
    ],
)
def test_wire_numbers_are_bound_as_numbers(bind: Any, found: int) -> None:
    with serving(T=pa.table({"A": pa.array([7], pa.int64())})) as (_, warehouse):
        table = read(warehouse, "select A as a from DWH.T where A = :wanted", {"a": "int64"}, wanted=bind)
    assert table.num_rows == found


@pytest.mark.parametrize(("bind", "found"), [("lot", 1), ("", 0), ("l" * 4000, 0), ("批", 0), (None, 0)])
def test_wire_text_is_bound_as_text(bind: Any, found: int) -> None:
    with serving(T=pa.table({"A": ["lot"]})) as (_, warehouse):
        table = read(warehouse, "select A as a from DWH.T where A = :wanted", {"a": "string"}, wanted=bind)
    assert table.num_rows == found


@pytest.mark.parametrize(
    ("bind", "found"), [(datetime(2025, 1, 1), 2), (date(2025, 1, 1), 2), (datetime(2025, 1, 2, 7, 30), 1)]
)
def test_wire_instants_are_bound_as_the_plant_writes_them(bind: Any, found: int) -> None:
    table = pa.table({"A": pa.array([datetime(2025, 1, 1), datetime(2025, 1, 2, 7, 30)], pa.timestamp("s"))})
    with serving(T=table) as (_, warehouse):
        rows = read(warehouse, "select A as a from DWH.T where A >= :since", {"a": "timestamp[s]"}, since=bind)
    assert rows.num_rows == found


@pytest.mark.parametrize("bind", [datetime(2025, 1, 1, 0, 0, 0, 1), float("nan"), float("inf")])
def test_a_value_that_would_arrive_as_another_is_refused_before_it_is_sent(bind: Any) -> None:
    with oracle(1) as warehouse, pytest.raises(ValueError, match=":wanted"):
        warehouse.open(
            parse("part", "select 1 as a from dual where 1 = :wanted"),
            {"wanted": bind},
            schema=parse_schema({"a": "int64"}),
            deadline_s=1,
            tag=TAG,
        )


_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**20), max_value=10**20)


@settings(max_examples=20, deadline=None)
@given(
    whole=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=200),
    exact=st.lists(st.none() | _DECIMALS, min_size=1, max_size=200),
    times=st.lists(st.none() | st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=200),
    batch=st.integers(1, 64),
)
def test_wire_any_values_in_any_batches_are_read_as_they_were_written(
    whole: list[int | None], exact: list[Decimal | None], times: list[datetime | None], batch: int
) -> None:
    size = max(len(whole), len(exact), len(times))
    seconds = [value and value.replace(microsecond=0) for value in times]
    rows = {
        "whole": [*whole, *[None] * (size - len(whole))],
        "exact": [*exact, *[None] * (size - len(exact))],
        "times": [*seconds, *[None] * (size - len(seconds))],
    }
    table = pa.table(
        {
            "N": pa.array(range(size), pa.int64()),
            "WHOLE": pa.array(rows["whole"], NUMBER),
            "EXACT": pa.array(rows["exact"], pa.decimal128(30, 4)),
            "TIMES": pa.array(rows["times"], pa.timestamp("s")),
        }
    )
    columns = {"n": "int64", "whole": "int64", "exact": "decimal(30,4)", "times": "timestamp[s]"}
    with (
        OracleWireServer(None, tables={"T": table}) as server,
        oracle(server.port, batch_row_count=batch) as warehouse,
    ):
        sql = "select N as n, WHOLE as whole, EXACT as exact, TIMES as times from DWH.T order by N"
        found = read(warehouse, sql, columns).to_pydict()
    assert {name: found[name] for name in rows} == rows
