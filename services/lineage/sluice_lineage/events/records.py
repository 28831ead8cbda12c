"""Rows as records by container, for callers without Arrow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa
from sluice.lineage.v1 import event_service_pb2 as pb

from sluice_lineage.events.domain import CONTAINER_COLUMN

_MESSAGE_BYTES: Final = 1 << 20
"""About how large a message grows; gRPC clients refuse those above 4 MiB."""
_ROWS_AT_ONCE: Final = 1_024
"""Rows that are Python objects at one moment."""


def record_messages(batch: pa.RecordBatch) -> Iterator[pb.EventRecords]:
    """Yield the rows of a batch grouped by container, in their order, in messages of about 1 MiB."""
    for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
        yield from _messages(batch.slice(start, _ROWS_AT_ONCE))


def _messages(rows: pa.RecordBatch) -> Iterator[pb.EventRecords]:
    position = rows.schema.get_field_index(CONTAINER_COLUMN)
    columns = [_values(column) for column in rows.columns]
    grouped: dict[str, pb.ContainerRecords] = {}
    size = 0
    for number, container_id in enumerate(rows.column(position).to_pylist()):
        if container_id is None:
            # Nobody asked for it.
            continue
        if container_id not in grouped:
            grouped[container_id] = pb.ContainerRecords(container_id=container_id)
        record = pb.EventRecord(values=[column[number] for column in columns])
        grouped[container_id].records.append(record)
        size += record.ByteSize()
        if size >= _MESSAGE_BYTES:
            yield pb.EventRecords(containers=grouped.values())
            grouped, size = {}, 0
    if grouped:
        yield pb.EventRecords(containers=grouped.values())


def _values(column: pa.Array) -> list[pb.EventValue]:
    make = _maker(column.type)
    null = pb.EventValue()
    return [null if value is None else make(value) for value in column.to_pylist()]


def _maker(kind: pa.DataType) -> Callable[[object], pb.EventValue]:
    if pa.types.is_integer(kind):
        return lambda value: pb.EventValue(whole=value)  # type: ignore[arg-type]  # an integer column
    if pa.types.is_floating(kind):
        return _number
    if pa.types.is_temporal(kind):
        return lambda value: pb.EventValue(text=value.isoformat())  # type: ignore[attr-defined]  # a date or a time
    return lambda value: pb.EventValue(text=value)  # type: ignore[arg-type]  # a text column


def _number(value: object) -> pb.EventValue:
    assert isinstance(value, float)
    # JSON has no NaN, and whoever reads records makes JSON of them.
    return pb.EventValue() if math.isnan(value) else pb.EventValue(number=value)
