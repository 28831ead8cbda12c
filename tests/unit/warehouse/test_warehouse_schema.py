"""Rows made to fit the declared schema, or refused by column and part."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from sluice_warehouse.errors import ContractBroken
from sluice_warehouse.schema import Fitting, UnknownType, parse_schema, parse_type


def fitted(type_name: str, values: pa.Array) -> pa.Array:
    fitting = Fitting(parse_schema({"x": type_name}), ["x"], "slice")
    return fitting.fit(pa.RecordBatch.from_arrays([values], ["x"])).column(0)


@pytest.mark.parametrize(
    ("name", "arrow"),
    [
        ("string", pa.string()),
        ("int32", pa.int32()),
        ("int64", pa.int64()),
        ("float64", pa.float64()),
        ("decimal(18,6)", pa.decimal128(18, 6)),
        ("timestamp[s]", pa.timestamp("s")),
        ("date32", pa.date32()),
        ("dictionary<string>", pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_type_names_are_arrow_types(name: str, arrow: pa.DataType) -> None:
    assert parse_type(name) == arrow


@pytest.mark.parametrize("name", ["", "text", "decimal(39,2)", "decimal(4,5)", "decimal", "timestamp[s, tz=UTC]"])
def test_other_type_names_are_refused(name: str) -> None:
    with pytest.raises(UnknownType):
        parse_type(name)


def test_an_unknown_type_names_its_column() -> None:
    with pytest.raises(UnknownType, match="'qty'"):
        parse_schema({"qty": "number"})


def test_char_padding_goes_and_empty_text_is_null() -> None:
    assert fitted("string", pa.array(["A1  ", "", "    ", " B", None])).to_pylist() == ["A1", None, None, " B", None]


def test_tabs_and_line_ends_are_no_padding() -> None:
    assert fitted("string", pa.array(["a\n", "b\t "])).to_pylist() == ["a\n", "b\t"]


def test_dictionary_columns_are_encoded_after_trimming() -> None:
    column = fitted("dictionary<string>", pa.array(["a ", "a", "b", ""]))
    assert (column.dictionary.to_pylist(), column.to_pylist()) == (["a", "b"], ["a", "a", "b", None])


@pytest.mark.parametrize(
    ("type_name", "values", "expected"),
    [
        ("int64", pa.array([Decimal("5.000000")], pa.decimal128(18, 6)), [5]),
        ("int64", pa.array([7.0]), [7]),
        ("int32", pa.array([7], pa.int64()), [7]),
        ("float64", pa.array([Decimal("1.25")], pa.decimal128(18, 6)), [1.25]),
        ("float64", pa.array([Decimal("98.838000")], pa.decimal128(18, 6)), [98.838]),
        ("float64", pa.array([3], pa.int64()), [3.0]),
        ("decimal(18,6)", pa.array([3], pa.int64()), [Decimal("3.000000")]),
        ("decimal(18,2)", pa.array([Decimal("1.500000")], pa.decimal128(18, 6)), [Decimal("1.50")]),
        ("timestamp[s]", pa.array([datetime(2024, 1, 1, 7, 30)], pa.timestamp("us")), [datetime(2024, 1, 1, 7, 30)]),
        ("timestamp[s]", pa.array([date(2024, 1, 1)]), [datetime(2024, 1, 1)]),
        ("date32", pa.array([datetime(2024, 1, 1)], pa.timestamp("s")), [date(2024, 1, 1)]),
    ],
)
def test_values_keep_their_worth_in_the_declared_type(type_name: str, values: pa.Array, expected: list[object]) -> None:
    assert fitted(type_name, values).to_pylist() == expected


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("int64", pa.array([Decimal("1.5")], pa.decimal128(18, 6))),
        ("int64", pa.array([0.5])),
        ("int32", pa.array([2**31], pa.int64())),
        ("decimal(4,2)", pa.array([1000], pa.int64())),
        ("decimal(18,6)", pa.array([Decimal("0.0000001")], pa.decimal128(18, 7))),
        ("timestamp[s]", pa.array([datetime(2024, 1, 1, 0, 0, 0, 5)], pa.timestamp("us"))),
        ("date32", pa.array([datetime(2024, 1, 1, 7, 30)], pa.timestamp("s"))),
    ],
)
def test_a_value_that_would_change_is_a_broken_contract(type_name: str, values: pa.Array) -> None:
    with pytest.raises(ContractBroken) as caught:
        fitted(type_name, values)
    assert caught.value.metadata == {"column": "x", "part": "slice"}


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("int64", pa.array(["12"])),
        ("string", pa.array([12])),
        ("dictionary<string>", pa.array([1.5])),
        ("timestamp[s]", pa.array(["2024-01-01"])),
        ("timestamp[s]", pa.array([1])),
        ("timestamp[s]", pa.array([datetime(2024, 1, 1)], pa.timestamp("s", tz="UTC"))),
        ("float64", pa.array([True])),
    ],
)
def test_another_kind_of_value_is_a_broken_contract(type_name: str, values: pa.Array) -> None:
    with pytest.raises(ContractBroken, match=r"'x' of 'slice' is .*, declared"):
        fitted(type_name, values)


@pytest.mark.parametrize("type_name", ["string", "int64", "decimal(18,6)", "timestamp[s]", "dictionary<string>"])
def test_a_column_of_nothing_but_null_keeps_its_declared_type(type_name: str) -> None:
    column = fitted(type_name, pa.nulls(3, pa.int32()))
    assert (column.type, column.null_count) == (parse_type(type_name), 3)


def test_columns_come_in_declared_order_whatever_their_case() -> None:
    fitting = Fitting(parse_schema({"lot_id": "string", "qty": "int64"}), ["QTY", "LOT_ID"], "slice")
    batch = fitting.fit(pa.RecordBatch.from_arrays([pa.array([5]), pa.array(["a"])], ["QTY", "LOT_ID"]))
    assert batch.to_pylist() == [{"lot_id": "a", "qty": 5}]


@pytest.mark.parametrize(
    ("found", "column", "fault"),
    [(["a"], "b", "is missing"), (["a", "b", "c"], "c", "is not declared"), (["a", "b", "A"], "A", "is there twice")],
)
def test_missing_undeclared_and_doubled_columns_are_named(found: list[str], column: str, fault: str) -> None:
    with pytest.raises(ContractBroken, match=fault) as caught:
        Fitting(parse_schema({"a": "string", "b": "string"}), found, "carry_in")
    assert caught.value.metadata == {"column": column, "part": "carry_in"}
