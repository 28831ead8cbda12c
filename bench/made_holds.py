"""Made rows of the table that the hold views read, as a mapped file of any size, written once and used again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from sluice_cache import codec
from sluice_rpc import arrow

from bench.hold_plant import BUILD_DIR

VERSION = 1
FIRST, LAST = date(2024, 1, 1), date(2025, 12, 30)
AS_OF = datetime(2026, 1, 1)
DICTIONARY_COLUMNS = (
    "product",
    "package",
    "workcenter",
    "workcenter_group",
    "hold_reason_id",
    "hold_reason",
    "hold_type",
    "hold_employee",
    "release_employee",
)
STATEMENT = Path(__file__).with_suffix(".sql")


def made_holds(row_count: int) -> pa.Table:
    """Return a table of so many rows in batches of 65,536, mapped from its file."""
    path = BUILD_DIR / f"made-holds-{row_count}-v{VERSION}.arrows"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        _write(draft, row_count)
        draft.replace(path)
    table, _ = codec.map_stream(path)
    return table


def _write(path: Path, row_count: int) -> None:
    batches = _batches(row_count)
    first = next(batches)
    encoder = codec.DictionaryEncoder(first.schema, DICTIONARY_COLUMNS)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, encoder.schema) as writer:
        writer.write_batch(encoder.encode(first))
        for batch in batches:
            writer.write_batch(encoder.encode(batch))


def _batches(row_count: int) -> Iterator[pa.RecordBatch]:
    statement = STATEMENT.read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        for start in range(0, row_count, arrow.BATCH_ROW_COUNT):
            values = {
                "first": datetime.combine(FIRST, datetime.min.time()),
                "as_of": AS_OF,
                "row_count": row_count,
                "first_row": start,
                "end_row": min(start + arrow.BATCH_ROW_COUNT, row_count),
            }
            table = connection.sql(statement, params=values).to_arrow_table().combine_chunks()
            (batch,) = table.to_batches()
            yield batch
