"""Made tables, pandas and pyarrow, through a real cache process and back, from the first tier and from the spool."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from sluice_client.frames import FrameStore
from sluice_client.ports import take_free

from tests.cache_process import started

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
# What pandas and Parquet can both show; the limits of microseconds are tried where broken bytes are.
INSTANTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))
DECIMALS = st.decimals(-10_000, 10_000, places=2, allow_nan=False)
KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.bool_(), st.booleans()),
    (pa.string(), TEXT),
    (pa.large_string(), TEXT),
    (pa.binary(), st.binary(max_size=12)),
    (pa.date32(), st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1))),
    (pa.timestamp("s"), INSTANTS.map(lambda instant: instant.replace(microsecond=0))),
    (pa.timestamp("us", "Asia/Taipei"), INSTANTS.map(lambda instant: instant.replace(tzinfo=dt.UTC))),
    (pa.duration("us"), st.timedeltas(dt.timedelta(-1000), dt.timedelta(1000))),
    (pa.decimal128(12, 2), DECIMALS),
    (pa.list_(pa.int32()), st.lists(st.integers(-5, 5), max_size=3)),
    (pa.struct([("x", pa.int64()), ("y", pa.string())]), st.fixed_dictionaries({"x": st.integers(0, 9), "y": TEXT})),
    (pa.null(), st.none()),
]
CODED = st.lists(st.none() | st.sampled_from(["a", "b", "c"]), min_size=0, max_size=20)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Return a table of one to five columns of any kinds, NULLs anywhere, one of them coded; rows may be none."""
    codes = draw(CODED)
    columns = {"coded": pa.array(codes, pa.string()).dictionary_encode()}
    for position, (kind, values) in enumerate(draw(st.lists(st.sampled_from(KINDS), max_size=4))):
        made = draw(st.lists(st.none() | values, min_size=len(codes), max_size=len(codes)))
        columns[f"c{position}"] = pa.array(made, kind)
    return pa.table(columns)


@pytest.fixture(scope="module", params=["hot", "spooled"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrameStore]:
    """A store before a cache that keeps everything hot, or spools from the first row."""
    rows = "1" if request.param == "spooled" else "1000000"
    port = take_free(1)[0]
    with (
        started(tmp_path_factory.mktemp("made"), port, spill_row_count=rows),
        FrameStore(f"127.0.0.1:{port}") as opened,
    ):
        yield opened


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(table=tables())
def test_a_made_table_comes_back_as_it_was_stored(store: FrameStore, table: pa.Table) -> None:
    assert store.store_table("made", table)
    read = store.load_table("made")
    assert read is not None
    assert read.schema.equals(table.schema)
    assert read.to_pylist() == table.to_pylist()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(table=tables())
def test_a_made_dataframe_comes_back_as_it_was_stored(store: FrameStore, table: pa.Table) -> None:
    df = table.select([name for name in table.column_names if not _nested(table.field(name).type)]).to_pandas()
    assert store.store_df("made", df)
    read = store.load_df("made")
    assert read is not None
    pd.testing.assert_frame_equal(read, df)


def test_an_ordered_categorical_compares_as_it_did_with_categories_that_no_row_has(store: FrameStore) -> None:
    grade = pd.CategoricalDtype(["low", "never", "middle", "high"], ordered=True)
    df = pd.DataFrame({"grade": pd.Series(["high", None, "low", "middle", "low"], dtype=grade)})
    assert store.store_df("graded", df)
    read = store.load_df("graded")
    assert read is not None
    pd.testing.assert_frame_equal(read, df)
    assert (read["grade"] < "middle").tolist() == [False, False, True, False, True]


def test_columns_come_in_the_order_asked_for(store: FrameStore) -> None:
    store.store_table("three", pa.table({"a": [1], "b": [2], "c": [3]}))
    read = store.load_table("three", ["c", "a"])
    assert read is not None
    assert read.to_pydict() == {"c": [3], "a": [1]}


def _nested(kind: pa.DataType) -> bool:
    # pandas shows lists and structs as arrays and dicts, which do not compare.
    return bool(pa.types.is_nested(kind))
