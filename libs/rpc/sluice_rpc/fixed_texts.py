"""Texts of one length travel without their offsets, which are four bytes a value and find no match in a quick codec.

Ids of a system are such texts. Whoever puts a table sends such a column as `fixed_size_binary`, and its field says that
it is text; whoever reads its rows makes text of it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

MARK: Final = b"sluice.fixed_text"
"""Key in the metadata of a field whose bytes are UTF-8 text; its value is empty."""

# Whether they are UTF-8 is for whoever checks what comes from outside, once it is text.
_AS_TEXT: Final = pc.CastOptions(target_type=pa.string(), allow_invalid_utf8=True)


def packed_schema(table: pa.Table) -> pa.Schema:
    """Return the schema of the table on its way: texts that share one length, none NULL, are bytes of that length."""
    schema = table.schema
    for position, field in enumerate(table.schema):
        length = _shared_length(field, table.column(position))
        if length:
            marked = field.with_type(pa.binary(length)).with_metadata({**(field.metadata or {}), MARK: b""})
            schema = schema.set(position, marked)
    return schema


def packed(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a table under its packed schema; no value is copied."""
    marked = [position for position, field in enumerate(schema) if _is_marked(field)]
    for batch in batches:
        columns = batch.columns
        for position in marked:
            columns[position] = _as_bytes(columns[position], schema.field(position).type)
        yield pa.RecordBatch.from_arrays(columns, schema=schema) if marked else batch


def is_packed(schema: pa.Schema) -> bool:
    """Return whether a stream of this schema has columns to make text of again."""
    return any(map(_is_marked, schema))


def unpacked_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema as it was before it was packed."""
    for position, field in enumerate(schema):
        if _is_marked(field):
            rest = {key: value for key, value in field.metadata.items() if key != MARK}
            schema = schema.set(position, field.with_type(pa.string()).with_metadata(rest or None))
    return schema


def unpacked(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, pool: pa.MemoryPool | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a packed schema as they were before; what their texts are made of is not looked at.

    Args:
        batches: packed.
        schema: theirs.
        pool: that offsets lie in; Arrow's own unless given.

    Raises:
        pyarrow.ArrowInvalid: a column has not the bytes that it says, or they are more than a text column holds.
    """
    marked = [position for position, field in enumerate(schema) if _is_marked(field)]
    wanted = unpacked_schema(schema)
    for batch in batches:
        columns = batch.columns
        for position in marked:
            # Its offsets would reach as far as it says, whatever there is.
            columns[position].validate()
            columns[position] = pc.cast(columns[position], options=_AS_TEXT, memory_pool=pool)
        yield pa.RecordBatch.from_arrays(columns, schema=wanted)


def _as_bytes(column: pa.StringArray, kind: pa.DataType) -> pa.Array:
    if len(column) == 0:
        return pa.array([], kind)
    # They lie one behind the other, from the first one's offset on.
    _, offsets, values = column.buffers()
    first = memoryview(offsets).cast("i")[column.offset]
    return pa.Array.from_buffers(kind, len(column), [None, values.slice(first, len(column) * kind.byte_width)])


def _shared_length(field: pa.Field, column: pa.ChunkedArray) -> int:
    if not pa.types.is_string(field.type) or len(column) == 0 or column.null_count:
        return 0
    span = pc.min_max(pc.binary_length(column)).as_py()
    return int(span["max"]) if span["min"] == span["max"] else 0


def _is_marked(field: pa.Field) -> bool:
    return pa.types.is_fixed_size_binary(field.type) and MARK in (field.metadata or {})
