"""Faults on cue: the right statement fails, at the right place, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from sluice_rpc.errors import ServiceError
from sluice_warehouse import Statement, Tag
from sluice_warehouse.duckdb import DuckDBReading, DuckDBWarehouse
from sluice_warehouse.errors import StatementCancelled, StatementTimeout, WarehouseUnavailable
from sluice_warehouse.faults import Fault, FaultFileError
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import parse

from tests.polling import poll_until

SCHEMA = parse_schema({"n": "int64"})
SLICE = parse("slice", "select c.QTY as n from DWH.DW_MES_CONTAINER c where :start_time is not null")
CARRY_IN = parse("carry_in", SLICE.text)
JANUARY, FEBRUARY = datetime(2024, 1, 1, 7, 30), datetime(2024, 2, 1, 7, 30)


@pytest.fixture
def fault_file(tmp_path: Path) -> Path:
    return tmp_path / "faults.json"


@pytest.fixture
def faulty(plant: Path, fault_file: Path) -> Iterator[DuckDBWarehouse]:
    warehouse = DuckDBWarehouse(plant, fault_path=fault_file)
    yield warehouse
    warehouse.close()


def read(warehouse: DuckDBWarehouse, statement: Statement = SLICE, start: datetime = JANUARY) -> DuckDBReading:
    return warehouse.open(
        statement, {"start_time": start}, schema=SCHEMA, deadline_s=30, tag=Tag("test", "fault", "nobody")
    )


def rule(file: Path, **fields: object) -> None:
    file.write_text(json.dumps([fields]), encoding="utf-8")


def test_without_a_file_all_runs(faulty: DuckDBWarehouse) -> None:
    assert sum(batch.num_rows for batch in read(faulty)) == 300


@pytest.mark.parametrize(
    "code", ["WAREHOUSE_UNAVAILABLE", "WAREHOUSE_ERROR", "QUERY_TIMEOUT", "CONTRACT_BROKEN", "CIRCUIT_OPEN"]
)
def test_a_rule_fails_its_statement_with_its_code(faulty: DuckDBWarehouse, fault_file: Path, code: str) -> None:
    rule(fault_file, statement="slice", code=code)
    with pytest.raises(ServiceError) as caught:
        list(read(faulty))
    assert caught.value.reason == code


def test_a_statement_that_a_fault_kept_from_starting_is_not_counted(faulty: DuckDBWarehouse, fault_file: Path) -> None:
    rule(fault_file, statement="slice", code="WAREHOUSE_UNAVAILABLE")
    with pytest.raises(WarehouseUnavailable):
        list(read(faulty))
    assert faulty.counts.started == 0


def test_a_rule_with_a_start_time_hits_that_chunk_alone(faulty: DuckDBWarehouse, fault_file: Path) -> None:
    rule(fault_file, statement="slice", start_time="2024-02-01T07:30:00", code="WAREHOUSE_UNAVAILABLE")
    assert sum(batch.num_rows for batch in read(faulty, start=JANUARY)) == 300
    with pytest.raises(WarehouseUnavailable):
        list(read(faulty, start=FEBRUARY))


def test_other_statements_run(faulty: DuckDBWarehouse, fault_file: Path) -> None:
    rule(fault_file, statement="slice", code="WAREHOUSE_UNAVAILABLE")
    assert sum(batch.num_rows for batch in read(faulty, CARRY_IN)) == 300


def test_a_fault_ends_when_its_file_goes(faulty: DuckDBWarehouse, fault_file: Path) -> None:
    rule(fault_file, statement="slice", code="WAREHOUSE_UNAVAILABLE")
    with pytest.raises(WarehouseUnavailable):
        list(read(faulty))
    fault_file.unlink()
    assert sum(batch.num_rows for batch in read(faulty)) == 300


def test_a_fault_may_come_after_rows(faulty: DuckDBWarehouse, fault_file: Path) -> None:
    rule(fault_file, statement="slice", code="WAREHOUSE_UNAVAILABLE", after_row_count=1)
    with read(faulty) as reading:
        rows = next(reading).num_rows
        with pytest.raises(WarehouseUnavailable):
            next(reading)
    assert (rows, faulty.counts.started, faulty.counts.running) == (300, 1, 0)


def test_a_delayed_statement_can_be_cancelled(faulty: DuckDBWarehouse, fault_file: Path) -> None:
    rule(fault_file, statement="slice", delay_s=600)
    with read(faulty) as reading, ThreadPoolExecutor(1) as pool:
        pulled = pool.submit(next, reading)
        poll_until(pulled.running, 60)
        reading.cancel()
        with pytest.raises(StatementCancelled):
            pulled.result(timeout=10)


def test_a_delayed_statement_runs_into_its_deadline(plant: Path) -> None:
    warehouse = DuckDBWarehouse(plant, fault=lambda statement, binds: Fault(delay_s=600))
    with (
        warehouse.open(
            SLICE, {"start_time": JANUARY}, schema=SCHEMA, deadline_s=0.05, tag=Tag("test", "fault", "nobody")
        ) as reading,
        pytest.raises(StatementTimeout),
    ):
        next(reading)
    warehouse.close()


@pytest.mark.parametrize("text", ["{", "[1]", '[{"code": "X"}]', '[{"statement": "slice", "code": "NO_SUCH_CODE"}]'])
def test_a_malformed_file_is_never_read_as_no_fault(faulty: DuckDBWarehouse, fault_file: Path, text: str) -> None:
    fault_file.write_text(text, encoding="utf-8")
    with pytest.raises(FaultFileError, match=r"faults\.json"):
        read(faulty)


def test_a_statement_hangs_after_its_first_rows_until_it_is_cancelled(
    faulty: DuckDBWarehouse, fault_file: Path
) -> None:
    rule(fault_file, statement="slice", delay_s=60, hang_after_row_count=1)
    reading = read(faulty)
    assert next(reading).num_rows > 0
    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(lambda: list(reading))
        reading.cancel()
        assert isinstance(pulling.exception(5), StatementCancelled)
