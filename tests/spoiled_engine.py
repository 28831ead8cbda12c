"""A DuckDB engine that has met a fatal fault: it refuses every statement until it is started anew."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest


def spoil(connection: Any) -> None:
    """Let a commit of another database of the engine fail, and fail to be undone, as on a broken disk."""
    with connection.cursor() as cursor:
        cursor.execute("attach ':memory:' as to_spoil (read_write)")
        cursor.execute("set debug_force_commit_revert_failure = true")
        cursor.execute("set debug_force_commit_failure = true")
        with pytest.raises(duckdb.TransactionException):
            cursor.execute("create table to_spoil.t as select 1 as n")
        with pytest.raises(duckdb.FatalException):
            cursor.execute("select 1")
