"""Every fault of the stand-in, and what the real thin driver makes of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import oracledb
import pyarrow as pa
import pytest
from sluice_twin import PLANT_TIME
from sluice_twin.oracle_wire import FaultRule, FaultScriptError, OracleWireServer
from sluice_twin.oracle_wire.faults import read_script

from tests.polling import poll_until
from tests.stand_in import connected, open_connection, rows_of

# The driver drops the socket of a connection that died under it without closing it, and Python says so.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

ROW_COUNT = 5000
ROWS = "select ID, LABEL, MOMENT from DWH.NUMBERED"
ONE = "select 1 from dual"


@pytest.fixture(scope="module")
def numbered() -> dict[str, pa.Table]:
    ids = list(range(ROW_COUNT))
    moments = [datetime(2025, 1, 1) + timedelta(seconds=number) for number in ids]
    labels = [f"label {number}" for number in ids]
    return {"NUMBERED": pa.table({"ID": ids, "LABEL": labels, "MOMENT": pa.array(moments, pa.timestamp("s"))})}


@pytest.fixture
def server(numbered: dict[str, pa.Table]) -> Iterator[OracleWireServer]:
    with OracleWireServer(None, tables=numbered) as running:
        yield running


def faulty(server: OracleWireServer, **rule: Any) -> None:
    server.faults.set([FaultRule(**rule)])


def read_all(connection: oracledb.Connection, size: int = 1000) -> pa.Table:
    return pa.concat_tables(pa.table(batch) for batch in connection.fetch_df_batches(ROWS, size=size))


def error_of(caught: pytest.ExceptionInfo[oracledb.Error]) -> Any:
    return caught.value.args[0]


@pytest.mark.parametrize("code", [1017, 28000, 18, 2391])
def test_wire_logon_refused_on_cue(server: OracleWireServer, code: int) -> None:
    faulty(server, phase="logon", do="error", code=code, times=1)
    with pytest.raises(oracledb.DatabaseError) as caught:
        open_connection(server)
    assert error_of(caught).code == code
    open_connection(server).close()


@pytest.mark.parametrize(("code", "words"), [(12514, "DPY-6001"), (12516, "DPY-6000")])
def test_wire_listener_refuses_on_cue(server: OracleWireServer, code: int, words: str) -> None:
    faulty(server, phase="listen", do="refuse", code=code)
    with pytest.raises(oracledb.OperationalError, match="DPY-6005") as caught:
        open_connection(server)
    assert words in str(caught.value)
    assert f"Similar to ORA-{code}" in str(caught.value)


def test_wire_nobody_listens_and_then_somebody_does(server: OracleWireServer) -> None:
    server.stop_listening()
    with pytest.raises(oracledb.OperationalError, match="DPY-6005"):
        open_connection(server)
    server.listen()
    open_connection(server).close()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_wire_listener_hangs_up(server: OracleWireServer, how: str) -> None:
    faulty(server, phase="listen", do=how)
    with pytest.raises(oracledb.OperationalError, match="DPY-6005"):
        open_connection(server)


def test_wire_silent_listener_keeps_a_connect_waiting_until_the_connection_ends(server: OracleWireServer) -> None:
    faulty(server, phase="listen", do="silent")
    caught: list[oracledb.Error] = []

    def connect() -> None:
        try:
            open_connection(server)
        except oracledb.Error as error:
            caught.append(error)

    waiting = threading.Thread(target=connect, daemon=True)
    waiting.start()
    poll_until(lambda: server.faults.fired, 60, "the listener to fall silent")
    waiting.join(0.3)
    assert waiting.is_alive()
    server.drop_connections()
    waiting.join(10)
    assert "DPY-6005" in str(caught[0])


@pytest.mark.parametrize("code", [942, 1555, 1795, 1031, 1652, 4030])
def test_wire_statement_fails_on_cue_and_the_session_stays(server: OracleWireServer, code: int) -> None:
    faulty(server, phase="execute", do="error", code=code, statement="numbered", times=1)
    with connected(server) as connection:
        with pytest.raises(oracledb.DatabaseError) as caught:
            rows_of(connection, ROWS)
        assert error_of(caught).code == code
        assert rows_of(connection, ONE) == [(1,)]
    assert server.statements_in_flight == 0


@pytest.mark.parametrize("batch", [0, 2, "last"])
@pytest.mark.parametrize("code", [1555, 1013])
def test_wire_fetch_fails_on_cue_and_the_session_stays(server: OracleWireServer, code: int, batch: int | str) -> None:
    faulty(server, phase="fetch", do="error", code=code, batch=batch)
    with connected(server) as connection:
        with pytest.raises(oracledb.DatabaseError) as caught:
            read_all(connection)
        assert error_of(caught).code == code
        server.faults.clear()
        assert read_all(connection).num_rows == ROW_COUNT
    assert server.statements_in_flight == 0


@pytest.mark.parametrize("code", [28, 3113, 3135, 2396])
def test_wire_session_ends_in_mid_fetch(server: OracleWireServer, code: int) -> None:
    faulty(server, phase="fetch", do="error", code=code, batch=2)
    with connected(server) as connection:
        with pytest.raises(oracledb.DatabaseError, match="DPY-4011") as caught:
            read_all(connection)
        assert error_of(caught).code == code
        assert error_of(caught).isrecoverable
        assert not connection.is_healthy()
    poll_until(lambda: server.sessions() == [], 60, "the session to end")
    assert server.statements_in_flight == 0


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("at", [None, 1, 9, 500, "row", "batch"])
def test_wire_connection_ends_at_a_byte_of_a_reply(server: OracleWireServer, how: str, at: int | str | None) -> None:
    faulty(server, phase="fetch", do=how, batch=1, at=at)
    with connected(server) as connection:
        with pytest.raises(oracledb.DatabaseError, match="DPY-4011") as caught:
            read_all(connection)
        assert error_of(caught).isrecoverable
    poll_until(lambda: server.sessions() == [], 60, "the session to end")
    assert server.statements_in_flight == 0


@pytest.mark.parametrize("phase", ["logon", "execute", "ping", "commit"])
def test_wire_connection_ends_in_any_phase(server: OracleWireServer, phase: str) -> None:
    faulty(server, phase=phase, do="reset", at=3)

    def everything() -> None:
        with connected(server) as connection:
            connection.ping()
            connection.commit()
            rows_of(connection, ONE)

    with pytest.raises(oracledb.DatabaseError, match="DPY-4011"):
        everything()


@pytest.mark.parametrize(
    "rule",
    [
        {"phase": "execute"},
        {"phase": "fetch", "batch": 0},
        {"phase": "fetch", "batch": 1},
        {"phase": "fetch", "batch": "last"},
    ],
    ids=["before describe", "first batch", "middle", "last"],
)
def test_wire_stall_is_ended_by_the_call_timeout_and_the_session_stays(
    server: OracleWireServer, rule: dict[str, Any]
) -> None:
    faulty(server, do="stall", seconds=30, **rule)
    with connected(server) as connection:
        connection.call_timeout = 150
        with pytest.raises(oracledb.DatabaseError, match="DPY-4024"):
            read_all(connection)
        server.faults.clear()
        connection.call_timeout = 20_000
        assert read_all(connection).num_rows == ROW_COUNT
    assert server.statements_in_flight == 0


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("at", ["row", "batch"])
def test_wire_stall_in_the_middle_of_a_reply_leaves_an_error_for_the_next_call(
    server: OracleWireServer, at: str, batch: int
) -> None:
    """The packet begun is completed, and the driver takes it as the answer to its break: drop the connection."""
    faulty(server, phase="fetch", do="stall", seconds=30, batch=batch, at=at)
    with connected(server) as connection:
        # Long enough that it strikes in the stall and not in the execute before it.
        connection.call_timeout = 1_500
        with pytest.raises(oracledb.DatabaseError, match="DPY-4024"):
            read_all(connection)
        server.faults.clear()
        connection.call_timeout = 20_000
        with pytest.raises(oracledb.DatabaseError, match="ORA-01013"):
            rows_of(connection, ONE)
        assert rows_of(connection, ONE) == [(1,)]
    assert server.statements_in_flight == 0


def test_wire_short_stall_is_only_a_delay(server: OracleWireServer) -> None:
    faulty(server, phase="fetch", do="stall", seconds=0.2, at="batch", batch=1)
    with connected(server) as connection:
        started = time.monotonic()
        assert read_all(connection)["ID"].to_pylist() == list(range(ROW_COUNT))
        assert time.monotonic() - started >= 0.2


def test_wire_stall_that_ignores_breaks_costs_the_connection(server: OracleWireServer) -> None:
    faulty(server, phase="execute", do="stall", seconds=30, deaf=True)
    with connected(server) as connection:
        connection.call_timeout = 150
        with pytest.raises(oracledb.DatabaseError, match="DPY-4011"):
            rows_of(connection, ONE)
    poll_until(lambda: server.statements_in_flight == 0, 60, "the statement to end with its connection")


def test_wire_ignored_cancel_lets_the_statement_run_on(server: OracleWireServer) -> None:
    product = "select count(*) from DWH.NUMBERED a, DWH.NUMBERED b where a.ID + b.ID > 17"
    server.faults.set(
        [
            FaultRule(phase="execute", do="deaf"),
            FaultRule(phase="fetch", do="stall", seconds=0.4, deaf=True),
        ]
    )
    with connected(server) as connection:
        started = time.monotonic()
        threading.Timer(0.1, connection.cancel).start()
        with pytest.raises(oracledb.OperationalError, match="ORA-01013"):
            rows_of(connection, product)
        assert time.monotonic() - started > 0.4
        server.faults.clear()
        assert rows_of(connection, ONE) == [(1,)]


@pytest.mark.parametrize(
    ("rule", "raised"),
    [
        ({"do": "error", "code": 3113}, "DPY-4024"),
        ({"do": "reset"}, "DPY-4011"),
        ({"do": "close"}, "DPY-4011"),
        ({"do": "stall", "seconds": 30}, "DPY-4011"),
        ({"do": "stall", "seconds": 30, "deaf": True}, "DPY-4011"),
    ],
)
def test_wire_connection_ends_during_a_cancel(server: OracleWireServer, rule: dict[str, Any], raised: str) -> None:
    server.faults.set([FaultRule(phase="execute", do="stall", seconds=30), FaultRule(phase="break", **rule)])
    with connected(server) as connection:
        connection.call_timeout = 150
        with pytest.raises(oracledb.DatabaseError, match=raised):
            rows_of(connection, ONE)
        with pytest.raises(oracledb.Error, match=r"DPY-4011|DPY-1001"):
            connection.ping()
    poll_until(lambda: server.statements_in_flight == 0, 60, "the statement to end")


def test_wire_answer_to_a_cancel_that_comes_late_leaves_the_session(server: OracleWireServer) -> None:
    late = FaultRule(phase="break", do="stall", seconds=0.3)
    server.faults.set([FaultRule(phase="execute", do="stall", seconds=30, times=1), late])
    with connected(server) as connection:
        threading.Timer(0.1, connection.cancel).start()
        with pytest.raises(oracledb.OperationalError, match="ORA-01013"):
            rows_of(connection, ONE)
        assert (rows_of(connection, ONE), len(server.faults.fired)) == ([(1,)], 2)


def test_wire_slow_answer_comes_whole(server: OracleWireServer) -> None:
    faulty(server, phase="fetch", do="slow", bytes_per_s=40_000, batch=1)
    with connected(server) as connection:
        started = time.monotonic()
        assert read_all(connection, size=500).num_rows == ROW_COUNT
        assert time.monotonic() - started > 0.2


def test_wire_slow_answer_outlives_the_call_timeout(server: OracleWireServer) -> None:
    """The driver's time-out bounds one receive; the reply takes longer than that and is not ended by it."""
    faulty(server, phase="fetch", do="slow", bytes_per_s=30_000, batch=1)
    with connected(server) as connection:
        connection.call_timeout = 200
        started = time.monotonic()
        assert read_all(connection, size=500).num_rows == ROW_COUNT
        assert time.monotonic() - started > 0.3


