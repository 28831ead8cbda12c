"""Categories of a DataFrame without rows: Arrow keeps them in its batches, of which such a DataFrame has none."""

from __future__ import annotations

import base64
from typing import Final

import pandas as pd
import pyarrow as pa

_KEY: Final = b"sluice.categories"
"""In the schema's metadata: one row of lists, the categories of each categorical column, as IPC in base 64."""


def with_categories(table: pa.Table, df: pd.DataFrame) -> pa.Table:
    """Return the table of a DataFrame with its categories beside it, where no row of it could have them.

    Raises:
        TypeError: categories are tuples or the like; pandas makes none of what Arrow gives back for them.
    """
    found = {str(name): kind.categories for name, kind in df.dtypes.items() if isinstance(kind, pd.CategoricalDtype)}
    for field in table.schema:
        if pa.types.is_dictionary(field.type) and pa.types.is_nested(field.type.value_type):
            raise TypeError(f"column {field.name!r}: categories are single values")
    if len(df) or not found:
        return table
    lists = {name: _in_one_row(pa.array(categories)) for name, categories in found.items()}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.table(lists).schema) as writer:
        writer.write_table(pa.table(lists))
    kept = base64.b64encode(sink.getvalue())
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KEY: kept})


def categories_restored(df: pd.DataFrame, table: pa.Table) -> pd.DataFrame:
    """Return the DataFrame of a table with the categories that stand beside it."""
    kept = (table.schema.metadata or {}).get(_KEY)
    if kept is None or len(df):
        return df
    lists = pa.ipc.open_stream(base64.b64decode(kept)).read_all()
    for position, (name, kind) in enumerate(df.dtypes.items()):
        if isinstance(kind, pd.CategoricalDtype) and str(name) in lists.column_names:
            values = lists.column(str(name)).chunk(0).values
            coded = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), values, ordered=bool(kind.ordered))
            df.isetitem(position, coded.to_pandas())
    return df


def _in_one_row(values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
