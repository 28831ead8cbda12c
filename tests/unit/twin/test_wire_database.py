"""The engine of the stand-in after a fatal fault, which spoils all of it: what runs is told, what comes next works."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from sluice_twin.oracle_wire.database import TwinDatabase, opened
from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.plant import PLANT_TIME

from tests.spoiled_engine import spoil

ROW_COUNT = 300_000


@pytest.fixture
def database() -> Iterator[TwinDatabase]:
    with opened(None, {"NUMBERED": pa.table({"N": range(ROW_COUNT)})}) as made:
        yield made


def numbers(database: TwinDatabase) -> Iterator[pa.RecordBatch]:
    """Return the rows of a query that is bound."""
    return database.open("select N from DWH.NUMBERED", (), PLANT_TIME).batches()


def test_a_query_that_was_bound_ends_with_its_session(database: TwinDatabase) -> None:
    batches = numbers(database)
    spoil(database._connection)
    with pytest.raises(OraError) as ended:
        next(batches)
    assert ended.value.code == 603


def test_the_next_query_reads_every_row_while_the_one_before_is_half_read(database: TwinDatabase) -> None:
    half_read = numbers(database)
    next(half_read)
    spoil(database._connection)
    assert sum(batch.num_rows for batch in numbers(database)) == ROW_COUNT


def test_the_columns_of_the_next_query_are_told(database: TwinDatabase) -> None:
    spoil(database._connection)
    assert [column.name for column in database.columns("select N from DWH.NUMBERED", PLANT_TIME)] == ["N"]
