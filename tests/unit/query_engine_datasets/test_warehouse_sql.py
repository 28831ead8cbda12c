"""The SQL that goes to the warehouse: portable, binds only, and right on a plant made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlglot
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset
from sluice_twin import plant_of
from sluice_warehouse import Warehouse, open_warehouse
from sluice_warehouse.errors import ContractBroken
from sqlglot import exp

from tests.unit.query_engine_datasets.hold_frames import ENGINE, Row, read, read_references

WAREHOUSE_SQL = sorted([*ENGINE.glob("datasets/*/*.sql"), *ENGINE.glob("references/*/*.sql")])
WAREHOUSE_SQL = [path for path in WAREHOUSE_SQL if path.name != "derive.sql"]
ALL_SQL = sorted(ENGINE.glob("datasets/**/*.sql")) + sorted(ENGINE.glob("references/**/*.sql"))

HOLDS = "DW_MES_HOLDRELEASEHISTORY"
CONTAINERS = "DW_MES_CONTAINER"
STEPS = "DW_MES_SPEC_WORKCENTER_V"


def named(path: Path) -> str:
    """Return a test id: folder and file."""
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", WAREHOUSE_SQL, ids=named)
def test_a_warehouse_statement_is_one_oracle_select(path: Path) -> None:
    [statement] = sqlglot.parse(path.read_text(encoding="utf-8"), dialect="oracle")
    assert isinstance(statement, exp.Select)


@pytest.mark.parametrize("path", WAREHOUSE_SQL, ids=named)
def test_a_warehouse_statement_names_its_columns_and_schema(path: Path) -> None:
    tree = sqlglot.parse_one(path.read_text(encoding="utf-8"), dialect="oracle")
    # count(*) is no list of columns.
    stars = [star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
    with_names = {item.alias for item in tree.find_all(exp.CTE)}
    schemas = {table.db for table in tree.find_all(exp.Table) if table.name not in with_names}
    assert (stars, schemas) == ([], {"DWH"})


@pytest.mark.parametrize("path", ALL_SQL, ids=named)
def test_a_file_opens_with_what_one_row_is(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("-- One row")


@pytest.mark.parametrize("part", ["slice", "carry_in"])
def test_a_part_stops_at_the_row_limit(dataset: Dataset, part: str) -> None:
    [found] = [item for item in dataset.parts if item.name == part]
    assert found.statement.text.endswith("fetch first :row_limit rows only")


def held(key: str, at: datetime, released: datetime | None = None, **values: object) -> Row:
    """Return a raw hold."""
    return {
        "HISTORYMAINLINEID": f"{key:0>16}",
        "CONTAINERID": "00000000000000A1",
        "HOLDTXNDATE": at,
        "RELEASETXNDATE": released,
        **values,
    }


START = datetime(2025, 3, 9, 7, 30)
END = datetime(2025, 3, 12, 7, 30)
BINDS = {"start_time": START, "end_time": END, "row_limit": 1000}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A plant of a dozen holds and a few dictionary rows."""
    tables: dict[str, list[Row]] = {
        CONTAINERS: [
            {
                "CONTAINERID": "00000000000000A1",
                "CONTAINERNAME": "GA-1 ",
                "PRODUCTNAME": "P1",
                "PRODUCTLINENAME": "SOT  ",
            },
            {"CONTAINERID": "00000000000000B2", "CONTAINERNAME": "   "},
        ],
        HOLDS: [
            held("1", datetime(2025, 3, 9, 7, 29, 59)),
            held("2", START, QTY=25, HOLDREASONNAME="Low yield  ", WORKCENTERNAME="GOLD_WB "),
            held("3", datetime(2025, 3, 12, 7, 29, 59), HOLDREASONNAME="   ", CONTAINERID="00000000000000B2"),
            held("4", END),
            held("5", datetime(2020, 1, 1), datetime(2025, 3, 9, 7, 29, 59)),
            held("6", datetime(2020, 1, 1), START, CONTAINERID="00000000000000C3"),
            held("7", datetime(2020, 1, 1), datetime(2030, 1, 1)),
            {"HISTORYMAINLINEID": f"{8:0>16}", "CONTAINERID": "00000000000000A1"},
        ],
        STEPS: [
            {
                "SPEC": "S1",
                "WORK_CENTER": "GOLD_WB ",
                "WORK_CENTER_GROUP": "Wire Bond",
                "WORKCENTERSEQUENCE_GROUP": "10",
            },
            {"SPEC": "S2", "WORK_CENTER": "GOLD_WB", "WORK_CENTER_GROUP": "Bonding", "WORKCENTERSEQUENCE_GROUP": "9"},
            {"SPEC": "S3", "WORK_CENTER": "GOLD_WB", "WORK_CENTER_GROUP": "Aside", "WORKCENTERSEQUENCE_GROUP": None},
            {"SPEC": "S4", "WORK_CENTER": "TIED", "WORK_CENTER_GROUP": "Zulu ", "WORKCENTERSEQUENCE_GROUP": " 3 "},
            {"SPEC": "S5", "WORK_CENTER": "TIED", "WORK_CENTER_GROUP": "Alpha", "WORKCENTERSEQUENCE_GROUP": "3"},
            {"SPEC": "S6", "WORK_CENTER": "ODD", "WORK_CENTER_GROUP": "Odd", "WORKCENTERSEQUENCE_GROUP": "#1"},
            {"SPEC": "S7", "WORK_CENTER": "BLANK", "WORK_CENTER_GROUP": "Blank", "WORKCENTERSEQUENCE_GROUP": "  "},
            {"SPEC": "S8", "WORK_CENTER": "LONG", "WORK_CENTER_GROUP": "Long", "WORKCENTERSEQUENCE_GROUP": "1" * 40},
            {"SPEC": "S9", "WORK_CENTER": "  ", "WORK_CENTER_GROUP": "Nowhere", "WORKCENTERSEQUENCE_GROUP": "1"},
            {"SPEC": "S10", "WORK_CENTER": "ALONE", "WORK_CENTER_GROUP": "  ", "WORKCENTERSEQUENCE_GROUP": "1"},
        ],
    }
    path = plant_of(tables, tmp_path_factory.mktemp("plant") / "hand.duckdb", datetime(2025, 3, 20))
    opened = open_warehouse(f"duckdb://{path}")
    yield opened
    opened.close()


