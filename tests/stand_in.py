"""Connections of the real driver to the stand-in, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import oracledb
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_USER, OracleWireServer

CALL_TIMEOUT_MS = 20_000
"""Ends a call that would otherwise wait for ever, as the driver has no time-out of its own."""


def open_connection(server: OracleWireServer, **options: Any) -> oracledb.Connection:
    """Return a new connection as the default user."""
    given = {"user": DEFAULT_USER, "password": DEFAULT_PASSWORD, "dsn": server.dsn, **options}
    connection = oracledb.connect(**given)
    connection.call_timeout = CALL_TIMEOUT_MS
    return connection


@contextmanager
def connected(server: OracleWireServer, **options: Any) -> Iterator[oracledb.Connection]:
    """Return a connection that is closed at the end, however it fared."""
    connection = open_connection(server, **options)
    try:
        yield connection
    finally:
        connection.close()


def rows_of(connection: oracledb.Connection, sql: str, **binds: Any) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, binds)
        return list(cursor.fetchall())
