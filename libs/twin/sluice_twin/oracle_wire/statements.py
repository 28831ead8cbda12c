"""Statements of one session: cursors, running queries, and the pages they are read from."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

import pyarrow as pa

from sluice_twin.oracle_wire.codec import Value
from sluice_twin.oracle_wire.columns import ResultColumn
from sluice_twin.oracle_wire.database import RunningQuery, TwinDatabase
from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.oracle_wire.faults import FaultRule
from sluice_twin.oracle_wire.pages import Page, PageCursor, encode_page
from sluice_twin.oracle_wire.requests import BindType
from sluice_twin.oracle_wire.result_faults import changed_batches, changed_columns
from sluice_twin.oracle_wire.sessions import SessionTable
from sluice_twin.oracle_wire.translation import first_words

_QUERY_WORDS: Final = (["SELECT"], ["WITH"], ["("])

PageKey: TypeAlias = tuple[str, tuple[Value, ...]]


@dataclass(frozen=True)
class EncodedResult:
    """A whole result as a client reads it."""

    columns: tuple[ResultColumn, ...]
    pages: tuple[Page, ...]

    @property
    def row_count(self) -> int:
        """Rows of all pages."""
        return sum(page.row_count for page in self.pages)


class PageStore:
    """Results encoded beforehand, by statement and binds. Only what was put in is served from it."""

    def __init__(self) -> None:
        # Protects the dictionary.
        self._lock = threading.Lock()
        self._results: dict[PageKey, EncodedResult] = {}

    def put(self, sql: str, values: Sequence[Value], result: EncodedResult) -> None:
        """Keep a result."""
        with self._lock:
            self._results[(sql, tuple(values))] = result

    def get(self, sql: str, values: Sequence[Value]) -> EncodedResult | None:
        """Return the result of a statement, None if nobody put it in."""
        with self._lock:
            return self._results.get((sql, tuple(values)))


@dataclass
class Cursor:
    """A statement that a client may run again by its number."""

    sql: str
    bind_types: tuple[BindType, ...] = ()
    columns: tuple[ResultColumn, ...] = ()
    described: tuple[ResultColumn, ...] = ()
    """What the client was told of the columns last."""
    rows: PageCursor | None = None
    """Where reading stands; None before the first execution and after the end."""
    sent_row_count: int = 0
    batch_count: int = 0
    """Replies with rows since the execution."""
    running: bool = False
    """Counted as in flight."""
    query: RunningQuery | None = field(default=None, repr=False)


class Statements:
    """Runs the statements of one session.

    Args:
        database: what is read.
        pages: results encoded beforehand.
        sessions: counts what runs.
        session_id: the session.
        compressed: whether repeated values are left out.
    """

    def __init__(
        self, database: TwinDatabase, pages: PageStore, sessions: SessionTable, session_id: int, *, compressed: bool
    ) -> None:
        self._database = database
        self._pages = pages
        self._sessions = sessions
        self._session_id = session_id
        self._compressed = compressed
        self._cursors: dict[int, Cursor] = {}
        self._last_id = 0
        # What an interrupt from the reading thread ends.
        self._working: RunningQuery | None = None
        self.deaf = False
        """Whether interrupts pass by."""

    def new(self, sql: str) -> int:
        """Return the number of a new cursor."""
        self._last_id += 1
        self._cursors[self._last_id] = Cursor(sql)
        return self._last_id

    def cursor(self, cursor_id: int) -> Cursor:
        """Return a cursor.

        Raises:
            OraError: there is none of this number.
        """
        try:
            return self._cursors[cursor_id]
        except KeyError:
            raise OraError(1001) from None

    def drop(self, cursor_id: int) -> None:
        """End a cursor and forget it."""
        cursor = self._cursors.pop(cursor_id, None)
        if cursor is not None:
            self.end(cursor)

    def begin(self, cursor: Cursor) -> None:
        """Count a cursor's statement as in flight; one that it ran before has ended."""
        self.end(cursor)
        cursor.running = self._sessions.begin_statement(self._session_id, cursor.sql)
        cursor.sent_row_count = cursor.batch_count = 0

    def describe(self, cursor: Cursor, clock: datetime, change: FaultRule | None = None) -> None:
        """Find out a cursor's columns; nothing runs, so nothing is in flight.

        Args:
            cursor: has the statement.
            clock: what SYSDATE shows.
            change: what a fault makes of the columns.

        Raises:
            OraError: the statement is refused.
        """
        words = first_words(cursor.sql, 1)
        if words not in _QUERY_WORDS:
            raise refusal(words)
        columns = self._database.columns(cursor.sql, clock)
        cursor.columns = columns if change is None else changed_columns(change, columns)

    def run(self, cursor: Cursor, values: Sequence[Value], clock: datetime, change: FaultRule | None = None) -> None:
        """Bind a cursor's statement and make its rows ready to be read.

        Args:
            cursor: has the statement.
            values: of its binds.
            clock: what SYSDATE shows.
            change: what a fault makes of the result.

        Raises:
            OraError: the statement is refused.
        """
        stored = self._pages.get(cursor.sql, values)
        if stored is not None and change is None:
            cursor.columns = stored.columns
            cursor.rows = PageCursor(stored.pages, len(stored.columns))
            return
        words = first_words(cursor.sql, 2)
        if words == ["ALTER", "SESSION"]:
            # Accepted, and changes nothing.
            cursor.columns = ()
            return
        if words[:1] not in _QUERY_WORDS:
            raise refusal(words)
        query = self._database.open(cursor.sql, values, clock)
        cursor.query, cursor.columns = query, query.columns
        batches = query.batches()
        if change is not None:
            cursor.columns = changed_columns(change, query.columns)
            batches = changed_batches(change, query.columns, batches)
        cursor.rows = PageCursor(self._encoded(query, cursor.columns, batches), len(cursor.columns))

    def end(self, cursor: Cursor) -> None:
        """Let a cursor's rows go; its statement is not in flight any more."""
        if cursor.query is not None:
            cursor.query.close()
        cursor.query = cursor.rows = None
        if cursor.running:
            cursor.running = False
            self._sessions.end_statement(self._session_id)

    def interrupt(self) -> None:
        """End what is running at this moment; called from another thread."""
        working = self._working
        if working is not None and not self.deaf:
            working.interrupt()

    def close(self) -> None:
        """End every statement."""
        for cursor_id in list(self._cursors):
            self.drop(cursor_id)

    def _encoded(
        self, query: RunningQuery, columns: tuple[ResultColumn, ...], batches: Iterator[pa.RecordBatch]
    ) -> Iterator[Page]:
        while True:
            self._working = query
            try:
                batch = next(batches, None)
            finally:
                self._working = None
            if batch is None:
                return
            yield encode_page(batch, columns, compressed=self._compressed)


def encode_result(database: TwinDatabase, sql: str, values: Sequence[Value], *, compressed: bool) -> EncodedResult:
    """Return all rows of a statement, encoded.

    Raises:
        OraError: the statement is refused.
    """
    query = database.open(sql, values, database.plant_time)
    try:
        pages = tuple(encode_page(batch, query.columns, compressed=compressed) for batch in query.batches())
        return EncodedResult(query.columns, pages)
    finally:
        query.close()


def refusal(words: Sequence[str]) -> OraError:
    """Return why a statement that is no query is refused.

    Args:
        words: its first ones, upper case.
    """
    first = words[0] if words else ""
    if first in ("BEGIN", "DECLARE", "CALL"):
        return OraError(3001, "unimplemented feature: PL/SQL")
    known = ("INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "DROP", "ALTER", "TRUNCATE", "GRANT", "REVOKE")
    return OraError(1031) if first in known else OraError(900)
