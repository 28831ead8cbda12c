"""`sluice doctor` as a DBA runs it, on the stand-in: a good warehouse line by line, and what is broken with its fix."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_USER, OracleWireServer

COMMAND = [str(Path(sys.executable).parent / "sluice"), "doctor", "--warehouse"]
HOLDS = "DW_MES_HOLDRELEASEHISTORY"


def doctor(port: int, *, password: str = DEFAULT_PASSWORD, service: str = "TWIN") -> tuple[int, str]:
    """Return the exit code and all that was written."""
    done = subprocess.run(
        [*COMMAND, f"oracle://{DEFAULT_USER}@127.0.0.1:{port}/{service}"],
        env={
            **os.environ,
            "SLUICE_WAREHOUSE_PASSWORD": password,
            "SLUICE_WAREHOUSE_LOGON_TIMEOUT_S": "2",
            "SLUICE_WAREHOUSE_CONNECT_RETRY_COUNT": "0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout


def holds(twin_path: Path) -> pa.Table:
    """Return the twin's holds as Arrow."""
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        return connection.table(f"DWH.{HOLDS}").to_arrow_table()


def test_a_good_warehouse_passes_line_by_line(twin_path: Path) -> None:
    with OracleWireServer(twin_path) as server:
        code, text = doctor(server.port)
    lines = [line for line in text.splitlines() if line.startswith("ok")]
    tried = [line.split(":")[0].removeprefix("ok").strip() for line in lines]
    assert (code, "failed" in text) == (0, False)
    assert {"logon", "hold-history slice", "hold-history carry_in", "split ancestors", "call timeout", "cancel"} <= {
        *tried
    }
    assert "connect_by and recursive_with on 10 ids give the same" in text


def test_a_column_of_another_type_is_named_with_its_fix(twin_path: Path) -> None:
    table = holds(twin_path)
    employee = table.schema.get_field_index("HOLDEMP")
    changed = table.set_column(employee, "HOLDEMP", pa.array([25] * table.num_rows, pa.int64()))
    with OracleWireServer(twin_path, tables={HOLDS: changed}) as server:
        code, text = doctor(server.port)
    assert (code, "failed hold-history slice: column 'hold_employee' of 'slice' is NUMBER" in text) == (1, True)


def test_a_column_that_is_not_there_is_named(twin_path: Path) -> None:
    table = holds(twin_path).drop_columns(["NCRID"])
    with OracleWireServer(twin_path, tables={HOLDS: table}) as server:
        code, text = doctor(server.port)
    assert (code, "failed hold-history slice: column 'ncrid' of 'slice' is not there" in text) == (1, True)


def test_a_table_that_may_not_be_read_names_the_grant() -> None:
    with OracleWireServer(None) as server:
        code, text = doctor(server.port)
    assert (code, "(ORA-00942)\n       fix: a table is not there, or the user may not read it: grant" in text) == (
        1,
        True,
    )


@pytest.mark.parametrize(
    ("password", "service", "shown"),
    [("hunter2", "TWIN", "ORA-01017"), (DEFAULT_PASSWORD, "OTHER", "check host, port and service of the URL")],
)
def test_a_logon_that_fails_is_told_without_the_secret(
    twin_path: Path, password: str, service: str, shown: str
) -> None:
    with OracleWireServer(twin_path) as server:
        code, text = doctor(server.port, password=password, service=service)
    assert (code, shown in text, "hunter2" in text) == (1, True, False)


def test_a_url_with_a_password_is_refused() -> None:
    done = subprocess.run(
        [*COMMAND, "oracle://sluice:hunter2@db/TWIN"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "hunter2" in done.stdout + done.stderr) == (2, False)
