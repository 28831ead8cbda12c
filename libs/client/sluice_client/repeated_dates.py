"""DataFrames as Arrow tables, columns of dates from their distinct objects: Arrow looks at each, and most are the same.

pandas has no type for dates; it keeps objects, and whatever made a column of them out of days made one object for each.
Looking at all of them was half of the time before the first byte of a large DataFrame could be sent.
"""

from __future__ import annotations

import json
from datetime import date
from types import NoneType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

_BLOCK_COUNT: Final = 1 << 16
"""Values looked at together: what is made on the way stays in the processor's caches."""
_SAMPLE_COUNT: Final = 1 << 10
"""Values that tell whether a column may be one of dates."""
_DISTINCT_COUNT: Final = 1 << 14
"""With more objects in a block than these, looking at all of them takes no longer."""


def to_table(df: pd.DataFrame, *, preserve_index: bool | None = None) -> pa.Table:
    """Return what `pyarrow.Table.from_pandas` returns, metadata included.

    Args:
        df: the rows.
        preserve_index: as `from_pandas` has it.

    Raises:
        pyarrow.ArrowException, ValueError, TypeError: the DataFrame cannot be a table.
    """
    found = {at: _dates(df.iloc[:, at].to_numpy()) for at, kind in enumerate(df.dtypes) if kind == np.dtype(object)}
    dates = {at: column for at, column in found.items() if column is not None}
    if not dates:
        return pa.Table.from_pandas(df, preserve_index=preserve_index)
    replaced = df.copy(deep=False)
    for at, column in dates.items():
        replaced.isetitem(at, pd.arrays.ArrowExtensionArray(column))
    table = pa.Table.from_pandas(replaced, preserve_index=preserve_index)
    return table.replace_schema_metadata({**table.schema.metadata, b"pandas": _of_objects(table.schema, list(dates))})


def _dates(values: npt.NDArray[Any]) -> pa.ChunkedArray | None:
    """Return objects as dates, each distinct one converted once; None where that is not all they are, or gains nothing.

    A `datetime` is a `date` too, so their types are compared as they are.
    """
    if not _are_dates(values[:_SAMPLE_COUNT].tolist()):
        return None
    blocks = []
    for start in range(0, len(values), _BLOCK_COUNT):
        block = _block(values[start : start + _BLOCK_COUNT])
        if block is None:
            return None
        blocks.append(block)
    dates = pa.chunked_array(blocks, pa.date32())
    # What is all NULL has no type.
    return dates if dates.null_count < len(dates) else None


def _block(values: npt.NDArray[Any]) -> pa.Array | None:
    addresses = np.frombuffer(values.tobytes(), np.intp)
    codes, distinct = pd.factorize(addresses)
    # Codes count up in the order in which their values first come.
    first = np.searchsorted(np.maximum.accumulate(codes), np.arange(len(distinct)))
    objects = values[first].tolist()
    if len(objects) > _DISTINCT_COUNT or not _are_dates(objects):
        return None
    return pa.array(objects, pa.date32()).take(pa.array(codes))


def _are_dates(objects: list[object]) -> bool:
    return {type(value) for value in objects} <= {date, NoneType}


def _of_objects(schema: pa.Schema, positions: list[int]) -> bytes:
    """Return pandas' metadata with these columns as the objects that they are, which is how they come back."""
    described = json.loads(schema.metadata[b"pandas"])
    for position in positions:
        described["columns"][position]["numpy_type"] = "object"
    return json.dumps(described).encode()
