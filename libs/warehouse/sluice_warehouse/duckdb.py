"""The embedded warehouse: a DuckDB file that holds the twin, opened read-only, rows streamed.

DuckDB's faults are translated here and nowhere else.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
import structlog
from sluice_rpc.errors import ServiceError

from sluice_warehouse import Bind, Statement, Tag
from sluice_warehouse.errors import StatementCancelled, StatementTimeout, WarehouseError, WarehouseUnavailable
from sluice_warehouse.faults import Fault, FaultFile, FaultSource
from sluice_warehouse.schema import Fitting
from sluice_warehouse.statement_log import Outcome, StatementCounts, StatementLog
from sluice_warehouse.statements import to_duckdb
from sluice_warehouse.watch import StatementWatch

log = structlog.get_logger()

BATCH_ROW_COUNT: Final = 8_192
"""Rows that are in hand at once; larger batches read no faster and cost memory with every parallel reading."""

_READ_AHEAD: Final = "1MB"
"""Rows that DuckDB makes ahead of whoever takes them, for each statement; its own default is ten times as much, outside
its memory limit. Three statements at once then held 93 MiB of 2 M holds in place of 71."""

_UNAVAILABLE: Final = (duckdb.IOException, duckdb.ConnectionException, duckdb.FatalException)
_ORA_BY_FAULT: Final[tuple[tuple[type[duckdb.Error], int], ...]] = (
    (duckdb.CatalogException, 942),
    (duckdb.BinderException, 904),
    (duckdb.ParserException, 900),
    (duckdb.ConversionException, 1722),
    (duckdb.OutOfMemoryException, 4030),
)
_OTHER_FAULT: Final = 600
_FAULT_BY_WORD: Final[tuple[tuple[str, type[duckdb.Error]], ...]] = (
    ("FATAL Error", duckdb.FatalException),
    ("Conversion Error", duckdb.ConversionException),
    ("Out of Memory Error", duckdb.OutOfMemoryException),
    ("IO Error", duckdb.IOException),
)
"""How DuckDB's faults begin where only their text is left."""


