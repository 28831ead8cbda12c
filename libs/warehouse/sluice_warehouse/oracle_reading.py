"""The rows of one statement on Oracle: fetched as Arrow, ended at the deadline, and sure or not that it has ended."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import oracledb
import pyarrow as pa
import structlog
from sluice_rpc.errors import ServiceError

from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.errors import ContractBroken, StatementCancelled, StatementTimeout, WarehouseUnavailable
from sluice_warehouse.oracle_errors import DRIVER_FAULTS, columns_changed, meaning_of, server_said, translated
from sluice_warehouse.oracle_session import Logon, OracleSession
from sluice_warehouse.oracle_types import Asked
from sluice_warehouse.schema import Fitting
from sluice_warehouse.watch import StatementWatch

log = structlog.get_logger()


@dataclass(frozen=True)
class ReadLimits:
    """Bounds of one reading.

    Args:
        deadline_s: seconds from now until the statement is ended.
        call_timeout_ms: longest silence of the server in one round trip.
        grace_s: how long the server may take to confirm a cancel.
        batch_row_count: rows of one round trip.
    """

    deadline_s: float
    call_timeout_ms: int
    grace_s: float
    batch_row_count: int


@dataclass(frozen=True)
class Order:
    """What one reading is to read: a statement as it is sent, with its values, columns and name for the DBA."""

    statement: Statement
    text: str
    values: Mapping[str, Bind]
    schema: pa.Schema
    tag: Tag
    limits: ReadLimits


class Sessions(Protocol):
    """Where a reading gets its session from."""

    def acquire(self, deadline_s: float, logon: Logon) -> OracleSession:
        """Return a session that nobody else uses; `logon` gives the wait up where it may be long."""
        ...

    def may_reconnect(self) -> bool:
        """Return whether a session that turns out dead before the statement ran may be replaced unseen."""
        ...


class OracleRun:
    """One statement from its first call to its end, whoever ends it; keeps its session to itself.

    Connecting and describing happen with the first pull as well, so that a cancel reaches them.

    Args:
        sessions: where the session comes from.
        order: what to read.
    """

    def __init__(self, sessions: Sessions, order: Order) -> None:
        self.order = order
        self.row_count = 0
        # Held while the session works, and while it is closed.
        self.working = threading.RLock()
        self.end_confirmed = True
        self.ended = False
        self.fitting: Fitting | None = None
        self._sessions = sessions
        self._logon = Logon()
        self._session: OracleSession | None = None
        self._asked: Asked | None = None
        self._batches: Iterator[Any] | None = None
        self._until = time.monotonic() + order.limits.deadline_s
        self._interrupted: float | None = None
        self._cut = False
        self.watch = StatementWatch(order.limits.deadline_s, self._interrupt)

    def check(self) -> None:
        """Raise if there is a reason to end."""
        reason = self.watch.reason
        if reason == "timeout":
            raise StatementTimeout(self.order.statement.name, self.order.limits.deadline_s)
        if reason == "cancelled":
            raise StatementCancelled(self.order.statement.name)

    def pull(self) -> pa.Table:
        """Return the next rows as the driver has them; the first pull starts the statement.

        Raises:
            StopIteration: there are none.
            ServiceError: it broke off, or was ended.
        """
        self.check()
        if self._session is None or self._asked is None:
            self._session, self._asked = self._begun()
            self.check()
        try:
            with self._session.call(self._timeout_ms()) as connection:
                if self._batches is None:
                    self._batches = connection.fetch_df_batches(
                        self.order.text,
                        dict(self.order.values),
                        size=self.order.limits.batch_row_count,
                        requested_schema=self._asked.schema,
                    )
                return pa.table(next(self._batches))
        except DRIVER_FAULTS as error:
            self.end_confirmed = server_said(error) and not self._cut
            self.check()
            if columns_changed(error):
                raise self._changed(self._session) from error
            suspect = self._asked.column_of(str(error)) if meaning_of(error) == "contract" else ""
            raise translated(error, self.order.statement.name, self.order.limits.deadline_s, suspect) from error

    def end(self, *, reusable: bool = False) -> None:
        """End the statement and its session; the second time nothing happens."""
        with self.working:
            if self.ended:
                return
            self.ended = True
            self.watch.end()
            self._batches = None
            if self._session is None:
                return
            if not self.end_confirmed:
                log.warning("end of a statement is not confirmed", statement=self.order.statement.name)
                self._session.cut()
            self._session.end(reusable=reusable and self.end_confirmed)

    def _begun(self) -> tuple[OracleSession, Asked]:
        try:
            return self._described()
        except WarehouseUnavailable:
            self.check()
            # Nothing has run yet, so where a connection died while it lay idle another one may be taken, once.
            if not self._sessions.may_reconnect():
                raise
        return self._described()

    def _described(self) -> tuple[OracleSession, Asked]:
        order, part = self.order, self.order.statement.name
        try:
            session = self._sessions.acquire(self._until - time.monotonic(), self._logon)
        except ServiceError:
            self.check()
            raise
        # From here on a cancel reaches the session.
        self._session = session
        try:
            session.name(order.tag)
            found = self._found(session)
        except DRIVER_FAULTS as error:
            self._session = None
            # A connection that died before the statement ran leaves nothing behind; one that was cut may.
            self.end_confirmed = not self._cut
            session.end(reusable=meaning_of(error) in ("refused", "contract"))
            self.check()
            raise translated(error, part, order.limits.deadline_s) from error
        return session, self._asking(found)

    def _found(self, session: OracleSession) -> list[oracledb.FetchInfo]:
        """Return what the statement's columns are now; raises what the driver raises."""
        with session.call(self._timeout_ms()) as connection, connection.cursor() as cursor:
            cursor.parse(self.order.text)
            return cursor.description or []

    def _asking(self, found: list[oracledb.FetchInfo]) -> Asked:
        """Return what is asked for, and keep how it becomes what is declared.

        Apart from the driver's calls, so that a mistake of ours is not taken for one of its faults.

        Raises:
            ContractBroken: a column cannot become the declared one, is missing, or is not declared.
        """
        order, part = self.order, self.order.statement.name
        asked = Asked(order.schema, found, part)
        self.fitting = Fitting(order.schema, asked.names, part)
        return asked

    def _changed(self, session: OracleSession) -> ServiceError:
        """Return the fault of columns that are others than those described, as after DDL in between; asks which."""
        try:
            found = self._found(session)
        except DRIVER_FAULTS as error:
            log.warning("changed columns are not told", statement=self.order.statement.name, fault=type(error).__name__)
        else:
            try:
                self._asking(found)
            except ContractBroken as broken:
                return broken
        return ContractBroken("?", self.order.statement.name, "changed while it was read")

    def _timeout_ms(self) -> int:
        # What is left of the deadline bounds the round trip as well, for servers that a cancel does not reach.
        left_ms = 1000 * (self._until - time.monotonic() + self.order.limits.grace_s)
        return int(min(self.order.limits.call_timeout_ms, left_ms))

    def _interrupt(self) -> None:
        """Ask the server to stop, again and again; past the grace end the connection under the call."""
        now = time.monotonic()
        if self._interrupted is None:
            self._interrupted = now
        session = self._session
        if session is None:
            self._logon.give_up()
        elif now - self._interrupted < self.order.limits.grace_s:
            session.cancel()
        elif not self._cut:
            self._cut = True
            session.cut()