def test_wire_column_has_another_name(server: OracleWireServer) -> None:
    faulty(server, phase="execute", do="rename_column", column="LABEL", to="OTHER")
    with connected(server) as connection:
        assert read_all(connection).column_names == ["ID", "OTHER", "MOMENT"]


def test_wire_column_is_not_there(server: OracleWireServer) -> None:
    faulty(server, phase="execute", do="drop_column", column="LABEL")
    with connected(server) as connection:
        assert read_all(connection).column_names == ["ID", "MOMENT"]


@pytest.mark.parametrize(
    ("to", "arrow"), [("VARCHAR2", pa.large_string()), ("NUMBER", pa.float64()), ("DATE", pa.timestamp("s"))]
)
def test_wire_column_has_another_type(server: OracleWireServer, to: str, arrow: pa.DataType) -> None:
    faulty(server, phase="execute", do="retype_column", column="LABEL", to=to)
    with connected(server) as connection:
        assert read_all(connection).schema.field("LABEL").type == arrow


def test_wire_type_that_changes_under_a_cached_statement_reaches_the_client(server: OracleWireServer) -> None:
    with connected(server) as connection:
        assert isinstance(rows_of(connection, ROWS)[0][0], int | float)
        faulty(server, phase="execute", do="retype_column", column="ID", to="VARCHAR2")
        assert rows_of(connection, ROWS)[0][0] == "0"