class DuckDBWarehouse:
    """The twin in a file.

    Connects at the first use and again after it failed, so that a process may start before its warehouse does.

    Args:
        path: the DuckDB file.
        statement_log: JSON lines of the statements that really ran; None only counts them.
        memory_limit_bytes: buffers of the engine.
        thread_count: threads of the engine.
        fault: what shall go wrong, asked before each statement.
        fault_path: the same from a file; `fault` is asked first.
    """

    def __init__(
        self,
        path: Path,
        *,
        statement_log: Path | None = None,
        memory_limit_bytes: int = 512 << 20,
        thread_count: int = 2,
        fault: FaultSource | None = None,
        fault_path: Path | None = None,
    ) -> None:
        self._path = path
        self._memory_limit_bytes = memory_limit_bytes
        self._thread_count = thread_count
        self._log = StatementLog(statement_log)
        self._faults = [source for source in (fault, FaultFile(fault_path) if fault_path else None) if source]
        # Protects the engine and the clock that was read from it.
        self._lock = threading.Lock()
        self._engine: _Engine | None = None
        self._plant_time: datetime | None = None
        self._closed = False
        self._readings: weakref.WeakSet[DuckDBReading] = weakref.WeakSet()

    @property
    def counts(self) -> StatementCounts:
        """What this process ran here."""
        return self._log.counts

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> DuckDBReading:
        if set(binds) != set(statement.bind_names):
            odd = ", ".join(sorted(set(binds) ^ set(statement.bind_names)))
            raise ValueError(f"binds of {statement.name!r} and their values differ in {odd}")
        fault = next((found for source in self._faults if (found := source(statement, binds))), Fault())
        engine, cursor = self._session()
        try:
            relation = cursor.sql(to_duckdb(statement), params=dict(binds))
            fitting = Fitting(schema, relation.columns, statement.name)
        except duckdb.Error as error:
            cursor.close()
            engine.judge(error)
            raise _translated(statement, error) from error
        except ServiceError:
            cursor.close()
            raise
        run = _Run(cursor, relation, statement, binds=binds, tag=tag, deadline_s=deadline_s, statement_log=self._log)
        reading = DuckDBReading(run, fitting, fault, engine)
        with self._lock:
            self._readings.add(reading)
        return reading

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> DuckDBReading:
        """Do as `open`: there is one connection, and cursors of it cost nothing."""
        return self.open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def plant_time(self) -> datetime:
        if self._plant_time is None:
            # The file is read-only, so its clock stands still.
            self._plant_time = self._asked("select PLANT_TIME from DWH_TWIN.META")
        return self._plant_time

    def ping(self) -> None:
        self._asked("select 1")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            engine, self._engine = self._engine, None
            readings = list(self._readings)
        for reading in readings:
            reading.close()
        if engine is not None:
            engine.connection.close()

    def _asked(self, sql: str) -> Any:
        """Return the one value of a short question.

        Raises:
            WarehouseUnavailable: no answer.
        """
        engine, cursor = self._session()
        try:
            return cursor.execute(sql).fetchall()[0][0]
        except duckdb.Error as error:
            engine.judge(error)
            raise WarehouseUnavailable from error
        finally:
            cursor.close()

    def _session(self) -> tuple[_Engine, Any]:
        with self._lock:
            if self._closed:
                raise WarehouseUnavailable
            if self._engine is not None and self._engine.spoiled:
                # DuckDB opens a file once in a process, so the spoiled engine goes with the last of its readings.
                self._engine.connection.close()
                self._engine = None
            if self._engine is None:
                self._engine = _Engine(self._connect())
            try:
                cursor = self._engine.connection.cursor()
                cursor.execute(f"set streaming_buffer_size = '{_READ_AHEAD}'")
                return self._engine, cursor
            except duckdb.Error:
                self._engine = None
                raise WarehouseUnavailable from None

    def _connect(self) -> Any:
        try:
            connection = duckdb.connect(str(self._path), read_only=True)
            # Set after connecting: DuckDB refuses a second connection of one process with another configuration.
            connection.execute("set global TimeZone = 'UTC'")
            connection.execute(f"set global memory_limit = '{int(self._memory_limit_bytes)}B'")
            connection.execute(f"set global threads = {int(self._thread_count)}")
        except duckdb.Error as error:
            log.warning("warehouse cannot be opened", path=str(self._path), fault=type(error).__name__)
            raise WarehouseUnavailable from error
        return connection


@dataclass(eq=False)
class _Engine:
    """DuckDB on the file; a fatal fault spoils all of it, not just the statement it happened in."""

    connection: Any
    spoiled: bool = False

    def judge(self, error: duckdb.Error) -> None:
        """Note whether a fault leaves the engine of use."""
        self.spoiled = self.spoiled or isinstance(error, duckdb.FatalException)


class _Run:
    """One statement from start to end: session, watch, log lines. Ends once, whoever asks."""

    def __init__(
        self,
        cursor: Any,
        relation: Any,
        statement: Statement,
        *,
        binds: Mapping[str, Bind],
        tag: Tag,
        deadline_s: float,
        statement_log: StatementLog,
    ) -> None:
        self.statement = statement
        self.watch = StatementWatch(deadline_s, cursor.interrupt)
        self.reader: Any = None
        self.row_count = 0
        self._cursor = cursor
        self._relation = relation
        self._binds = binds
        self._tag = tag
        self._deadline_s = deadline_s
        self._log = statement_log
        self._run_id: str | None = None
        # Held while the session works, and while it is closed.
        self.working = threading.RLock()
        self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended

    def start(self) -> None:
        self._run_id = self._log.start(self.statement, self._binds, self._tag)
        self.reader = self._relation.to_arrow_reader(BATCH_ROW_COUNT)

    def check(self) -> None:
        """Raise if there is a reason to end."""
        reason = self.watch.reason
        if reason == "timeout":
            raise StatementTimeout(self.statement.name, self._deadline_s)
        if reason == "cancelled":
            raise StatementCancelled(self.statement.name)

    def end(self, outcome: Outcome) -> None:
        with self.working:
            if self._ended:
                return
            self._ended = True
            self.watch.end()
            if self.reader is not None:
                self.reader.close()
            self._relation = None
            self._cursor.close()
            if self._run_id is not None:
                self._log.end(self._run_id, self.statement, self.row_count, outcome)


