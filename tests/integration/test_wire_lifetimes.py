"""When statements and sessions of the stand-in end: half-read cursors, clients that die, rows encoded beforehand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import oracledb
import pyarrow as pa
import pytest
from sluice_twin.oracle_wire import FaultRule, OracleWireServer

from tests.polling import poll_until
from tests.stand_in import connected, rows_of

ROW_COUNT = 40_000
NUMBERS = pa.table({"ID": list(range(ROW_COUNT)), "LABEL": [f"label {number // 3}" for number in range(ROW_COUNT)]})
ROWS = "select ID, LABEL from DWH.NUMBERED"
ENDLESS = "select count(*) from DWH.NUMBERED a, DWH.NUMBERED b, DWH.NUMBERED c where a.ID < b.ID and b.ID < c.ID"
CLIENT = """
import oracledb, sys
connection = oracledb.connect(user="sluice", password="sluice", dsn=sys.argv[1])
connection.cursor().execute(sys.argv[2])
"""


@pytest.fixture
def server() -> Iterator[OracleWireServer]:
    with OracleWireServer(None, tables={"NUMBERED": NUMBERS}) as running:
        yield running


def kill_in_mid_statement(server: OracleWireServer) -> None:
    client = subprocess.Popen([sys.executable, "-c", CLIENT, server.dsn, ENDLESS])
    try:
        poll_until(lambda: server.active_sessions == 1 and server.statements_in_flight == 1, 60, "the statement to run")
    finally:
        os.kill(client.pid, signal.SIGKILL)
        client.wait()


def test_wire_statement_of_a_killed_client_is_interrupted(server: OracleWireServer) -> None:
    kill_in_mid_statement(server)
    poll_until(lambda: server.statements_in_flight == 0 and server.sessions() == [], 60, "the statement to end")


def test_wire_statement_of_a_killed_client_may_go_on_for_a_while() -> None:
    with OracleWireServer(None, tables={"NUMBERED": NUMBERS}, orphan_s=0.5) as server:
        kill_in_mid_statement(server)
        killed = time.monotonic()
        assert server.statements_in_flight == 1
        poll_until(lambda: server.statements_in_flight == 0, 60, "the statement to end")
        assert time.monotonic() - killed > 0.4


def test_wire_half_read_cursor_is_in_flight_until_its_connection_ends(server: OracleWireServer) -> None:
    with connected(server) as connection:
        with connection.cursor() as cursor:
            cursor.execute(ROWS)
        connection.ping()
        assert server.statements_in_flight == 1
    poll_until(lambda: server.statements_in_flight == 0, 60, "the session to end")


def test_wire_half_read_cursor_ends_with_the_next_call_without_a_statement_cache(server: OracleWireServer) -> None:
    with connected(server, stmtcachesize=0) as connection:
        with connection.cursor() as cursor:
            cursor.execute(ROWS)
        connection.ping()
        assert server.statements_in_flight == 0


def test_wire_half_read_statement_that_runs_again_counts_once(server: OracleWireServer) -> None:
    with connected(server) as connection:
        for _ in range(3):
            with connection.cursor() as cursor:
                cursor.execute(ROWS)
        assert (server.statements_in_flight, server.peak_in_flight) == (1, 1)


def test_wire_two_statements_of_one_session_are_read_in_turn(server: OracleWireServer) -> None:
    with connected(server) as connection, connection.cursor() as one, connection.cursor() as two:
        one.execute(ROWS)
        two.execute("select ID from DWH.NUMBERED where ID >= 100")
        assert server.statements_in_flight == 2
        assert [(one.fetchone()[0], two.fetchone()[0]) for _ in range(300)] == [(n, n + 100) for n in range(300)]


def test_wire_rows_encoded_beforehand_are_the_same_and_run_nothing(server: OracleWireServer) -> None:
    bound = "select ID, LABEL from DWH.NUMBERED where ID < :below"
    assert server.preload(ROWS) == ROW_COUNT
    assert server.preload(bound, [10]) == 10
    with connected(server) as connection:
        for _ in range(2):
            frames = [pa.table(frame) for frame in connection.fetch_df_batches(ROWS, size=7000)]
            assert pa.concat_tables(frames)["LABEL"].to_pylist() == NUMBERS["LABEL"].to_pylist()
        assert len(rows_of(connection, bound, below=10)) == 10
        assert len(rows_of(connection, bound, below=11)) == 11


def test_wire_fault_of_a_result_wins_over_rows_encoded_beforehand(server: OracleWireServer) -> None:
    server.preload(ROWS)
    server.faults.set([FaultRule(phase="execute", do="limit_rows", row_count=5)])
    with connected(server) as connection:
        assert len(rows_of(connection, ROWS)) == 5


def test_wire_break_out_of_band_ends_the_statement() -> None:
    listening = OracleWireServer(None, tables={"NUMBERED": NUMBERS}, out_of_band=True)
    with listening as server, connected(server) as connection:
        connection.call_timeout = 200
        with pytest.raises(oracledb.DatabaseError, match="DPY-4024"):
            rows_of(connection, ENDLESS)
        connection.call_timeout = 10_000
        assert rows_of(connection, "select 1 from dual") == [(1,)]


def test_serve_command_serves_the_plant(twin_path: Path) -> None:
    program = [
        sys.executable,
        "-c",
        "from sluice_client.cli import main; main()",
        "twin",
        "serve",
        "--oracle",
        "--port",
        "0",
    ]
    serving = subprocess.Popen(
        [*program, "--file", str(twin_path), "--password", "other"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        dsn = serving.stdout.readline().split()[1]
        with oracledb.connect(user="sluice", password="other", dsn=dsn) as connection:
            assert rows_of(connection, "select count(*) from DWH.DW_MES_HOLDRELEASEHISTORY")[0][0] > 0
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) == 0
    finally:
        serving.kill()
        serving.communicate()


def test_wire_only_statements_that_are_to_count_are_in_flight() -> None:
    with OracleWireServer(None, counted=lambda sql: "/* mine */" in sql) as server, connected(server) as connection:
        rows_of(connection, "select 1 from dual")
        others = server.peak_in_flight
        rows_of(connection, "select /* mine */ 1 from dual")
        assert (others, server.peak_in_flight, server.statements_in_flight) == (0, 1, 0)
