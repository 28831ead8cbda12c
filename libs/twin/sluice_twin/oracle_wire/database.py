"""DuckDB behind the stand-in: the twin's file attached read-only, and tables of a test beside it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from sqlglot import exp

from sluice_twin.oracle_wire.codec import Value
from sluice_twin.oracle_wire.columns import ResultColumn
from sluice_twin.oracle_wire.describing import describe
from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.oracle_wire.pages import PAGE_ROW_COUNT
from sluice_twin.oracle_wire.schema import DUAL, SIDE_CATALOG, SIDE_SCHEMA, TWIN_CATALOG, ServedSchema
from sluice_twin.oracle_wire.translation import Translated, number_binds, translate
from sluice_twin.plant import PLANT_TIME

_MEMORY_LIMIT: Final = "512MB"
_THREAD_COUNT: Final = 2
_ORA_TEXT: Final = re.compile(r"ORA-(\d{5})")
_MISSING_COLUMN: Final = re.compile(
    r'column "?([^"\s]+)"? (?:not found|that)|column named "([^"]+)"|"([^"]+)" not found'
)
_CODES: Final[tuple[tuple[type[duckdb.Error], int], ...]] = (
    (duckdb.InterruptException, 1013),
    (duckdb.ConversionException, 1722),
    (duckdb.InvalidInputException, 1722),
    (duckdb.OutOfMemoryException, 4030),
    (duckdb.ParserException, 900),
    (duckdb.FatalException, 603),
)


class RunningQuery:
    """One query of one session: its columns, then its rows.

    Args:
        cursor: DuckDB cursor of its own.
        relation: the bound query.
        columns: what the client is told of them.
    """

    def __init__(self, cursor: Any, relation: Any, columns: tuple[ResultColumn, ...]) -> None:
        self.columns = columns
        self._relation = relation
        self._cursor = cursor
        # Keeps `interrupt` away from a cursor that is being closed.
        self._lock = threading.Lock()
        self._closed = False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows.

        Raises:
            OraError: the query broke off.
        """
        try:
            reader = self._relation.to_arrow_reader(PAGE_ROW_COUNT)
            while True:
                batch = reader.read_next_batch()
                if batch.num_rows:
                    yield batch
        except StopIteration:
            return
        except duckdb.Error as error:
            raise ora_error(error) from None
        except (OSError, pa.ArrowException) as error:
            # Past the first row DuckDB's errors come through Arrow's C stream, which keeps the text only.
            raise _from_text(str(error)) from None

    def interrupt(self) -> None:
        """End what the query does at this moment."""
        with self._lock:
            if not self._closed:
                self._cursor.interrupt()

    def close(self) -> None:
        """Let the query go."""
        with self._lock:
            self._closed = True
            self._relation = None
            self._cursor.close()


