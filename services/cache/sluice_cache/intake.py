"""What comes from outside is checked here, before anything reads it: Arrow trusts what it maps, and so does DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sluice_rpc import arrow

from sluice_cache.errors import InvalidFrame

_BROKEN: Final = (pa.ArrowException, OSError, ValueError, MemoryError)
"""What pyarrow makes of broken bytes; a name that is no UTF-8 is a ValueError, a gigantic length finds no memory."""

_MICROSECONDS: Final = {"s": 1_000_000, "ms": 1_000}


def checked_batches(pieces: Iterable[arrow.Piece]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Return schema and batches of a stream from outside; every batch is validated before anything reads it.

    Raises:
        InvalidFrame: the bytes are no IPC stream (also from the iterator).
    """
    try:
        reader = arrow.decode(pieces)
        names = reader.schema.names
    except _BROKEN as error:
        raise InvalidFrame("chunk", f"not an Arrow IPC stream: {error}") from error
    if len(set(names)) != len(names) or not names:
        raise InvalidFrame("chunk", "a frame has at least one column, each name once")
    return reader.schema, _validated(reader)


def _validated(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = reader.read_next_batch()
            # Offsets or dictionary indices out of bounds would let DuckDB read other memory.
            batch.validate()
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                _validate(column)
                _check_instants(name, column)
        except StopIteration:
            return
        except _BROKEN as error:
            raise InvalidFrame("chunk", f"broken record batch: {error}") from error
        yield batch


def _validate(column: pa.Array) -> None:
    """Look at every value, and for text in plain ASCII at all its bytes at once: a quarter of the time."""
    if pa.types.is_string(column.type) and _is_ascii(column.buffers()[2]):
        column = column.view(pa.binary())
    column.validate(full=True)


def _is_ascii(text: pa.Buffer | None) -> bool:
    if text is None:
        return True
    signed = pa.Array.from_buffers(pa.int8(), text.size, [None, text])
    least = pc.min_max(signed)["min"].as_py()
    return least is None or least >= 0


def _check_instants(name: str, column: pa.Array) -> None:
    """Refuse instants that microseconds cannot hold.

    Showing one as text ends in an internal error of DuckDB 2.0.0, after which its whole database answers nothing more.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit in _MICROSECONDS:
        furthest = (2**63 - 1) // _MICROSECONDS[kind.unit]
        span = pc.min_max(column.view(pa.int64())).as_py()
        if span["min"] is not None and not -furthest < span["min"] <= span["max"] < furthest:
            raise InvalidFrame("chunk", f"column {name!r} holds an instant beyond the years 290308 BC to 294246")
    for child in _children(column):
        _check_instants(name, child)


def _children(column: pa.Array) -> list[pa.Array]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return [column.dictionary]
    if pa.types.is_map(kind):
        return [column.keys, column.items]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [column.flatten()]
    return list(column.flatten()) if pa.types.is_struct(kind) else []
