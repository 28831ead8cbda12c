"""`python -m sluice_query_engine.doctor URL`: whether a warehouse has what every dataset and reference needs of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sluice_rpc.settings import SettingsError
from sluice_warehouse import Bind, Statement
from sluice_warehouse.doctor import Finding, Need, report

from sluice_query_engine.catalog import Catalog, load_catalog
from sluice_query_engine.execution.row_pages import COUNT_SCHEMA
from sluice_query_engine.execution.snapshots import VERSION_SCHEMA
from sluice_query_engine.parts import Part
from sluice_query_engine.settings import Settings
from sluice_query_engine.toml_section import CatalogError

_LOOKED_AT: Final = timedelta(days=31)
_ROW_LIMIT: Final = 1_000


def needs(catalog: Catalog) -> Iterator[Need]:
    """Yield each statement that the datasets and references send to the warehouse."""
    for dataset in catalog:
        for part in dataset.parts:
            yield from _needs_of(f"{dataset.name} {part.name}", part)
        if dataset.snapshot is not None and dataset.snapshot.version is not None:
            version = dataset.snapshot.version
            yield Need(f"{dataset.name} version", version, VERSION_SCHEMA, partial(_values, version))
        for reference in dataset.references:
            if reference.statement is not None:
                name = f"reference {reference.name}"
                yield Need(name, reference.statement, reference.schema, partial(_values, reference.statement))


def _needs_of(name: str, part: Part) -> Iterator[Need]:
    yield Need(name, part.statement, part.schema, partial(_values, part.statement))
    if part.pages is not None:
        yield Need(f"{name} count", part.pages.count, COUNT_SCHEMA, partial(_values, part.pages.count))
        yield Need(f"{name} page", part.pages.page, part.schema, partial(_values, part.pages.page))


def _values(statement: Statement, plant_time: datetime) -> Mapping[str, Bind]:
    """Return the latest month, few rows, and NULL for whatever else the statement binds."""
    known: dict[str, Bind] = {
        "start_time": plant_time - _LOOKED_AT,
        "end_time": plant_time,
        "row_limit": _ROW_LIMIT,
        "first_row": 1,
        "last_row": _ROW_LIMIT,
    }
    return {name: known.get(name) for name in statement.bind_names}


def main(url: str) -> int:
    """Write what was found for the datasets that the engine would load to standard output; return the exit code."""
    try:
        settings = Settings.load(warehouse_url=url)
        catalog = load_catalog(settings.datasets_dir, settings.references_dir)
    except (SettingsError, CatalogError) as error:
        sys.stdout.write(f"{Finding('settings', 'failed', str(error), 'correct the variable or the file')}\n")
        return 2
    return report(url, needs(catalog), (), sys.stdout.write)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
