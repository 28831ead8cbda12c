"""A server that ignores the cancel at the deadline runs on past it: nobody else has its permit or slot meanwhile.

Wire tests: what counts is what the stand-in counts, and it notices a client that is gone only after a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pyarrow as pa
import pytest
from sluice_rpc.errors import ServiceError
from sluice_twin.oracle_wire import FaultRule, OracleWireServer
from sluice_warehouse import Reading, Tag
from sluice_warehouse.lanes import PoolLane, SlowLane
from sluice_warehouse.oracle import OracleWarehouse
from sluice_warehouse.permits import LocalPermits, Permits
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from tests.oracle_rig import oracle
from tests.polling import poll_until

NUMBERS = parse("numbers", "select N as n from DWH.NUMBERED")
SCHEMA = parse_schema({"n": "int64"})
DEAF = FaultRule(phase="execute", action="deaf", do="stall", seconds=120, deaf=True, times=1)
UNNOTICED_S = 1.0
"""How long the server runs a statement on whose client is gone."""


@pytest.fixture
def server() -> Iterator[OracleWireServer]:
    tables = {"NUMBERED": pa.table({"N": range(10)})}
    with OracleWireServer(None, tables=tables, orphan_s=UNNOTICED_S, faults=[DEAF]) as running:
        yield running


class OneStatement:
    """A lane in which one statement may run at once."""

    def __init__(self, warehouse: OracleWarehouse, lane: str, margin_s: float) -> None:
        self._pool = PoolLane(warehouse, 1, wait_s=60, margin_s=margin_s)
        permits = LocalPermits(1, margin_s=margin_s)
        self._slow = SlowLane(warehouse, permits) if lane == "slow" else None
        self.permits: Permits = permits if lane == "slow" else self._pool.slots

    def read(self, action: str, deadline_s: float) -> AbstractContextManager[Reading]:
        """Return a reading to enter."""
        tag = Tag("test", action, "request-7")
        lane = self._slow or self._pool
        return lane.read(NUMBERS, {}, schema=SCHEMA, deadline_s=deadline_s, tag=tag)

    def rows(self, action: str, deadline_s: float = 50.0) -> int:
        """Read all rows and return how many there are."""
        with self.read(action, deadline_s) as reading:
            return sum(batch.num_rows for batch in reading)


def abandoned(lane: OneStatement) -> None:
    """Run into the deadline of a statement whose server ignores the cancel."""
    with pytest.raises(ServiceError) as ended:
        lane.rows("deaf", 0.5)
    assert ended.value.reason == "QUERY_TIMEOUT"


@pytest.mark.parametrize("lane", ["slow", "pool"])
def test_wire_a_statement_that_ignores_its_cancel_keeps_its_permit_past_its_end(
    server: OracleWireServer, lane: str
) -> None:
    with oracle(server.port, cancel_grace_s=0.2) as warehouse:
        one = OneStatement(warehouse, lane, margin_s=60.0)
        abandoned(one)
        poll_until(lambda: server.statements_in_flight == 0, 60, "the server to notice")
        assert one.permits.snapshot().quarantined_count == 1


def test_wire_the_next_statement_waits_for_a_server_that_ignored_a_cancel(server: OracleWireServer) -> None:
    with oracle(server.port, cancel_grace_s=0.2) as warehouse:
        one = OneStatement(warehouse, "slow", margin_s=UNNOTICED_S + 4)
        abandoned(one)
        assert (one.rows("next"), server.peak_in_flight) == (10, 1)


def test_wire_without_the_margin_the_next_statement_runs_beside_it() -> None:
    tables = {"NUMBERED": pa.table({"N": range(10)})}
    with (
        OracleWireServer(None, tables=tables, orphan_s=60, faults=[DEAF]) as server,
        oracle(server.port, cancel_grace_s=0.2) as warehouse,
    ):
        one = OneStatement(warehouse, "slow", margin_s=0.0)
        abandoned(one)
        assert (one.rows("next"), server.peak_in_flight) == (10, 2)
