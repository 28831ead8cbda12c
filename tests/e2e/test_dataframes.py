"""DataFrames through a running cache process: what comes back equals what was stored (B1.1, B1.2).

Every fact is asked of a cache that keeps frames hot and of one that spools whatever has more than one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sluice_client.demo.programs import SuiteFiles, SuitePorts, suite_programs
from sluice_client.demo.supervisor import Supervisor
from sluice_client.frames import FrameStore

from tests.running_suite import START_TIMEOUT_S


@pytest.fixture(scope="module", params=["hot", "spool"])
def cache_port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a cache process alone."""
    folder = tmp_path_factory.mktemp("cache")
    ports, files = SuitePorts.free(), SuiteFiles(folder / "none.duckdb", folder / "cache", folder / "redis")
    spill = {"SLUICE_CACHE_SPILL_ROW_COUNT": "1"} if request.param == "spool" else {}
    programs = suite_programs(ports, files, None, {"cache": spill})
    cache = [program for program in programs if program.name == "cache"]
    with Supervisor(cache, folder / "logs", print) as supervisor:
        supervisor.await_serving(START_TIMEOUT_S)
        yield ports.cache


@pytest.fixture
def store(cache_port: int) -> Iterator[FrameStore]:
    with FrameStore(f"127.0.0.1:{cache_port}") as opened:
        yield opened


@pytest.fixture
def key() -> str:
    """A key nobody else has, in the form the earlier Redis module used."""
    return f"reject_dataset:{uuid4()}"


DAYS = pd.date_range("2025-01-01 07:30", periods=3, freq="D", unit="s").rename("day")

FRAMES = {
    "range index": pd.DataFrame({"qty": [1, 2, 3]}),
    "no rows": pd.DataFrame({"qty": pd.Series([], dtype="int64"), "lot": pd.Series([], dtype="str")}),
    "no columns": pd.DataFrame(index=pd.RangeIndex(3)),
    "text index": pd.DataFrame({"qty": [1, 2]}, index=pd.Index(["a", "b"], name="lot")),
    "day index": pd.DataFrame({"qty": [1, 2, 3]}, index=pd.DatetimeIndex(list(DAYS), name="day")),
    "two levels": pd.DataFrame(
        {"qty": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])
    ),
    "column numbers": pd.DataFrame({0: [1, 2], 1: [3, 4]}),
    "numbers": pd.DataFrame(
        {"i8": np.array([1, -2], "int8"), "u64": np.array([1, 2**63], "uint64"), "f32": [0.5, 1.5]}
    ),
    "not a number": pd.DataFrame({"hours": [1.5, float("nan"), float("inf")]}),
    "nullable": pd.DataFrame({"qty": pd.array([1, None], dtype="Int64"), "ok": pd.array([True, None], "boolean")}),
    "text": pd.DataFrame({"reason": ["膠損", "", None]}),
    "texts of pandas": pd.DataFrame({"lot": pd.Series(["膠損", "", None], dtype="str"), "n": [1, 2, 3]}),
    "texts of Arrow": pd.DataFrame({"lot": pd.Series(["a", None], dtype=pd.ArrowDtype(pa.large_string()))}),
    "bytes": pd.DataFrame({"raw": [b"\x00\xff", None]}),
    "decimal": pd.DataFrame({"price": [Decimal("1.10"), Decimal("-22.00"), None]}),
    "zoneless times": pd.DataFrame({"at": pd.Series(DAYS.to_numpy())}),
    "zoned times": pd.DataFrame({"at": pd.Series(DAYS.tz_localize("Asia/Taipei"))}),
    "nanoseconds": pd.DataFrame({"at": np.array([1, "NaT", 3], "datetime64[ns]")}),
    "dates": pd.DataFrame({"day": [date(2025, 1, 1), None]}),
    "durations": pd.DataFrame({"took": [timedelta(hours=1), timedelta(days=-2)]}),
    "categories": pd.DataFrame({"shift": pd.Categorical(["D", None, "N"], categories=["N", "D", "X"], ordered=True)}),
    "plain categories": pd.DataFrame({"shift": pd.Categorical(["D", "N", "D"])}),
    "all NULL objects": pd.DataFrame({"comment": [None, None]}, dtype=object),
    "all NULL times": pd.DataFrame({"at": pd.Series([pd.NaT, pd.NaT], dtype="datetime64[s]")}),
    "all NULL numbers": pd.DataFrame({"qty": pd.array([None, None], dtype="Int64")}),
    "lists": pd.DataFrame({"lots": [["a", "b"], []]}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_what_was_stored_comes_back(store: FrameStore, key: str, name: str) -> None:
    assert store.store_df(key, FRAMES[name])
    loaded = store.load_df(key)
    assert loaded is not None
    expected = FRAMES[name].map(list) if name == "lists" else FRAMES[name]
    actual = loaded.map(list) if name == "lists" else loaded
    pd.testing.assert_frame_equal(actual, expected)


def test_a_large_frame_comes_back(store: FrameStore, key: str) -> None:
    df = pd.DataFrame({"n": np.arange(300_000), "lot": [f"L{n % 977}" for n in range(300_000)]})
    assert store.store_df(key, df)
    loaded = store.load_df(key)
    assert loaded is not None
    pd.testing.assert_frame_equal(loaded, df)


def test_the_later_store_wins(store: FrameStore, key: str) -> None:
    store.store_df(key, pd.DataFrame({"v": [1]}))
    store.store_df(key, pd.DataFrame({"v": [2]}))
    loaded = store.load_df(key)
    assert loaded is not None
    assert loaded["v"].tolist() == [2]


def test_a_key_nobody_stored_is_none(store: FrameStore, key: str) -> None:
    assert store.load_df(key) is None


def test_attributes_come_back(store: FrameStore, key: str) -> None:
    df = pd.DataFrame({"v": [1]})
    df.attrs["unit"] = "pieces"
    store.store_df(key, df)
    loaded = store.load_df(key)
    assert loaded is not None
    assert loaded.attrs == {"unit": "pieces"}


def test_zoneless_times_are_not_shifted(store: FrameStore, key: str) -> None:
    store.store_df(key, pd.DataFrame({"at": [datetime(2025, 1, 1, 7, 30)]}))
    loaded = store.load_df(key)
    assert loaded is not None
    assert loaded["at"][0] == pd.Timestamp("2025-01-01 07:30")


def test_two_columns_of_one_name_are_not_stored(store: FrameStore, key: str) -> None:
    assert not store.store_df(key, pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_objects_without_a_common_type_are_not_stored(store: FrameStore, key: str) -> None:
    assert not store.store_df(key, pd.DataFrame({"v": [1, "a", object()]}))


def test_a_chunk_is_there_after_it_was_stored(store: FrameStore, key: str) -> None:
    before = store.chunk_exists(key, "0123456789abcdef", 0)
    store.store_chunk(key, "0123456789abcdef", 0, pd.DataFrame({"v": [1]}))
    assert (before, store.chunk_exists(key, "0123456789abcdef", 0)) == (False, True)


def test_a_chunk_comes_back(store: FrameStore, key: str) -> None:
    store.store_chunk(key, "0123456789abcdef", 2, pd.DataFrame({"v": [1]}))
    loaded = store.load_chunk(key, "0123456789abcdef", 2)
    assert loaded is not None
    assert loaded["v"].tolist() == [1]


def test_chunks_of_one_query_are_apart(store: FrameStore, key: str) -> None:
    store.store_chunk(key, "0123456789abcdef", 0, pd.DataFrame({"v": [1]}))
    assert store.load_chunk(key, "0123456789abcdef", 1) is None
