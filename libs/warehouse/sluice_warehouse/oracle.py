"""The plant's warehouse: Oracle over python-oracledb in thin mode.

What the driver does and does not do by itself, and what stands in for it, is in ADR 0025. Oracle's numbers are
translated in `oracle_errors` and nowhere else.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import pyarrow as pa
import structlog
from sluice_rpc.ports import SystemClock
from sluice_rpc.settings import SettingsError

from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.breaker import Breaker, BreakerRule
from sluice_warehouse.errors import WarehouseUnavailable
from sluice_warehouse.guarded import GuardedWarehouse
from sluice_warehouse.oracle_address import OracleAddress, parse_address
from sluice_warehouse.oracle_binds import bound_values
from sluice_warehouse.oracle_errors import DRIVER_FAULTS, meaning_of, translated
from sluice_warehouse.oracle_password import Password
from sluice_warehouse.oracle_pool import SessionPool
from sluice_warehouse.oracle_reading import OracleReading, OracleRun, Order, ReadLimits, Sessions
from sluice_warehouse.oracle_session import Logon, OracleSession, open_session
from sluice_warehouse.oracle_settings import OracleSettings
from sluice_warehouse.reconnect_budget import ReconnectBudget

log = structlog.get_logger()

_CLOCK: Final = "select sysdate as plant_time from dual"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.:-]")
_SHOWN_ID: Final = 64


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
        # One for all sessions: each wrong logon counts against the same account.
        self._password = Password(settings)
        self._pool = SessionPool(address, settings, self._password)
        self._health = _HealthSession(address, settings, self._password)
        self._budget = ReconnectBudget(settings.reconnect_budget)
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
        values = bound_values(statement, binds)
        order = Order(statement, tagged(statement, tag), values, schema, tag, limits)
        return self._reading(_Dedicated(self._address, self._settings, self._password), order)

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> OracleReading:
        """Read on a connection of the pool; see `Warehouse.open_pooled`."""
        limits = self._limits(deadline_s, self._settings.call_timeout_ms)
        values = bound_values(statement, binds)
        order = Order(statement, tagged(statement, tag), values, schema, tag, limits)
        return self._reading(_Pooled(self._pool, self._budget), order)

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

    def _reading(self, sessions: Sessions, order: Order) -> OracleReading:
        reading = OracleReading(OracleRun(sessions, order))
        with self._lock:
            self._readings.add(reading)
            closed = self._closed
        if closed:
            reading.close()
            raise WarehouseUnavailable
        return reading


class _Dedicated:
    """Sessions that serve one statement each."""

    def __init__(self, address: OracleAddress, settings: OracleSettings, password: Password) -> None:
        self._address = address
        self._settings = settings
        self._password = password

    def acquire(self, deadline_s: float, logon: Logon) -> OracleSession:
        return open_session(self._address, self._settings, self._password, deadline_s=deadline_s, logon=logon)

    def may_reconnect(self) -> bool:
        # It is fresh. Whoever reads chunks decides about trying again, at one place.
        return False


class _Pooled:
    """Sessions of the pool, some of which may have died there."""

    def __init__(self, pool: SessionPool, budget: ReconnectBudget) -> None:
        self._pool = pool
        self._budget = budget

    def acquire(self, deadline_s: float, logon: Logon) -> OracleSession:
        return self._pool.acquire()

    def may_reconnect(self) -> bool:
        return self._budget.take()


def open_oracle(url: str, settings: OracleSettings) -> GuardedWarehouse:
    """Return the warehouse that an `oracle://` URL names, behind its breaker; nothing is connected yet.

    Raises:
        ValueError: the URL lacks a piece, or holds a password.
        SettingsError: there is no password: each logon without one counts against the account.
    """
    address = parse_address(url)
    if settings.password_file is None and not settings.password.get_secret_value():
        raise SettingsError(
            "SLUICE_WAREHOUSE_PASSWORD_FILE: an oracle:// warehouse needs it, or SLUICE_WAREHOUSE_PASSWORD"
        )
    rule = BreakerRule(
        failure_threshold=settings.breaker_failure_threshold,
        failure_rate=settings.breaker_failure_rate,
        recovery_s=settings.breaker_recovery_s,
        window_size=settings.breaker_window_size,
        enabled=settings.breaker_enabled,
    )
    breaker = Breaker(rule, SystemClock(), lambda state: log.warning("breaker changed", state=state))
    return GuardedWarehouse(OracleWarehouse(address, settings), breaker)


class _HealthSession:
    """A connection that only health checks use, so that they never queue behind statements."""

    def __init__(self, address: OracleAddress, settings: OracleSettings, password: Password) -> None:
        self._address = address
        self._settings = settings
        self._password = password
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
            self._session = open_session(self._address, self._settings, self._password, deadline_s=timeout_ms / 1000)
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


def tagged(statement: Statement, tag: Tag) -> str:
    """Return the text as it is sent: behind its first word a comment of safe letters names it and for whom it runs."""
    name, client_id = (_UNSAFE.sub("_", part)[:_SHOWN_ID] for part in (statement.name, tag.client_id))
    first_word, rest = statement.text.split(maxsplit=1)
    return f"{first_word} /* sluice {name} {client_id} */ {rest}"
