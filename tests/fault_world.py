"""One cell of the fault matrix, run: a stand-in of its own, the real driver, a lane under a cap, readings side by side.

Runs in a process of its own, since a defect of the driver may end it, and so that whatever is left there is the cell's.
"""

from __future__ import annotations

import gc
import multiprocessing.context
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import psutil
import pyarrow as pa
from sluice_rpc.errors import ServiceError
from sluice_twin import PLANT_TIME
from sluice_twin.oracle_wire import OracleWireServer
from sluice_warehouse import Reading, Tag
from sluice_warehouse.lanes import PoolLane, SlowLane
from sluice_warehouse.oracle import OracleWarehouse
from sluice_warehouse.permit_leases import LedgerAway
from sluice_warehouse.permit_ledger import Reply, Request
from sluice_warehouse.permits import ProcessPermits
from sluice_warehouse.permits_redis import RedisLedger
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from tests.fault_cells import CONNECTING, NOBODY, VICTIM, Cell, Lane
from tests.leased_permits import TERMS, ask_redis, end_grace, open_permits
from tests.oracle_rig import oracle
from tests.polling import poll_until

CAP: Final = 2
DEADLINE_S: Final = 60.0
CALM_S: Final = 60.0
"""Within this everything is back to zero: ten seconds on a machine of which a tenth is ours."""
ROW_COUNT: Final = 1_000
VICTIM_DEADLINE_S: Final = 5.0
"""Until then a permit rests whose statement may run on."""
CONNECTING_DEADLINE_S: Final = 20.0
"""The same while nothing runs yet: time for a second attempt."""
SETTINGS: Final = {
    "call_timeout_ms": 3_500,
    "slow_call_timeout_ms": 3_500,
    "logon_timeout_s": 3.5,
    "pool_wait_ms": 3_500,
    "pool_max": CAP,
    "batch_row_count": 200,
}
PATIENT: Final = {
    "call_timeout_ms": 60_000,
    "slow_call_timeout_ms": 60_000,
    "logon_timeout_s": 60.0,
    "pool_wait_ms": 60_000,
}
"""Waits where none is to run out, so that a machine that has other things to do is not taken for a fault."""
_HOLDING_UP: Final = frozenset({"stall", "slow", "silent", "deaf"})
_SCHEMA: Final = parse_schema({"n": "int64", "label": "string", "moment": "timestamp[s]", "now": "timestamp[s]"})
_ROWS: Final = parse(
    "rows", "select N as n, LABEL as label, MOMENT as moment, sysdate as now from DWH.NUMBERED order by N"
)
_BASE: Final = datetime(2025, 1, 1)
_ORPHAN_S: Final = 0.5
MARGIN_S: Final = 1.0
"""Longer than the stand-in needs to notice that nobody listens to a statement any more."""


@dataclass(frozen=True)
class Seen:
    """What came of a cell."""

    victim: str
    others: tuple[str, ...]
    peak: int
    """Most statements at once, as the stand-in counted them."""
    fired: bool
    """Whether the fault came."""
    left: tuple[str, ...]
    """What had not gone after ten seconds."""
    seconds: float


def numbered() -> pa.Table:
    """Return the table that is read."""
    numbers = range(ROW_COUNT)
    return pa.table(
        {
            "N": pa.array(numbers, pa.int64()),
            "LABEL": [f"label {number % 7}" for number in numbers],
            "MOMENT": pa.array([_BASE + timedelta(seconds=number) for number in numbers], pa.timestamp("s")),
        }
    )


@cache
def truth(plant_time: datetime) -> pa.Table:
    """Return the rows that a reading must have."""
    now = pa.array([plant_time] * ROW_COUNT, pa.timestamp("s"))
    return pa.Table.from_arrays([*numbered().columns, now], schema=_SCHEMA)


def judged(rows: pa.Table, plant_time: datetime) -> str:
    """Return in words how rows compare with the truth."""
    expected = truth(plant_time)
    if rows.equals(expected):
        return "answer"
    if rows.num_rows < ROW_COUNT and rows.equals(expected.slice(0, rows.num_rows)):
        return f"rows {rows.num_rows}"
    if rows.num_rows != ROW_COUNT:
        return "wrong"
    odd = [name for name in _SCHEMA.names if not rows[name].equals(expected[name])]
    return " ".join(f"{'nulls' if rows[name].null_count == ROW_COUNT else 'other'} {name}" for name in odd)


