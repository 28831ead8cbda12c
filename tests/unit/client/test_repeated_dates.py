"""Tables of DataFrames with dates are those that pyarrow makes, however the dates are converted."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sluice_client import repeated_dates
from sluice_client.repeated_dates import to_table

DAY = dt.date(2026, 3, 1)
LATER = dt.date(1999, 12, 31)
COUNT = 70_000
"""More than one block."""


class ShiftDay(dt.date):
    """A date that is more than one."""


def repeated(*values: object) -> pd.Series[Any]:
    return pd.Series(list(values) * COUNT, dtype=object)


def with_last(last: object) -> pd.Series[Any]:
    return pd.Series([DAY] * COUNT + [last], dtype=object)


@pytest.mark.parametrize(
    "column",
    [
        repeated(DAY, LATER, None),
        repeated(None, DAY),
        repeated(None),
        repeated(DAY, float("nan")),
        repeated(DAY, pd.NaT),
        repeated(DAY, pd.NA),
        with_last(dt.datetime(2026, 3, 1, 12, 30)),
        with_last(pd.Timestamp("2026-03-01 12:30")),
        with_last(ShiftDay(2026, 3, 2)),
        with_last(1),
        with_last(dt.date.min),
        with_last(dt.date.max),
        pd.Series([None] * COUNT + [DAY], dtype=object),
        pd.Series([DAY + dt.timedelta(days=at % 5000) for at in range(COUNT)], dtype=object),
        repeated("2026-03-01", None),
        repeated(True, False),
        pd.Series([], dtype=object),
        pd.Series([DAY], dtype=object),
        pd.Series([DAY, DAY, None], dtype=object),
    ],
)
def test_the_table_is_the_one_that_pyarrow_makes(column: pd.Series[Any]) -> None:
    df = pd.DataFrame({"a": np.arange(len(column)), "day": column, "again": column})

    assert to_table(df).equals(pa.Table.from_pandas(df), check_metadata=True)


@pytest.mark.parametrize("last", ["2026-03-01", b"x", dt.time(1)])
def test_dates_beside_another_type_are_refused_as_pyarrow_refuses_them(last: object) -> None:
    df = pd.DataFrame({"day": with_last(last)})
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)) as of_arrow:
        pa.Table.from_pandas(df)

    with pytest.raises(of_arrow.type) as ours:
        to_table(df)

    assert str(ours.value) == str(of_arrow.value)


@pytest.mark.parametrize(
    "df",
    [
        pd.DataFrame({"day": repeated(DAY, None)}).set_index(pd.Index(range(0, 4 * COUNT, 2), name="n")),
        pd.DataFrame({"day": repeated(DAY, LATER), "n": range(2 * COUNT)}).set_index("day", drop=False),
        pd.DataFrame({("a", "day"): repeated(DAY, LATER), ("b", ""): repeated(None, DAY)}),
        pd.DataFrame({3: repeated(DAY, LATER)}),
        pd.DataFrame({"day": repeated(DAY, LATER), "n": 1}).iloc[::2],
    ],
)
def test_whatever_index_and_names_the_dates_stand_under(df: pd.DataFrame) -> None:
    df.attrs["made"] = "today"

    assert to_table(df).equals(pa.Table.from_pandas(df), check_metadata=True)


def test_two_columns_of_one_name_are_refused_as_pyarrow_refuses_them() -> None:
    df = pd.concat([repeated(DAY), repeated(LATER)], axis=1, keys=["day", "day"])

    with pytest.raises(ValueError, match="Duplicate column names"):
        to_table(df)


def test_the_dataframe_stays_as_it_is() -> None:
    df = pd.DataFrame({"day": repeated(DAY, None)})
    kept = df.copy()

    to_table(df)

    pd.testing.assert_frame_equal(df, kept)
    assert df["day"].iloc[0] is DAY


def test_repeated_dates_are_converted_once() -> None:
    column = repeated_dates._dates(repeated(DAY, None, LATER).to_numpy())

    assert column is not None
    assert column.type == pa.date32()
    assert column.to_pylist() == [DAY, None, LATER] * COUNT


def test_dates_that_are_all_objects_of_their_own_are_left_to_pyarrow() -> None:
    own = pd.Series([dt.date(2026, 3, 1 + at % 20) for at in range(COUNT)], dtype=object)

    assert repeated_dates._dates(own.to_numpy()) is None
