"""What each number of Oracle and of its driver becomes, without text, SQL or address."""

from __future__ import annotations

import oracledb
import pytest
from sluice_rpc.errors import ServiceError
from sluice_warehouse.errors import (
    ContractBroken,
    PoolExhausted,
    StatementTimeout,
    WarehouseError,
    WarehouseUnavailable,
)
from sluice_warehouse.oracle_errors import server_said, translated

SECRET = "select SECRET from db.plant:1521"


def driver_fault(text: str, code: int = 0) -> oracledb.Error:
    """Return what the driver raises for this text and number."""
    fault = oracledb._Error(f"{text} {SECRET}", code=code)
    return fault.exc_type(fault)


def ora(number: int, text: str = "of the server") -> oracledb.Error:
    return driver_fault(f"ORA-{number:05d}: {text}", number)


@pytest.mark.parametrize(
    "number",
    [18, 28, 1012, 1033, 1034, 1089, 2391, 2396, 3113, 3114, 3135, 12170, 12514, 12516, 12537, 12541, 12547],
)
def test_a_session_that_died_or_is_not_to_be_had_is_unavailable(number: int) -> None:
    error = translated(ora(number), "part", 1)
    assert (type(error), error.reason, error.retry_after_s) == (WarehouseUnavailable, "WAREHOUSE_UNAVAILABLE", 5)


@pytest.mark.parametrize(
    "fault",
    [
        driver_fault("DPY-4011: the database or network closed the connection"),
        driver_fault("DPY-1001: not connected to database"),
        driver_fault("DPY-1002: connection pool is not open"),
        driver_fault("DPY-6005: cannot connect to database\nDPY-6001: Similar to ORA-12514"),
        driver_fault("DPY-6005: cannot connect to database\nDPY-6000: Similar to ORA-12516"),
        driver_fault("DPY-5002: internal error: read integer of unexpected length"),
        ConnectionResetError("reset"),
        AttributeError("'NoneType' object has no attribute 'settimeout'"),
    ],
)
def test_a_lost_connection_is_unavailable_and_no_word_of_the_server(fault: BaseException) -> None:
    assert isinstance(translated(fault, "part", 1), WarehouseUnavailable)
    assert not server_said(fault)


@pytest.mark.parametrize("fault", [ora(1013), ora(40), ora(56735), driver_fault("DPY-4024: call timeout of 9 ms")])
def test_what_was_ended_from_outside_is_a_timeout_that_the_server_confirmed(fault: oracledb.Error) -> None:
    assert isinstance(translated(fault, "part", 1), StatementTimeout)
    assert server_said(fault)


def test_a_full_pool_is_exhausted() -> None:
    assert isinstance(translated(driver_fault("DPY-4005: timed out waiting"), "part", 1), PoolExhausted)


@pytest.mark.parametrize("number", [1, 900, 942, 1017, 1031, 1555, 1652, 1722, 1795, 4031, 28000])
def test_a_refusal_keeps_its_number(number: int) -> None:
    error = translated(ora(number), "part", 1)
    assert isinstance(error, WarehouseError)
    assert (error.ora, error.metadata) == (number, {"ora": str(number)})


@pytest.mark.parametrize(
    ("text", "column"), [('"QTYX": invalid identifier', "qtyx"), ('"H"."QTYX": invalid identifier', "qtyx")]
)
def test_a_column_that_is_not_there_is_named(text: str, column: str) -> None:
    error = translated(ora(904, text), "part", 1)
    assert isinstance(error, ContractBroken)
    assert error.metadata == {"column": column, "part": "part"}


@pytest.mark.parametrize("number", [3038, 4036, 4038, 4042, 8002])
def test_a_value_the_driver_cannot_convert_breaks_the_contract(number: int) -> None:
    error = translated(driver_fault(f"DPY-{number}: cannot be converted"), "part", 1, "qty")
    assert error.metadata == {"column": "qty", "part": "part"}


@pytest.mark.parametrize(
    "fault", [ora(28), ora(942), ora(904), ora(1013), driver_fault("DPY-4011: x"), driver_fault("DPY-2002: y")]
)
def test_no_text_of_the_driver_gets_out(fault: oracledb.Error) -> None:
    error: ServiceError = translated(fault, "part", 1)
    assert "SECRET" not in f"{error.message} {error.metadata}"
