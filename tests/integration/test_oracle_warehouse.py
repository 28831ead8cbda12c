"""The Oracle warehouse over a real socket: names for the DBA, deadlines, cancels, lost and silent servers."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from sluice_rpc.errors import ServiceError
from sluice_twin.oracle_wire import OracleWireServer
from sluice_warehouse.errors import (
    StatementCancelled,
    StatementTimeout,
    WarehouseError,
    WarehouseUnavailable,
)
from sluice_warehouse.oracle import OracleWarehouse

from tests.oracle_numbers import (
    ENDLESS,
    NUMBERS,
    NUMBERS_SCHEMA,
    ROW_COUNT,
    drained,
    endless,
    idle,
    numbers,
    numbers_server,
)
from tests.oracle_rig import TAG, Line, oracle, read
from tests.polling import poll_until

# A logon that is reset leaves the driver's own socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[OracleWireServer]:
    with numbers_server() as running:
        yield running


@pytest.fixture
def warehouse(server: OracleWireServer) -> Iterator[OracleWarehouse]:
    with oracle(server.port) as opened:
        yield opened
    poll_until(lambda: not server.sessions(), 60, "every session is logged off")


def test_wire_rows_stream_in_batches(warehouse: OracleWarehouse) -> None:
    with numbers(warehouse) as reading:
        sizes = [batch.num_rows for batch in reading]
    assert (sum(sizes), max(sizes) <= 8_192, reading.end_confirmed) == (ROW_COUNT, True, True)


def test_wire_no_rows_is_a_result(warehouse: OracleWarehouse) -> None:
    assert read(warehouse, "select N as n from DWH.NUMBERS where N < 0", {"n": "int64"}).num_rows == 0


def test_wire_the_dba_sees_who_runs_what_for_whom(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    with numbers(warehouse) as reading:
        next(reading)
        [session] = server.sessions()
    assert (session.module, session.action, session.client_identifier) == (TAG.module, TAG.action, TAG.client_id)


def test_wire_the_text_carries_a_comment_of_safe_letters(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    tag = type(TAG)("m", "a", "x */ drop table y; --")
    with warehouse.open(NUMBERS, {}, schema=NUMBERS_SCHEMA, deadline_s=20, tag=tag) as reading:
        next(reading)
        [session] = server.sessions()
    assert session.sql.startswith("select /* sluice numbers x____drop_table_y__-- */ N as n")


def test_wire_a_reading_left_midway_leaves_nothing(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    for batch in numbers(warehouse):
        assert batch.num_rows
        break
    gc.collect()
    poll_until(lambda: idle(server) and not server.sessions(), 60, "the statement has ended")


def test_wire_an_exception_of_the_reader_ends_the_statement(
    server: OracleWireServer, warehouse: OracleWarehouse
) -> None:
    with pytest.raises(KeyError), numbers(warehouse) as reading:
        next(reading)
        raise KeyError
    poll_until(lambda: idle(server), 60, "the statement has ended")
    assert reading.end_confirmed


def test_wire_a_thread_that_dies_leaves_nothing(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    def read_one_batch() -> None:
        next(numbers(warehouse))

    thread = threading.Thread(target=read_one_batch)
    thread.start()
    thread.join()
    gc.collect()
    poll_until(lambda: idle(server) and not server.sessions(), 60, "the statement has ended")


@pytest.mark.parametrize("lane", ["open", "open_pooled"])
def test_wire_a_cancel_from_another_thread_is_confirmed(
    server: OracleWireServer, warehouse: OracleWarehouse, lane: str
) -> None:
    reading = getattr(warehouse, lane)(ENDLESS, {}, schema=NUMBERS_SCHEMA, deadline_s=60, tag=TAG)
    with ThreadPoolExecutor(1) as threads:
        rows = threads.submit(lambda: next(reading))
        poll_until(lambda: server.statements_in_flight == 1, 60, "the statement runs")
        reading.cancel()
        with pytest.raises(StatementCancelled):
            rows.result(60)
    assert reading.end_confirmed
    poll_until(lambda: idle(server), 60, "the statement has ended")


def test_wire_a_cancel_before_the_first_pull_runs_nothing(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    reading = numbers(warehouse)
    reading.cancel()
    with pytest.raises(StatementCancelled):
        next(reading)
    assert (server.sessions(), reading.end_confirmed) == ([], True)


def test_wire_the_deadline_ends_a_statement_that_yields_nothing(server: OracleWireServer) -> None:
    # The driver's own limit is beyond that of any test: what ends the statement is its deadline.
    with oracle(server.port, slow_call_timeout_ms=3_600_000) as warehouse:
        reading = endless(warehouse, deadline_s=0.5)
        with pytest.raises(StatementTimeout):
            next(reading)
        assert reading.end_confirmed
    poll_until(lambda: idle(server), 60, "the statement has ended")


def test_wire_the_deadline_bounds_all_round_trips_together(warehouse: OracleWarehouse) -> None:
    # Long enough for a logon on a busy machine.
    reading = numbers(warehouse, deadline_s=4.0)
    next(reading)
    poll_until(lambda: reading._run.watch.reason, 60, "the deadline has passed")
    with pytest.raises(StatementTimeout):
        next(reading)


def test_wire_silence_in_one_round_trip_is_bounded_by_the_call_timeout(server: OracleWireServer) -> None:
    with oracle(server.port, slow_call_timeout_ms=300) as warehouse:
        reading = endless(warehouse)
        with pytest.raises(StatementTimeout):
            next(reading)
    poll_until(lambda: idle(server), 60, "the statement has ended")


def test_wire_a_server_that_ignores_the_cancel_is_cut_off_and_its_end_unconfirmed(server: OracleWireServer) -> None:
    with Line(server.port) as line, oracle(line.port) as warehouse, ThreadPoolExecutor(1) as threads:
        reading = endless(warehouse)
        rows = threads.submit(lambda: next(reading))
        poll_until(lambda: server.statements_in_flight == 1, 60, "the statement runs")
        line.stop()
        reading.cancel()
        with pytest.raises(StatementCancelled):
            rows.result(60)
        assert not reading.end_confirmed
    poll_until(lambda: idle(server), 60, "the statement has ended")


def test_wire_a_line_that_breaks_midway_is_unavailable_and_its_end_unconfirmed(server: OracleWireServer) -> None:
    with Line(server.port) as line, oracle(line.port, batch_row_count=1_000) as warehouse:
        reading = numbers(warehouse)
        next(reading)
        line.reset()
        with pytest.raises(WarehouseUnavailable):
            list(reading)
        assert not reading.end_confirmed
    poll_until(lambda: idle(server), 60, "the statement has ended")


def test_wire_a_killed_session_is_unavailable_and_its_end_confirmed(
    server: OracleWireServer, warehouse: OracleWarehouse
) -> None:
    reading = numbers(warehouse)
    next(reading)
    server.kill(server.sessions()[0].session_id)
    with pytest.raises(WarehouseUnavailable):
        list(reading)
    # Each of these ends the process in the driver when it is not guarded (see break_call).
    reading.cancel()
    reading.close()
    assert reading.end_confirmed


def test_wire_a_cancel_races_with_a_killed_session_and_the_process_lives(server: OracleWireServer) -> None:
    with oracle(server.port, batch_row_count=50) as warehouse:
        for _ in range(15):
            reading = numbers(warehouse)
            next(reading)
            with ThreadPoolExecutor(2) as threads:
                rest = threads.submit(drained, reading)
                threads.submit(server.kill, server.sessions()[0].session_id)
                reading.cancel()
                with pytest.raises((WarehouseUnavailable, StatementCancelled)):
                    rest.result(60)
    poll_until(lambda: idle(server), 60, "every statement has ended")


@pytest.mark.parametrize("lane", ["open", "open_pooled"])
def test_wire_a_listener_that_says_nothing_is_given_up_and_leaves_no_thread(lane: str) -> None:
    before = threading.active_count()
    with Line(0) as line:
        with oracle(line.port) as warehouse:
            reading = getattr(warehouse, lane)(NUMBERS, {}, schema=NUMBERS_SCHEMA, deadline_s=20, tag=TAG)
            with pytest.raises(WarehouseUnavailable):
                next(reading)
        poll_until(lambda: threading.active_count() <= before + 1, 60, "only the line's own thread is left")


def test_wire_a_cancel_reaches_a_logon_that_hangs() -> None:
    with Line(0) as line, oracle(line.port, logon_timeout_s=120) as warehouse, ThreadPoolExecutor(1) as threads:
        reading = numbers(warehouse)
        rows = threads.submit(lambda: next(reading))
        reading.cancel()
        with pytest.raises(StatementCancelled):
            rows.result(60)


def test_nobody_listening_is_unavailable() -> None:
    with oracle(1) as warehouse, pytest.raises(WarehouseUnavailable):
        drained(numbers(warehouse))


def test_wire_the_limit_of_sessions_is_unavailable() -> None:
    table = pa.table({"N": pa.array([1], pa.int64())})
    with (
        OracleWireServer(None, tables={"NUMBERS": table}, session_limit=1) as server,
        oracle(server.port) as warehouse,
    ):
        with numbers(warehouse) as reading:
            next(reading)
            with pytest.raises(WarehouseUnavailable):
                drained(numbers(warehouse))
        assert drained(numbers(warehouse)) == 1


@pytest.mark.parametrize(
    ("sql", "ora"), [("select 1 as n from DWH.NO_SUCH_TABLE", 942), ("select 1/ as n from dual", 900)]
)
def test_wire_a_refused_statement_is_told_by_its_number(warehouse: OracleWarehouse, sql: str, ora: int) -> None:
    with pytest.raises(WarehouseError) as refused:
        read(warehouse, sql, {"n": "int64"})
    assert (refused.value.ora, sql in refused.value.message) == (ora, False)


def test_wire_a_statement_reads_by_its_columns_of_now_when_they_changed() -> None:
    """The driver's statement cache would read the new rows by the old columns."""
    whole = pa.table({"A": pa.array([1], pa.int64())})
    with OracleWireServer(None, tables={"T": whole}) as server, oracle(server.port) as warehouse:
        port = server.port
        assert read(warehouse, "select A as a from DWH.T", {"a": "decimal(12,2)"}).num_rows == 1
        assert warehouse.pool.live.stmtcachesize == 0
    text = pa.table({"A": ["x"]})
    with OracleWireServer(None, port, tables={"T": text}), oracle(port) as warehouse, pytest.raises(ServiceError):
        read(warehouse, "select A as a from DWH.T", {"a": "decimal(12,2)"})


def test_closing_ends_what_runs(server: OracleWireServer) -> None:
    with oracle(server.port) as warehouse, ThreadPoolExecutor(1) as threads:
        rows = threads.submit(lambda: next(endless(warehouse)))
        poll_until(lambda: server.statements_in_flight == 1, 60, "the statement runs")
        warehouse.close()
        with pytest.raises(StatementCancelled):
            rows.result(60)
        with pytest.raises(WarehouseUnavailable):
            next(numbers(warehouse))
    poll_until(lambda: idle(server) and not server.sessions(), 60, "nothing is left")