def test_wire_column_is_all_null(server: OracleWireServer) -> None:
    faulty(server, phase="execute", do="null_column", column="LABEL")
    with connected(server) as connection:
        table = read_all(connection)
    assert table["LABEL"].null_count == ROW_COUNT
    assert table["ID"].to_pylist() == list(range(ROW_COUNT))


def test_wire_row_count_changes_between_two_reads(server: OracleWireServer) -> None:
    faulty(server, phase="execute", do="limit_rows", row_count=1234, ordinal=2)
    with connected(server) as connection:
        assert [read_all(connection).num_rows for _ in range(3)] == [ROW_COUNT, 1234, ROW_COUNT]


def test_wire_clock_is_skewed(server: OracleWireServer) -> None:
    with connected(server) as connection:
        assert rows_of(connection, "select sysdate from dual") == [(PLANT_TIME,)]
        faulty(server, phase="execute", do="clock_skew", seconds=-90)
        assert rows_of(connection, "select sysdate from dual") == [(PLANT_TIME - timedelta(seconds=90),)]


def test_wire_rule_is_matched_by_module_and_action(server: OracleWireServer) -> None:
    faulty(server, phase="execute", do="error", code=1555, module="sluice", action="slice")
    with connected(server) as connection:
        connection.module = "sluice"
        assert rows_of(connection, ONE) == [(1,)]
        connection.action = "slice"
        with pytest.raises(oracledb.DatabaseError, match="ORA-01555"):
            rows_of(connection, ONE)


