"""A warehouse that only counts: a server that knows at every instant how many statements run, and its client.

A statement is a connection: it runs from the line that starts it until the server has said that it ended, or until the
connection is gone, as a session of a database does. So a process that is paused keeps its statements, and one that is
killed ends them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.errors import StatementCancelled, StatementTimeout, WarehouseUnavailable
from sluice_warehouse.statements import parse

SCHEMA: Final = pa.schema([("n", pa.int64())])
COUNTED: Final = parse("counted", "select T.N as n from DWH.T T where T.N = :duration_ms and T.M = :deaf_ms")
"""Runs for a time, and needs a time to hear a cancel."""
_CONFIRM_S: Final = 5.0


@dataclass(frozen=True)
class Count:
    """What the server has seen."""

    running: int = 0
    started: int = 0
    most: int = 0
    over: int = 0
    """Statements that started above the cap."""


class StatementCounter:
    """The server; leaving the context ends every statement.

    Args:
        cap: statements that may run at once.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        # Protects the fields below.
        self._lock = threading.Lock()
        self._count = Count()
        self._sessions: set[socket.socket] = set()
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="counter-accept", daemon=True)
        self._thread.start()

    @property
    def count(self) -> Count:
        """What was seen until now."""
        with self._lock:
            return self._count

    def close(self) -> None:
        """Stop listening and close every session."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            with contextlib.suppress(OSError):
                session.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                session, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._sessions.add(session)
            threading.Thread(target=self._serve, args=(session,), name="counter-session", daemon=True).start()

    def _serve(self, session: socket.socket) -> None:
        running = False
        try:
            with contextlib.suppress(OSError, ValueError):
                duration_ms, deaf_ms = (int(word) for word in session.recv(64).split())
                running = True
                self._note(1)
                session.settimeout(duration_ms / 1000)
                try:
                    asked = session.recv(64)
                    if asked:
                        session.settimeout(deaf_ms / 1000 or None)
                        # Deaf for a while; only the end of the connection is felt at once.
                        asked = session.recv(64) if deaf_ms else b""
                except TimeoutError:
                    pass
                self._note(-1)
                running = False
                session.sendall(b"ended")
        finally:
            if running:
                self._note(-1)
            with self._lock:
                self._sessions.discard(session)
            session.close()

    def _note(self, change: int) -> None:
        with self._lock:
            seen = self._count
            running = seen.running + change
            started = change > 0
            self._count = Count(
                running,
                seen.started + started,
                max(seen.most, running),
                seen.over + (started and running > self._cap),
            )


class CounterWarehouse:
    """The client: a warehouse whose statements only count.

    Args:
        port: of the server, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> CounterReading:
        until = time.monotonic() + deadline_s
        try:
            session = socket.create_connection(("127.0.0.1", self._port), 5)
        except OSError as error:
            raise WarehouseUnavailable from error
        return CounterReading(session, binds, until, deadline_s)

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> CounterReading:
        return self.open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def plant_time(self) -> datetime:
        return datetime(2025, 12, 31)

    def ping(self) -> None:
        """It always answers."""

    def close(self) -> None:
        """Nothing is kept."""


class CounterReading:
    """One statement; its only row comes when it has ended."""

    def __init__(self, session: socket.socket, binds: Mapping[str, Bind], until: float, deadline_s: float) -> None:
        self._session = session
        self._binds = binds
        self._until = until
        self._deadline_s = deadline_s
        self._started = False
        self._ended = False
        self._cancelled = threading.Event()
        self.row_count = 0
        self.end_confirmed = True

    @property
    def schema(self) -> pa.Schema:
        return SCHEMA

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        if self._started and not self._ended:
            self._end()
        self._session.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        if self._ended:
            raise StopIteration
        if not self._started:
            self._check()
            self._started = True
            self._session.sendall(f"{self._binds['duration_ms']} {self._binds['deaf_ms']}".encode())
        self._session.settimeout(0.02)
        while True:
            try:
                self._ended = self._session.recv(64) == b"ended"
            except TimeoutError:
                self._check()
                continue
            except OSError as error:
                raise WarehouseUnavailable from error
            if not self._ended:
                raise WarehouseUnavailable
            self.row_count = 1
            return pa.record_batch([[1]], schema=SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise StatementCancelled("counted")
        if time.monotonic() >= self._until:
            raise StatementTimeout("counted", self._deadline_s)

    def _end(self) -> None:
        try:
            self._session.settimeout(_CONFIRM_S)
            self._session.sendall(b"cancel")
            self.end_confirmed = self._session.recv(64) == b"ended"
        except OSError:
            self.end_confirmed = False
        self._ended = True
