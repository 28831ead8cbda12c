"""Rows as records by container, for callers without Arrow.

Each distinct value of a column is made a message once, and its bytes are put together from then on: a message object
for each cell takes five times as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
from sluice.lineage.v1 import event_service_pb2 as pb

from sluice_lineage.events.domain import CONTAINER_COLUMN

_MESSAGE_BYTES: Final = 1 << 20
"""About how large a message grows; gRPC clients refuse those above 4 MiB."""
_ROWS_AT_ONCE: Final = 4_096
"""Rows that are Python objects at one moment."""
_FIRST_FIELD: Final = b"\x0a"
"""Field 1, length-delimited: `values` of EventRecord."""
_RECORDS_FIELD: Final = b"\x12"
"""Field 2, length-delimited: `records` of ContainerRecords."""


def record_messages(batch: pa.RecordBatch) -> Iterator[pb.EventRecords]:
    """Yield the rows of a batch grouped by container, in their order, in messages of about 1 MiB."""
    for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
        yield from _messages(batch.slice(start, _ROWS_AT_ONCE))


def _messages(rows: pa.RecordBatch) -> Iterator[pb.EventRecords]:
    position = rows.schema.get_field_index(CONTAINER_COLUMN)
    cells = zip(*(_cells(column) for column in rows.columns), strict=True)
    grouped: dict[str, list[bytes]] = {}
    size = 0
    for container_id, row in zip(rows.column(position).to_pylist(), cells, strict=True):
        if container_id is None:
            # Nobody asked for it.
            continue
        record = b"".join(row)
        grouped.setdefault(container_id, []).append(_RECORDS_FIELD + _varint(len(record)) + record)
        size += len(record)
        if size >= _MESSAGE_BYTES:
            yield _message(grouped)
            grouped, size = {}, 0
    if grouped:
        yield _message(grouped)


def _message(grouped: dict[str, list[bytes]]) -> pb.EventRecords:
    message = pb.EventRecords()
    for container_id, records in grouped.items():
        container = message.containers.add(container_id=container_id)
        container.MergeFromString(b"".join(records))
    return message


def _cells(column: pa.Array) -> list[bytes]:
    """Return each value as it stands in its record on the wire."""
    coded = column.dictionary_encode(null_encoding="encode")
    made = [_wire(_value(value, column.type)) for value in coded.dictionary.to_pylist()]
    return [made[index] for index in coded.indices.to_pylist()]


def _wire(value: pb.EventValue) -> bytes:
    content = value.SerializeToString()
    return _FIRST_FIELD + _varint(len(content)) + content


def _value(value: object, kind: pa.DataType) -> pb.EventValue:
    if value is None:
        return pb.EventValue()
    if pa.types.is_integer(kind):
        assert isinstance(value, int)
        return pb.EventValue(whole=value)
    if pa.types.is_floating(kind):
        assert isinstance(value, float)
        # JSON has no NaN, and whoever reads records makes JSON of them.
        return pb.EventValue() if math.isnan(value) else pb.EventValue(number=value)
    if pa.types.is_temporal(kind):
        return pb.EventValue(text=value.isoformat())  # type: ignore[attr-defined]  # a date or a time
    assert isinstance(value, str)
    return pb.EventValue(text=value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