def outcomes(server: OracleWireServer, seed: int, count: int = 40) -> list[bool]:
    server.faults.set([FaultRule(phase="execute", do="error", code=1555, probability=0.3)], seed=seed)
    found = []
    with connected(server) as connection:
        for _ in range(count):
            try:
                rows_of(connection, ONE)
                found.append(True)
            except oracledb.DatabaseError:
                found.append(False)
    return found


def test_wire_seed_repeats_its_schedule(server: OracleWireServer) -> None:
    first = outcomes(server, seed=7)
    assert first == outcomes(server, seed=7)
    assert first != outcomes(server, seed=8)
    assert 0 < first.count(False) < len(first)


def test_wire_script_file_is_watched(numbered: dict[str, pa.Table], tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    with OracleWireServer(None, tables=numbered, faults=script) as server, connected(server) as connection:
        assert rows_of(connection, ONE) == [(1,)]
        script.write_text(json.dumps({"seed": 1, "rules": [{"phase": "execute", "do": "error", "code": 942}]}))
        with pytest.raises(oracledb.DatabaseError, match="ORA-00942"):
            rows_of(connection, ONE)
        script.write_text("[{}]")
        with pytest.raises(oracledb.DatabaseError, match="fault script"):
            rows_of(connection, ONE)
        script.unlink()
        assert rows_of(connection, ONE) == [(1,)]


@pytest.mark.parametrize(
    "rule",
    [
        {"phase": "execute"},
        {"phase": "execute", "do": "error"},
        {"phase": "execute", "do": "refuse", "code": 12514},
        {"phase": "ping", "do": "null_column", "column": "X"},
        {"phase": "execute", "do": "retype_column", "column": "X", "to": "BLOB"},
        {"phase": "execute", "do": "error", "code": 1, "when": "now"},
    ],
)
def test_script_with_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(FaultScriptError):
        read_script(json.dumps([rule]))


def test_wire_a_describe_has_faults_of_its_own(server: OracleWireServer) -> None:
    faulty(server, phase="describe", do="rename_column", column="LABEL", to="TITLE", times=1)
    with connected(server) as connection, connection.cursor() as cursor:
        cursor.parse(ROWS)
        described = [column.name for column in cursor.description or ()]
        assert (described, len(rows_of(connection, ROWS))) == (["ID", "TITLE", "MOMENT"], ROW_COUNT)
