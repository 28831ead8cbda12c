"""Keys that are compared with a CHAR column are blank-padded to its width, or Oracle finds none that is shorter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlglot
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.parts import Part
from sluice_twin.tables import SCHEMA, catalogue
from sluice_warehouse import Statement
from sqlglot import exp

from tests.dataset_frames import load

DATASETS = list(load())
ABOUT = {dataset.name: dataset for dataset in DATASETS}


def compared(statement: Statement) -> Iterator[tuple[str, int]]:
    """Yield each list that a statement binds with the width of the CHAR column it stands beside, 0 for other types."""
    tree = sqlglot.parse_one(statement.text, dialect="oracle")
    names = {table.name.upper() for table in tree.find_all(exp.Table) if table.db.upper() == SCHEMA}
    widths = {column.name: column.blank_padded_width or 0 for name in names for column in catalogue()[name].columns}
    for within in tree.find_all(exp.In):
        bound = [item.name for item in within.expressions if isinstance(item, exp.Placeholder)]
        plain = within.this.name.upper() if isinstance(within.this, exp.Column) else ""
        yield from ((name, widths.get(plain, 0)) for name in bound)


def declared(dataset: Dataset, part: Part, name: str) -> int:
    """Return the width that is declared for a list that a part binds."""
    if name == "ids":
        return part.id_width
    return next(parameter.width for parameter in dataset.parameters if parameter.name == name)


@pytest.mark.parametrize("name", ABOUT)
def test_keys_are_as_wide_as_the_column_they_are_compared_with(name: str) -> None:
    dataset = ABOUT[name]
    found = [(part, bind, width) for part in dataset.parts for bind, width in compared(part.statement)]
    wrong = {(part.name, bind): width for part, bind, width in found if declared(dataset, part, bind) != width}
    assert wrong == {}


def test_statements_that_compare_keys_are_seen() -> None:
    every = [
        bind for dataset in DATASETS for part in dataset.parts for bind, width in compared(part.statement) if width
    ]
    assert {"ids", "resource_ids", "equipment_ids"} <= set(every)
