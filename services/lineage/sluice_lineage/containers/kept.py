"""Resolutions that are given again: frames of the cache, named by what was asked.

Only whole ones are kept. A cache that is away costs the reuse, never the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock
from sluice_warehouse.statements import MAX_ID_COUNT

from sluice_lineage.containers.kinds import Kind
from sluice_lineage.containers.resolve import ROWS_SCHEMA, Resolution, ordered_by_position
from sluice_lineage.containers.values import is_pattern
from sluice_lineage.frames import FrameFacts, FrameStore

log = structlog.get_logger()

FRAME_SCHEMA: Final = pa.schema(
    [
        pa.field("value", pa.dictionary(pa.int32(), pa.string())),
        *(field for field in ROWS_SCHEMA if field.name != "position"),
    ]
)
"""Rows of a kept resolution: as `ROWS_SCHEMA`, with the value as looked up in place of its position."""

_VERSION: Final = 1
"""Of the columns and of how values are looked up; another one finds no frame of this."""


@dataclass(frozen=True)
class KeptResolution:
    """A resolution that was there.

    Attributes:
        resolution: in the order of the values asked for now; it took no statement.
        read_time: when it was read from the warehouse, in UTC.
        tier: of the cache.
    """

    resolution: Resolution
    read_time: datetime
    tier: table_pb2.Tier.ValueType


@dataclass(frozen=True)
class Lifetimes:
    """How long a resolution may be given again.

    Attributes:
        ttl_s: a light one.
        heavy_ttl_s: one with a pattern, or with more values than one statement takes.
    """

    ttl_s: float
    heavy_ttl_s: float


class KeptResolutions:
    """Finds and keeps resolutions.

    Args:
        frames: where they are kept.
        clock: tells fresh ones from old ones.
        lifetimes: how long they are fresh.
        max_bytes: largest one that is kept.
    """

    def __init__(self, frames: FrameStore, clock: Clock, lifetimes: Lifetimes, *, max_bytes: int) -> None:
        self._frames = frames
        self._clock = clock
        self._lifetimes = lifetimes
        self._max_bytes = max_bytes

    def find(self, kind: Kind, names: Sequence[str]) -> KeptResolution | None:
        """Return what these values, in any order, were resolved to; None where that is not known, or not any more."""
        try:
            found = self._frames.open(_frame_id(kind, names))
            if found is None:
                return None
            with found:
                frame = found.frame
                if frame.fresh_until_time.ToDatetime(tzinfo=UTC) <= self._clock.now():
                    return None
                with arrow.decode(found.pieces()) as rows:
                    table = rows.read_all()
        except (ServiceError, pa.ArrowInvalid) as error:
            log.warning("kept containers cannot be read", reason=getattr(error, "reason", type(error).__name__))
            return None
        resolution = Resolution(names, _by_position(table, names))
        return KeptResolution(resolution, frame.read_time.ToDatetime(tzinfo=UTC), frame.tier)

    def keep(self, kind: Kind, resolution: Resolution, read_time: datetime) -> bool:
        """Keep a resolution and return whether it will be found again.

        One whose values were not all looked for in any case is not kept: with fewer of them they would be.
        """
        if resolution.unsearched_count or not resolution.names:
            return False
        names = resolution.names
        heavy = len(names) > MAX_ID_COUNT or any(map(is_pattern, names))
        until = read_time + timedelta(seconds=self._lifetimes.heavy_ttl_s if heavy else self._lifetimes.ttl_s)
        version = int(self._clock.now().timestamp() * 1000)
        upload = self._frames.begin(_frame_id(kind, names), FRAME_SCHEMA, version=version, max_bytes=self._max_bytes)
        try:
            table = _by_value(resolution)
            for batch in table.to_batches(arrow.BATCH_ROW_COUNT):
                upload.put(batch)
            return upload.commit(table.num_rows, FrameFacts({"kind": kind.name}, read_time, until, until))
        finally:
            upload.abandon()


def _frame_id(kind: Kind, names: Sequence[str]) -> str:
    # No value holds a control character.
    asked = "\n".join(sorted(names)).encode()
    return f"resolve-{_VERSION}-{kind.name.replace('_', '-')}-{hashlib.sha256(asked).hexdigest()[:32]}"


def _by_value(resolution: Resolution) -> pa.Table:
    rows = resolution.rows
    positions = rows.column("position").combine_chunks()
    values = pa.DictionaryArray.from_arrays(positions, pa.array(resolution.names, pa.string()))
    return pa.table([values, *(rows.column(name) for name in FRAME_SCHEMA.names[1:])], schema=FRAME_SCHEMA)


def _by_position(table: pa.Table, names: Sequence[str]) -> pa.Table:
    values = table.column("value").unify_dictionaries().combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = values.chunk(0) if values.num_chunks else pa.array([], FRAME_SCHEMA.field("value").type)
    positions = pc.index_in(values.dictionary, value_set=pa.array(names, pa.string())).take(values.indices)
    columns = [positions, *(table.column(name) for name in ROWS_SCHEMA.names[1:])]
    return ordered_by_position(pa.table(columns, schema=ROWS_SCHEMA))
