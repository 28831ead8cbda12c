"""One plant, one DuckDB file: creates the tables, streams the rows in, and renames the file when all is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from sluice_twin.plant import DEFAULT_SEED, GENERATOR_VERSION, PLANT_TIME, PlantSpec
from sluice_twin.planted import write_truth
from sluice_twin.subjects import Subject, subjects
from sluice_twin.tables import META_SCHEMA, SCHEMA, catalogue, table

_META_COLUMNS: Final = "SEED BIGINT, SCALE DOUBLE, GENERATOR_VERSION VARCHAR, PLANT_TIME TIMESTAMP_S"

# By name, so that a column nobody fills is NULL. Table names come from the catalogue.
_INSERT: Final = f'insert into {SCHEMA}."{{table}}" by name select * from batch'  # noqa: S608 - no value is part of it

Progress = Callable[[str, int], None]
"""Called after each table with its name and row count."""


@dataclass(frozen=True)
class PlantSummary:
    """What was written: the file, the truths beside it, rows per table, and where the plant's clock stands."""

    path: Path
    truth_path: Path
    scale: float
    seed: int
    row_counts: Mapping[str, int]
    plant_time: datetime


def truth_path(plant: Path) -> Path:
    """Where the truths of a plant file stand: `plant.duckdb` has `plant.truth.json`."""
    return plant.with_suffix(".truth.json")


def write_plant(
    out: Path,
    *,
    scale: float,
    seed: int = DEFAULT_SEED,
    sizes: Mapping[str, int] | None = None,
    tables: Collection[str] | None = None,
    progress: Progress | None = None,
) -> PlantSummary:
    """Write a plant and its truths; both appear under their names only when they are complete.

    Args:
        out: the DuckDB file; one that stands there is replaced.
        scale: 1 is two years of a plant with 50,000 lots.
        sizes: rows of single tables, in place of what the scale gives them.
        tables: tables to fill; the others are created empty. None fills all.

    Raises:
        UnusableSize: scale, seed or a size makes no plant.
        UnknownTable: `tables` names a table that does not exist.
    """
    spec = PlantSpec(scale, seed, dict(sizes or {}))
    wanted = set(catalogue()) if tables is None else {table(name).name for name in tables}
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    truth_draft = draft.with_name(f"{draft.name}.truth")
    try:
        row_counts = _write(draft, spec, wanted, progress or _say_nothing)
        write_truth(draft, truth_draft, spec, row_counts)
        truth_draft.replace(truth_path(out))
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
        draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)
        truth_draft.unlink(missing_ok=True)
    return PlantSummary(out, truth_path(out), scale, seed, row_counts, PLANT_TIME)


def _say_nothing(_table: str, _row_count: int) -> None:
    return None


def _write(path: Path, spec: PlantSpec, wanted: Collection[str], progress: Progress) -> dict[str, int]:
    """Rows per table in a new file. Memory stays bounded: DuckDB gets 512 MB and rows come in batches."""
    with duckdb.connect(path, config={"memory_limit": "512MB", "threads": 2}) as connection:
        create_tables(connection)
        tell_plant(connection, spec.seed, spec.scale, PLANT_TIME)
        row_counts = dict.fromkeys(catalogue(), 0)
        for subject in subjects(spec):
            if subject.table in wanted:
                row_counts[subject.table] = _fill(connection, subject)
                progress(subject.table, row_counts[subject.table])
    return row_counts


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create all tables empty, `DWH_TWIN.META` among them."""
    connection.begin()
    connection.execute(f"create schema {SCHEMA}")
    for listed in catalogue().values():
        connection.execute(listed.ddl)
    connection.execute(f"create schema {META_SCHEMA}")
    connection.execute(f"create table {META_SCHEMA}.META ({_META_COLUMNS})")
    connection.commit()


def tell_plant(connection: duckdb.DuckDBPyConnection, seed: int, scale: float, plant_time: datetime) -> None:
    """Insert the one row of `DWH_TWIN.META`, which tells what plant it is and its clock."""
    connection.table(f"{META_SCHEMA}.META").insert([seed, scale, GENERATOR_VERSION, plant_time])


def _fill(connection: duckdb.DuckDBPyConnection, subject: Subject) -> int:
    row_count = 0
    for rows in subject.batches():
        batch = pa.table(rows)
        connection.register("batch", batch)
        connection.execute(_INSERT.format(table=subject.table))
        connection.unregister("batch")
        row_count += batch.num_rows
    return row_count
