"""The plant's warehouse: Oracle over python-oracledb in thin mode.

What the driver does and does not do by itself, and what stands in for it, is in ADR 0025. Oracle's numbers are
translated in `oracle_errors` and nowhere else.
"""

from __future__ import annotations

import re
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import pyarrow as pa
import structlog
from sluice_rpc.errors import ServiceError

from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.errors import WarehouseUnavailable
from sluice_warehouse.oracle_address import OracleAddress, parse_address
from sluice_warehouse.oracle_binds import bound_values
from sluice_warehouse.oracle_errors import DRIVER_FAULTS, meaning_of, translated
from sluice_warehouse.oracle_pool import SessionPool
from sluice_warehouse.oracle_reading import OracleReading, OracleRun, ReadLimits
from sluice_warehouse.oracle_session import OracleSession, open_session
from sluice_warehouse.oracle_settings import OracleSettings
from sluice_warehouse.oracle_types import Asked
from sluice_warehouse.schema import Fitting

log = structlog.get_logger()

_CLOCK: Final = "select sysdate as plant_time from dual"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.:-]")
_SHOWN_ID: Final = 64
_BUDGET_S: Final = 60.0


class OracleWarehouse:
    """Oracle, in two lanes: connections of their own for long statements, a pool for short look-ups.

    Connects at the first use and again after it failed, so that a process may start before its warehouse does.

    Args:
        address: where and as whom.
        settings: bounds of sessions, waits and retries.
    """

    def __init__(self, address: OracleAddress, settings: OracleSettings) -> None:
        self._address = address
        self._settings = settings
        self._pool = SessionPool(address, settings)
        self._health = _HealthSession(address, settings)
        self._budget = _Budget(settings.reconnect_budget)
        # Protects the readings.
        self._lock = threading.Lock()
        self._closed = False
        self._readings: weakref.WeakSet[OracleReading] = weakref.WeakSet()

    @property
    def pool(self) -> SessionPool:
        """The sessions for short look-ups."""
        return self._pool

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> OracleReading:
        """Read on a connection of its own; see `Warehouse.open`."""
        limits = self._limits(deadline_s, self._settings.slow_call_timeout_ms)
        order = _Order(statement, bound_values(statement, binds), schema, tag, limits)
        if self._closed:
            raise WarehouseUnavailable
        return self._reading(open_session(self._address, self._settings, deadline_s=deadline_s), order)

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> OracleReading:
        """Read on a connection of the pool; see `Warehouse.open_pooled`."""
        limits = self._limits(deadline_s, self._settings.call_timeout_ms)
        order = _Order(statement, bound_values(statement, binds), schema, tag, limits)
        session = self._pool.acquire()
        try:
            return self._reading(session, order)
        except WarehouseUnavailable:
            # The connection died while it lay in the pool. Nothing has run yet, so another one may be taken, once.
            if not self._budget.take():
                raise
        return self._reading(self._pool.acquire(), order)

    def plant_time(self) -> datetime:
        session = self._pool.acquire()
        reusable = False
        try:
            with session.call(self._settings.call_timeout_ms) as connection, connection.cursor() as cursor:
                cursor.execute(_CLOCK)
                row: tuple[datetime] = cursor.fetchall()[0]
            reusable = True
        except DRIVER_FAULTS as error:
            raise translated(error, "clock", self._settings.call_timeout_ms / 1000) from error
        finally:
            session.end(reusable=reusable)
        return row[0]

    def ping(self) -> None:
        self._health.ping()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            readings = list(self._readings)
        for reading in readings:
            reading.close()
        self._health.close()
        self._pool.close()

    def _limits(self, deadline_s: float, call_timeout_ms: int) -> ReadLimits:
        return ReadLimits(deadline_s, call_timeout_ms, self._settings.cancel_grace_s, self._settings.batch_row_count)

    def _reading(self, session: OracleSession, order: _Order) -> OracleReading:
        statement, limits = order.statement, order.limits
        text = tagged(statement, order.tag)
        started = time.monotonic()
        try:
            session.name(order.tag)
            asked = _described(session, text, order)
            fitting = Fitting(order.schema, asked.names, statement.name)
        except ServiceError:
            session.end(reusable=True)
            raise
        except DRIVER_FAULTS as error:
            session.end(reusable=meaning_of(error) in ("refused", "contract"))
            raise translated(error, statement.name, limits.deadline_s) from error
        left_s = max(0.0, limits.deadline_s - (time.monotonic() - started))
        run = OracleRun(session, statement, text, order.values, asked=asked, limits=replace(limits, deadline_s=left_s))
        reading = OracleReading(run, fitting)
        with self._lock:
            self._readings.add(reading)
            closed = self._closed
        if closed:
            reading.close()
            raise WarehouseUnavailable
        return reading


@dataclass(frozen=True)
class _Order:
    """What one reading is to read."""

    statement: Statement
    values: Mapping[str, Bind]
    schema: pa.Schema
    tag: Tag
    limits: ReadLimits


def _described(session: OracleSession, text: str, order: _Order) -> Asked:
    timeout_ms = min(order.limits.call_timeout_ms, int(1000 * order.limits.deadline_s))
    with session.call(timeout_ms) as connection, connection.cursor() as cursor:
        cursor.parse(text)
        return Asked(order.schema, cursor.description or [], order.statement.name)


def open_oracle(url: str, settings: OracleSettings) -> OracleWarehouse:
    """Return the warehouse that an `oracle://` URL names; nothing is connected yet.

    Raises:
        ValueError: the URL lacks a piece, or holds a password.
    """
    return OracleWarehouse(parse_address(url), settings)


class _HealthSession:
    """A connection that only health checks use, so that they never queue behind statements."""

    def __init__(self, address: OracleAddress, settings: OracleSettings) -> None:
        self._address = address
        self._settings = settings
        # Held by the one check that runs.
        self._turn = threading.Lock()
        self._session: OracleSession | None = None

    def ping(self) -> None:
        if not self._turn.acquire(timeout=self._settings.health_wait_s):
            raise WarehouseUnavailable
        try:
            self._answered()
        finally:
            self._turn.release()

    def close(self) -> None:
        with self._turn:
            self._drop()

    def _answered(self) -> None:
        timeout_ms = self._settings.health_call_timeout_ms
        fresh = self._session is None
        if self._session is None:
            self._session = open_session(self._address, self._settings, deadline_s=timeout_ms / 1000)
            self._session.name(Tag("sluice-health", "ping", ""))
        try:
            with self._session.call(timeout_ms) as connection:
                connection.ping()
        except DRIVER_FAULTS as error:
            self._drop()
            if fresh or meaning_of(error) == "timeout":
                raise WarehouseUnavailable from error
            # It died while nobody looked; whether the warehouse is there is for a new one to say.
            self._answered()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end(reusable=False)


class _Budget:
    """How often something may be done within a minute."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            now = self._clock()
            while self._taken and now - self._taken[0] > _BUDGET_S:
                self._taken.popleft()
            if len(self._taken) >= self._count:
                return False
            self._taken.append(now)
            return True


def tagged(statement: Statement, tag: Tag) -> str:
    """Return the text as it is sent: with a comment that names it and for whom it runs, in letters and digits."""
    name, client_id = (_UNSAFE.sub("_", part)[:_SHOWN_ID] for part in (statement.name, tag.client_id))
    return f"/* sluice {name} {client_id} */ {statement.text}"
