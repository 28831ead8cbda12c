"""Dictionaries of a spool file: Parquet keeps the values that occur, in the order they occur; these say the rest.

Whoever stored a column of categories finds all of them again, in their order, also those that no row has; an ordered
one would compare otherwise than it did.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc


class Categories:
    """Collects the dictionaries of a file in the making.

    Where batches have different ones, the later ones' new values follow the earlier ones'.

    Args:
        schema: of every batch; dictionaries inside lists and structs are not collected.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._values = {
            field.name: pa.array([], field.type.value_type)
            for field in schema
            if pa.types.is_dictionary(field.type) and not pa.types.is_null(field.type.value_type)
        }

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the dictionaries of one batch."""
        for name, known in self._values.items():
            found = batch.column(name).dictionary
            if len(known) == 0:
                self._values[name] = found
            elif not found.equals(known):
                new = found.filter(pc.is_null(pc.index_in(found, value_set=known)))
                self._values[name] = pa.concat_arrays([known, new])

    def to_text(self) -> bytes:
        """Return them as they stand in the metadata of a spool file."""
        sink = pa.BufferOutputStream()
        for name, values in self._values.items():
            batch = pa.RecordBatch.from_arrays([values], [name])
            with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
                writer.write_batch(batch)
        return base64.b64encode(sink.getvalue().to_pybytes())


def from_text(text: bytes) -> dict[str, pa.Array]:
    """Return the dictionaries by column again.

    Raises:
        pyarrow.ArrowException, OSError: the text is not what `to_text` gave.
    """
    try:
        source = pa.BufferReader(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise pa.ArrowInvalid(f"no dictionaries: {error}") from error
    found = {}
    while source.tell() < source.size():
        with pa.ipc.open_stream(source) as reader:
            table = reader.read_all()
        found[table.column_names[0]] = table.column(0).combine_chunks()
    return found


def restored(column: pa.Array, kind: pa.DataType, values: pa.Array | None) -> pa.Array:
    """Return a column in the type it was written with; Parquet has no seconds and no dictionaries of its own.

    Args:
        column: as Parquet gives it.
        kind: as it was written.
        values: its dictionary; None for what has none, or had none that was kept.

    Raises:
        pyarrow.ArrowInvalid: a row's value is not in the dictionary.
    """
    if not pa.types.is_dictionary(kind):
        return column if column.type.equals(kind) else column.cast(kind)
    if not pa.types.is_dictionary(column.type):
        column = column.cast(kind.value_type).dictionary_encode()
    indices, own = column.indices, column.dictionary
    if pa.types.is_null(kind.value_type):
        # Arrow codes a NULL that has no type as a value, which pandas refuses as a category.
        indices, own = pa.nulls(len(column), kind.index_type), own.slice(0, 0)
    elif values is not None:
        codes = pc.index_in(own.cast(kind.value_type), value_set=values)
        if codes.null_count:
            raise pa.ArrowInvalid("a value is not in the dictionary")
        indices, own = codes.take(indices), values
    return pa.DictionaryArray.from_arrays(
        indices.cast(kind.index_type), own.cast(kind.value_type), ordered=kind.ordered
    )


def by_column(said: Mapping[bytes, bytes], key: bytes) -> dict[str, pa.Array]:
    """Return the dictionaries of a file's metadata; files from before they were kept have none."""
    return from_text(said[key]) if key in said else {}