class OracleReading:
    """The rows of one statement; see `sluice_warehouse.Reading`."""

    def __init__(self, run: OracleRun) -> None:
        self._run = run
        self._pending: list[pa.RecordBatch] = []
        # A reading that is dropped without being closed must not keep its statement running.
        weakref.finalize(self, run.end).atexit = False

    @property
    def schema(self) -> pa.Schema:
        return self._run.order.schema

    @property
    def row_count(self) -> int:
        return self._run.row_count

    @property
    def end_confirmed(self) -> bool:
        return self._run.end_confirmed

    def cancel(self) -> None:
        self._run.watch.cancel()

    def close(self) -> None:
        self.cancel()
        self._run.end()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        run = self._run
        with run.working:
            if run.ended:
                run.check()
                raise StopIteration
            try:
                batch = self._next()
            except StopIteration:
                run.end(reusable=True)
                raise
            except ServiceError:
                run.end()
                raise
            run.row_count += batch.num_rows
            return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self) -> pa.RecordBatch:
        run = self._run
        while not self._pending:
            table = run.pull()
            self._pending = [batch for batch in table.to_batches() if batch.num_rows]
        batch = self._pending.pop(0)
        if run.fitting is None or batch.num_columns != len(run.order.schema):
            raise ContractBroken(run.order.schema.names[0], run.order.statement.name, "changed meanwhile")
        return run.fitting.fit(batch)
