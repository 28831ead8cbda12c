"""The lanes: a permit for each statement of the slow lane, a connection for each of the pool, both given back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry
from sluice_rpc.errors import ServiceError
from sluice_warehouse import Tag
from sluice_warehouse.duckdb import DuckDBWarehouse
from sluice_warehouse.errors import (
    PermitsExhausted,
    PoolExhausted,
    StatementCancelled,
    StatementTimeout,
    WarehouseError,
)
from sluice_warehouse.lanes import PoolLane, SlowLane
from sluice_warehouse.permits import LocalPermits, Permit, PermitsSnapshot
from sluice_warehouse.pool_metrics import PoolMetrics
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from tests.polling import poll_until

TAG = Tag("sluice-lineage", "split_ancestors 1/1", "request-7")
NUMBERS = parse("numbers", "select c.QTY as n from DWH.DW_MES_CONTAINER c order by c.CONTAINERID")
MANY = parse("many", "select a.QTY as n from DWH.DW_MES_CONTAINER a, DWH.DW_MES_CONTAINER b, DWH.DW_MES_CONTAINER c")
BROKEN = parse("broken", "select n from DWH.NOT_THERE")
SCHEMA = parse_schema({"n": "int64"})


@pytest.fixture
def permits() -> LocalPermits:
    return LocalPermits(1)


@pytest.fixture
def lane(warehouse: DuckDBWarehouse, permits: LocalPermits) -> SlowLane:
    return SlowLane(warehouse, permits, permit_wait_s=0.05)


def test_a_statement_holds_one_permit_while_it_runs(lane: SlowLane, permits: LocalPermits) -> None:
    # B2.10
    with lane.read(NUMBERS, {}, schema=SCHEMA, deadline_s=30, tag=TAG) as reading:
        next(iter(reading))
        held = permits.snapshot().holders
    assert (held, permits.available_count) == (("sluice-lineage split_ancestors 1/1 for request-7",), 1)


def test_the_permit_comes_back_when_the_statement_is_refused(lane: SlowLane, permits: LocalPermits) -> None:
    with pytest.raises(WarehouseError), lane.read(BROKEN, {}, schema=SCHEMA, deadline_s=30, tag=TAG):
        pass
    assert permits.available_count == 1


def test_the_permit_comes_back_when_the_block_breaks(lane: SlowLane, permits: LocalPermits) -> None:
    with pytest.raises(KeyError), lane.read(MANY, {}, schema=SCHEMA, deadline_s=30, tag=TAG) as reading:
        next(iter(reading))
        raise KeyError
    assert permits.available_count == 1


class WatchedPermits:
    """Permits without a bound that note how many statements run when one comes back."""

    def __init__(self, warehouse: DuckDBWarehouse) -> None:
        self._warehouse = warehouse
        self.running_at_release: list[int] = []
        self.available_count = 1

    @contextmanager
    def _permit(self) -> Iterator[Permit]:
        with LocalPermits(1).acquire(0, "watched") as permit:
            yield permit
        self.running_at_release.append(self._warehouse.counts.running)

    def acquire(
        self, timeout_s: float, who: str, withdrawn: threading.Event | None = None, *, hold_s: float = 300.0
    ) -> Permit:
        return cast(Permit, self._permit())

    def snapshot(self) -> PermitsSnapshot:
        return PermitsSnapshot(1, self.available_count, 0, ())


def test_the_permit_comes_back_only_after_the_statement_has_ended(warehouse: DuckDBWarehouse) -> None:
    permits = WatchedPermits(warehouse)
    with SlowLane(warehouse, permits).read(MANY, {}, schema=SCHEMA, deadline_s=30, tag=TAG) as reading:
        next(iter(reading))
        running = warehouse.counts.running
    assert (running, permits.running_at_release) == (1, [0])


def test_a_generator_that_is_closed_gives_the_permit_back(lane: SlowLane, permits: LocalPermits) -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        with lane.read(MANY, {}, schema=SCHEMA, deadline_s=30, tag=TAG) as reading:
            yield from reading

    generator = rows()
    next(generator)
    generator.close()  # type: ignore[attr-defined]
    assert permits.available_count == 1


def test_without_a_permit_nothing_runs(lane: SlowLane, permits: LocalPermits, warehouse: DuckDBWarehouse) -> None:
    with (
        permits.acquire(1, "someone else"),
        pytest.raises(PermitsExhausted),
        lane.read(NUMBERS, {}, schema=SCHEMA, deadline_s=30, tag=TAG) as reading,
    ):
        list(reading)
    assert warehouse.counts.started == 0


def test_waiting_for_a_permit_ends_when_the_caller_withdraws(warehouse: DuckDBWarehouse, permits: LocalPermits) -> None:
    lane = SlowLane(warehouse, permits)
    withdrawn = threading.Event()

    def read() -> None:
        with lane.read(NUMBERS, {}, schema=SCHEMA, deadline_s=30, tag=TAG, withdrawn=withdrawn):
            pass

    with permits.acquire(1, "someone else"), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read)
        poll_until(lambda: permits.snapshot().waiting_count == 1, 60)
        withdrawn.set()
        with pytest.raises(StatementCancelled):
            waiting.result(timeout=10)


def test_no_time_left_starts_nothing(lane: SlowLane, warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(StatementTimeout), lane.read(NUMBERS, {}, schema=SCHEMA, deadline_s=0, tag=TAG):
        pass
    assert warehouse.counts.started == 0


def test_a_permit_serves_one_statement_after_the_other(lane: SlowLane) -> None:
    counts = []
    for _ in range(3):
        with lane.read(NUMBERS, {}, schema=SCHEMA, deadline_s=30, tag=TAG) as reading:
            counts.append(sum(batch.num_rows for batch in reading))
    assert counts == [300, 300, 300]


def read_and_leave(lane: SlowLane, number: int) -> None:
    """Leave a reading in one of five ways."""
    with (
        suppress(ServiceError, KeyError),
        lane.read(MANY, {}, schema=SCHEMA, deadline_s=0.02 if number % 5 == 0 else 30, tag=TAG) as reading,
    ):
        match number % 5:
            case 1:
                next(iter(reading))
            case 2:
                raise KeyError
            case 3:
                reading.cancel()
        for _, _ in zip(range(3), reading, strict=False):
            pass


def test_however_readings_are_left_never_more_run_than_there_are_permits(
    warehouse: DuckDBWarehouse, statement_log: Path
) -> None:
    permits = LocalPermits(3)
    lane = SlowLane(warehouse, permits)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: read_and_leave(lane, number), range(120)))
    kinds = [json.loads(line)["kind"] for line in statement_log.read_text(encoding="utf-8").splitlines()]
    running = list(accumulate(1 if kind == "start" else -1 for kind in kinds))
    assert (max(running) <= 3, running[-1], permits.available_count) == (True, 0, 3)


def test_a_full_pool_refuses_the_next_look_up(warehouse: DuckDBWarehouse) -> None:
    pool = PoolLane(warehouse, 1, wait_s=0.01)
    with (
        pool.read(NUMBERS, {}, schema=SCHEMA, tag=TAG),
        pytest.raises(PoolExhausted) as caught,
        pool.read(NUMBERS, {}, schema=SCHEMA, tag=TAG),
    ):
        pass
    assert (caught.value.reason, caught.value.retry_after_s) == ("POOL_EXHAUSTED", 5.0)


def test_the_pool_is_shown_as_it_is_when_asked(warehouse: DuckDBWarehouse) -> None:
    registry, pool = CollectorRegistry(), PoolLane(warehouse, 3)
    PoolMetrics(pool, registry)
    pool.slots.acquire(1, "lost").release(confirmed=False)
    with pool.read(NUMBERS, {}, schema=SCHEMA, tag=TAG):
        shown = [
            registry.get_sample_value(f"sluice_warehouse_pool_{name}")
            for name in ("size", "busy", "quarantined", "waiting")
        ]
    assert shown == [3, 2, 1, 0]


def test_a_look_up_gives_its_connection_back_when_it_breaks(warehouse: DuckDBWarehouse) -> None:
    pool = PoolLane(warehouse, 1, wait_s=0.01)
    with pytest.raises(WarehouseError), pool.read(BROKEN, {}, schema=SCHEMA, tag=TAG):
        pass
    with pool.read(NUMBERS, {}, schema=SCHEMA, tag=TAG) as reading:
        assert sum(batch.num_rows for batch in reading) == 300
