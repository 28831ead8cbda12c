"""Tables of lineage inside one engine: two queries that need one at the same time have it computed once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from sluice.table.v1 import table_pb2
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.stages import StageJob, Stages, StageTable
from sluice_query_engine.lineage import StageAnswer, StageOrder
from sluice_query_engine.parts import Stage
from sluice_query_engine.planning.packed_ids import PackedIds
from sluice_rpc.errors import Cancelled, ServiceError, ServiceUnavailable
from sluice_rpc.ports import FakeClock, SequentialIds

from tests.polling import poll_until

WAIT_S = 60.0
SCHEMA = pa.schema([pa.field("container_id", pa.string())])
STAGE = Stage("ancestors", SCHEMA, "lineage.ancestors", ids_from="select id from placed", table="ancestors")


class GatedLineage:
    """Answers one row once its gate opens, or fails."""

    def __init__(self) -> None:
        self.orders: list[StageOrder] = []
        self.gate = threading.Event()
        self.error: ServiceError | None = None

    @contextmanager
    def read(self, order: StageOrder, scope: CancelScope, deadline_s: float) -> Iterator[StageAnswer]:
        self.orders.append(order)
        with scope.attached(self.gate.set):
            assert self.gate.wait(WAIT_S)
        if scope.cancelled:
            raise Cancelled("withdrawn")
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        rows = pa.RecordBatchReader.from_batches(SCHEMA, [pa.record_batch([["c1"]], schema=SCHEMA)])
        yield StageAnswer(rows, table_pb2.Receipt(status=table_pb2.COMPLETENESS_COMPLETE))

    def close(self) -> None:
        return


class World:
    """One engine's stages, and threads that want them."""

    def __init__(self, stack: ExitStack) -> None:
        clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.lineage = GatedLineage()
        cache = MemoryFrameCache(clock)
        self._stages = Stages(self.lineage, cache, clock, SequentialIds(), max_bytes=1 << 20, deadline_s=WAIT_S)
        self._pool = stack.enter_context(ThreadPoolExecutor(4))
        stack.callback(self.lineage.gate.set)
        self.scopes: list[CancelScope] = []

    def want(self, *ids: str, anew: bool = False) -> Future[StageTable]:
        """Want the table of some ids in a thread of its own, and return once that thread has begun."""
        scope, begun = CancelScope(), threading.Event()
        self.scopes.append(scope)
        job = StageJob(STAGE, PackedIds.of(ids), "", timedelta(hours=1))

        def read() -> StageTable:
            begun.set()
            return self._stages.read(job, scope, lambda rows: None, anew=anew)

        future = self._pool.submit(read)
        assert begun.wait(WAIT_S)
        return future

    def await_orders(self, count: int) -> None:
        poll_until(lambda: len(self.lineage.orders) == count, WAIT_S, f"{count} orders")


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack)


def test_a_table_wanted_twice_at_once_is_computed_once(world: World) -> None:
    first = world.want("a")
    world.await_orders(1)
    second = world.want("a")
    world.lineage.gate.set()
    assert first.result(WAIT_S).stored.frame_id == second.result(WAIT_S).stored.frame_id
    assert len(world.lineage.orders) == 1


def test_tables_of_other_ids_do_not_wait_for_each_other(world: World) -> None:
    world.want("a")
    world.want("b")
    world.await_orders(2)


def test_who_waited_for_a_table_that_failed_has_it_computed(world: World) -> None:
    world.lineage.error = ServiceUnavailable("lineage")
    first = world.want("a")
    world.await_orders(1)
    second = world.want("a")
    world.lineage.gate.set()
    assert isinstance(first.exception(WAIT_S), ServiceUnavailable)
    assert second.result(WAIT_S).stored.row_count == 1


def test_who_no_longer_wants_a_table_does_not_wait_for_it(world: World) -> None:
    world.want("a")
    world.await_orders(1)
    second = world.want("a")
    world.scopes[1].cancel()
    assert isinstance(second.exception(WAIT_S), Cancelled)
    assert len(world.lineage.orders) == 1


def test_who_wants_rows_of_now_takes_no_table_that_was_begun_before(world: World) -> None:
    first = world.want("a")
    world.await_orders(1)
    second = world.want("a", anew=True)
    world.lineage.gate.set()
    assert first.result(WAIT_S).stored.frame_id != second.result(WAIT_S).stored.frame_id
    assert [order.refresh for order in world.lineage.orders] == [False, True]
