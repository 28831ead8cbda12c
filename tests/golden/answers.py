"""Answers as the reviewed files hold them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any


def text_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV, header first; missing values are empty, instants ISO, no rows no text."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _shown(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _shown(value: object) -> object:
    return value.isoformat() if isinstance(value, date | datetime) else value
