"""Reading a spreadsheet as a spreadsheet program does: the sheets by name, every cell as it is stored."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

_MAIN = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
_DAY_ZERO = datetime(1899, 12, 30)
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")

Value = str | float | bool | None


@dataclass(frozen=True)
class Sheet:
    """One sheet.

    Attributes:
        rows: their cells from the first column on; None where there is no cell.
        patterns: number formats of the same cells; empty for the general one.
        formula_count: cells that are formulas.
        link_count: cells that are links.
        frozen_rows: rows that stay when one scrolls.
        shown: whether the file opens on this sheet.
    """

    rows: list[list[Value]]
    patterns: list[list[str]]
    formula_count: int
    link_count: int
    frozen_rows: int
    shown: bool


def read(content: bytes) -> dict[str, Sheet]:
    """Return the sheets of a file in their order; sheets are looked for where XlsxWriter puts them."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        names = [sheet.get("name", "") for sheet in _xml(file, "xl/workbook.xml").iterfind("m:sheets/m:sheet", _MAIN)]
        patterns = _patterns(_xml(file, "xl/styles.xml"))
        return {
            name: _sheet(_xml(file, f"xl/worksheets/sheet{number}.xml"), patterns)
            for number, name in enumerate(names, start=1)
        }


def instant(value: Value) -> datetime:
    """Return the instant that a number stands for, to the second."""
    assert isinstance(value, float)
    return _DAY_ZERO + timedelta(seconds=round(value * 86_400))


def _xml(file: zipfile.ZipFile, name: str) -> ET.Element:
    return ET.fromstring(file.read(name))


def _sheet(root: ET.Element, patterns: list[str]) -> Sheet:
    rows: list[list[Value]] = []
    looks: list[list[str]] = []
    for row in root.iterfind("m:sheetData/m:row", _MAIN):
        values: dict[int, Value] = {}
        styles: dict[int, str] = {}
        for cell in row.iterfind("m:c", _MAIN):
            column = _column(cell.get("r", ""))
            values[column] = _value(cell)
            styles[column] = patterns[int(cell.get("s", "0"))]
        while len(rows) < int(row.get("r", "0")):
            rows.append([])
            looks.append([])
        width = max(values, default=-1) + 1
        rows[-1] = [values.get(column) for column in range(width)]
        looks[-1] = [styles.get(column, "") for column in range(width)]
    view = root.find("m:sheetViews/m:sheetView", _MAIN)
    pane = root.find("m:sheetViews/m:sheetView/m:pane", _MAIN)
    return Sheet(
        rows=rows,
        patterns=looks,
        formula_count=len(root.findall(".//m:f", _MAIN)),
        link_count=len(root.findall(".//m:hyperlink", _MAIN)),
        frozen_rows=int(pane.get("ySplit", "0")) if pane is not None and pane.get("state") == "frozen" else 0,
        shown=view is not None and view.get("tabSelected") == "1",
    )


def _column(reference: str) -> int:
    column = 0
    for letter in re.match("[A-Z]+", reference)[0]:  # type: ignore[index]  # every cell says where it is
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1


def _value(cell: ET.Element) -> Value:
    if cell.get("t") == "inlineStr":
        text = "".join(part.text or "" for part in cell.iterfind(".//m:t", _MAIN))
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    stored = cell.findtext("m:v", None, _MAIN)
    if stored is None:
        return None
    return stored == "1" if cell.get("t") == "b" else float(stored)


def _patterns(styles: ET.Element) -> list[str]:
    known = {form.get("numFmtId"): form.get("formatCode", "") for form in styles.iterfind("m:numFmts/m:numFmt", _MAIN)}
    return [known.get(look.get("numFmtId"), "") for look in styles.iterfind("m:cellXfs/m:xf", _MAIN)]