class DuckDBReading:
    """The rows of one statement; see `sluice_warehouse.Reading`."""

    def __init__(self, run: _Run, fitting: Fitting, fault: Fault, engine: _Engine) -> None:
        self._run = run
        self._engine = engine
        self._fitting = fitting
        self._fault = fault
        self._hung = False
        # A reading that is dropped without being closed must not keep its statement running.
        weakref.finalize(self, run.end, "left").atexit = False

    @property
    def schema(self) -> pa.Schema:
        return self._fitting.schema

    @property
    def row_count(self) -> int:
        return self._run.row_count

    @property
    def end_confirmed(self) -> bool:
        # The engine is part of this process: closing a cursor waits for its statement.
        return True

    def cancel(self) -> None:
        self._run.watch.cancel()

    def close(self) -> None:
        self.cancel()
        self._run.end("left")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        run = self._run
        with run.working:
            if run.ended:
                run.check()
                raise StopIteration
            try:
                batch = self._pull()
            except StopIteration:
                run.end("completed")
                raise
            except ServiceError as error:
                run.end(_outcome(error))
                raise
            run.row_count += batch.num_rows
            return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pull(self) -> pa.RecordBatch:
        run = self._run
        run.check()
        if self._engine.spoiled:
            raise WarehouseUnavailable
        try:
            if run.reader is None:
                self._start()
            self._break_off()
            batch = run.reader.read_next_batch()
        except duckdb.Error as error:
            raise self._broken_off(error) from error
        except (OSError, pa.ArrowException) as error:
            # Past the first row DuckDB's faults come through Arrow's C stream, which keeps the text only.
            raise self._broken_off(_from_text(str(error))) from error
        return self._fitting.fit(batch)

    def _broken_off(self, error: duckdb.Error) -> ServiceError:
        self._engine.judge(error)
        self._run.check()
        return _translated(self._run.statement, error)

    def _start(self) -> None:
        run = self._run
        self._hang(self._fault.hang_after_row_count == 0)
        if self._fault.error is not None and self._fault.after_row_count == 0:
            raise self._fault.error
        run.start()

    def _hang(self, now: bool) -> None:
        if now and self._fault.delay_s > 0 and not self._hung:
            self._hung = True
            self._run.watch.pause(self._fault.delay_s)
            self._run.check()

    def _break_off(self) -> None:
        self._hang(0 < self._fault.hang_after_row_count <= self._run.row_count)
        if self._fault.error is not None and self._run.row_count >= self._fault.after_row_count:
            raise self._fault.error


def _outcome(error: ServiceError) -> Outcome:
    if isinstance(error, StatementTimeout):
        return "timeout"
    return "cancelled" if isinstance(error, StatementCancelled) else "failed"


def _from_text(text: str) -> duckdb.Error:
    """Return the fault that a text of DuckDB's is about; its words stay behind."""
    return next((fault() for word, fault in _FAULT_BY_WORD if word in text), duckdb.Error())


def _translated(statement: Statement, error: duckdb.Error) -> ServiceError:
    log.warning("statement refused", statement=statement.name, fault=type(error).__name__)
    if isinstance(error, _UNAVAILABLE):
        return WarehouseUnavailable()
    for fault, ora in _ORA_BY_FAULT:
        if isinstance(error, fault):
            return WarehouseError(ora)
    return WarehouseError(_OTHER_FAULT)