def part_rows(dataset: Dataset, warehouse: Warehouse, name: str, **binds: object) -> dict[str, Row]:
    """Return the rows of a part by the end of their key."""
    [part] = [item for item in dataset.parts if item.name == name]
    rows = read(warehouse, part.statement, part.schema, {**BINDS, **binds}).to_pylist()
    return {row["history_id"].lstrip("0"): row for row in rows}


def test_the_slice_holds_what_was_placed_in_its_half_open_range(dataset: Dataset, warehouse: Warehouse) -> None:
    assert set(part_rows(dataset, warehouse, "slice")) == {"2", "3"}


def test_the_carry_in_holds_what_was_not_released_before_the_start(dataset: Dataset, warehouse: Warehouse) -> None:
    assert set(part_rows(dataset, warehouse, "carry_in")) == {"1", "6", "7"}


def test_the_row_limit_cuts(dataset: Dataset, warehouse: Warehouse) -> None:
    # B2.6, B4.7
    assert len(part_rows(dataset, warehouse, "slice", row_limit=1)) == 1


def test_blanks_are_cut_off_and_blank_is_missing(dataset: Dataset, warehouse: Warehouse) -> None:
    rows = part_rows(dataset, warehouse, "slice")
    second, third = rows["2"], rows["3"]
    assert (second["lot_id"], second["package"], second["hold_reason"]) == ("GA-1", "SOT", "Low yield")
    assert third["hold_reason"] is None


def test_a_lot_without_a_name_or_a_container_is_shown_by_its_key(dataset: Dataset, warehouse: Warehouse) -> None:
    assert part_rows(dataset, warehouse, "slice")["3"]["lot_id"] == "00000000000000B2"
    assert part_rows(dataset, warehouse, "carry_in")["6"]["lot_id"] == "00000000000000C3"


def test_a_missing_quantity_is_zero(dataset: Dataset, warehouse: Warehouse) -> None:
    rows = part_rows(dataset, warehouse, "slice")
    assert (rows["2"]["qty"], rows["3"]["qty"]) == (25, 0)


def test_a_fraction_of_a_piece_is_refused_by_name(dataset: Dataset, tmp_path: Path) -> None:
    path = plant_of({HOLDS: [held("1", START, QTY=2.5)]}, tmp_path / "hand.duckdb", END)
    opened = open_warehouse(f"duckdb://{path}")
    with pytest.raises(ContractBroken, match="qty"):
        part_rows(dataset, opened, "slice")
    opened.close()


def test_a_work_centre_has_the_group_that_comes_first_by_number(dataset: Dataset, warehouse: Warehouse) -> None:
    groups = read_references(dataset, warehouse)["workcenter_groups"].to_pylist()
    assert [tuple(row.values()) for row in groups] == [
        ("BLANK", "Blank", 999),
        ("GOLD_WB", "Bonding", 9),
        ("LONG", "Long", 999),
        ("ODD", "Odd", 999),
        ("TIED", "Alpha", 3),
    ]


def test_the_demo_list_of_reasons_is_the_twin_s(catalog: Catalog) -> None:
    from sluice_twin import NON_QUALITY_REASONS

    [reference] = [item for item in catalog.get("hold-history").references if item.name == "non_quality_reasons"]
    assert tuple(row["reason"] for row in reference.rows or ()) == NON_QUALITY_REASONS
    assert reference.allow_empty
