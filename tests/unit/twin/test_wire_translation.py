"""What the stand-in makes of Oracle's SQL: the rules it takes over, and refusals where it has no counterpart."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import oracledb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_twin.oracle_wire import OracleWireServer
from sluice_twin.oracle_wire.translation import number_binds

from tests.stand_in import connected, open_connection, rows_of

WORDS = pa.table({"ID": [1, 2, 3, 4], "WORD": ["one", "  ", None, "four"], "SIZED": [1.5, None, 2.5, 0.0]})
DAYS = pa.table({"DAY": pa.array([datetime(2025, 1, day) for day in (1, 2)], pa.timestamp("s"))})


@pytest.fixture(scope="module")
def server(twin_path: Path) -> Iterator[OracleWireServer]:
    with OracleWireServer(twin_path, tables={"WORDS": WORDS, "DAYS": DAYS}) as running:
        yield running


@pytest.fixture(scope="module")
def connection(server: OracleWireServer) -> Iterator[oracledb.Connection]:
    with connected(server) as opened:
        yield opened


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select '' from dual", [(None,)]),
        ("select 1 from dual where '' is null", [(1,)]),
        ("select coalesce(trim(WORD), 'none') from DWH.WORDS order by ID", [("one",), ("none",), ("none",), ("four",)]),
        ("select nullif(trim(WORD), '') from DWH.WORDS where ID = 1", [("one",)]),
        ("select 'a' || WORD || '' from DWH.WORDS where ID = 3", [("a",)]),
        ("select ID from DWH.WORDS where rownum <= 2 order by ID", [(1,), (2,)]),
        ("select ID from DWH.WORDS order by SIZED desc nulls last fetch first 1 rows only", [(3,)]),
        ("select ID from DWH.WORDS order by SIZED desc fetch first 1 rows only", [(2,)]),
        ("select avg(SIZED) from DWH.WORDS where ID in (1, 3)", [(2,)]),
        ("select count(*), max(WORD) from DWH.WORDS", [(4, "one")]),
        ("select nvl(WORD, '?'), decode(ID, 3, 'x', 'y') from DWH.WORDS where ID = 3", [("?", "x")]),
        ("select DAY from DWH.DAYS where DAY >= date '2025-01-02'", [(datetime(2025, 1, 2),)]),
        ("with n (i) as (select 1 from dual union all select i + 1 from n where i < 2) select i from n", [(1,), (2,)]),
    ],
)  # fmt: skip
def test_wire_statement_has_these_rows(
    connection: oracledb.Connection, sql: str, rows: list[tuple[object, ...]]
) -> None:
    assert rows_of(connection, sql) == rows


def test_wire_list_of_more_than_a_thousand_is_refused(connection: oracledb.Connection) -> None:
    statement = "select count(*) from DWH.WORDS where ID in ({})"
    assert rows_of(connection, statement.format(", ".join(map(str, range(1000))))) == [(4,)]
    with pytest.raises(oracledb.DatabaseError, match="ORA-01795"):
        rows_of(connection, statement.format(", ".join(map(str, range(1001)))))


@pytest.mark.parametrize(
    "sql",
    [
        "select rownum from DWH.WORDS",
        "select a.ID from DWH.WORDS a, DWH.DAYS b where a.ID = b.ID(+)",
        "select max(DAY) - min(DAY) from DWH.DAYS",
    ],
)
def test_wire_statement_without_a_counterpart_is_refused(connection: oracledb.Connection, sql: str) -> None:
    with pytest.raises(oracledb.DatabaseError, match="ORA-03001"):
        rows_of(connection, sql)


def test_wire_ancestors_by_either_text_are_the_same(connection: oracledb.Connection, twin_path: Path) -> None:
    by_connect = """select distinct c.CONTAINERID, c.SPLITFROMID from DWH.DW_MES_CONTAINER c
        start with c.CONTAINERNAME like 'GA%' connect by nocycle c.CONTAINERID = prior c.SPLITFROMID and level <= 20"""
    by_with = """with recursive walk (id, up, depth) as (
        select CONTAINERID, SPLITFROMID, 1 from DWH.DW_MES_CONTAINER where CONTAINERNAME like 'GA%'
        union all
        select c.CONTAINERID, c.SPLITFROMID, w.depth + 1 from walk w
        join DWH.DW_MES_CONTAINER c on c.CONTAINERID = w.up where w.depth < 20)
        select distinct id, up from walk"""
    with duckdb.connect(str(twin_path), read_only=True) as file:
        expected = file.execute(by_with).fetchall()
    assert len(expected) > 100
    assert set(rows_of(connection, by_connect)) == set(expected)


@pytest.mark.parametrize(
    ("sql", "numbered", "count"),
    [
        ("select :a, :b, :a from dual", "select :b1, :b2, :b3 from dual", 3),
        ("select ':a', q'[:b]', \":c\" from t where d = :1", "select ':a', q'[:b]', \":c\" from t where d = :b1", 1),
        ("select 1 from t where d = :1 -- :e", "select 1 from t where d = :b1 -- :e", 1),
        ("select 1 /* :x */ from dual", "select 1 /* :x */ from dual", 0),
    ],
)  # fmt: skip
def test_binds_are_numbered_where_they_are_binds(sql: str, numbered: str, count: int) -> None:
    found = number_binds(sql)
    assert (found.sql, len(found.names)) == (numbered, count)


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=3))
def test_wire_bytes_of_another_protocol_harm_nobody(server: OracleWireServer, pieces: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stranger:
        for piece in pieces:
            try:
                stranger.sendall(piece)
            except OSError:
                break
    with connected(server) as friend:
        assert rows_of(friend, "select 1 from dual") == [(1,)]


def test_wire_strangers_leave_no_session(server: OracleWireServer) -> None:
    # Those of the test before may still be leaving.
    before = {record.session_id for record in server.sessions()}
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert {record.session_id for record in server.sessions()} <= before
    open_connection(server).close()
