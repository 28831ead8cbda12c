"""`python -m sluice_query_engine.doctor URL`: whether a warehouse has what every dataset and reference needs of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sluice_warehouse import Bind, Statement
from sluice_warehouse.doctor import Need, report

from sluice_query_engine.catalog import Catalog, load_catalog

_LOOKED_AT: Final = timedelta(days=31)
_ROW_LIMIT: Final = 1_000


def needs(catalog: Catalog) -> Iterator[Need]:
    """Yield each statement that the datasets and references send to the warehouse."""
    for dataset in catalog:
        for part in dataset.parts:
            yield Need(f"{dataset.name} {part.name}", part.statement, part.schema, partial(_values, part.statement))
        for reference in dataset.references:
            if reference.statement is not None:
                name = f"{dataset.name} reference {reference.name}"
                yield Need(name, reference.statement, reference.schema, partial(_values, reference.statement))


def _values(statement: Statement, plant_time: datetime) -> Mapping[str, Bind]:
    """Return the latest month, few rows, and NULL for whatever else the statement binds."""
    known: dict[str, Bind] = {
        "start_time": plant_time - _LOOKED_AT,
        "end_time": plant_time,
        "row_limit": _ROW_LIMIT,
    }
    return {name: known.get(name) for name in statement.bind_names}


def main(url: str, datasets_dir: Path, references_dir: Path) -> int:
    """Write what was found to standard output and return the exit code."""
    return report(url, needs(load_catalog(datasets_dir, references_dir)), (), sys.stdout.write)


if __name__ == "__main__":
    home = Path(__file__).resolve().parent.parent
    raise SystemExit(main(sys.argv[1], home / "datasets", home / "references"))
