"""`sluice doctor` as a DBA runs it, on the stand-in: a good warehouse line by line, and what is broken with its fix."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from sluice_query_engine.doctor import main
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, DEFAULT_USER, OracleWireServer

from tests.engine_rig import DATASET
from tests.row_pages import paged_datasets

COMMAND = [str(Path(sys.executable).parent / "sluice"), "doctor", "--warehouse"]
HOLDS = "DW_MES_HOLDRELEASEHISTORY"


WAREHOUSE = {"SLUICE_WAREHOUSE_LOGON_TIMEOUT_S": "2", "SLUICE_WAREHOUSE_CONNECT_RETRY_COUNT": "0"}


@dataclass
class Engine:
    """The engine's part of the doctor, in this process, on the holds alone."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def examines(self, port: int, *, password: str = DEFAULT_PASSWORD, service: str = "TWIN") -> tuple[int, str]:
        """Return the exit code and all that was written."""
        self.monkeypatch.setenv("SLUICE_WAREHOUSE_PASSWORD", password)
        code = main(f"oracle://{DEFAULT_USER}@127.0.0.1:{port}/{service}")
        return code, self.capsys.readouterr().out


@pytest.fixture
def engine(holds_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Engine:
    for name, value in WAREHOUSE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLUICE_QUERY_ENGINE_DATASETS_DIR", str(holds_dir))
    return Engine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def holds_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of datasets with the holds alone, read in pages."""
    folder = paged_datasets(tmp_path_factory.mktemp("datasets"), 1_000)
    for other in folder.iterdir():
        if other.name != DATASET:
            shutil.rmtree(other)
    return folder


def holds(twin_path: Path) -> pa.Table:
    """Return the twin's holds as Arrow."""
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        return connection.table(f"DWH.{HOLDS}").to_arrow_table()


def test_a_good_warehouse_passes_line_by_line_for_the_datasets_that_the_engine_loads(
    twin_path: Path, holds_dir: Path
) -> None:
    environment = {"SLUICE_WAREHOUSE_PASSWORD": DEFAULT_PASSWORD, "SLUICE_QUERY_ENGINE_DATASETS_DIR": str(holds_dir)}
    with OracleWireServer(twin_path) as server:
        done = subprocess.run(
            [*COMMAND, f"oracle://{DEFAULT_USER}@127.0.0.1:{server.port}/TWIN"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
    code, text = done.returncode, done.stdout
    lines = [line for line in text.splitlines() if line.startswith("ok")]
    tried = [line.split(":")[0].removeprefix("ok").strip() for line in lines]
    assert (code, re.findall(r"\d+ failed$", text, re.MULTILINE)) == (0, ["0 failed", "0 failed"])
    assert {"logon", "hold-history slice", "hold-history carry_in", "split ancestors", "call timeout", "cancel"} <= {
        *tried
    }
    # Read in pages in this folder alone.
    assert {"hold-history slice count", "hold-history slice page"} <= {*tried}
    assert {"merge sources", "resolve finished_names_like", "events jobs", "reference workcenter_groups"} <= {*tried}
    assert "connect_by and recursive_with on 10 ids give the same" in text


def test_a_column_of_another_type_is_named_with_its_fix(twin_path: Path, engine: Engine) -> None:
    table = holds(twin_path)
    employee = table.schema.get_field_index("HOLDEMP")
    changed = table.set_column(employee, "HOLDEMP", pa.array([25] * table.num_rows, pa.int64()))
    with OracleWireServer(twin_path, tables={HOLDS: changed}) as server:
        code, text = engine.examines(server.port)
    assert (code, "failed hold-history slice: column 'hold_employee' of 'slice' is NUMBER" in text) == (1, True)


def test_a_column_that_is_not_there_is_named(twin_path: Path, engine: Engine) -> None:
    table = holds(twin_path).drop_columns(["NCRID"])
    with OracleWireServer(twin_path, tables={HOLDS: table}) as server:
        code, text = engine.examines(server.port)
    assert (code, "failed hold-history slice: column 'ncrid' of 'slice' is not there" in text) == (1, True)


def test_a_table_that_may_not_be_read_names_the_grant(engine: Engine) -> None:
    with OracleWireServer(None) as server:
        code, text = engine.examines(server.port)
    assert (code, "(ORA-00942)\n       fix: a table is not there, or the user may not read it: grant" in text) == (
        1,
        True,
    )


@pytest.mark.parametrize(
    ("password", "service", "shown"),
    [("hunter2", "TWIN", "ORA-01017"), (DEFAULT_PASSWORD, "OTHER", "check host, port and service of the URL")],
)
def test_a_logon_that_fails_is_told_without_the_secret(engine: Engine, password: str, service: str, shown: str) -> None:
    with OracleWireServer(None) as server:
        code, text = engine.examines(server.port, password=password, service=service)
    assert (code, shown in text, "hunter2" in text) == (1, True, False)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("DATASETS_DIR", "/nowhere", "/nowhere"), ("DATASET_DIR", "/nowhere", "SLUICE_QUERY_ENGINE_DATASET_DIR")],
)
def test_a_setting_of_the_engine_that_is_wrong_is_named(engine: Engine, name: str, value: str, shown: str) -> None:
    engine.monkeypatch.setenv(f"SLUICE_QUERY_ENGINE_{name}", value)
    code, text = engine.examines(1)
    assert (code, "failed settings" in text, shown in text) == (2, True, True)


def test_a_url_with_a_password_is_refused(capsys: pytest.CaptureFixture[str], engine: Engine) -> None:
    code = main("oracle://sluice:hunter2@db/TWIN")
    written = capsys.readouterr()
    assert (code, "failed settings" in written.out, "hunter2" in written.out + written.err) == (2, True, False)
