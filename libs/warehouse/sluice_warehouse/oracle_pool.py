"""The pool of connections for short look-ups, made at the first of them; a pool that hangs is cut off and replaced."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import oracledb
import structlog

from sluice_warehouse.errors import PoolExhausted, WarehouseUnavailable
from sluice_warehouse.oracle_address import OracleAddress
from sluice_warehouse.oracle_errors import DRIVER_FAULTS, REFUSED_LOGONS, meaning_of, no_session, ora_number
from sluice_warehouse.oracle_password import Password
from sluice_warehouse.oracle_session import OracleSession, bound, connect_params, prepare
from sluice_warehouse.oracle_settings import OracleSettings
from sluice_warehouse.oracle_sockets import Line, adopt, disown, shut, socket_of

log = structlog.get_logger()

_VERDICT_S: Final = 1.0
"""Longest a pool's next connection waits to hear what is made of one that was refused; the usual wait is none."""


class SessionPool:
    """Sessions for short look-ups.

    Args:
        address: where.
        settings: bounds of the pool and of its waits.
        password: to log on with.
    """

    def __init__(self, address: OracleAddress, settings: OracleSettings, password: Password) -> None:
        self._address = address
        self._settings = settings
        self._password = password
        # Protects what follows; held while a pool is made, which connects nothing.
        self._lock = threading.Lock()
        self._pool: oracledb.ConnectionPool | None = None
        self._line = Line()
        self._password_text = ""
        # Pools whose password is not taken any more, until the last of their sessions is given back.
        self._retired: list[tuple[oracledb.ConnectionPool, Line]] = []
        self._closed = False

    @property
    def live(self) -> oracledb.ConnectionPool:
        """The driver's pool, made now if there is none.

        Raises:
            WarehouseUnavailable: closed.
        """
        with self._lock:
            if self._closed:
                raise WarehouseUnavailable
            if self._pool is None:
                self._pool, self._line = self._made()
            return self._pool

    def acquire(self) -> OracleSession:
        """Return a session, waiting no longer than the pool may.

        Raises:
            PoolExhausted: all are in use.
            WarehouseUnavailable, WarehouseError: no session is to be had.
        """
        pool, line = self.live, self._line
        try:
            return self._acquired(pool)
        finally:
            line.judged()

    def close(self) -> None:
        """Close all sessions, politely as long as the grace lasts."""
        with self._lock:
            self._closed = True
            pools, self._retired = self._retired, []
            if self._pool is not None:
                pools.append((self._pool, self._line))
            self._pool = None
        for pool, line in pools:
            _close(pool, line, self._settings.cancel_grace_s)

    def _acquired(self, pool: oracledb.ConnectionPool) -> OracleSession:
        started = time.monotonic()
        try:
            connection = pool.acquire()
        except DRIVER_FAULTS as error:
            if ora_number(error) in REFUSED_LOGONS:
                self._retire(pool, ora_number(error))
            if meaning_of(error) != "pool":
                raise no_session(error, self._settings.pool_wait_ms / 1000) from error
            if pool.busy >= pool.max:
                raise PoolExhausted(pool.max, round(time.monotonic() - started, 3)) from error
            # Connections were left to make, and none came: the pool's one thread waits for a server that is silent,
            # and would do so for ever.
            log.warning("pool does not connect", waited_s=round(time.monotonic() - started, 3))
            self._replace(pool)
            raise WarehouseUnavailable from error
        return OracleSession(
            connection,
            give_back=lambda used: self._end(used, pool.release),
            drop=lambda used: self._end(used, lambda gone: _drop(pool, gone)),
            grace_s=self._settings.cancel_grace_s,
        )

    def _made(self) -> tuple[oracledb.ConnectionPool, Line]:
        settings = self._settings
        # A pool tries once more by itself what has failed, and would send a refused password twice.
        line = Line(_VERDICT_S)
        before = set(threading.enumerate())
        try:
            self._password_text = self._password.text()
            pool = oracledb.create_pool(
                **connect_params(self._address, settings, self._password_text),
                min=settings.pool_min,
                max=settings.pool_max,
                increment=settings.pool_increment,
                getmode=oracledb.POOL_GETMODE_TIMEDWAIT,
                wait_timeout=settings.pool_wait_ms,
                timeout=settings.pool_idle_s,
                max_lifetime_session=settings.pool_max_lifetime_s,
                ping_interval=settings.pool_ping_interval_s,
                ping_timeout=settings.pool_ping_timeout_ms,
                session_callback=self._prepared,
            )
        except DRIVER_FAULTS as error:
            raise no_session(error, settings.logon_timeout_s) from error
        adopt(line, set(threading.enumerate()) - before)
        return pool, line

    def _prepared(self, connection: oracledb.Connection, _tag: str) -> None:
        prepare(connection, self._settings.call_timeout_ms)

    def _retire(self, pool: oracledb.ConnectionPool, ora: int) -> None:
        """Make no more sessions with a password that was refused; those that are in use go on."""
        with self._lock:
            if self._pool is not pool:
                return
            self._retired.append((pool, self._line))
            self._line.end()
            self._pool = None
            self._password.judge(self._password_text, ora)
        self._close_idle_retired()

    def _end(self, connection: oracledb.Connection, end: Callable[[oracledb.Connection], None]) -> None:
        end(connection)
        if self._retired:
            self._close_idle_retired()

    def _close_idle_retired(self) -> None:
        with self._lock:
            idle = [item for item in self._retired if item[0].busy == 0]
            self._retired = [item for item in self._retired if item not in idle]
        for pool, line in idle:
            _close_aside(pool, line)

    def _replace(self, hanging: oracledb.ConnectionPool) -> None:
        with self._lock:
            if self._pool is not hanging:
                return
            line, self._pool = self._line, None
        # Nothing of it answers, so nothing is asked politely.
        line.cut()
        _close_aside(hanging, line)


def _close_aside(pool: oracledb.ConnectionPool, line: Line) -> None:
    threading.Thread(target=_close, args=(pool, line, 0.0), name="oracle-pool-close", daemon=True).start()


def _close(pool: oracledb.ConnectionPool, line: Line, grace_s: float) -> None:
    """Close a pool; where it does not let itself be closed within the grace, its sockets are cut."""

    def close() -> None:
        with suppress(*DRIVER_FAULTS):
            pool.close(force=True)

    closing = threading.Thread(target=close, name="oracle-pool-close", daemon=True)
    closing.start()
    closing.join(grace_s)
    if closing.is_alive():
        line.cut()
        closing.join(1.0)
    disown(line)
    if not closing.is_alive():
        line.close()


def _drop(pool: oracledb.ConnectionPool, connection: oracledb.Connection) -> None:
    # The pool's one thread would wait for the answer to a logoff, and nobody would get a new connection meanwhile.
    bound(connection, 1)
    made = socket_of(connection)
    if made is not None:
        shut(made)
    # The pool's own thread may have found the dead connection first; the driver then says so with a ValueError.
    with suppress(ValueError):
        pool.drop(connection)
