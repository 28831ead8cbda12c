"""Arrow into a spreadsheet (Office Open XML): real numbers and dates, texts that stay texts, the receipt beside them.

Nothing is changed on the way without a word: what a spreadsheet cannot hold as a number is a text, and what it cannot
hold at all is refused.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import pyarrow as pa
import xlsxwriter

from sluice_gateway import render
from sluice_gateway.body import JSON
from sluice_gateway.errors import TextTooLong, TooManyRows
from sluice_gateway.messages import JSONObject

MAX_ROWS: Final = 1_048_575
"""Rows that a sheet holds below its header (Excel specifications and limits)."""
MAX_TEXT_UNITS: Final = 32_767
"""UTF-16 units that a cell holds (Excel specifications and limits)."""

Cell: TypeAlias = bool | int | float | str | None

_SLICE_ROWS = 4096
"""Rows that are Python values at once: a batch of 65,536 wide rows would be a hundred megabytes of them."""
_EXACT_DIGITS = 15
_DAY_UNITS = {"s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}
_UNIX_EPOCH = 25_569
# Day numbers count from 1899-12-30, but only from 1900-03-01 on: Excel has a 29 February 1900. They end with year 9999.
_FIRST_DAY, _END_DAY = 61, 2_958_466
_TEXT_CUT = -2
_DATE, _TIME, _INSTANT = "yyyy-mm-dd", "hh:mm:ss", "yyyy-mm-dd hh:mm:ss"
_WIDTHS = {_DATE: 11, _TIME: 9, _INSTANT: 19, "": 16}
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "use_zip64": True,
}


def write(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    titles: Mapping[str, str],
    receipt: JSONObject,
    folder: Path | None,
) -> IO[bytes]:
    """Return a file without a name, at its beginning, that holds the sheets `rows` and `receipt`; closing it frees it.

    An incomplete answer opens on its receipt. An error of `batches` is raised as it is and leaves nothing behind.

    Args:
        batches: the rows; more than a sheet holds are refused while they come.
        schema: theirs.
        titles: heading by column name; a column without one is headed by its name.
        receipt: as every answer carries it.
        folder: where files are while they are written; None is the system's folder for such files.

    Raises:
        TooManyRows, TextTooLong: the rows are too many, or one of their texts is too long for a cell.
    """
    # Without a name even the end of the process leaves nothing on the disk. What XlsxWriter needs on the way has names.
    file = tempfile.TemporaryFile(dir=folder, prefix="sluice-export-")  # noqa: SIM115  # handed to the caller
    try:
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix="sluice-export-") as parts_dir,
            _workbook(file, parts_dir) as workbook,
        ):
            _write_rows(workbook, batches, schema, titles)
            _write_receipt(workbook, receipt)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def _workbook(file: IO[bytes], parts_dir: str) -> Iterator[Any]:
    workbook = xlsxwriter.Workbook(file, {**_OPTIONS, "tmpdir": parts_dir})
    try:
        yield workbook
        workbook.close()
    finally:
        # After an error nobody else closes the files that rows are collected in.
        for sheet in workbook.worksheets():
            sheet.row_data_fh.close()


def _write_rows(workbook: Any, batches: Iterable[pa.RecordBatch], schema: pa.Schema, titles: Mapping[str, str]) -> None:
    sheet = workbook.add_worksheet("rows")
    sheet.freeze_panes(1, 0)
    patterns = [_pattern(column.type) for column in schema]
    looks = [workbook.add_format({"num_format": pattern}) if pattern else None for pattern in patterns]
    put = _putter(sheet, workbook.add_format())
    header = workbook.add_format({"bold": True})
    for index, (column, pattern) in enumerate(zip(schema, patterns, strict=True)):
        sheet.set_column(index, index, _WIDTHS[pattern])
        put(0, index, _heading(column, titles), header, column.name)
    row = 0
    for piece in _slices(batches):
        if row + piece.num_rows > MAX_ROWS:
            raise TooManyRows(MAX_ROWS, row + piece.num_rows)
        columns = [cells(column) for column in piece.columns]
        for offset in range(piece.num_rows):
            row += 1
            for index, values in enumerate(columns):
                value = values[offset]
                if value is not None:
                    put(row, index, value, looks[index], schema.names[index])


def _write_receipt(workbook: Any, receipt: JSONObject) -> None:
    sheet = workbook.add_worksheet("receipt")
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, 0, 28)
    sheet.set_column(1, 1, 60)
    put = _putter(sheet, workbook.add_format())
    header = workbook.add_format({"bold": True})
    put(0, 0, "field", header, "field")
    put(0, 1, "value", header, "value")
    for row, (name, value) in enumerate(_leaves("", receipt), start=1):
        put(row, 0, name, None, "field")
        if value is not None:
            put(row, 1, value, None, "value")
    if receipt["status"] != "complete":
        sheet.activate()


def _putter(sheet: Any, plain: Any) -> Callable[[int, int, Cell, Any, str], None]:
    """Return the one way in which values become cells."""

    def put(row: int, index: int, value: Cell, look: Any, column: str) -> None:
        if isinstance(value, str):
            # XlsxWriter passes on such a text as markup of its own, unless it is given in two pieces.
            if value.startswith("<r>") and value.endswith("</r>"):
                if _utf16_units(value) > MAX_TEXT_UNITS:
                    raise TextTooLong(column, MAX_TEXT_UNITS)
                sheet.write_rich_string(row, index, value[:1], plain, value[1:])
            elif sheet.write_string(row, index, value, look if row == 0 else None) == _TEXT_CUT:
                raise TextTooLong(column, MAX_TEXT_UNITS)
        elif isinstance(value, bool):
            sheet.write_boolean(row, index, value)
        else:
            sheet.write_number(row, index, value, look)

    return put


def cells(column: pa.Array) -> list[Cell]:
    """Return a column as what cells hold: numbers that are exact in 15 digits, days as numbers, all else as text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return cells(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        return _days(column, column.cast(pa.int64()), _DAY_UNITS[kind.unit])
    if pa.types.is_date(kind):
        return _days(column, column.cast(pa.date32()).cast(pa.int32()), 1)
    if pa.types.is_time(kind):
        units = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).to_pylist()
        return [None if unit is None else unit / _DAY_UNITS[kind.unit] for unit in units]
    return [_cell(value) for value in column.to_pylist()]


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if abs(value) < 10**_EXACT_DIGITS else str(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return float(value) if len(value.normalize().as_tuple().digits) <= _EXACT_DIGITS else str(value)
    return render.dumps(value).decode()


def _days(column: pa.Array, units: pa.Array, units_in_a_day: int) -> list[Cell]:
    days = [None if unit is None else unit / units_in_a_day + _UNIX_EPOCH for unit in units.to_pylist()]
    if all(day is None or _FIRST_DAY <= day < _END_DAY for day in days):
        return [*days]
    texts = render.plain(column).to_pylist()
    return [day if day is None or _FIRST_DAY <= day < _END_DAY else text for day, text in zip(days, texts, strict=True)]


def _heading(column: pa.Field, titles: Mapping[str, str]) -> str:
    title = titles.get(column.name) or column.name
    # A spreadsheet knows no zones; ours are all UTC.
    return f"{title} (UTC)" if pa.types.is_timestamp(column.type) and column.type.tz is not None else title


def _pattern(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return _INSTANT
    if pa.types.is_date(kind):
        return _DATE
    return _TIME if pa.types.is_time(kind) else ""


def _slices(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for offset in range(0, batch.num_rows, _SLICE_ROWS):
            yield batch.slice(offset, _SLICE_ROWS)


def _leaves(name: str, value: JSON) -> Iterator[tuple[str, Cell]]:
    """Yield each plain value under its dotted path; members of lists count from 1."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _leaves(f"{name}.{key}" if name else key, member)
    elif isinstance(value, list):
        for number, member in enumerate(value, start=1):
            yield from _leaves(f"{name}.{number}", member)
    else:
        yield name, value


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
