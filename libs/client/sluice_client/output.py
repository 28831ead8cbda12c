"""How a user gets rows: a table on the terminal, or CSV, Parquet or Arrow in a file or on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

RECEIPT_KEY = b"sluice.receipt"
"""Schema metadata under which a stream of rows carries its receipt."""

_NO_WIDTH = 10_000
_LONGEST_TEXT = 32
_COLUMN_GAP = 3
_NUMBERS = ("int", "uint", "float", "double", "decimal")


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"
    XLSX = "xlsx"

    @property
    def binary(self) -> bool:
        """Whether a terminal would show it as noise."""
        return self in (Format.PARQUET, Format.ARROW, Format.XLSX)


def write_rows(reader: pa.RecordBatchReader, form: Format, out: Path | None) -> int:
    """Write every batch as it comes and return the row count; a file appears under its name when it is complete.

    A CSV of an incomplete answer ends with a line that holds the receipt, as the gateway's own does.

    Args:
        reader: where the rows come from.
        form: CSV, Parquet or Arrow.
        out: the file; None is standard output.
    """
    with _sink(out) as sink:
        row_count = 0
        with _writer(form, sink, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                row_count += batch.num_rows
        if form is Format.CSV:
            sink.write(_last_line(receipt_of(reader.schema)))
    return row_count


def write_file(pieces: Iterable[bytes], out: Path | None) -> None:
    """Write a file that comes in pieces; it appears under its name when it is complete."""
    with _sink(out) as sink:
        for piece in pieces:
            sink.write(piece)


def receipt_of(schema: pa.Schema) -> dict[str, Any]:
    """Return the receipt that a stream of rows carries; empty where there is none."""
    return dict(json.loads((schema.metadata or {}).get(RECEIPT_KEY, b"{}")))


def screen() -> Console:
    """Return standard output for people: as wide as the terminal, and as wide as a table needs where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=_NO_WIDTH)


def print_table(console: Console, columns: Sequence[dict[str, Any]], rows: Sequence[Sequence[object]]) -> int:
    """Print rows under their column names and return how many columns found room, from the first on.

    Numbers stand right, NULL is empty. On a terminal long texts are cut; elsewhere everything is whole.
    """
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    longest = _LONGEST_TEXT if console.is_terminal else _NO_WIDTH
    table = Table(header_style="bold", pad_edge=False)
    room = console.width - 1
    for index, column in enumerate(columns):
        name = str(column["name"])
        width = min(max(map(cell_len, [name, *(text[index] for text in texts)])), longest)
        room -= width + _COLUMN_GAP
        if room < 0 and index > 0:
            break
        numeric = str(column.get("type", "")).startswith(_NUMBERS)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True, max_width=width)
    shown_count = len(table.columns)
    for row in texts:
        # Text, or a value such as `[red]` would be read as markup.
        table.add_row(*map(Text, row[:shown_count]))
    console.print(table)
    return shown_count


def _writer(form: Format, sink: IO[bytes], schema: pa.Schema) -> Any:
    if form is Format.CSV:
        return pa.csv.CSVWriter(sink, schema)
    if form is Format.PARQUET:
        return pa.parquet.ParquetWriter(sink, schema, compression="zstd")
    return pa.ipc.new_stream(sink, schema)


def _last_line(receipt: dict[str, Any]) -> bytes:
    # Parquet and Arrow carry the receipt in their schema. A CSV has no such place, and the file outlives the warning.
    if receipt.get("status", "complete") == "complete":
        return b""
    text = f"# sluice.receipt {json.dumps(receipt)}".replace('"', '""')
    return f'"{text}"\n'.encode()


@contextmanager
def _sink(out: Path | None) -> Iterator[IO[bytes]]:
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = out.with_name(f".{out.name}.part")
    try:
        with draft.open("wb") as file:
            yield file
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
