"""A client written by others from the protocol reads the stand-in too: its bytes are not only what one driver takes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import seerdb
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_USER, OracleWireServer

# That client drops the socket of a refused logon without closing it, and Python says so.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

HOLDS = "select HISTORYMAINLINEID, QTY, HOLDTXNDATE, RELEASETXNDATE, HOLDREASONNAME from DWH.DW_MES_HOLDRELEASEHISTORY"


def open_connection(server: OracleWireServer, **options: Any) -> Any:
    given = {"user": DEFAULT_USER, "password": DEFAULT_PASSWORD, "service_name": server.service, **options}
    return seerdb.connect(host="127.0.0.1", port=server.port, **given)


@pytest.fixture(scope="module")
def server(twin_path: Path) -> Iterator[OracleWireServer]:
    with OracleWireServer(twin_path) as running:
        yield running


@pytest.fixture
def connection(server: OracleWireServer) -> Iterator[Any]:
    opened = open_connection(server)
    try:
        yield opened
    finally:
        opened.close()


def test_wire_second_reader_reads_the_rows_of_the_file(connection: Any, twin_path: Path) -> None:
    with duckdb.connect(str(twin_path), read_only=True) as file:
        expected = file.execute(HOLDS).fetchall()
    with connection.cursor() as cursor:
        cursor.execute(HOLDS)
        assert [d[0] for d in cursor.description] == [
            "HISTORYMAINLINEID",
            "QTY",
            "HOLDTXNDATE",
            "RELEASETXNDATE",
            "HOLDREASONNAME",
        ]
        assert list(cursor.fetchall()) == expected


def test_wire_second_reader_gets_its_binds_back(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select :1, :2, :3, :4 from dual", ["text", Decimal("-1.25"), datetime(2025, 1, 2, 3, 4, 5), None]
        )
        assert list(cursor.fetchall()) == [("text", Decimal("-1.25"), datetime(2025, 1, 2, 3, 4, 5), None)]


def test_wire_second_reader_is_told_the_error_and_goes_on(connection: Any) -> None:
    with connection.cursor() as cursor:
        with pytest.raises(seerdb.DatabaseError, match="ORA-00942"):
            cursor.execute("select 1 from DWH.NO_SUCH_TABLE")
        cursor.execute("select 1 from dual")
        assert list(cursor.fetchall()) == [(1,)]


def test_wire_second_reader_with_a_wrong_password_is_refused(server: OracleWireServer) -> None:
    with pytest.raises(seerdb.Error, match="ORA-01017"):
        open_connection(server, password="other")
