"""Digests of a plant's data: equal digests mean that an export of every table is the same byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from sluice_twin.tables import SCHEMA, catalogue


def digests(plant: Path) -> dict[str, str]:
    """SHA-256 of each table's CSV export, rows in the order in which they stand in the file."""
    found = {}
    with TemporaryDirectory() as folder, duckdb.connect(plant, read_only=True) as connection:
        export = Path(folder) / "table.csv"
        for name in catalogue():
            connection.table(f"{SCHEMA}.{name}").write_csv(str(export))
            with export.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
