"""The pool, the health check and the settings of the Oracle warehouse, over a real socket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

import oracledb
import pyarrow as pa
import pytest
from pydantic import SecretStr
from sluice_rpc.settings import SettingsError
from sluice_twin.oracle_wire import FaultRule, OracleWireServer
from sluice_warehouse import open_warehouse
from sluice_warehouse.errors import (
    LogonRefused,
    PasswordUnreadable,
    PoolExhausted,
    WarehouseError,
    WarehouseUnavailable,
)
from sluice_warehouse.lanes import PoolLane
from sluice_warehouse.oracle import OracleWarehouse
from sluice_warehouse.oracle_reading import OracleReading

from tests.oracle_numbers import (
    NUMBERS,
    NUMBERS_SCHEMA,
    ROW_COUNT,
    drained,
    numbers,
    numbers_server,
    pooled,
)
from tests.oracle_rig import TAG, Line, fast, oracle
from tests.polling import poll_until


@pytest.fixture(scope="module")
def server() -> Iterator[OracleWireServer]:
    with numbers_server() as running:
        yield running


@pytest.fixture
def warehouse(server: OracleWireServer) -> Iterator[OracleWarehouse]:
    with oracle(server.port) as opened:
        yield opened
    poll_until(lambda: not server.sessions(), 60, "every session is logged off")


def test_wire_a_pool_heals_once_a_silent_listener_answers(server: OracleWireServer) -> None:
    with Line(server.port) as line, oracle(line.port) as warehouse:
        line.stop()
        with pytest.raises(WarehouseUnavailable):
            drained(pooled(warehouse))
        line.go_on()
        assert drained(pooled(warehouse)) == ROW_COUNT


def test_wire_a_wrong_password_is_told_by_its_number_and_by_nothing_else(server: OracleWireServer) -> None:
    with (
        oracle(server.port, password=SecretStr("hunter2")) as warehouse,
        pytest.raises(WarehouseError, match="ORA-01017") as refused,
    ):
        drained(numbers(warehouse))
    shown = f"{refused.value.message} {refused.value.metadata}"
    assert not [secret for secret in ("hunter2", "127.0.0.1", str(server.port), "SLUICE") if secret in shown]


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
    poll_until(lambda: not server.sessions(), 60, "the connection is dropped")
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


def test_wire_a_look_up_whose_end_is_not_known_counts_past_its_deadline(server: OracleWireServer) -> None:
    with Line(server.port) as line, oracle(line.port, batch_row_count=1_000) as warehouse:
        lane = PoolLane(warehouse, 1, wait_s=0.2, margin_s=0.5)
        with (
            pytest.raises(WarehouseUnavailable),
            lane.read(NUMBERS, {}, schema=NUMBERS_SCHEMA, tag=TAG, deadline_s=3) as lost,
        ):
            next(iter(lost))
            line.reset()
            list(lost)
        with pytest.raises(PoolExhausted), lane.read(NUMBERS, {}, schema=NUMBERS_SCHEMA, tag=TAG):
            pass
        poll_until(lambda: lane.slots.available_count, 60, "the end of the quarantine")
        with lane.read(NUMBERS, {}, schema=NUMBERS_SCHEMA, tag=TAG) as reading:
            assert sum(batch.num_rows for batch in reading) == ROW_COUNT


def test_wire_a_logon_whose_last_step_stalls_is_unavailable(server: OracleWireServer) -> None:
    server.faults.set([FaultRule(phase="execute", statement="alter session", do="stall", seconds=30)])
    try:
        with oracle(server.port, logon_timeout_s=0.5) as warehouse, pytest.raises(WarehouseUnavailable):
            drained(numbers(warehouse))
    finally:
        server.faults.clear()


@pytest.mark.parametrize("lane", [numbers, pooled])
def test_wire_a_refused_password_is_not_tried_again_until_it_changes(
    tmp_path: Path, lane: Callable[[OracleWarehouse], OracleReading]
) -> None:
    file = tmp_path / "password"
    file.write_text("wrong", encoding="utf-8")
    counting = FaultRule(phase="logon", do="slow", bytes_per_s=1_000_000)
    with numbers_server() as server, oracle(server.port, password_file=file) as warehouse:
        server.faults.set([counting])
        for _ in range(4):
            with pytest.raises(WarehouseError, match="ORA-01017"):
                drained(lane(warehouse))
        tries = len(server.faults.fired)
        with pytest.raises(LogonRefused, match=r"tried again in 86[0-9]{3} s"):
            warehouse.ping()
        file.write_text("sluice", encoding="utf-8")
        assert (tries, len(server.faults.fired), drained(lane(warehouse))) == (1, 1, ROW_COUNT)


@pytest.mark.parametrize("ora", [28000, 28001])
@pytest.mark.parametrize("lane", [numbers, pooled])
def test_wire_an_account_that_the_dba_has_to_mend_is_left_alone_for_a_minute(
    server: OracleWireServer, lane: Callable[[OracleWarehouse], OracleReading], ora: int
) -> None:
    before = len(server.faults.fired)
    server.faults.set([FaultRule(phase="logon", do="error", code=ora)])
    try:
        with oracle(server.port) as warehouse:
            with pytest.raises(WarehouseError, match=f"ORA-{ora}"):
                drained(lane(warehouse))
            with pytest.raises(LogonRefused, match=rf"ORA-{ora}\); it is tried again in [1-6]?[0-9] s"):
                drained(lane(warehouse))
            assert len(server.faults.fired) == before + 1
    finally:
        server.faults.clear()


def test_wire_a_refused_password_that_was_written_anew_is_tried_at_once(
    server: OracleWireServer, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("sluice", encoding="utf-8")
    server.faults.set([FaultRule(phase="logon", do="error", code=1017, times=1)])
    try:
        with oracle(server.port, password_file=file) as warehouse:
            with pytest.raises(WarehouseError, match="ORA-01017"):
                drained(numbers(warehouse))
            with pytest.raises(LogonRefused):
                drained(numbers(warehouse))
            os.utime(file, ns=(0, 1))
            assert drained(numbers(warehouse)) == ROW_COUNT
    finally:
        server.faults.clear()


def test_wire_a_mistake_of_ours_is_not_taken_for_a_warehouse_that_is_away(warehouse: OracleWarehouse) -> None:
    broken = cast("pa.Schema", ["ID"])
    reading = warehouse.open(NUMBERS, {}, schema=broken, deadline_s=10, tag=TAG)
    with pytest.raises(AttributeError):
        next(reading)
    reading.close()


@pytest.mark.parametrize("lane", [numbers, pooled])
def test_wire_a_missing_password_file_does_not_look_like_a_warehouse_that_is_away(
    server: OracleWireServer, tmp_path: Path, lane: Callable[[OracleWarehouse], OracleReading]
) -> None:
    with oracle(server.port, password_file=tmp_path / "gone") as warehouse, pytest.raises(PasswordUnreadable):
        drained(lane(warehouse))


def test_oracle_without_a_password_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="SLUICE_WAREHOUSE_PASSWORD_FILE"):
        open_warehouse("oracle://reader@127.0.0.1:1521/MES")
