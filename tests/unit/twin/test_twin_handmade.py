from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from sluice_twin import UnknownTable, catalogue, plant_of
from sluice_twin.handmade import UnknownColumn

CLOCK = datetime(2025, 2, 1, 8)


def test_a_handmade_plant_holds_just_the_rows_given(tmp_path: Path) -> None:
    rows = [
        {"CONTAINERID": "b", "HOLDTXNDATE": datetime(2025, 1, 2, 7, 30), "QTY": 3, "HOLDREASONNAME": ""},
        {"CONTAINERID": "a", "HOLDTXNDATE": datetime(2025, 1, 1), "HOLDREASONNAME": "Low yield "},
    ]
    out = plant_of({"DW_MES_HOLDRELEASEHISTORY": rows}, tmp_path / "p.duckdb", CLOCK)
    with duckdb.connect(out, read_only=True) as connection:
        columns = "CONTAINERID, HOLDTXNDATE, QTY, HOLDREASONNAME, NCRID"
        found = connection.execute(f"select {columns} from DWH.DW_MES_HOLDRELEASEHISTORY").fetchall()
    assert found == [
        ("b" + " " * 15, datetime(2025, 1, 2, 7, 30), 3, None, None),
        ("a" + " " * 15, datetime(2025, 1, 1), None, "Low yield ", None),
    ]


def test_a_handmade_plant_has_every_table_and_its_clock(tmp_path: Path) -> None:
    out = plant_of({}, tmp_path / "p.duckdb", CLOCK)
    with duckdb.connect(out, read_only=True) as connection:
        tables = "select table_name from information_schema.tables where table_schema = 'DWH'"
        assert {row[0] for row in connection.execute(tables).fetchall()} == set(catalogue())
        assert connection.execute("select PLANT_TIME from DWH_TWIN.META").fetchall() == [(CLOCK,)]


def test_mixed_case_columns_can_be_given(tmp_path: Path) -> None:
    row = {"RESOURCEID": "m", "Package": "SMA", "Function": "Power"}
    out = plant_of({"DW_MES_EQUIPMENTSTATUS_WIP_V": [row]}, tmp_path / "p.duckdb", CLOCK)
    with duckdb.connect(out, read_only=True) as connection:
        found = connection.execute('select "Package", "Function" from DWH.DW_MES_EQUIPMENTSTATUS_WIP_V').fetchall()
    assert found == [("SMA", "Power")]


def test_a_misspelt_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownColumn, match="CONTAINER_ID"):
        plant_of({"DW_MES_CONTAINER": [{"CONTAINER_ID": "a"}]}, tmp_path / "p.duckdb", CLOCK)


def test_a_misspelt_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownTable, match="CONTAINERS"):
        plant_of({"DW_MES_CONTAINERS": []}, tmp_path / "p.duckdb", CLOCK)
