"""The rows of one statement on Oracle: fetched as Arrow, ended at the deadline, and sure or not that it has ended."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import structlog
from sluice_rpc.errors import ServiceError

from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import ContractBroken, StatementCancelled, StatementTimeout
from sluice_warehouse.oracle_errors import DRIVER_FAULTS, meaning_of, server_said, translated
from sluice_warehouse.oracle_session import OracleSession
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


class OracleRun:
    """One statement from its first call to its end, whoever ends it; keeps its session to itself.

    Args:
        session: of this statement alone.
        statement: for its name.
        text: as it is sent.
        values: of its binds.
        asked: its columns as the driver shall give them.
        limits: bounds.
    """

    def __init__(
        self,
        session: OracleSession,
        statement: Statement,
        text: str,
        values: Mapping[str, Bind],
        *,
        asked: Asked,
        limits: ReadLimits,
    ) -> None:
        self.statement = statement
        self.row_count = 0
        # Held while the session works, and while it is closed.
        self.working = threading.RLock()
        self.end_confirmed = True
        self.ended = False
        self._session = session
        self._text = text
        self._values = dict(values)
        self._asked = asked
        self._limits = limits
        self._until = time.monotonic() + limits.deadline_s
        self._batches: Iterator[Any] | None = None
        self._interrupted: float | None = None
        self._cut = False
        self.watch = StatementWatch(limits.deadline_s, self._interrupt)

    def check(self) -> None:
        """Raise if there is a reason to end."""
        reason = self.watch.reason
        if reason == "timeout":
            raise StatementTimeout(self.statement.name, self._limits.deadline_s)
        if reason == "cancelled":
            raise StatementCancelled(self.statement.name)

    def pull(self) -> pa.Table:
        """Return the next rows as the driver has them; the first pull starts the statement.

        Raises:
            StopIteration: there are none.
            ServiceError: it broke off, or was ended.
        """
        self.check()
        # What is left of the deadline bounds the round trip as well, for servers that a cancel does not reach.
        left_ms = 1000 * (self._until - time.monotonic() + self._limits.grace_s)
        try:
            with self._session.call(int(min(self._limits.call_timeout_ms, left_ms))) as connection:
                if self._batches is None:
                    self._batches = connection.fetch_df_batches(
                        self._text,
                        self._values,
                        size=self._limits.batch_row_count,
                        requested_schema=self._asked.schema,
                    )
                return pa.table(next(self._batches))
        except DRIVER_FAULTS as error:
            self.end_confirmed = server_said(error) and not self._cut
            self.check()
            suspect = self._asked.column_of(str(error)) if meaning_of(error) == "contract" else ""
            raise translated(error, self.statement.name, self._limits.deadline_s, suspect) from error

    def end(self, *, reusable: bool = False) -> None:
        """End the statement and its session; the second time nothing happens."""
        with self.working:
            if self.ended:
                return
            self.ended = True
            self.watch.end()
            self._batches = None
            if not self.end_confirmed:
                log.warning("end of a statement is not confirmed", statement=self.statement.name)
                self._session.cut()
            self._session.end(reusable=reusable and self.end_confirmed)

    def _interrupt(self) -> None:
        """Ask the server to stop, again and again; past the grace end the connection under the call."""
        now = time.monotonic()
        if self._interrupted is None:
            self._interrupted = now
        if now - self._interrupted < self._limits.grace_s:
            self._session.cancel()
        elif not self._cut:
            self._cut = True
            self._session.cut()


class OracleReading:
    """The rows of one statement; see `sluice_warehouse.Reading`."""

    def __init__(self, run: OracleRun, fitting: Fitting) -> None:
        self._run = run
        self._fitting = fitting
        self._pending: list[pa.RecordBatch] = []
        # A reading that is dropped without being closed must not keep its statement running.
        weakref.finalize(self, run.end).atexit = False

    @property
    def schema(self) -> pa.Schema:
        return self._fitting.schema

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
        while not self._pending:
            table = self._run.pull()
            if table.num_columns != len(self._fitting.schema):
                raise ContractBroken(self._fitting.schema.names[0], self._run.statement.name, "changed meanwhile")
            self._pending = [batch for batch in table.to_batches() if batch.num_rows]
        return self._fitting.fit(self._pending.pop(0))
