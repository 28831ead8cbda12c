"""The Oracle warehouse on the stand-in, for tests: waits scaled down, and a line between them that can be stopped."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from pydantic import SecretStr
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_SERVICE, DEFAULT_USER, OracleWireServer
from sluice_warehouse import Tag
from sluice_warehouse.oracle import OracleWarehouse
from sluice_warehouse.oracle_address import OracleAddress
from sluice_warehouse.oracle_settings import OracleSettings
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

TAG = Tag("sluice-query-engine", "hold-history slice", "request-7")

FAST: dict[str, Any] = {
    "password": SecretStr(DEFAULT_PASSWORD),
    "connect_timeout_s": 5.0,
    "logon_timeout_s": 2.5,
    "connect_retry_count": 0,
    "cancel_grace_s": 1.5,
    "pool_wait_ms": 1_000,
    "call_timeout_ms": 3_000,
    "slow_call_timeout_ms": 10_000,
    "health_wait_s": 2.0,
    "health_call_timeout_ms": 2_000,
}


def fast(**settings: Any) -> OracleSettings:
    """Return settings whose waits a test can sit out."""
    return OracleSettings.model_validate({**FAST, **settings})


def address(port: int) -> OracleAddress:
    """Return the stand-in's address behind this port."""
    return OracleAddress(DEFAULT_USER, "127.0.0.1", port, DEFAULT_SERVICE)


@contextmanager
def oracle(port: int, **settings: Any) -> Iterator[OracleWarehouse]:
    """Return a warehouse that is closed at the end."""
    warehouse = OracleWarehouse(address(port), fast(**settings))
    try:
        yield warehouse
    finally:
        warehouse.close()


@contextmanager
def serving(**tables: pa.Table) -> Iterator[tuple[OracleWireServer, OracleWarehouse]]:
    """Return a stand-in of these tables and a warehouse on it."""
    with ExitStack() as closing:
        server = closing.enter_context(OracleWireServer(None, tables=tables))
        yield server, closing.enter_context(oracle(server.port))


def read(
    warehouse: OracleWarehouse, sql: str, columns: dict[str, str], *, deadline_s: float = 20.0, **binds: Any
) -> pa.Table:
    """Return all rows of a statement, read as a chunk is."""
    schema = parse_schema(columns)
    with warehouse.open(parse("part", sql), binds, schema=schema, deadline_s=deadline_s, tag=TAG) as reading:
        return pa.Table.from_batches(list(reading), schema=schema)


class Line:
    """A TCP connection between a client and a server that a test can stop, slow down or break.

    Args:
        port: of the server; 0 accepts and says nothing, ever.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._flows = threading.Event()
        self._flows.set()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def port(self) -> int:
        """Where clients connect to."""
        port: int = self._listener.getsockname()[1]
        return port

    def stop(self) -> None:
        """Let nothing of the server through any more, without a word to either."""
        self._flows.clear()

    def go_on(self) -> None:
        """Let through what waited."""
        self._flows.set()

    def reset(self) -> None:
        """Break all connections, as a firewall does."""
        for end in self._ends:
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # Wakes whoever waits in recv(); closing alone would leave it there and send nothing.
                end.shutdown(socket.SHUT_RD)
            end.close()
        self._ends.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._flows.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name="test-line", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._ends.append(client)
            if self._port:
                server = socket.create_connection(("127.0.0.1", self._port))
                self._ends.append(server)
                self._start(self._carry, client, server, False)
                self._start(self._carry, server, client, True)

    def _carry(self, source: socket.socket, target: socket.socket, stoppable: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if stoppable:
                    self._flows.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
