"""Arrow IPC and types, once and only here.

Hot files are uncompressed IPC streams, byte for byte what `GetFrame` sends without compression, so they are
memory-mapped by readers and copied to the wire as they lie.

Types that leave RunQuery are predictable from the types that DuckDB gives its columns:

- HUGEINT and UHUGEINT (sums of integers) leave as int64; a value beyond 64 bits refuses the statement.
- ENUM, dictionaries and string views leave as utf8, blobs as binary.
- TIMESTAMP_S columns stay timestamp[s]; arithmetic on them is DuckDB's TIMESTAMP and leaves as timestamp[us].
- Timestamps with a zone leave in UTC.
- All else (DECIMAL with a scale, DATE, DOUBLE, lists, structs) leaves as DuckDB gives it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sluice_rpc.pieces import BULK_PIECE_BYTES

from sluice_cache.errors import InvalidSql


def map_stream(path: Path) -> tuple[pa.Table, pa.Buffer]:
    """Return the table of a hot file, and its bytes, without reading it; pages come in as they are used.

    Raises:
        pyarrow.ArrowException, OSError: the file is no IPC stream or is cut.
    """
    with pa.memory_map(str(path)) as source:
        content = source.read_buffer()
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all(), content


def pieces_of(content: pa.Buffer | bytes) -> Iterator[memoryview]:
    """Yield an IPC stream that lies in memory, or is mapped, in pieces of 2 MiB as it lies."""
    view = memoryview(content)
    for start in range(0, len(view), BULK_PIECE_BYTES):
        yield view[start : start + BULK_PIECE_BYTES]


def schema_to_text(schema: pa.Schema) -> bytes:
    """Return a schema as it stands in the metadata of a spool file."""
    return base64.b64encode(schema.serialize().to_pybytes())


def schema_from_text(text: bytes) -> pa.Schema:
    """Return the schema again.

    Raises:
        pyarrow.ArrowException, OSError: the text is not what `schema_to_text` gave.
    """
    try:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text, validate=True)))
    except ValueError as error:
        raise pa.ArrowInvalid(f"no schema: {error}") from error


def schema_hash(schema: pa.Schema) -> str:
    """Return 16 hexadecimal characters that differ when names, types or nullability do."""
    return hashlib.sha256(schema.remove_metadata().serialize().to_pybytes()).hexdigest()[:16]


def wire_schema(schema: pa.Schema) -> pa.Schema:
    """Return the types under which columns of a statement leave, as the module's docstring says."""
    return pa.schema([pa.field(field.name, _wire_type(field.type)) for field in schema])


def to_wire(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch in its wire types.

    Raises:
        InvalidSql: an integer passes 64 bits.
    """
    if batch.schema.equals(schema):
        return batch
    try:
        columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    except pa.ArrowInvalid as error:
        raise InvalidSql(f"a value does not fit its column's type on the wire: {error}") from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _wire_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _wire_type(kind.value_type)
    if pa.types.is_decimal128(kind) and kind.precision == 38 and kind.scale == 0:
        return pa.int64()
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    return kind


class DictionaryEncoder:
    """Encodes columns of few distinct values batch by batch; the codes of earlier batches stay what they were."""

    def __init__(self, schema: pa.Schema, columns: Iterable[str]) -> None:
        self._columns = [name for name in columns if name in schema.names]
        self._values: dict[str, pa.Array] = {}
        self.schema = schema
        for name in self._columns:
            position = schema.get_field_index(name)
            value_type = schema.field(name).type
            encoded = pa.dictionary(pa.int32(), value_type)
            self.schema = self.schema.set(position, pa.field(name, encoded))
            self._values[name] = pa.array([], value_type)

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with its columns encoded; their dictionaries begin with those of the batch before."""
        columns = [
            self._encoded(name, column) if name in self._values else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _encoded(self, name: str, column: pa.Array) -> pa.DictionaryArray:
        # The batch's own dictionary is small, so the rows themselves are hashed once.
        own = column.dictionary_encode()
        known = self._values[name]
        new = own.dictionary.filter(pc.is_null(pc.index_in(own.dictionary, value_set=known)))
        if len(new):
            known = self._values[name] = pa.concat_arrays([known, new])
        codes = pc.index_in(own.dictionary, value_set=known)
        return pa.DictionaryArray.from_arrays(codes.take(own.indices), known)
