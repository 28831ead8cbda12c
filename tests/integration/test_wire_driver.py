"""The real thin driver on the stand-in: logon, describes, binds, paging and breaks over a socket, no word on SQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import oracledb
import pyarrow as pa
import pytest
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_USER, OracleWireServer

from tests.polling import poll_until
from tests.stand_in import connected, open_connection, rows_of

HOLDS = "select * from DWH.DW_MES_HOLDRELEASEHISTORY"
ENDLESS = """select count(*) from DWH.DW_MES_WIP a, DWH.DW_MES_WIP b, DWH.DW_MES_WIP c
             where a.TXNDATE < b.TXNDATE and b.TXNDATE < c.TXNDATE"""


@pytest.fixture(scope="module")
def server(twin_path: Path) -> Iterator[OracleWireServer]:
    with OracleWireServer(twin_path) as running:
        yield running


@pytest.fixture
def connection(server: OracleWireServer) -> Iterator[oracledb.Connection]:
    with connected(server) as opened:
        yield opened


def test_wire_right_password_logs_on(server: OracleWireServer) -> None:
    with connected(server) as connection:
        assert connection.version == "19.22.0.0.0"


@pytest.mark.parametrize("wrong", [{"password": "other"}, {"user": "nobody"}])
def test_wire_wrong_credentials_are_refused(server: OracleWireServer, wrong: dict[str, str]) -> None:
    with pytest.raises(oracledb.DatabaseError, match="ORA-01017"):
        open_connection(server, **wrong)


def test_wire_unknown_service_is_refused_by_the_listener(server: OracleWireServer) -> None:
    with pytest.raises(oracledb.OperationalError, match="Similar to ORA-12514"):
        open_connection(server, dsn=f"127.0.0.1:{server.port}/OTHER")


@pytest.mark.parametrize("array_size", [1, 7, 100, 5000])
def test_wire_rows_are_those_of_the_file_whatever_the_batch(
    server: OracleWireServer, twin_path: Path, array_size: int
) -> None:
    with duckdb.connect(str(twin_path), read_only=True) as file:
        expected = file.execute(HOLDS).fetchall()
    with connected(server) as connection, connection.cursor() as cursor:
        cursor.arraysize = array_size
        assert [_plain(row) for row in cursor.execute(HOLDS)] == [_plain(row) for row in expected]


@pytest.mark.parametrize("compressed", [True, False])
def test_wire_arrow_rows_are_those_of_the_file(twin_path: Path, compressed: bool) -> None:
    with duckdb.connect(str(twin_path), read_only=True) as file:
        expected = file.execute(HOLDS).fetchall()
    with OracleWireServer(twin_path, compressed=compressed) as server, connected(server) as connection:
        batches = [pa.table(batch) for batch in connection.fetch_df_batches(HOLDS, size=500)]
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    assert [batch.num_rows for batch in batches] == [500, 500, 200]
    assert [_plain(row) for row in rows] == [_plain(row) for row in expected]


def _plain(row: tuple[object, ...]) -> tuple[object, ...]:
    """Numbers as floats, as the driver hands them out, and empty text as NULL."""
    return tuple(float(value) if isinstance(value, int | float | Decimal) else value or None for value in row)


def test_wire_columns_are_described_as_declared(connection: oracledb.Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select CONTAINERID, CONTAINERNAME, QTY, STATUS, MOVEINTIMESTAMP, count(*) over () n, 'ab' t "
                       "from DWH.DW_MES_CONTAINER")  # fmt: skip
        described = [(d.name, d.type_code.name, d.precision, d.scale, d.internal_size) for d in cursor.description]
    assert described == [
        ("CONTAINERID", "DB_TYPE_CHAR", None, None, 16),
        ("CONTAINERNAME", "DB_TYPE_VARCHAR", None, None, 40),
        ("QTY", "DB_TYPE_NUMBER", 0, -127, None),
        ("STATUS", "DB_TYPE_NUMBER", 10, 0, None),
        ("MOVEINTIMESTAMP", "DB_TYPE_DATE", None, None, None),
        ("N", "DB_TYPE_NUMBER", 0, -127, None),
        ("T", "DB_TYPE_CHAR", None, None, 2),
    ]


@pytest.mark.parametrize(
    ("bound", "read"),
    [
        ("text", "text"),
        ("", None),
        (None, None),
        (0, 0),
        (-12345678901234567, -12345678901234567),
        (2.5, 2.5),
        (Decimal("-0.000001"), -0.000001),
        (datetime(2025, 1, 2, 23, 59, 59), datetime(2025, 1, 2, 23, 59, 59)),
        (date(2025, 1, 2), datetime(2025, 1, 2)),
    ],
)
def test_wire_bind_comes_back(connection: oracledb.Connection, bound: object, read: object) -> None:
    assert rows_of(connection, "select :value from dual", value=bound) == [(read,)]


def test_wire_bind_of_another_type_is_described_anew(connection: oracledb.Connection) -> None:
    statement = "select :again from dual"
    assert [rows_of(connection, statement, again=value) for value in (1, "one", datetime(2025, 1, 1))] == [
        [(1,)],
        [("one",)],
        [(datetime(2025, 1, 1),)],
    ]


def test_wire_binds_by_position_and_repeated_by_name(connection: oracledb.Connection) -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("select :1, :2, ':3' from dual", ["a", 2]).fetchall() == [("a", 2, ":3")]
    assert rows_of(connection, "select :x, :y, :x from dual", x=1, y=2) == [(1, 2, 1)]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("select 1 from DWH.NO_SUCH_TABLE", 942),
        ("select NO_SUCH_COLUMN from DWH.DW_MES_JOB", 904),
        ("selec 1 from dual", 900),
        ("delete from DWH.DW_MES_JOB", 1031),
        ("begin null; end;", 3001),
        ("select cast('x' as number) from dual", 1722),
    ],
)
def test_wire_refused_statement_has_its_number_and_leaves_the_session(
    connection: oracledb.Connection, sql: str, code: int
) -> None:
    with pytest.raises(oracledb.DatabaseError) as caught:
        rows_of(connection, sql)
    assert caught.value.args[0].code == code
    assert rows_of(connection, "select 1 from dual") == [(1,)]


def test_wire_comment_before_a_statement_is_passed_over(connection: oracledb.Connection) -> None:
    assert rows_of(connection, "/* query-1 */ -- slice\n select /*+ parallel(2) */ 1 from dual") == [(1,)]
    with connection.cursor() as cursor:
        cursor.execute("/* query-1 */ alter session set nls_sort = 'BINARY'")


def test_wire_calls_without_rows_are_answered(connection: oracledb.Connection) -> None:
    connection.ping()
    connection.commit()
    connection.rollback()
    with connection.cursor() as cursor:
        cursor.execute("alter session set nls_date_format = 'YYYY'")
    assert connection.is_healthy()


def test_wire_session_says_who_it_is(server: OracleWireServer, connection: oracledb.Connection) -> None:
    connection.module, connection.action = "sluice", "slice"
    connection.client_identifier = "query-1"
    connection.ping()
    record = server.sessions()[-1]
    assert (record.module, record.action, record.client_identifier) == ("sluice", "slice", "query-1")
    connection.action = ""
    connection.ping()
    record = server.sessions()[-1]
    assert (record.module, record.action, record.client_identifier) == ("sluice", "", "query-1")


def test_wire_call_timeout_ends_the_statement_and_leaves_the_session(
    server: OracleWireServer, connection: oracledb.Connection
) -> None:
    connection.call_timeout = 200
    with pytest.raises(oracledb.DatabaseError, match="DPY-4024"):
        rows_of(connection, ENDLESS)
    connection.call_timeout = 20_000
    assert rows_of(connection, "select 1 from dual") == [(1,)]
    assert server.statements_in_flight == 0


def test_wire_cancel_ends_the_statement_and_leaves_the_session(
    server: OracleWireServer, connection: oracledb.Connection
) -> None:
    timer = threading.Timer(0.2, connection.cancel)
    timer.start()
    with pytest.raises(oracledb.OperationalError, match="ORA-01013"):
        rows_of(connection, ENDLESS)
    assert rows_of(connection, "select 1 from dual") == [(1,)]
    assert server.statements_in_flight == 0


def test_wire_statement_is_in_flight_until_its_last_row_is_read(twin_path: Path) -> None:
    with OracleWireServer(twin_path) as server, connected(server) as connection, connection.cursor() as cursor:
        cursor.arraysize = 100
        cursor.execute(HOLDS)
        assert server.statements_in_flight == 1
        cursor.fetchall()
        assert (server.statements_in_flight, server.peak_in_flight) == (0, 1)


def test_wire_session_limits_refuse_one_more(twin_path: Path) -> None:
    with OracleWireServer(twin_path, session_limit=1) as server, connected(server):
        _refused(server, "ORA-00018")
    with OracleWireServer(twin_path, user_session_limit=1) as server, connected(server):
        _refused(server, "ORA-02391")


def _refused(server: OracleWireServer, number: str) -> None:
    with pytest.raises(oracledb.DatabaseError, match=number):
        open_connection(server)


def test_wire_pool_opens_sessions_and_leaves_none(server: OracleWireServer) -> None:
    before = len(server.sessions())
    pool = oracledb.create_pool(
        user=DEFAULT_USER, password=DEFAULT_PASSWORD, dsn=server.dsn, min=0, max=3, increment=1, ping_interval=0
    )
    with pool.acquire() as one, pool.acquire() as two:
        assert rows_of(one, "select 1 from dual") == rows_of(two, "select 1 from dual")
        assert len(server.sessions()) == before + 2
    with pool.acquire() as again:
        assert rows_of(again, "select 1 from dual") == [(1,)]
    pool.close()
    poll_until(lambda: len(server.sessions()) == before, 60, "sessions to end")


def test_wire_killed_session_loses_its_connection(server: OracleWireServer) -> None:
    connection = open_connection(server)
    server.kill(server.sessions()[-1].session_id)
    with pytest.raises(oracledb.DatabaseError, match="DPY-4011") as caught:
        connection.ping()
    assert caught.value.args[0].code == 28
    assert not connection.is_healthy()
