"""A DuckDB of the process: in memory, locked, with a bounded pool of connections; opened anew when it gives up.

After a fault of its own (INTERNAL Error) DuckDB answers every statement with the same FatalException for ever.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa
import structlog
from sluice_rpc.errors import QueryTimeout

from sluice_cache.binds import quoted
from sluice_cache.sql import check

log = structlog.get_logger()

_SETTINGS = """
set TimeZone = 'UTC';
set allocator_background_threads = true;
set autoinstall_known_extensions = false;
set autoload_known_extensions = false;
set allow_community_extensions = false;
set preserve_insertion_order = true;
set disabled_optimizers = 'common_subplan';
"""
"""Without the allocator's threads, what statements have freed stays with the process until the next one uses it: 105 MB
after one aggregation of 2 M rows, measured, for ever; with them 5 MB after a second. Looking for equal parts of a
statement writes its types down, all values of their ENUMs too: 2 ms for each part over 50,000 lots, longer than to
count them as texts; statements of ours name their equal parts themselves."""
_DESERIALIZE = "select json_deserialize_sql($tree::json)"
_KEPT_COUNT = 128
_KEPT_CHARS = 6_000
"""Texts up to this length are kept as DuckDB parsed them: 1 ms for each statement of a page, and some 50 kB."""
_FEW = "select code, sum(n) as n, sum(sum(n)) over (order by code) as running from few group by code order by code"
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
        self._spool_dir = spool_dir
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": thread_count or os.cpu_count() or 1,
            "memory_limit": f"{memory_limit_bytes}B",
            "temp_directory": str(temp_dir),
            "max_temp_directory_size": f"{temp_max_bytes}B",
            "python_enable_replacements": False,
        }
        self._connection_count = connection_count
        self._lost: list[Callable[[], None]] = []
        self._idle: queue.LifoQueue[_Leased] = queue.LifoQueue()
        # Guards which DuckDB is the present one; statements run outside it.
        self._lock = threading.Lock()
        self._present = self._opened(1)
        self._fill()
        self.parse = lru_cache(maxsize=256)(self._parse)
        self._statement = lru_cache(maxsize=_KEPT_COUNT)(self._extracted)

    @property
    def generation(self) -> int:
        """Counts how often it was opened; what was made in an earlier one is lost."""
        return self._present.generation

    def on_loss(self, told: Callable[[], None]) -> None:
        """Have a function called when all tables are lost, before anybody gets a connection to the next."""
        self._lost.append(told)

    @contextmanager
    def lease(self, timeout_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold a connection; its temporary views are the holder's to drop.

        Raises:
            QueryTimeout: none came free in time.
        """
        try:
            leased = self._idle.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            raise QueryTimeout("no connection of the cache's DuckDB came free in time") from None
        try:
            yield leased.connection
        finally:
            with self._lock:
                kept = leased.generation == self._present.generation
                if kept:
                    self._idle.put(leased)
            if not kept:
                leased.connection.close()

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of its own, for work that is not a caller's."""
        return self._present.root.cursor()

    def warm_up(self) -> None:
        """Run a statement of a view's kind over a few rows: what is loaded late is there before the first caller's."""
        self.parse(_FEW)
        few = pa.table({"code": pa.array(["a", "b", "a"]).dictionary_encode(), "n": [1, 2, 3]})
        with self.connection() as connection:
            connection.register("few", few)
            with connection.sql(_FEW).to_arrow_reader() as reader:
                reader.read_all()

    def doubt(self) -> None:
        """Open it anew, with nothing in it, if it answers nothing more: a fault of DuckDB's own ends all of it."""
        with self._lock:
            failed = self._present
            if _answers(failed.root):
                return
            self._present = self._opened(failed.generation + 1)
            for told in self._lost:
                told()
            while not self._idle.empty():
                self._idle.get_nowait().connection.close()
            self._fill()
        log.error("duckdb gave up and was opened anew", generation=self._present.generation)
        failed.close()

    def statement(self, sql: str) -> duckdb.Statement | str:
        """Return one statement as it runs soonest on any connection: parsed; its text where that is long."""
        return self._statement(sql) if len(sql) <= _KEPT_CHARS else sql

    def text_of(self, tree: check.Node) -> str:
        """Return the SQL of a checked tree."""
        return self._told(_DESERIALIZE, {"tree": json.dumps({"error": False, "statements": [tree]})})

    @property
    def bytes(self) -> int:
        """Memory that it counts as its own now: tables, and what statements hold."""
        ((used,),) = self.connection().execute("select sum(memory_usage_bytes) from duckdb_memory()").fetchall()
        return int(used)

    def close(self) -> None:
        self._present.close()

    def _parse(self, sql: str) -> check.Node:
        return check.parsed(self._told("select json_serialize_sql($sql::varchar)", {"sql": sql}))

    def _extracted(self, sql: str) -> duckdb.Statement:
        (statement,) = self._present.parser.cursor().extract_statements(sql)
        return statement

    def _told(self, sql: str, values: dict[str, str]) -> str:
        """Return the one text that a statement of ours gives; again if the fault of another ended the first try."""
        try:
            return self._present.told(sql, values)
        except duckdb.InternalException:
            self.doubt()
            raise
        except duckdb.FatalException:
            self.doubt()
        return self._present.told(sql, values)

    def _opened(self, generation: int) -> _Opened:
        root = duckdb.connect(":memory:", config=self._config)
        root.execute(_SETTINGS).fetchall()
        root.execute(f"set allowed_directories = [{quoted(str(self._spool_dir.resolve()))}]").fetchall()
        root.execute(_LOCK).fetchall()
        return _Opened(generation, root, root.cursor())

    def _fill(self) -> None:
        for _ in range(self._connection_count):
            self._idle.put(_Leased(self._present.generation, self._present.root.cursor()))


@dataclass(frozen=True)
class _Leased:
    generation: int
    connection: duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class _Opened:
    """A DuckDB from its opening until it is closed, or gives up."""

    generation: int
    root: duckdb.DuckDBPyConnection
    parser: duckdb.DuckDBPyConnection

    def told(self, sql: str, values: dict[str, str]) -> str:
        ((text,),) = self.parser.cursor().execute(sql, values).fetchall()
        return str(text)

    def close(self) -> None:
        self.parser.close()
        self.root.close()


def _answers(root: duckdb.DuckDBPyConnection) -> bool:
    try:
        root.cursor().execute("select 1").fetchall()
    except (duckdb.InternalException, duckdb.FatalException):
        return False
    return True
