"""The embedded warehouse on a real file: rows stream, statements end, faults have names, the log tells what ran."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sluice_warehouse import Bind, Statement, Tag, open_warehouse
from sluice_warehouse.duckdb import DuckDBReading, DuckDBWarehouse
from sluice_warehouse.errors import (
    ContractBroken,
    StatementCancelled,
    StatementTimeout,
    WarehouseError,
    WarehouseUnavailable,
)
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from tests.polling import poll_until
from tests.spoiled_engine import spoil

TAG = Tag("query-engine hold-history", "slice 1/3", "request-7")
LOTS = parse(
    "slice",
    "select c.CONTAINERID as lot_id, c.CONTAINERNAME as lot, c.QTY as qty from DWH.DW_MES_CONTAINER c"
    " where c.QTY >= :first_qty order by c.CONTAINERID fetch first :row_limit rows only",
)
LOT_SCHEMA = parse_schema({"lot_id": "string", "lot": "string", "qty": "int64"})
MANY = parse("many", "select a.QTY as n from DWH.DW_MES_CONTAINER a, DWH.DW_MES_CONTAINER b, DWH.DW_MES_CONTAINER c")
MANY_SCHEMA = parse_schema({"n": "int64"})
# 300^5 pairs: no machine finishes it, and it yields no row before it is done.
ENDLESS = parse(
    "endless",
    "select count(*) as n from DWH.DW_MES_CONTAINER a, DWH.DW_MES_CONTAINER b, DWH.DW_MES_CONTAINER c,"
    " DWH.DW_MES_CONTAINER d, DWH.DW_MES_CONTAINER e where a.QTY + b.QTY * c.QTY - d.QTY * e.QTY = 1",
)


def lots(warehouse: DuckDBWarehouse, *, deadline_s: float = 30, **binds: Bind) -> DuckDBReading:
    return warehouse.open(
        LOTS, {"first_qty": 0, "row_limit": 1000, **binds}, schema=LOT_SCHEMA, deadline_s=deadline_s, tag=TAG
    )


def endless(warehouse: DuckDBWarehouse, deadline_s: float) -> DuckDBReading:
    return warehouse.open(ENDLESS, {}, schema=MANY_SCHEMA, deadline_s=deadline_s, tag=TAG)


def many(warehouse: DuckDBWarehouse) -> DuckDBReading:
    return warehouse.open(MANY, {}, schema=MANY_SCHEMA, deadline_s=60, tag=TAG)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def outcome_of_last(path: Path) -> str:
    return str(lines(path)[-1].get("outcome"))


def test_rows_have_the_declared_schema(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse, first_qty=298) as reading:
        rows = [row for batch in reading for row in batch.to_pylist()]
    assert rows == [
        {"lot_id": f"{298:016d}", "lot": "LOT298", "qty": 298},
        {"lot_id": f"{299:016d}", "lot": "LOT299", "qty": 299},
    ]


def test_text_loses_its_padding(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse, first_qty=290, row_limit=1) as reading:
        assert next(iter(reading)).column("lot").to_pylist() == ["LOT290"]


def test_no_rows_is_a_result(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse, first_qty=10_000) as reading:
        assert (list(reading), reading.row_count) == ([], 0)


def test_a_null_bind_is_null(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse, first_qty=None) as reading:
        assert list(reading) == []


def test_a_datetime_bind_is_the_plants_own_time(warehouse: DuckDBWarehouse) -> None:
    statement = parse("s", "select m.PLANT_TIME as t from DWH_TWIN.META m where m.PLANT_TIME = :at")
    binds = {"at": datetime(2025, 12, 31, 7, 30)}
    with warehouse.open(
        statement, binds, schema=parse_schema({"t": "timestamp[s]"}), deadline_s=30, tag=TAG
    ) as reading:
        assert next(reading).to_pylist() == [{"t": datetime(2025, 12, 31, 7, 30)}]


def test_sessions_live_in_utc_wherever_the_machine_stands(plant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Taipei")
    time.tzset()
    warehouse = DuckDBWarehouse(plant)
    statement = parse("s", "select current_setting('TimeZone') as zone")
    with warehouse.open(statement, {}, schema=parse_schema({"zone": "string"}), deadline_s=30, tag=TAG) as reading:
        zones = next(reading).column("zone").to_pylist()
    warehouse.close()
    monkeypatch.undo()
    time.tzset()
    assert zones == ["UTC"]


def test_a_batch_has_at_most_65536_rows(warehouse: DuckDBWarehouse) -> None:
    with many(warehouse) as reading:
        assert 0 < next(reading).num_rows <= 65_536


def test_memory_does_not_grow_with_the_rows(plant: Path) -> None:
    # Collected, 27 million rows would take 216 MB.
    warehouse = DuckDBWarehouse(plant, memory_limit_bytes=64 << 20)
    with many(warehouse) as reading:
        next(reading)
        before = anonymous_bytes()
        grown = max(anonymous_bytes() - before for _ in reading)
    warehouse.close()
    assert (reading.row_count, grown < 64 << 20) == (300**3, True)


def test_the_plants_clock_is_the_twins(warehouse: DuckDBWarehouse) -> None:
    assert warehouse.plant_time() == datetime(2025, 12, 31, 7, 30)


def test_looking_at_the_clock_is_no_statement(warehouse: DuckDBWarehouse, statement_log: Path) -> None:
    warehouse.plant_time()
    warehouse.ping()
    assert (warehouse.counts.started, lines(statement_log)) == (0, [])


def test_the_log_has_a_line_when_a_statement_starts_and_one_when_it_ended(
    warehouse: DuckDBWarehouse, statement_log: Path
) -> None:
    with lots(warehouse, first_qty=290) as reading:
        list(reading)
    start, end = lines(statement_log)
    assert (start["kind"], start["module"], start["action"], start["client_id"], start["statement"]) == (
        "start",
        *("query-engine hold-history", "slice 1/3", "request-7", "slice"),
    )
    assert (end["kind"], end["id"], end["row_count"], end["outcome"]) == ("end", start["id"], 10, "completed")


def test_the_log_shows_the_binds(warehouse: DuckDBWarehouse, statement_log: Path) -> None:
    with lots(warehouse, first_qty=290) as reading:
        list(reading)
    assert lines(statement_log)[0]["binds"] == {"first_qty": 290, "row_limit": 1000}


def test_a_statement_nobody_pulled_never_ran(warehouse: DuckDBWarehouse, statement_log: Path) -> None:
    with lots(warehouse):
        pass
    assert (warehouse.counts.started, lines(statement_log)) == (0, [])


def test_the_counters_follow_the_statements(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse) as reading:
        next(reading)
        running = warehouse.counts.running
    assert (running, warehouse.counts.running, warehouse.counts.row_count) == (1, 0, 300)


def test_two_warehouses_share_one_log(plant: Path, statement_log: Path) -> None:
    both = [DuckDBWarehouse(plant, statement_log=statement_log) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda warehouse: [list(lots(warehouse)) for _ in range(20)], both))
    for warehouse in both:
        warehouse.close()
    assert len(lines(statement_log)) == 80


def test_leaving_early_ends_the_statement(warehouse: DuckDBWarehouse, statement_log: Path) -> None:
    with many(warehouse) as reading:
        next(reading)
    assert (warehouse.counts.running, outcome_of_last(statement_log)) == (0, "left")


def test_an_exception_in_the_block_ends_the_statement(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(KeyError), many(warehouse) as reading:
        next(reading)
        raise KeyError
    assert warehouse.counts.running == 0


def test_a_closed_generator_ends_the_statement(warehouse: DuckDBWarehouse) -> None:
    def rows() -> Any:
        with many(warehouse) as reading:
            yield from reading

    generator = rows()
    next(generator)
    generator.close()
    assert warehouse.counts.running == 0


def test_a_thread_that_dies_ends_its_statement(warehouse: DuckDBWarehouse) -> None:
    def work() -> None:
        reading = many(warehouse)
        next(reading)
        raise RuntimeError

    with ThreadPoolExecutor(1) as pool:
        failed = pool.submit(work).exception()
    del failed
    gc.collect()
    assert (warehouse.counts.started, warehouse.counts.running) == (1, 0)


def test_closing_twice_is_harmless(warehouse: DuckDBWarehouse) -> None:
    reading = lots(warehouse)
    next(reading)
    reading.close()
    reading.close()
    assert warehouse.counts.ended == 1


def test_a_read_out_reading_stays_at_its_end(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse) as reading:
        list(reading)
        assert list(reading) == []


def test_the_deadline_ends_a_statement_that_yields_nothing(warehouse: DuckDBWarehouse, statement_log: Path) -> None:
    with endless(warehouse, deadline_s=0.2) as reading, pytest.raises(StatementTimeout) as caught:
        next(reading)
    assert (caught.value.reason, outcome_of_last(statement_log)) == ("QUERY_TIMEOUT", "timeout")


def test_the_deadline_counts_while_nobody_pulls(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse, deadline_s=0.01) as reading:
        end = time.monotonic() + 0.01
        poll_until(lambda: time.monotonic() > end, 60)
        with pytest.raises(StatementTimeout):
            next(reading)


def test_cancel_from_another_thread_ends_a_statement_that_yields_nothing(
    warehouse: DuckDBWarehouse, statement_log: Path
) -> None:
    with endless(warehouse, deadline_s=60) as reading, ThreadPoolExecutor(1) as pool:
        pulled = pool.submit(next, reading)
        poll_until(lambda: warehouse.counts.running == 1, 60)
        reading.cancel()
        with pytest.raises(StatementCancelled):
            pulled.result(timeout=10)
    assert outcome_of_last(statement_log) == "cancelled"


def test_cancel_between_two_batches_ends_the_statement(warehouse: DuckDBWarehouse) -> None:
    with many(warehouse) as reading:
        next(reading)
        reading.cancel()
        with pytest.raises(StatementCancelled):
            list(reading)
    assert warehouse.counts.running == 0


def test_cancel_before_the_first_pull_starts_nothing(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse) as reading:
        reading.cancel()
        with pytest.raises(StatementCancelled):
            next(reading)
    assert warehouse.counts.started == 0


def test_cancel_after_the_end_changes_nothing(warehouse: DuckDBWarehouse, statement_log: Path) -> None:
    with lots(warehouse) as reading:
        list(reading)
        reading.cancel()
        assert list(reading) == []
    assert outcome_of_last(statement_log) == "completed"


def test_closing_the_warehouse_ends_what_runs(plant: Path) -> None:
    warehouse = DuckDBWarehouse(plant)
    with ThreadPoolExecutor(1) as pool:
        reading = endless(warehouse, deadline_s=60)
        pulled = pool.submit(next, reading)
        poll_until(lambda: warehouse.counts.running == 1, 60)
        warehouse.close()
        with pytest.raises(StatementCancelled):
            pulled.result(timeout=10)
    assert warehouse.counts.running == 0


def test_no_watch_outlives_its_statement(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse) as reading:
        list(reading)
    poll_until(lambda: not [t for t in threading.enumerate() if t.name == "statement-watch"], 60)


@pytest.mark.parametrize("binds", [{}, {"first_qty": 1}, {"first_qty": 1, "row_limit": 1, "more": 1}])
def test_binds_and_values_must_match(warehouse: DuckDBWarehouse, binds: dict[str, Bind]) -> None:
    with pytest.raises(ValueError, match="differ in"):
        warehouse.open(LOTS, binds, schema=LOT_SCHEMA, deadline_s=30, tag=TAG)


@pytest.mark.parametrize(
    ("text", "ora"),
    [
        ("select a from DWH.NOT_THERE", 942),
        ("select c.NOT_THERE from DWH.DW_MES_CONTAINER c", 904),
        ("selec 1", 900),
        ("delete from DWH.DW_MES_CONTAINER", 600),
    ],
)
def test_a_refused_statement_has_a_number_and_no_text(warehouse: DuckDBWarehouse, text: str, ora: int) -> None:
    with pytest.raises(WarehouseError) as caught:
        list(warehouse.open(Statement("bad", text, ()), {}, schema=MANY_SCHEMA, deadline_s=30, tag=TAG))
    assert (caught.value.metadata, "DWH" in caught.value.message) == ({"ora": str(ora)}, False)


def test_a_statement_that_breaks_on_its_way_is_a_warehouse_error(
    warehouse: DuckDBWarehouse, statement_log: Path
) -> None:
    statement = parse("bad", "select cast(c.CONTAINERNAME as integer) as n from DWH.DW_MES_CONTAINER c")
    reading = warehouse.open(statement, {}, schema=MANY_SCHEMA, deadline_s=30, tag=TAG)
    with pytest.raises(WarehouseError):
        list(reading)
    assert outcome_of_last(statement_log) == "failed"


def test_columns_that_do_not_fit_are_found_before_anything_runs(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(ContractBroken, match="'lot_id' of 'slice' is not declared"):
        warehouse.open(
            LOTS, {"first_qty": 0, "row_limit": 1}, schema=parse_schema({"lot": "string", "qty": "int64"}),
            deadline_s=30, tag=TAG,
        )  # fmt: skip
    assert warehouse.counts.started == 0


def test_rows_that_do_not_fit_end_the_statement(warehouse: DuckDBWarehouse, statement_log: Path) -> None:
    schema = parse_schema({"lot_id": "int64", "lot": "string", "qty": "int64"})
    reading = warehouse.open(LOTS, {"first_qty": 0, "row_limit": 1}, schema=schema, deadline_s=30, tag=TAG)
    with pytest.raises(ContractBroken, match="'lot_id' of 'slice'"):
        next(reading)
    assert outcome_of_last(statement_log) == "failed"


def test_a_warehouse_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnavailable):
        DuckDBWarehouse(tmp_path / "gone.duckdb").ping()


def test_a_warehouse_may_come_after_the_process(tmp_path: Path, plant: Path) -> None:
    path = tmp_path / "late.duckdb"
    warehouse = DuckDBWarehouse(path)
    with pytest.raises(WarehouseUnavailable):
        warehouse.plant_time()
    path.write_bytes(plant.read_bytes())
    assert warehouse.plant_time() == datetime(2025, 12, 31, 7, 30)
    warehouse.close()


def test_a_closed_warehouse_is_unavailable(plant: Path) -> None:
    warehouse = DuckDBWarehouse(plant)
    warehouse.ping()
    warehouse.close()
    with pytest.raises(WarehouseUnavailable):
        warehouse.ping()


@pytest.mark.parametrize("slashes", ["//", "///"])
def test_a_url_opens_the_file_it_names(plant: Path, slashes: str) -> None:
    warehouse = open_warehouse(f"duckdb:{slashes}{plant}")
    binds = {"first_qty": 0, "row_limit": 1}
    with warehouse.open(LOTS, binds, schema=LOT_SCHEMA, deadline_s=30, tag=TAG) as reading:
        assert [row["lot"] for batch in reading for row in batch.to_pylist()] == ["LOT0"]
    warehouse.close()


@pytest.mark.parametrize("url", ["oracle://host/service", "duckdb://", "duckdb:///", "duckdb://host/x", "x.duckdb", ""])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no warehouse URL"):
        open_warehouse(url)


def test_a_fault_past_the_first_row_keeps_its_number(warehouse: DuckDBWarehouse) -> None:
    statement = parse(
        "odd",
        "select case when a.QTY * b.QTY = 89401 then cast('x' || c.QTY as integer) else 1 end as n"
        " from DWH.DW_MES_CONTAINER a, DWH.DW_MES_CONTAINER b, DWH.DW_MES_CONTAINER c",
    )
    reading = warehouse.open(statement, {}, schema=MANY_SCHEMA, deadline_s=60, tag=TAG)
    with pytest.raises(WarehouseError) as refused, reading:
        list(reading)
    assert (refused.value.ora, "x" in refused.value.message) == (1722, False)


def test_a_connection_that_is_gone_is_made_anew(warehouse: DuckDBWarehouse) -> None:
    with lots(warehouse) as reading:
        assert next(reading).num_rows
    assert warehouse._engine is not None
    warehouse._engine.connection.close()
    with pytest.raises(WarehouseUnavailable):
        lots(warehouse)
    with lots(warehouse) as reading:
        assert next(reading).num_rows


def test_a_fatal_fault_in_mid_read_ends_every_reading_and_the_next_statement_works(
    warehouse: DuckDBWarehouse, plant: Path
) -> None:
    with lots(warehouse) as begun, lots(warehouse) as bound:
        assert next(begun).num_rows
        # A connection of the same process to the same file is one to the same engine.
        with duckdb.connect(str(plant), read_only=True) as same:
            spoil(same)
        with pytest.raises(WarehouseUnavailable):
            next(bound)
        with pytest.raises(WarehouseUnavailable):
            next(begun)
    with lots(warehouse) as reading:
        assert next(reading).num_rows


@pytest.mark.parametrize("ask", [DuckDBWarehouse.ping, DuckDBWarehouse.plant_time])
def test_health_and_clock_come_back_after_a_fatal_fault(
    warehouse: DuckDBWarehouse, plant: Path, ask: Callable[[DuckDBWarehouse], object]
) -> None:
    warehouse.ping()
    with duckdb.connect(str(plant), read_only=True) as same:
        spoil(same)
    with pytest.raises(WarehouseUnavailable):
        ask(warehouse)
    ask(warehouse)
