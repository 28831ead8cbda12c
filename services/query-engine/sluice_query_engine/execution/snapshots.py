"""Keeps the datasets of kind snapshot fresh: the whole table is read again and again, and the last good one stays.

A refresh is a query like any other, so that rows, receipt and views are those of queries; its stamp is what makes it
another query than the refresh before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import pyarrow as pa
import structlog
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock
from sluice_warehouse import Statement, Tag
from sluice_warehouse.lanes import PoolLane

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import QueryNotReady
from sluice_query_engine.execution.small_frames import timestamp
from sluice_query_engine.execution.turns import Turn, Turns
from sluice_query_engine.parameters import STAMP
from sluice_query_engine.planning.time_range import instant_text
from sluice_query_engine.state import StateStore

log = structlog.get_logger()

_RETRY_S: Final = 5.0
"""Until the next try where there is no snapshot at all."""
VERSION_SCHEMA: Final = pa.schema({"version": pa.timestamp("s"), "row_count": pa.int64()})
"""What a version statement yields: when a row last changed, and how many there are, which tells of rows that went."""


@dataclass(frozen=True)
class Newest:
    """The snapshot that answers now.

    Args:
        query_id: the refresh that brought it.
        version: what the warehouse said of the table's version then; empty where it is not asked.
    """

    query_id: str
    version: str


class Snapshots:
    """Refreshes each snapshot in its turns, and knows the newest.

    Args:
        turns: when, and which engine.
        cache: where manifests are.
        state: where the newest is written, for other engines too.
        lane: short look-ups, of versions.
        clock: when a refresh is asked.
    """

    def __init__(self, turns: Turns, *, cache: FrameCache, state: StateStore, lane: PoolLane, clock: Clock) -> None:
        self._turns = turns
        self._cache = cache
        self._state = state
        self._lane = lane
        self._clock = clock

    def start(self, datasets: Sequence[Dataset]) -> None:
        """Begin to refresh those datasets that are snapshots."""
        for dataset in datasets:
            if dataset.snapshot is not None:
                self._turns.start(Turn(_key(dataset), partial(self.refresh, dataset), partial(self._wait_s, dataset)))

    def newest(self, dataset: Dataset) -> str:
        """Return the query that answers views of a snapshot now.

        Raises:
            QueryNotReady: it was never read since it was last gone.
        """
        there = self._newest(dataset)
        if there is None:
            raise QueryNotReady(dataset.name)
        return there.query_id

    def refresh(self, dataset: Dataset) -> bool:
        """Read a snapshot again unless it is as it was, and return whether one is there that is as it should be."""
        before = self._newest(dataset)
        try:
            version = self._version(dataset)
            if before is not None and version and version == before.version and self._prolong(dataset, before):
                return True
            query = self._read(dataset)
        except ServiceError as error:
            log.warning("snapshot was not refreshed", dataset=dataset.name, reason=error.reason)
            self._degrade(dataset, before)
            return False
        allowed = dataset.snapshot is not None and dataset.snapshot.allow_empty
        good = query.state == pb.QUERY_STATE_COMPLETED and (query.receipt.row_count > 0 or allowed)
        if good or (before is None and query.state == pb.QUERY_STATE_PARTIAL):
            self._write(dataset, Newest(query.query_id, version))
            return good
        log.warning("snapshot is not taken", dataset=dataset.name, reason=query.error_code or "empty or partial")
        self._degrade(dataset, before)
        return False

    def _wait_s(self, dataset: Dataset) -> float:
        """Return seconds until the next look; where there is no snapshot at all, it comes soon.

        So whoever came first and died before it was read does not hold the others up for an interval.
        """
        interval_s = float(dataset.snapshot.interval_s) if dataset.snapshot is not None else 0.0
        return interval_s if self._newest(dataset) is not None else min(_RETRY_S, interval_s)

    def _read(self, dataset: Dataset) -> pb.Query:
        stamp = instant_text(self._clock.now().replace(tzinfo=None))
        return self._turns.ask(dataset, {STAMP: stamp}, "snapshot")

    def _version(self, dataset: Dataset) -> str:
        statement = None if dataset.snapshot is None else dataset.snapshot.version
        return "" if statement is None else self._looked_up(dataset, statement)

    def _looked_up(self, dataset: Dataset, statement: Statement) -> str:
        tag = Tag("sluice-query-engine", f"{dataset.name} version", "snapshot")
        with self._lane.read(statement, {}, schema=VERSION_SCHEMA, tag=tag) as reading:
            rows = pa.Table.from_batches(list(reading), schema=VERSION_SCHEMA).to_pylist()
        return f"{rows[0]['version']} {rows[0]['row_count']}" if len(rows) == 1 and rows[0]["version"] else ""

    def _newest(self, dataset: Dataset) -> Newest | None:
        record = self._state.read_query(_key(dataset))
        return None if record is None else Newest(**json.loads(record))

    def _prolong(self, dataset: Dataset, newest: Newest) -> bool:
        """Keep the snapshot as it is for as long as a new one; False where it is no longer there."""
        return self._kept(dataset, newest, self._clock.now(), degraded=False)

    def _degrade(self, dataset: Dataset, newest: Newest | None) -> None:
        """Keep the snapshot of before, and have its receipts say so."""
        if newest is None:
            return
        with suppress(ServiceError):
            self._kept(dataset, newest, None, degraded=True)

    def _kept(self, dataset: Dataset, newest: Newest, read_time: datetime | None, *, degraded: bool) -> bool:
        manifest = self._cache.get_manifest(newest.query_id)
        if manifest is None:
            return False
        kept = frames.Manifest()
        kept.CopyFrom(manifest)
        kept.receipt.degraded = degraded
        if read_time is not None:
            # The warehouse has just said that nothing changed, which is as good as reading it.
            kept.receipt.read_time.CopyFrom(timestamp(read_time))
        life_s = _life_s(dataset)
        kept.keep_until_time.CopyFrom(timestamp(self._clock.now() + timedelta(seconds=life_s)))
        self._cache.put_manifest(kept)
        self._write(dataset, newest)
        return True

    def _write(self, dataset: Dataset, newest: Newest) -> None:
        self._state.write_query(_key(dataset), json.dumps(asdict(newest)), _life_s(dataset))


def _key(dataset: Dataset) -> str:
    return f"snapshot-{dataset.name}"


def _life_s(dataset: Dataset) -> float:
    return float(dataset.limits.ttl_s)
