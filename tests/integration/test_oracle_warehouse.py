"""The Oracle warehouse over a real socket: lanes, names for the DBA, deadlines, cancels, lost and silent servers."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import oracledb
import pyarrow as pa
import pytest
from pydantic import SecretStr
from sluice_rpc.errors import ServiceError
from sluice_twin.oracle_wire import OracleWireServer
from sluice_warehouse import open_warehouse
from sluice_warehouse.errors import (
    PoolExhausted,
    StatementCancelled,
    StatementTimeout,
    WarehouseError,
    WarehouseUnavailable,
)
from sluice_warehouse.oracle import OracleWarehouse
from sluice_warehouse.oracle_reading import OracleReading
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from tests.oracle_rig import TAG, Line, fast, oracle, read
from tests.polling import poll_until

ROW_COUNT = 50_000
NUMBERS = parse("numbers", "select N as n from DWH.NUMBERS")
NUMBERS_SCHEMA = parse_schema({"n": "int64"})
# 50,000^3 pairs: no machine finishes it, and it yields no row before it is done.
ENDLESS = parse(
    "endless",
    "select count(*) as n from DWH.NUMBERS a, DWH.NUMBERS b, DWH.NUMBERS c"
    " where mod(a.N + b.N * c.N, 1000003) = 1000004",
)


@pytest.fixture(scope="module")
def server() -> Iterator[OracleWireServer]:
    """A stand-in with one table of numbers."""
    numbers = pa.table({"N": pa.array(range(ROW_COUNT), pa.int64())})
    with OracleWireServer(None, tables={"NUMBERS": numbers}) as running:
        yield running


@pytest.fixture
def warehouse(server: OracleWireServer) -> Iterator[OracleWarehouse]:
    with oracle(server.port) as opened:
        yield opened
    poll_until(lambda: not server.sessions(), 10, "every session is logged off")


def numbers(warehouse: OracleWarehouse, deadline_s: float = 20) -> OracleReading:
    return warehouse.open(NUMBERS, {}, schema=NUMBERS_SCHEMA, deadline_s=deadline_s, tag=TAG)


def pooled(warehouse: OracleWarehouse, deadline_s: float = 20) -> OracleReading:
    return warehouse.open_pooled(NUMBERS, {}, schema=NUMBERS_SCHEMA, deadline_s=deadline_s, tag=TAG)


def endless(warehouse: OracleWarehouse, deadline_s: float = 60) -> OracleReading:
    return warehouse.open(ENDLESS, {}, schema=NUMBERS_SCHEMA, deadline_s=deadline_s, tag=TAG)


def drained(reading: OracleReading) -> int:
    with reading:
        return sum(batch.num_rows for batch in reading)


def idle(server: OracleWireServer) -> bool:
    return server.statements_in_flight == 0


def test_wire_rows_stream_in_batches(warehouse: OracleWarehouse) -> None:
    with numbers(warehouse) as reading:
        sizes = [batch.num_rows for batch in reading]
    assert (sum(sizes), max(sizes) <= 16_384, reading.end_confirmed) == (ROW_COUNT, True, True)


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
    poll_until(lambda: idle(server) and not server.sessions(), 10, "the statement has ended")


def test_wire_an_exception_of_the_reader_ends_the_statement(
    server: OracleWireServer, warehouse: OracleWarehouse
) -> None:
    with pytest.raises(KeyError), numbers(warehouse) as reading:
        next(reading)
        raise KeyError
    poll_until(lambda: idle(server), 5, "the statement has ended")
    assert reading.end_confirmed


def test_wire_a_thread_that_dies_leaves_nothing(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    def read_one_batch() -> None:
        next(numbers(warehouse))

    thread = threading.Thread(target=read_one_batch)
    thread.start()
    thread.join()
    gc.collect()
    poll_until(lambda: idle(server) and not server.sessions(), 10, "the statement has ended")


@pytest.mark.parametrize("lane", ["open", "open_pooled"])
def test_wire_a_cancel_from_another_thread_is_confirmed(
    server: OracleWireServer, warehouse: OracleWarehouse, lane: str
) -> None:
    reading = getattr(warehouse, lane)(ENDLESS, {}, schema=NUMBERS_SCHEMA, deadline_s=60, tag=TAG)
    with ThreadPoolExecutor(1) as threads:
        rows = threads.submit(lambda: next(reading))
        poll_until(lambda: server.statements_in_flight == 1, 10, "the statement runs")
        started = time.monotonic()
        reading.cancel()
        with pytest.raises(StatementCancelled):
            rows.result(10)
    assert (time.monotonic() - started < 5, reading.end_confirmed) == (True, True)
    poll_until(lambda: idle(server), 5, "the statement has ended")


def test_wire_a_cancel_before_the_first_pull_runs_nothing(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    reading = numbers(warehouse)
    reading.cancel()
    with pytest.raises(StatementCancelled):
        next(reading)
    assert (server.sessions(), reading.end_confirmed) == ([], True)


def test_wire_the_deadline_ends_a_statement_that_yields_nothing(
    server: OracleWireServer, warehouse: OracleWarehouse
) -> None:
    started = time.monotonic()
    reading = endless(warehouse, deadline_s=0.5)
    with pytest.raises(StatementTimeout):
        next(reading)
    assert (time.monotonic() - started < 3, reading.end_confirmed) == (True, True)
    poll_until(lambda: idle(server), 5, "the statement has ended")


def test_wire_the_deadline_bounds_all_round_trips_together(warehouse: OracleWarehouse) -> None:
    reading = numbers(warehouse, deadline_s=0.5)
    next(reading)
    poll_until(lambda: reading._run.watch.reason, 3, "the deadline has passed")
    with pytest.raises(StatementTimeout):
        next(reading)


def test_wire_silence_in_one_round_trip_is_bounded_by_the_call_timeout(server: OracleWireServer) -> None:
    with oracle(server.port, slow_call_timeout_ms=300) as warehouse:
        reading = endless(warehouse)
        with pytest.raises(StatementTimeout):
            next(reading)
    poll_until(lambda: idle(server), 5, "the statement has ended")


def test_wire_a_server_that_ignores_the_cancel_is_cut_off_and_its_end_unconfirmed(server: OracleWireServer) -> None:
    with Line(server.port) as line, oracle(line.port) as warehouse, ThreadPoolExecutor(1) as threads:
        reading = endless(warehouse)
        rows = threads.submit(lambda: next(reading))
        poll_until(lambda: server.statements_in_flight == 1, 10, "the statement runs")
        line.stop()
        started = time.monotonic()
        reading.cancel()
        with pytest.raises(StatementCancelled):
            rows.result(10)
        assert (time.monotonic() - started < 3, reading.end_confirmed) == (True, False)
    poll_until(lambda: idle(server), 5, "the statement has ended")


def test_wire_a_line_that_breaks_midway_is_unavailable_and_its_end_unconfirmed(server: OracleWireServer) -> None:
    with Line(server.port) as line, oracle(line.port, batch_row_count=1_000) as warehouse:
        reading = numbers(warehouse)
        next(reading)
        line.reset()
        with pytest.raises(WarehouseUnavailable):
            list(reading)
        assert not reading.end_confirmed
    poll_until(lambda: idle(server), 5, "the statement has ended")


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
                    rest.result(10)
    poll_until(lambda: idle(server), 5, "every statement has ended")


@pytest.mark.parametrize("lane", ["open", "open_pooled"])
def test_wire_a_listener_that_says_nothing_is_given_up_and_leaves_no_thread(lane: str) -> None:
    before = threading.active_count()
    with Line(0) as line:
        with oracle(line.port) as warehouse:
            reading = getattr(warehouse, lane)(NUMBERS, {}, schema=NUMBERS_SCHEMA, deadline_s=20, tag=TAG)
            started = time.monotonic()
            with pytest.raises(WarehouseUnavailable):
                next(reading)
            assert time.monotonic() - started < 3
        poll_until(lambda: threading.active_count() <= before + 1, 10, "only the line's own thread is left")


def test_wire_a_cancel_reaches_a_logon_that_hangs() -> None:
    with Line(0) as line, oracle(line.port, logon_timeout_s=30) as warehouse, ThreadPoolExecutor(1) as threads:
        reading = numbers(warehouse)
        rows = threads.submit(lambda: next(reading))
        started = time.monotonic()
        reading.cancel()
        with pytest.raises(StatementCancelled):
            rows.result(5)
    assert time.monotonic() - started < 3


def test_wire_a_pool_heals_once_a_silent_listener_answers(server: OracleWireServer) -> None:
    with Line(server.port) as line, oracle(line.port) as warehouse:
        line.stop()
        with pytest.raises(WarehouseUnavailable):
            drained(pooled(warehouse))
        line.go_on()
        assert drained(pooled(warehouse)) == ROW_COUNT


def test_nobody_listening_is_unavailable() -> None:
    with oracle(1) as warehouse, pytest.raises(WarehouseUnavailable):
        drained(numbers(warehouse))


def test_wire_a_wrong_password_is_told_by_its_number_and_by_nothing_else(server: OracleWireServer) -> None:
    with (
        oracle(server.port, password=SecretStr("hunter2")) as warehouse,
        pytest.raises(WarehouseError, match="ORA-01017") as refused,
    ):
        drained(numbers(warehouse))
    shown = f"{refused.value.message} {refused.value.metadata}"
    assert not [secret for secret in ("hunter2", "127.0.0.1", str(server.port), "SLUICE") if secret in shown]


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


def test_wire_the_pool_reuses_its_connection(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    ids = []
    for _ in range(3):
        with pooled(warehouse) as reading:
            next(reading)
            ids.append(server.sessions()[0].session_id)
            assert sum(batch.num_rows for batch in reading)
    assert len(set(ids)) == 1


def test_wire_a_pooled_connection_that_was_left_midway_is_not_used_again(
    server: OracleWireServer, warehouse: OracleWarehouse
) -> None:
    with pooled(warehouse) as reading:
        next(reading)
    poll_until(lambda: not server.sessions(), 5, "the connection is dropped")
    assert drained(pooled(warehouse)) == ROW_COUNT


def test_wire_a_dead_pooled_connection_is_replaced_unseen(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    assert drained(pooled(warehouse)) == ROW_COUNT
    [session] = server.sessions()
    server.kill(session.session_id)
    assert drained(pooled(warehouse)) == ROW_COUNT


def test_wire_replacing_dead_connections_has_a_budget(server: OracleWireServer) -> None:
    with oracle(server.port, reconnect_budget=0) as warehouse:
        assert drained(pooled(warehouse)) == ROW_COUNT
        server.kill(server.sessions()[0].session_id)
        with pytest.raises(WarehouseUnavailable):
            drained(pooled(warehouse))


def test_wire_a_full_pool_is_exhausted_after_its_wait(server: OracleWireServer) -> None:
    with oracle(server.port, pool_max=1, pool_wait_ms=200) as warehouse, pooled(warehouse) as reading:
        next(reading)
        with pytest.raises(PoolExhausted) as refused:
            drained(pooled(warehouse))
    assert refused.value.retry_after_s == 5


def test_every_pool_setting_takes_effect_in_the_live_pool(server: OracleWireServer) -> None:
    settings = {
        "pool_min": 1,
        "pool_max": 3,
        "pool_increment": 2,
        "pool_wait_ms": 1_234,
        "pool_ping_interval_s": 17,
        "pool_idle_s": 61,
        "pool_max_lifetime_s": 99,
    }
    with oracle(server.port, **settings) as warehouse:
        pool = warehouse.pool.live
        live = {
            "pool_min": pool.min,
            "pool_max": pool.max,
            "pool_increment": pool.increment,
            "pool_wait_ms": pool.wait_timeout,
            "pool_ping_interval_s": pool.ping_interval,
            "pool_idle_s": pool.timeout,
            "pool_max_lifetime_s": pool.max_lifetime_session,
        }
        assert (live, pool.getmode, pool.stmtcachesize) == (settings, oracledb.POOL_GETMODE_TIMEDWAIT, 0)


def test_every_call_timeout_takes_effect_on_the_live_connection(server: OracleWireServer) -> None:
    given = {"call_timeout_ms": 2_345, "slow_call_timeout_ms": 4_567}
    with oracle(server.port, **given) as warehouse, pooled(warehouse) as short, numbers(warehouse) as slow:
        next(short)
        next(slow)
        live = [reading._run._session.connection.call_timeout for reading in (short, slow) if reading._run._session]
    assert live == list(given.values())


def test_health_has_a_connection_of_its_own(server: OracleWireServer) -> None:
    with oracle(server.port, pool_max=1) as warehouse, pooled(warehouse) as reading:
        next(reading)
        warehouse.ping()
        warehouse.ping()
        assert [session.module for session in server.sessions()] == [TAG.module, "sluice-health"]


def test_health_comes_back_with_the_warehouse(server: OracleWireServer) -> None:
    with Line(server.port) as line, oracle(line.port) as warehouse:
        warehouse.ping()
        line.reset()
        warehouse.ping()
        line.stop()
        with pytest.raises(WarehouseUnavailable):
            warehouse.ping()
        line.go_on()
        warehouse.ping()


def test_the_plant_time_is_the_warehouse_s(server: OracleWireServer, warehouse: OracleWarehouse) -> None:
    assert warehouse.plant_time() == datetime(2026, 1, 1, 8)


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
        poll_until(lambda: server.statements_in_flight == 1, 10, "the statement runs")
        warehouse.close()
        with pytest.raises(StatementCancelled):
            rows.result(10)
        with pytest.raises(WarehouseUnavailable):
            next(numbers(warehouse))
    poll_until(lambda: idle(server) and not server.sessions(), 5, "nothing is left")


@pytest.mark.parametrize(
    "url",
    [
        "oracle://sluice:hunter2@host:1521/TWIN",
        "oracle://host/TWIN",
        "oracle://sluice@host",
        "oracle://sluice@host:port/TWIN",
        "oracle://sluice@host/TWIN?x=hunter2",
        "postgres://sluice:hunter2@host/db",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="oracle://user@host:port/service") as refused:
        open_warehouse(url)
    assert "hunter2" not in str(refused.value)


def test_the_password_is_read_from_its_file_at_each_logon(server: OracleWireServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wrong\n", encoding="utf-8")
    with oracle(server.port, password_file=file) as warehouse:
        with pytest.raises(WarehouseError, match="01017"):
            drained(numbers(warehouse))
        file.write_text("sluice\n", encoding="utf-8")
        assert drained(numbers(warehouse)) == ROW_COUNT


def test_settings_never_show_the_password() -> None:
    assert "hunter2" not in repr(fast(password=SecretStr("hunter2")))
