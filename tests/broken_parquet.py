"""Parquet files of a spool broken on purpose: where a disk, or whoever writes into the folder, may break them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from hypothesis import strategies as st
from sluice_cache.tiers.spool import SpoolTier
from sluice_cache.tiers.spool_folder import SpoolFolder

from tests import broken_ipc


def spooled(folder: Path) -> list[tuple[pa.Table, bytes]]:
    """Return tables of every kind of column, each with the spool file that holds it.

    Args:
        folder: an empty one, where the files are made.
    """
    return [(table, _written(folder / str(number), table)) for number, table in enumerate(broken_ipc.tables())]


def mutations() -> st.SearchStrategy[list[broken_ipc.Mutation]]:
    """Return one to three mutations of a file; most hit its end, where the footer says how to read the rest."""
    anywhere = broken_ipc.byte_mutations(st.floats(0, 1, exclude_max=True))
    footer = broken_ipc.byte_mutations(st.floats(0.5, 1, exclude_max=True))
    return st.lists(st.one_of(anywhere, footer), min_size=1, max_size=3)


def without_first_page(content: bytes) -> bytes:
    """Return a file whose first column cannot be read: its first page says nothing that makes sense."""
    return content[:_PAGE_START] + b"\xff" * _PAGE_BYTES + content[_PAGE_START + _PAGE_BYTES :]


_PAGE_START, _PAGE_BYTES = 8, 96
"""Behind the four bytes that every file begins with, and the first of the page's header."""


def _written(folder: Path, table: pa.Table) -> bytes:
    tier = SpoolTier(SpoolFolder.on_disk(folder), 1 << 30)
    writer = tier.create("table", 1, table.schema)
    for batch in table.to_batches():
        writer.write(batch)
    return (folder / writer.commit()).read_bytes()