class TwinDatabase:
    """The tables of a twin's file, and those of a test.

    Args:
        path: the file; None serves the tables of the test alone.
        extra: Arrow tables by name.
    """

    def __init__(self, path: Path | None, extra: Mapping[str, Any]) -> None:
        self.schema = ServedSchema(extra)
        self._path = path
        self._extra = extra
        # Held while an engine is replaced.
        self._replacing = threading.Lock()
        self._connection = self._connected()
        self.plant_time: datetime = PLANT_TIME
        """Where the twin's clock stands: the file is read-only, so it does not move."""
        if path is not None:
            row = self._connection.execute(f"select PLANT_TIME from {TWIN_CATALOG}.DWH_TWIN.META").fetchone()  # noqa: S608
            assert row is not None
            self.plant_time = row[0]

    def open(self, sql: str, values: Sequence[Value], clock: datetime) -> RunningQuery:
        """Return a query that is bound and not yet run.

        Raises:
            OraError: the statement is refused.
        """
        numbered = number_binds(sql)
        if len(values) != len(numbered.names):
            raise OraError(1008)
        translated = translate(numbered.sql, self.schema, clock)
        binds = dict(zip(numbered.names, values, strict=True))
        connection = self._connection
        try:
            return self._bound(connection, translated, binds)
        except duckdb.FatalException:
            # A statement before spoiled the whole engine; this one has not run yet.
            self._replace(connection)
        try:
            return self._bound(self._connection, translated, binds)
        except duckdb.FatalException as error:
            raise ora_error(error) from None

    def _bound(self, connection: Any, translated: Translated, binds: Mapping[str, Value]) -> RunningQuery:
        cursor = connection.cursor()
        try:
            relation = cursor.sql(translated.duckdb_sql, params=dict(binds))
            columns = describe(translated.query, self.schema, list(_arrow_schema(relation)))
        except duckdb.FatalException:
            cursor.close()
            raise
        except duckdb.Error as error:
            cursor.close()
            raise ora_error(error) from None
        except OraError:
            cursor.close()
            raise
        return RunningQuery(cursor, relation, columns)

    def columns(self, sql: str, clock: datetime) -> tuple[ResultColumn, ...]:
        """Return what a query would yield; nothing is bound or run.

        Raises:
            OraError: the statement is refused.
        """
        query = self.open(sql, (None,) * len(number_binds(sql).names), clock)
        query.close()
        return query.columns

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def _replace(self, spoiled: Any) -> None:
        """Start another engine; what still runs on the spoiled one ends there."""
        with self._replacing:
            if self._connection is spoiled:
                self._connection = self._connected()
        spoiled.close()

    def _connected(self) -> Any:
        connection = duckdb.connect(":memory:", config={"memory_limit": _MEMORY_LIMIT, "threads": _THREAD_COUNT})
        connection.execute(f"create schema {SIDE_SCHEMA}")
        _create(connection, DUAL, pa.table({"DUMMY": ["X"]}))
        for name, rows in self._extra.items():
            _create(connection, name.upper(), rows)
        if self._path is not None:
            place = exp.Literal.string(str(self._path)).sql(dialect="duckdb")
            connection.execute(f"attach {place} as {TWIN_CATALOG} (read_only)")
        return connection


def _create(connection: Any, name: str, rows: Any) -> None:
    connection.register("rows_to_serve", rows)
    target = exp.to_identifier(name, quoted=True).sql(dialect="duckdb")
    connection.execute(f"create table {SIDE_CATALOG}.{SIDE_SCHEMA}.{target} as from rows_to_serve")
    connection.unregister("rows_to_serve")


def _arrow_schema(relation: Any) -> pa.Schema:
    """Return the Arrow schema of a query without running it."""
    return relation.limit(0).to_arrow_table().schema


def ora_error(error: duckdb.Error) -> OraError:
    """Return the ORA number closest to what DuckDB says."""
    text = str(error)
    raised = _ORA_TEXT.search(text)
    if raised:
        return OraError(int(raised[1]))
    if isinstance(error, duckdb.CatalogException) and "Table with name" in text:
        return OraError(942)
    if isinstance(error, duckdb.BinderException) and (missing := _MISSING_COLUMN.search(text)):
        name = next(filter(None, missing.groups()))
        return OraError(904, f'"{name.upper()}": invalid identifier')
    for kind, code in _CODES:
        if isinstance(error, kind):
            return OraError(code)
    return OraError(3001, f"unimplemented feature: {text.splitlines()[0]}")


def _from_text(text: str) -> OraError:
    raised = _ORA_TEXT.search(text)
    if raised:
        return OraError(int(raised[1]))
    if "INTERRUPT" in text.upper():
        return OraError(1013)
    if "Conversion Error" in text:
        return OraError(1722)
    if "FATAL Error" in text:
        return OraError(603)
    return OraError(604, f"error occurred at recursive SQL level 1: {text.splitlines()[0]}")


@contextlib.contextmanager
def opened(path: Path | None, extra: Mapping[str, Any]) -> Iterator[TwinDatabase]:
    """Return a database that is closed at the end."""
    database = TwinDatabase(path, extra)
    try:
        yield database
    finally:
        database.close()