@cache
def leased(redis_url: str) -> tuple[ProcessPermits, RedisLedger]:
    """Return the permits of this process: a share of one, and one lease of the Redis behind this URL."""
    terms = replace(TERMS, plan="cap=2;one=1", lease_count=1)
    ledger = RedisLedger(redis_url, prefix=f"matrix-{os.getpid()}:")
    end_grace(lambda asked, now_ms: _answered(ledger, asked, now_ms), terms)
    # What is imported by now stays; looking for what a reading has left is quicker without it.
    gc.collect()
    gc.freeze()
    return open_permits(RedisLedger(redis_url, prefix=f"matrix-{os.getpid()}:"), terms, 1, margin_s=MARGIN_S), ledger


def _answered(ledger: RedisLedger, asked: Request, now_ms: int) -> Reply:
    """Ask again where a busy machine lets the ledger's short time-out pass; a request may come twice."""
    for _ in range(4):
        with suppress(LedgerAway):
            return ask_redis(ledger, asked, now_ms)
    return ask_redis(ledger, asked, now_ms)


class World:
    """A stand-in and both lanes to it."""

    def __init__(self, server: OracleWireServer, warehouse: OracleWarehouse, redis_url: str) -> None:
        self.server = server
        self.warehouse = warehouse
        self.permits, self.ledger = leased(redis_url)
        self.plant_time = PLANT_TIME
        self._slow = SlowLane(warehouse, self.permits, permit_wait_s=DEADLINE_S)
        self._pool = PoolLane(warehouse, CAP, wait_s=DEADLINE_S, margin_s=MARGIN_S)

    def opened(self, lane: Lane, action: str, deadline_s: float = DEADLINE_S) -> AbstractContextManager[Reading]:
        """Return a reading to enter."""
        tag = Tag("matrix", action, "request-7")
        if lane == "slow":
            return self._slow.read(_ROWS, {}, schema=_SCHEMA, deadline_s=deadline_s, tag=tag)
        return self._pool.read(_ROWS, {}, schema=_SCHEMA, deadline_s=deadline_s, tag=tag)

    def outcome(
        self, lane: Lane, action: str, deadline_s: float = DEADLINE_S, opened: list[Reading] | None = None
    ) -> str:
        """Read the statement to its end and return in words what came of it."""
        reading = None
        try:
            with self.opened(lane, action, deadline_s) as reading:
                if opened is not None:
                    opened.append(reading)
                rows = pa.Table.from_batches(list(reading), schema=_SCHEMA)
            return judged(rows, self.plant_time)
        except ServiceError as error:
            detail = error.metadata.get("ora") or error.metadata.get("column") or ""
            confirmed = reading is None or reading.end_confirmed
            return f"{error.reason} {detail}".strip() + ("" if confirmed else ", unconfirmed")

    def left(self) -> list[str]:
        """Return what is still there while the warehouse is open."""
        held = [
            f"permit of {permit.who}" for permit in (*self.permits.snapshot().held, *self._pool.slots.snapshot().held)
        ]
        leases = [f"lease of {who}" for who in self._lessees()]
        return [*held, *leases, *(["statement"] * self.server.statements_in_flight)]

    def _lessees(self) -> list[str]:
        try:
            return [lease.who for lease in self.ledger.read().leases]
        except LedgerAway:
            return ["nobody knows"]


