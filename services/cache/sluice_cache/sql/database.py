"""The one DuckDB of the process: in memory, locked, with a bounded pool of connections."""

from __future__ import annotations

import json
import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import duckdb
from sluice_rpc.errors import QueryTimeout

from sluice_cache.binds import quoted
from sluice_cache.sql import check

_SETTINGS = """
set TimeZone = 'UTC';
set allocator_background_threads = true;
set autoinstall_known_extensions = false;
set autoload_known_extensions = false;
set allow_community_extensions = false;
set preserve_insertion_order = true;
"""
"""Without the allocator's threads, what statements have freed stays with the process until the next one uses it: 105 MB
after one aggregation of 2 M rows, measured, for ever; with them 5 MB after a second."""
_DESERIALIZE = "select json_deserialize_sql($tree::json)"
_LOCK = """
set enable_external_access = false;
set lock_configuration = true;
"""


class Database:
    """A DuckDB that reads what it is given, and of the disk only the spool.

    Args:
        spool_dir: the folder statements of ours may read; the check keeps callers' statements from naming any file.
        temp_dir: where statements spill.
        memory_limit_bytes, temp_max_bytes, thread_count: limits of the whole process.
        connection_count: statements that run at once; more wait for their turn within their deadline.
    """

    def __init__(
        self,
        spool_dir: Path,
        temp_dir: Path,
        *,
        memory_limit_bytes: int,
        temp_max_bytes: int,
        thread_count: int,
        connection_count: int,
    ) -> None:
        self._root = duckdb.connect(
            ":memory:",
            config={
                "threads": thread_count or os.cpu_count() or 1,
                "memory_limit": f"{memory_limit_bytes}B",
                "temp_directory": str(temp_dir),
                "max_temp_directory_size": f"{temp_max_bytes}B",
                "python_enable_replacements": False,
            },
        )
        self._root.execute(_SETTINGS).fetchall()
        self._root.execute(f"set allowed_directories = [{quoted(str(spool_dir.resolve()))}]").fetchall()
        self._root.execute(_LOCK).fetchall()
        self._idle: queue.LifoQueue[duckdb.DuckDBPyConnection] = queue.LifoQueue()
        for _ in range(connection_count):
            self._idle.put(self._root.cursor())
        self._parser = self._root.cursor()
        self.parse = lru_cache(maxsize=256)(self._parse)

    @contextmanager
    def lease(self, timeout_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold a connection; its temporary views are the holder's to drop.

        Raises:
            QueryTimeout: none came free in time.
        """
        try:
            connection = self._idle.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            raise QueryTimeout("no connection of the cache's DuckDB came free in time") from None
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own, for work that is not a caller's."""
        return self._root.cursor()

    def text_of(self, tree: check.Node) -> str:
        """Return the SQL of a checked tree."""
        (row,) = (
            self._parser.cursor()
            .execute(_DESERIALIZE, {"tree": json.dumps({"error": False, "statements": [tree]})})
            .fetchall()
        )
        return str(row[0])

    @property
    def bytes(self) -> int:
        """Memory that it counts as its own now: tables, and what statements hold."""
        ((used,),) = self._root.cursor().execute("select sum(memory_usage_bytes) from duckdb_memory()").fetchall()
        return int(used)

    def close(self) -> None:
        self._root.close()

    def _parse(self, sql: str) -> check.Node:
        (row,) = self._parser.cursor().execute("select json_serialize_sql($sql::varchar)", {"sql": sql}).fetchall()
        return check.parsed(row[0])
