"""Where the statements of one call run: on a connection of this process, or in a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import duckdb
import pyarrow as pa
from sluice_rpc import arrow

from sluice_cache.binds import Bind, identifier
from sluice_cache.errors import InvalidSql, MemoryPressure, StatementLost, UnreadRows
from sluice_cache.sql.call import Stopped
from sluice_cache.tiers.memory import MappedCopy

BROKEN: Final = (duckdb.InternalException, duckdb.FatalException)
"""What DuckDB raises where it failed itself, and from then on for everything else."""

_OF_WORDS: Final = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.NotImplementedException,
    duckdb.ParserException,
    duckdb.PermissionException,
)
"""What DuckDB finds wrong with a statement before it has read a row."""


Prepared = Callable[[str], duckdb.Statement | str]


class CopyGone(Exception):
    """A hot frame's file went between its opening and its mapping."""


class Place(Protocol):
    """Runs statements over relations that were made in it before; one at a time."""

    @property
    def has_native(self) -> bool:
        """Whether DuckDB's own tables of frames can be read here."""
        ...

    def stop(self) -> None:
        """End what runs, from any thread; called until it has ended."""
        ...

    def map(self, name: str, copy: MappedCopy, path: Path) -> None:
        """Make a hot frame readable under a name. Raises CopyGone when its file went meanwhile."""
        ...

    def view(self, name: str, sql: str) -> None:
        """Make a relation. Raises InvalidSql when it does not fit what it reads."""
        ...

    def drop_view(self, name: str) -> None:
        """Take a relation away again."""
        ...

    def unmap(self, name: str) -> None:
        """Take a frame's name away again."""
        ...

    def read(self, sql: str, bound: Mapping[str, Bind]) -> pa.RecordBatchReader:
        """Begin a statement; reading it raises as this does.

        Raises:
            InvalidSql, MemoryPressure.
            duckdb.InterruptException, Stopped: it was stopped.
            duckdb.ConversionException: a text does not become another type; also when that type is an ENUM of ours.
        """
        ...

    def finish(self) -> None:
        """Be told that the statement's table was read to its end."""
        ...

    def plan(self, sql: str, bound: Mapping[str, Bind]) -> str:
        """Return DuckDB's plan of a statement as JSON. Raises as `read` does."""
        ...

    def broke(self) -> None:
        """Be told that DuckDB itself failed here."""
        ...


class Inside:
    """A connection of this process; for plain statements.

    Args:
        connection: theirs until they have ended.
        prepared: gives a text as it is to be run.
        has_native: whether it is one of the DuckDB that has tables of its own.
        broke: called when DuckDB itself failed.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, prepared: Prepared, *, has_native: bool, broke: Callable[[], None]
    ) -> None:
        self.has_native = has_native
        self._connection = connection
        self._prepared = prepared
        self._told = broke
        self._broken = False

    def stop(self) -> None:
        self._connection.interrupt()

    def map(self, name: str, copy: MappedCopy, path: Path) -> None:
        self._connection.register(name, copy.table)

    def view(self, name: str, sql: str) -> None:
        view(self._connection, name, sql)

    def drop_view(self, name: str) -> None:
        if self._broken:
            return
        try:
            self._connection.execute(f"drop view if exists temp.{identifier(name)}").fetchall()
        except duckdb.FatalException:
            # Another statement ended this DuckDB; what was read of it by now is whole.
            self.broke()

    def unmap(self, name: str) -> None:
        if not self._broken:
            self._connection.unregister(name)

    def read(self, sql: str, bound: Mapping[str, Bind]) -> pa.RecordBatchReader:
        return read(self._connection, self._prepared(sql), bound)

    def finish(self) -> None:
        """Nothing to do."""

    def plan(self, sql: str, bound: Mapping[str, Bind]) -> str:
        return plan(self._connection, sql, bound)

    def broke(self) -> None:
        self._broken = True
        self._told()

    def keep(self, name: str, sql: str, bound: Mapping[str, Bind]) -> None:
        """Write the table of a statement down under a name of ours."""
        text = f"create temp table {identifier(name)} as {sql}"
        self._connection.execute(self._prepared(text), dict(bound) or None).fetchall()

    def drop(self, name: str) -> None:
        """Take a table away again that was written down, or was to be."""
        if self._broken:
            return
        try:
            self._connection.execute(f"drop table if exists temp.{identifier(name)}").fetchall()
        except duckdb.FatalException:
            self.broke()


def view(connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> None:
    """Make a temporary view whose text is ours."""
    try:
        connection.execute(f"create temp view {identifier(name)} as {sql}").fetchall()
    except (duckdb.InterruptException, *BROKEN):
        raise
    except duckdb.Error as error:
        raise refusal(error)(f"table {name!r} cannot be read: {first_line(error)}", field="slices") from error


def read(
    connection: duckdb.DuckDBPyConnection, sql: duckdb.Statement | str, bound: Mapping[str, Bind]
) -> pa.RecordBatchReader:
    """Begin a statement."""
    return connection.sql(sql, params=dict(bound) or None).to_arrow_reader(arrow.BATCH_ROW_COUNT)


def plan(connection: duckdb.DuckDBPyConnection, sql: str, bound: Mapping[str, Bind]) -> str:
    """Return DuckDB's plan of a statement as JSON."""
    ((_, text),) = connection.execute(f"explain (format json) {sql}", dict(bound) or None).fetchall()
    return str(text)


@contextmanager
def guarded(place: Place) -> Iterator[None]:
    """Tell a place when DuckDB itself failed in it.

    Raises:
        duckdb.InternalException: the statement ended its DuckDB.
        StatementLost: another statement did.
    """
    try:
        yield
    except duckdb.InternalException:
        place.broke()
        raise
    except duckdb.FatalException as error:
        place.broke()
        raise StatementLost from error


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """Turn what DuckDB raises for a caller's statement into our errors."""
    try:
        with guarded(place):
            yield
    except (duckdb.InterruptException, duckdb.InternalException, Stopped):
        raise
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError) as error:
        raise MemoryPressure from error
    except (duckdb.Error, pa.ArrowException) as error:
        raise refusal(error)(first_line(error)) from error


def refusal(error: Exception) -> type[InvalidSql]:
    """Return what a refusal of DuckDB's is for the caller: UnreadRows where a broken file can be behind it."""
    return InvalidSql if isinstance(error, _OF_WORDS) else UnreadRows


def first_line(error: Exception) -> str:
    """Return what DuckDB says of a fault, without the picture of the statement."""
    return str(error).partition("\n")[0][:300]
