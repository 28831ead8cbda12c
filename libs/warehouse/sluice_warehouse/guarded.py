"""A warehouse behind a circuit breaker: what counts as its failure, and who is refused meanwhile."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Self

import pyarrow as pa
from sluice_rpc.errors import ServiceError

from sluice_warehouse import Bind, Reading, Statement, Tag, Warehouse
from sluice_warehouse.breaker import Breaker, Passage
from sluice_warehouse.errors import (
    LogonRefused,
    PasswordUnreadable,
    PoolExhausted,
    StatementCancelled,
    StatementTimeout,
    WarehouseUnavailable,
)


class GuardedWarehouse:
    """Another warehouse, as long as it is there.

    Only a warehouse that cannot be reached, drops a session or stays silent counts as failing. One that refuses a
    statement or cancels it in time is there, however wrong the statement is; a full pool, and a password that is not
    sent, say something of us.

    Args:
        warehouse: what is asked.
        breaker: whether it is.
    """

    def __init__(self, warehouse: Warehouse, breaker: Breaker) -> None:
        self._warehouse = warehouse
        self._breaker = breaker

    @property
    def breaker(self) -> Breaker:
        """The breaker, for metrics and health."""
        return self._breaker

    @property
    def behind(self) -> Warehouse:
        """The warehouse itself."""
        return self._warehouse

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> Reading:
        """See `Warehouse.open`.

        Raises:
            CircuitOpen: the warehouse failed repeatedly and rests.
        """
        passage = self._breaker.admit()
        try:
            reading = self._warehouse.open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)
        except (ServiceError, ValueError) as error:
            _tell(passage, error)
            raise
        return _GuardedReading(reading, passage)

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> Reading:
        """See `Warehouse.open_pooled`; raises CircuitOpen as `open` does."""
        passage = self._breaker.admit()
        try:
            reading = self._warehouse.open_pooled(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)
        except (ServiceError, ValueError) as error:
            _tell(passage, error)
            raise
        return _GuardedReading(reading, passage)

    def plant_time(self) -> datetime:
        passage = self._breaker.admit()
        try:
            shown = self._warehouse.plant_time()
        except (ServiceError, ValueError) as error:
            _tell(passage, error)
            raise
        passage.succeeded()
        return shown

    def ping(self) -> None:
        """Ask past the breaker: a health check says how the warehouse is, not how it was."""
        self._warehouse.ping()

    def close(self) -> None:
        self._warehouse.close()


class _GuardedReading:
    """A reading that tells the breaker how it went: with the first rows, and when it breaks off."""

    def __init__(self, reading: Reading, passage: Passage) -> None:
        self._reading = reading
        self._rows = iter(reading)
        self._passage = passage
        self._told = False
        weakref.finalize(self, passage.left).atexit = False

    @property
    def schema(self) -> pa.Schema:
        return self._reading.schema

    @property
    def row_count(self) -> int:
        return self._reading.row_count

    @property
    def end_confirmed(self) -> bool:
        return self._reading.end_confirmed

    def cancel(self) -> None:
        self._reading.cancel()

    def close(self) -> None:
        try:
            self._reading.close()
        finally:
            self._passage.left()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        try:
            batch = next(self._rows)
        except StopIteration:
            self._answered()
            raise
        except ServiceError as error:
            _tell(self._passage, error, silent=not self._reading.end_confirmed)
            raise
        self._answered()
        return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answered(self) -> None:
        if not self._told:
            self._told = True
            self._passage.succeeded()


def _tell(passage: Passage, error: ServiceError | ValueError, *, silent: bool = False) -> None:
    if isinstance(error, WarehouseUnavailable) or (silent and isinstance(error, StatementTimeout)):
        passage.failed()
    elif isinstance(error, ServiceError) and not isinstance(
        error, StatementTimeout | StatementCancelled | PoolExhausted | LogonRefused | PasswordUnreadable
    ):
        passage.succeeded()
    else:
        passage.left()