def fresh_processes() -> multiprocessing.context.ForkServerContext:
    """Return a maker of processes that have imported all of this, and done nothing else."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload([__name__])
    return made


def run_cell(cell: Cell, redis_url: str) -> Seen:
    """Run one cell and return what came of it."""
    started = time.monotonic()
    leased(redis_url)
    with OracleWireServer(None, tables={"NUMBERED": numbered()}, orphan_s=_ORPHAN_S) as server:
        threads = set(threading.enumerate())
        with oracle(server.port, **_settings(cell)) as warehouse:
            world = World(server, warehouse, redis_url)
            victim, others = (_unheard if cell.fault == NOBODY else _side_by_side)(world, cell)
            left = still_there(world.left)
        left += still_there(lambda: left_in_process(server, threads))
        fired = cell.fault == NOBODY or cell.hit in [fault.rule for fault in server.faults.fired]
        return Seen(victim, others, server.peak_in_flight, fired, tuple(left), round(time.monotonic() - started, 2))


def still_there(left: Callable[[], list[str]]) -> list[str]:
    """Return what has not gone in time; sooner when nothing is left."""
    until = time.monotonic() + CALM_S
    poll_until(lambda: not left() or time.monotonic() > until, 2 * CALM_S)
    return left()


def left_in_process(server: OracleWireServer, threads: set[threading.Thread]) -> list[str]:
    """Return sessions, sockets and threads that a closed warehouse has left.

    Args:
        threads: which were there before it was made.
    """
    gc.collect()
    sessions = [f"session {record.session_id}" for record in server.sessions()]
    sockets = [
        f"socket {connection.status}"
        for connection in psutil.Process().net_connections("tcp")
        if connection.raddr and connection.raddr.port == server.port
    ]
    new = [thread.name for thread in set(threading.enumerate()) - threads if not _is_known(thread.name)]
    return [*sessions, *sockets, *(f"thread {name}" for name in new)]


def _is_known(name: str) -> bool:
    # The stand-in's own, whose sessions are looked at; and one thread of the driver that waits for the process to end.
    return name.startswith("oracle-wire") or "close_pools_gracefully" in name


def _unheard(world: World, cell: Cell) -> tuple[str, tuple[str, ...]]:
    world.server.stop_listening()
    victim = world.outcome(cell.lane, VICTIM)
    world.server.listen()
    return victim, tuple(_two_readings(world, cell.lane, "other"))


def _side_by_side(world: World, cell: Cell) -> tuple[str, tuple[str, ...]]:
    world.server.faults.set(cell.rules)
    opened: list[Reading] = []
    deadline_s = _victim_deadline_s(cell)
    with ThreadPoolExecutor(3) as threads:
        victim = threads.submit(world.outcome, cell.lane, VICTIM, deadline_s, opened)
        # Who logs on beside a refused one is let in, as the refusal comes once here: others come when it is known.
        together = cell.others == "answer"
        poll_until(lambda: (together and world.server.faults.fired) or victim.done(), CALM_S, "the fault")
        others = [threads.submit(_two_readings, world, cell.lane, f"other {number}") for number in range(2)]
        if cell.phase == "cancel":
            _await_in_flight(world, victim)
            opened[0].cancel()
        return victim.result(180), tuple(outcome for other in others for outcome in other.result(180))


def _settings(cell: Cell) -> Mapping[str, object]:
    if cell.rule.get("do") in _HOLDING_UP:
        return SETTINGS
    # A pool whose connects are refused tells nobody before the wait for a connection is over.
    wait = {"pool_wait_ms": SETTINGS["pool_wait_ms"]} if cell.phase in CONNECTING else {}
    return {**SETTINGS, **PATIENT, **wait}


def _victim_deadline_s(cell: Cell) -> float:
    if cell.phase in CONNECTING:
        return CONNECTING_DEADLINE_S if cell.rule.get("do") in _HOLDING_UP else DEADLINE_S
    if "unconfirmed" in cell.victim or cell.rule.get("do") in _HOLDING_UP:
        # Something has to be held up and then cancelled before it.
        return 2 * VICTIM_DEADLINE_S if cell.phase == "cancel" else VICTIM_DEADLINE_S
    return DEADLINE_S


def _two_readings(world: World, lane: Lane, action: str) -> list[str]:
    return [world.outcome(lane, action) for _ in range(2)]


def _await_in_flight(world: World, victim: Future[str]) -> None:
    def seen() -> bool:
        return any(row.action == VICTIM and row.open_statement_count for row in world.server.sessions())

    poll_until(lambda: victim.done() or seen(), CALM_S, "the statement to cancel")
