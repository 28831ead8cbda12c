"""Keeps the datasets of kind snapshot fresh: the whole table is read again and again, and the last good one stays.

A refresh is a query like any other, so that rows, receipt and views are those of queries; its stamp is what makes it
another query than the refresh before. Of several engines one refreshes at a time: it holds a lease for most of the
interval, and does not give it back.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
import structlog
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock, Ids
from sluice_warehouse import Statement, Tag
from sluice_warehouse.lanes import PoolLane

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import QueryNotReady
from sluice_query_engine.execution.coordinator import Coordinator
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.execution.small_frames import timestamp
from sluice_query_engine.leases import Leases, LeasesAway
from sluice_query_engine.parameters import STAMP
from sluice_query_engine.planning.time_range import instant_text
from sluice_query_engine.state import StateStore

log = structlog.get_logger()

_LEASED_SHARE: Final = 0.8
"""Of the interval; a lease that lasted longer would stop its own owner's next refresh."""
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
    """Refreshes each snapshot in a thread of its own, and knows the newest.

    Args:
        datasets: of kind snapshot.
        coordinator: runs a refresh.
        cache: where manifests are.
        state: where the newest is written, for other engines too.
        lane: short look-ups, of versions.
        leases: one engine refreshes at a time; None where this is alone.
        clock: when is the next refresh.
        ids: tell refreshes apart.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        coordinator: Coordinator,
        *,
        cache: FrameCache,
        state: StateStore,
        lane: PoolLane,
        leases: Leases | None,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._coordinator = coordinator
        self._cache = cache
        self._state = state
        self._lane = lane
        self._leases = leases
        self._clock = clock
        self._ids = ids
        self._stopping = threading.Event()
        self._refreshing: dict[str, QueryRun] = {}
        self._threads = [
            threading.Thread(target=self._keep, args=(dataset,), name=f"snapshot-{dataset.name}", daemon=True)
            for dataset in datasets
        ]

    def start(self) -> None:
        """Begin to refresh."""
        for thread in self._threads:
            thread.start()

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

    def close(self) -> None:
        """Stop refreshing, and wait for the refresh that runs."""
        self._stopping.set()
        for run in list(self._refreshing.values()):
            run.wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _keep(self, dataset: Dataset) -> None:
        interval_s = float(dataset.snapshot.interval_s) if dataset.snapshot is not None else 0.0
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            there = True
            if self._turn(dataset, interval_s * _LEASED_SHARE):
                there = self.refresh(dataset) or self._newest(dataset) is not None
            wait_s = interval_s if there else min(_RETRY_S, interval_s)

    def _turn(self, dataset: Dataset, life_s: float) -> bool:
        """Return whether it is this engine's to refresh; without anybody to ask, it is."""
        if self._leases is None:
            return True
        with suppress(LeasesAway):
            # Where there is none yet, whoever came first may have died before it was read.
            life_s = life_s if self._newest(dataset) is not None else min(_RETRY_S, life_s)
            return self._leases.take(_key(dataset), self._ids.new(), life_s) is not None
        return True

    def _read(self, dataset: Dataset) -> pb.Query:
        stamp = instant_text(self._clock.now().replace(tzinfo=None))
        client_id = f"snapshot {self._ids.new()}"
        query = self._coordinator.start(dataset, {STAMP: stamp}, no_cache=False, client_id=client_id)
        run = self._coordinator.run_of(query.query_id)
        if run is not None:
            self._refreshing[dataset.name] = run
            for _ in run.watch(lambda: not self._stopping.is_set()):
                continue
            return run.snapshot()
        return query

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
