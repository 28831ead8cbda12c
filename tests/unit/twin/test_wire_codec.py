"""Values both ways through the real driver: NUMBER and DATE as binds, as columns, and in Arrow; NULLs and repeats."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any

import oracledb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sluice_twin.oracle_wire import OracleWireServer
from sluice_twin.oracle_wire.codec import (
    decode_binary_float,
    decode_date,
    decode_number,
    encode_binary_double,
    encode_date,
    encode_number,
    encode_timestamp,
)
from sluice_twin.oracle_wire.errors import OraError

from tests.stand_in import connected, rows_of

# A NUMBER holds 40 digits in pairs, so 38 wherever they begin.
NUMBERS = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12),
    st.builds(
        lambda digits, scale: Decimal(digits).scaleb(scale), st.integers(-(10**20), 10**20), st.integers(-60, 60)
    ),
)
DATES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(lambda d: d.replace(microsecond=0))
NARROW = st.decimals(-(10**9), 10**9, places=6, allow_nan=False, allow_infinity=False)
WIDE = st.integers(-(10**37), 10**37).map(Decimal)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=300)


@pytest.fixture(scope="module")
def connection() -> Iterator[oracledb.Connection]:
    """A connection whose numbers come as exact decimals."""

    def exact(cursor: oracledb.Cursor, metadata: oracledb.FetchInfo) -> Any:
        number = metadata.type_code is oracledb.DB_TYPE_NUMBER
        return cursor.var(Decimal, arraysize=cursor.arraysize) if number else None

    with OracleWireServer(None) as server, connected(server) as opened:
        opened.outputtypehandler = exact
        yield opened


@given(NUMBERS)
def test_wire_number_codec_has_an_inverse(value: int | Decimal) -> None:
    with localcontext() as context:
        context.prec = 130
        assert decode_number(encode_number(value)) == value


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_wire_numbers_compare_as_their_bytes_do(one: int, two: int) -> None:
    assert (encode_number(one) < encode_number(two)) == (one < two)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "80"),
        (1, "c102"),
        (100, "c202"),
        (-1, "3e6466"),
        (123, "c20218"),
        (Decimal("0.01"), "c002"),
        (-100, "3d6466"),
    ],
)
def test_wire_number_has_the_bytes_that_servers_send(value: int | Decimal, code: str) -> None:
    assert encode_number(value).hex() == code


def test_wire_number_too_large_is_refused() -> None:
    with pytest.raises(OraError, match="ORA-01426"):
        encode_number(10**126)


@given(DATES)
def test_wire_date_codec_has_an_inverse(value: datetime) -> None:
    assert decode_date(encode_date(value)) == value


@given(st.datetimes(datetime(1, 1, 1)))
def test_wire_timestamp_codec_has_an_inverse(value: datetime) -> None:
    assert decode_date(encode_timestamp(value)) == value


@given(st.floats(allow_nan=False))
def test_wire_binary_double_codec_has_an_inverse(value: float) -> None:
    assert decode_binary_float(encode_binary_double(value)) == value


@given(st.decimals(-(10**15), 10**15, places=6, allow_nan=False, allow_infinity=False))
def test_wire_number_makes_the_round_trip(connection: oracledb.Connection, value: Decimal) -> None:
    assert rows_of(connection, "select :value from dual", value=value) == [(value,)]


@given(st.integers(-(10**18), 10**18))
def test_wire_integer_makes_the_round_trip(connection: oracledb.Connection, value: int) -> None:
    assert rows_of(connection, "select :value from dual", value=value) == [(value,)]


@given(st.datetimes(datetime(1678, 1, 1), datetime(2261, 12, 31)).map(lambda d: d.replace(microsecond=0)))
def test_wire_date_makes_the_round_trip(connection: oracledb.Connection, value: datetime) -> None:
    assert rows_of(connection, "select :value from dual", value=value) == [(value,)]


@given(TEXT)
def test_wire_text_makes_the_round_trip_and_empty_text_is_null(connection: oracledb.Connection, value: str) -> None:
    assert rows_of(connection, "select :value from dual", value=value) == [(value or None,)]


def columns(values: dict[str, list[Any]]) -> pa.Table:
    types = {
        "SMALL": pa.int64(),
        "NARROW": pa.decimal128(18, 6),
        "WIDE": pa.decimal128(38, 0),
        "MOMENT": pa.timestamp("s"),
        "LABEL": pa.string(),
    }
    return pa.table({name: pa.array(values[name], kind) for name, kind in types.items()})


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "SMALL": st.one_of(st.none(), st.sampled_from([0, 1, -1]), st.integers(-(2**63), 2**63 - 1)),
            "NARROW": st.one_of(st.none(), NARROW),
            "WIDE": st.one_of(st.none(), WIDE),
            "MOMENT": st.one_of(st.none(), st.sampled_from([datetime(2025, 1, 1)]), DATES),
            "LABEL": st.one_of(st.none(), st.sampled_from(["a", "b"]), TEXT.filter(bool)),
        }
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=settings.default.max_examples // 4 if settings.default else 25)
@given(rows=ROWS, array_size=st.integers(1, 12), compressed=st.booleans())
def test_wire_columns_of_every_type_arrive_whatever_the_batch(
    rows: list[dict[str, Any]], array_size: int, compressed: bool
) -> None:
    table = columns({name: [row[name] for row in rows] for name in rows[0]})
    wanted = pa.schema(
        [
            ("SMALL", pa.int64()),
            ("NARROW", pa.decimal128(38, 6)),
            ("WIDE", pa.decimal128(38, 0)),
            ("MOMENT", pa.timestamp("s")),
            ("LABEL", pa.string()),
        ]
    )
    statement = "select SMALL, NARROW, WIDE, MOMENT, LABEL from DWH.SOME"
    stand_in = OracleWireServer(None, tables={"SOME": table}, compressed=compressed)
    with stand_in as server, connected(server) as connection:
        frames = connection.fetch_df_batches(statement, size=array_size, requested_schema=wanted)
        batches = [pa.table(frame) for frame in frames]
    got = pa.concat_tables(batches)
    assert got.to_pylist() == table.to_pylist()
