"""One connection to Oracle: opened within a deadline, named for the DBA, and ended so that nothing is left behind."""

from __future__ import annotations

import operator
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import oracledb
import structlog

from sluice_warehouse import Tag
from sluice_warehouse.errors import WarehouseError, WarehouseUnavailable
from sluice_warehouse.oracle_address import OracleAddress
from sluice_warehouse.oracle_errors import DRIVER_FAULTS, no_session
from sluice_warehouse.oracle_password import Password
from sluice_warehouse.oracle_settings import OracleSettings
from sluice_warehouse.oracle_sockets import Line, noting, shut, socket_of
from sluice_warehouse.statements import load

log = structlog.get_logger()

_TAG_BYTES: Final = 64
"""Oracle keeps this much of module, action and client identifier."""
_SESSION_STATE: Final = load(Path(__file__).parent / "sql" / "session_state.sql").text


class OracleSession:
    """A connection that one statement at a time uses.

    Args:
        connection: open.
        give_back: takes a connection that may be used again.
        drop: takes one that must not be.
        grace_s: how long ending it politely may take.
    """

    def __init__(
        self,
        connection: oracledb.Connection,
        *,
        give_back: Callable[[oracledb.Connection], None],
        drop: Callable[[oracledb.Connection], None],
        grace_s: float,
    ) -> None:
        self.connection = connection
        self._give_back = give_back
        self._drop = drop
        self._grace_s = grace_s
        self._calling = False
        # Kept here, since the driver lets go of it without closing it when a read fails.
        self._socket = socket_of(connection)

    def name(self, tag: Tag) -> None:
        """Show the DBA who runs what for whom; it travels with the next call."""
        self.connection.module = _label(tag.module)
        self.connection.action = _label(tag.action)
        self.connection.client_identifier = _label(tag.client_id)

    @contextmanager
    def call(self, timeout_ms: int) -> Iterator[oracledb.Connection]:
        """Let the block make calls that wait at most so long for each answer, and that `cancel` reaches."""
        bound(self.connection, timeout_ms)
        self._calling = True
        try:
            yield self.connection
        finally:
            self._calling = False

    def cancel(self) -> None:
        """Ask the server to end the call that is being made, from another thread; harmless when there is none."""
        if self._calling:
            break_call(self.connection)

    def cut(self) -> None:
        """End the connection under whoever waits for it, without asking the server."""
        if self._socket is not None:
            shut(self._socket)

    def end(self, *, reusable: bool) -> None:
        """Give the connection back, or end it; returns within the grace whatever the server does."""
        healthy = self.connection.is_healthy()
        if healthy:
            bound(self.connection, int(self._grace_s * 1000))
        if reusable and healthy:
            with suppress(*DRIVER_FAULTS):
                self._give_back(self.connection)
            return
        with suppress(*DRIVER_FAULTS):
            self._drop(self.connection)
        if self._socket is not None:
            self._socket.close()


def bound(connection: oracledb.Connection, timeout_ms: int) -> None:
    """Bound each later round trip; left alone where the driver has given the connection up.

    Setting `call_timeout` then ends the process (python-oracledb 26.1: a call through a transport that is gone).
    """
    if connection.is_healthy():
        connection.call_timeout = max(1, timeout_ms)


def break_call(connection: oracledb.Connection) -> None:
    """Send a break, unless the driver has given the connection up.

    Breaking then ends the process (as in `bound`), and the thread that makes the call may give it up at any time. The
    two steps therefore run inside one C loop, between which the interpreter never switches threads; the driver's
    public `is_healthy` and `cancel` are Python functions, between which it may.
    """
    driver = connection._impl
    if driver is not None:
        with suppress(*DRIVER_FAULTS):
            deque(takewhile(operator.call, (driver.get_is_healthy, driver.cancel)), maxlen=0)


