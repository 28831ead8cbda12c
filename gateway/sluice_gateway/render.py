"""Arrow into what clients read: JSON columns and rows, CSV, Parquet, and Arrow with the receipt in its schema."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from sluice_rpc import arrow

RECEIPT_KEY = b"sluice.receipt"

_HEADER_CHARS = 4000
"""Longest receipt in a header; proxies refuse headers of 8 KiB."""

_FORMULA = r"^\s*[=+\-@|%＝＋－＠]|^[\t\r\n]"
"""What a spreadsheet may take for a formula, full-width forms included (OWASP, CSV injection)."""


def dumps(value: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def ascii_dumps(value: object) -> str:
    """Return compact JSON in ASCII, for headers."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def receipt_header(receipt: Mapping[str, object]) -> str:
    """Return the receipt as a header; without its ranges where they would not fit, which its status still tells."""
    text = ascii_dumps(receipt)
    if len(text) > _HEADER_CHARS:
        text = ascii_dumps({**receipt, "failed_ranges": None, "truncated_ranges": None})
    return text


def table(pieces: Iterable[bytes]) -> pa.Table:
    """Return the table that the pieces of an Arrow stream make up."""
    return arrow.decode(pieces).read_all()


def columns_and_rows(rows: pa.Table) -> dict[str, object]:
    """Return `{"columns": [{name, type}], "rows": [[…]]}`.

    Instants are `YYYY-MM-DDTHH:MM:SS`, dates ISO, integers and decimals numbers; what JSON has no number for is null.
    """
    columns = [{"name": column.name, "type": type_name(column.type)} for column in rows.schema]
    # Plain lists and tuples: up to a year's trend they are as fast as joining text in Arrow, and far faster for a
    # page. Tuples of plain values drop out of garbage collection; a list for each row would set it off.
    values = [plain(column).to_pylist() for column in rows.columns]
    return {"columns": columns, "rows": list(zip(*values, strict=True))}


def type_name(kind: pa.DataType) -> str:
    """Return the Arrow type as definitions name it; how a column is encoded is nobody's business."""
    return str(kind.value_type if pa.types.is_dictionary(kind) else kind)


def csv(batches: pa.RecordBatchReader, trailer: str | None) -> Iterator[bytes]:
    """Yield UTF-8 CSV with a byte order mark; texts that a spreadsheet would run are led by an apostrophe.

    Args:
        batches: the rows.
        trailer: a last line that says what is missing; None when nothing is.
    """
    sink = io.BytesIO()
    sink.write(b"\xef\xbb\xbf")
    schema = pa.schema([(column.name, _csv_type(column.type)) for column in batches.schema])
    with pa.csv.CSVWriter(sink, schema) as writer:
        yield _drained(sink)
        for batch in batches:
            writer.write_batch(pa.record_batch([_harmless(column) for column in batch.columns], schema=schema))
            yield _drained(sink)
    if trailer is not None:
        quoted = trailer.replace('"', '""')
        yield f'"{quoted}"\n'.encode()


def parquet(batches: pa.RecordBatchReader, receipt: bytes) -> Iterator[bytes]:
    """Yield a Parquet file, one row group per batch, with the receipt in its schema metadata."""
    sink = io.BytesIO()
    schema = with_receipt(batches.schema, receipt)
    with pa.parquet.ParquetWriter(pa.PythonFile(_Forward(sink), mode="w"), schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            yield _drained(sink)
    yield _drained(sink)


def relabelled(first: bytes, receipt: bytes) -> bytes | None:
    """Return the beginning of an Arrow stream with the receipt in its schema; None while that is not all there."""
    return with_schema_metadata(first, {RECEIPT_KEY: receipt})


def with_schema_metadata(first: bytes, metadata: Mapping[bytes, bytes]) -> bytes | None:
    """Return the beginning of an Arrow stream with more metadata in its schema; None while that is not all there.

    Only the schema message is written anew: the batches behind it are passed on as they came.
    """
    if len(first) < 8:
        return None
    end = schema_length(first)
    if len(first) < end:
        return None
    schema = pa.ipc.read_schema(pa.py_buffer(first[:end]))
    labelled = schema.with_metadata({**(schema.metadata or {}), **metadata})
    return bytes(labelled.serialize()) + first[end:]


def schema_length(first: bytes) -> int:
    """Return the length of the schema message at the beginning of an Arrow stream, of which 8 bytes are there."""
    # An encapsulated message is a continuation mark, the length of its metadata, the metadata and a body (Arrow
    # columnar format, IPC). A schema has no body.
    return 8 + int.from_bytes(first[4:8], "little")


def with_receipt(schema: pa.Schema, receipt: bytes) -> pa.Schema:
    """Return the schema with the receipt among its metadata."""
    return schema.with_metadata({**(schema.metadata or {}), RECEIPT_KEY: receipt})


def plain(column: Any) -> Any:
    """Return an array, chunked or not, in a type whose Python values JSON can hold."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        return _iso(column)
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return column.cast(pa.string())
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_floating(kind):
        return _finite(column)
    return column


def _iso(column: Any) -> Any:
    zoned = column.type.tz is not None
    text = column.cast(pa.timestamp("s"), safe=False).cast(pa.string())
    text = pc.replace_substring(text, " ", "T", max_replacements=1)
    return pc.binary_join_element_wise(text, "Z", "") if zoned else text


def _csv_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _csv_type(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.string()
    return kind


def _harmless(column: pa.Array) -> Any:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _harmless(column.cast(kind.value_type))
    if pa.types.is_floating(kind):
        return _finite(column)
    if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        return column
    text = column.cast(pa.string())
    return pc.if_else(pc.match_substring_regex(text, _FORMULA), pc.binary_join_element_wise("'", text, ""), text)


def _finite(column: Any) -> Any:
    return pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))


class _Forward(io.RawIOBase):
    """A sink that never seeks back, so that what was written can be handed out at once."""

    def __init__(self, target: io.BytesIO) -> None:
        self._target = target
        self._byte_count = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        # Parquet's footer counts from the first byte, handed out or not.
        return self._byte_count

    def write(self, data: Any) -> int:
        count = self._target.write(data)
        self._byte_count += count
        return count


def _drained(sink: io.BytesIO) -> bytes:
    data = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return data
