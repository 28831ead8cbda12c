from __future__ import annotations

import duckdb
import pytest
from sluice_twin import UnknownTable, catalogue
from sluice_twin.tables import duckdb_type, table


def test_the_catalogue_has_the_22_tables_and_the_forgotten_lookup() -> None:
    assert len(catalogue()) == 23
    assert "DW_MES_RESOURCE_PACKAGEGROUP" in catalogue()


@pytest.mark.parametrize("name", list(catalogue()))
def test_created_columns_are_those_of_the_catalogue(plant: duckdb.DuckDBPyConnection, name: str) -> None:
    created = [(column, str(kind)) for column, kind, *_ in plant.execute(f'describe DWH."{name}"').fetchall()]
    assert created == [(column.name, column.duckdb_type) for column in catalogue()[name].columns]


def test_mixed_case_names_are_kept() -> None:
    names = [column.name for column in table("DW_MES_EQUIPMENTSTATUS_WIP_V").columns]
    assert [name for name in names if name != name.upper()] == ["Package", "Function"]


def test_not_null_columns_refuse_null() -> None:
    with duckdb.connect() as connection:
        connection.execute("create schema DWH")
        connection.execute(table("DW_MES_LOT_V").ddl)
        with pytest.raises(duckdb.ConstraintException):
            connection.execute("insert into DWH.DW_MES_LOT_V (LOTID) values ('A')")


@pytest.mark.parametrize(
    ("oracle", "duck"),
    [
        ("CHAR(16)", "VARCHAR"),
        ("VARCHAR2(40)", "VARCHAR"),
        ("NUMBER(10,0)", "BIGINT"),
        ("NUMBER(12,6)", "DECIMAL(12,6)"),
        ("NUMBER", "DECIMAL(18,6)"),
        ("DATE", "TIMESTAMP_S"),
    ],
)
def test_oracle_types_have_one_duckdb_type(oracle: str, duck: str) -> None:
    assert duckdb_type(oracle) == duck


@pytest.mark.parametrize("oracle", ["CLOB", "NUMBER(", "number", ""])
def test_a_type_outside_the_catalogue_is_refused(oracle: str) -> None:
    with pytest.raises(ValueError, match=r"no DuckDB type|not an Oracle type"):
        duckdb_type(oracle)


def test_an_unknown_table_is_refused_by_name() -> None:
    with pytest.raises(UnknownTable, match="DW_MES_NOTHING"):
        table("DW_MES_NOTHING")


def test_indexes_keep_their_columns_in_order() -> None:
    indexes = {index.name: index for index in table("DW_MES_RESOURCE").indexes}
    assert indexes["OBJECT"].columns == ("OBJECTCATEGORY", "OBJECTTYPE")