def connect_params(address: OracleAddress, settings: OracleSettings, password: str) -> dict[str, object]:
    """Return the driver's arguments that connections and pools share, the password among them."""
    return {
        "user": address.user,
        "password": password,
        "host": address.host,
        "port": address.port,
        "service_name": address.service,
        "tcp_connect_timeout": settings.connect_timeout_s,
        "retry_count": settings.connect_retry_count,
        "retry_delay": settings.connect_retry_delay_s,
        "expire_time": settings.keepalive_min,
        "sdu": settings.sdu_bytes,
        # The driver keeps what it knows of the columns of a statement with its text. After DDL that is wrong, and the
        # rows of the same text are read as what they were.
        "stmtcachesize": 0,
    }


def open_session(
    address: OracleAddress,
    settings: OracleSettings,
    password: Password,
    *,
    deadline_s: float,
    logon: Logon | None = None,
) -> OracleSession:
    """Return a connection of its own, outside any pool.

    Args:
        address: where and as whom.
        settings: bounds.
        password: to log on with.
        deadline_s: seconds from now for all of it.
        logon: lets another thread give it up.

    Raises:
        WarehouseUnavailable: no session within the deadline or the time for a logon, or it was given up.
        WarehouseError: the logon was refused.
    """
    until = time.monotonic() + min(deadline_s, settings.logon_timeout_s)
    connection = _logged_on(address, settings, password, until, logon or Logon())
    session = OracleSession(connection, give_back=_close, drop=_close, grace_s=settings.cancel_grace_s)
    try:
        prepare(connection, int(1000 * (until - time.monotonic())))
    except DRIVER_FAULTS as error:
        session.end(reusable=False)
        raise no_session(error, deadline_s) from error
    return session


def _logged_on(
    address: OracleAddress, settings: OracleSettings, password: Password, until: float, logon: Logon
) -> oracledb.Connection:
    text = password.text()
    try:
        return logon.connected(connect_params(address, settings, text), until)
    except WarehouseError as error:
        password.judge(text, error.ora)
        raise


class Logon:
    """One attempt to connect, in a thread of its own, since the driver bounds only the first of several waits."""

    def __init__(self) -> None:
        self._line = Line()
        self._answers: SimpleQueue[oracledb.Connection | BaseException | None] = SimpleQueue()

    def give_up(self) -> None:
        """Let whoever waits for the connection go on without; from any thread."""
        self._line.cut()
        self._answers.put(None)

    def connected(self, params: Mapping[str, object], until: float) -> oracledb.Connection:
        """Return the connection of these driver arguments, made before this moment of the monotonic clock.

        Raises:
            WarehouseUnavailable: it was not made in time, or given up.
            WarehouseError: the logon was refused.
        """
        started = time.monotonic()
        threading.Thread(target=self._connect, args=(params,), name="oracle-connect", daemon=True).start()
        in_time = True
        try:
            answer = self._answers.get(timeout=max(0.0, until - started))
        except Empty:
            answer, in_time = None, False
        if answer is None:
            # The thread wakes up with an error of its own and ends; what it makes in spite of that is cut as well.
            self._line.cut()
            waited_s = round(time.monotonic() - started, 3)
            if in_time:
                log.info("logon was given up", waited_s=waited_s)
            else:
                log.warning("warehouse does not answer a logon", waited_s=waited_s)
            raise WarehouseUnavailable
        if isinstance(answer, BaseException):
            raise no_session(answer, until - started) from answer
        return answer

    def _connect(self, params: Mapping[str, Any]) -> None:
        try:
            with noting(self._line):
                self._answers.put(oracledb.connect(**params))
        except DRIVER_FAULTS as error:
            self._line.close()
            self._answers.put(error)


def prepare(connection: oracledb.Connection, timeout_ms: int) -> None:
    """Give a new session its state, see session_state.sql."""
    bound(connection, timeout_ms)
    with connection.cursor() as cursor:
        cursor.execute(_SESSION_STATE)


def _close(connection: oracledb.Connection) -> None:
    connection.close()


def _label(text: str) -> str:
    # Never empty: what the statement before left there would stay.
    return text.encode()[:_TAG_BYTES].decode(errors="ignore") or "-"
