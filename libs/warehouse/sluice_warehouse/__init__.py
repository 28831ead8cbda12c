"""The one way to the warehouse: the Warehouse and Reading protocols, and what opens a warehouse by its URL.

Implementations, lanes, permits, statements and schemas live in the modules beside this one. Nothing here knows a
dataset or a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeAlias
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from sluice_warehouse.statements import Statement

__all__ = ["Bind", "Reading", "Statement", "Tag", "Warehouse", "open_warehouse", "outlives_process"]

Bind: TypeAlias = str | int | float | date | datetime | None
"""A value for one bind; datetimes are plant-local, without a zone."""


@dataclass(frozen=True)
class Tag:
    """Who runs a statement and for what, as the DBA sees it beside the session."""

    module: str
    """The process, or the process and the dataset."""
    action: str
    """What is being done: a chunk, a walk."""
    client_id: str
    """For whom: a user, or the id of the request."""


class Reading(Protocol):
    """The rows of one running statement.

    A context manager: leaving it, however it is left, ends the statement. Iterating yields record batches of the
    declared schema, at most 65,536 rows each, one pull at a time. The statement starts with the first pull, so that
    whoever holds the reading can cancel it while it looks for its first row.

    Raises while iterating:
        StatementTimeout: the deadline passed.
        StatementCancelled: `cancel` was called.
        ContractBroken: rows do not fit the schema.
        WarehouseError, WarehouseUnavailable: the statement broke off.
    """

    @property
    def schema(self) -> pa.Schema:
        """The declared schema, which every batch has."""
        ...

    @property
    def row_count(self) -> int:
        """Rows handed out so far."""
        ...

    @property
    def end_confirmed(self) -> bool:
        """Whether nothing of the statement runs in the warehouse any more, once the reading has been left.

        False where the connection was lost or cut while the statement ran: it may run on until its deadline.
        """
        ...

    def cancel(self) -> None:
        """Ask the warehouse to end the statement; from any thread, at any time, as often as one likes."""
        ...

    def close(self) -> None:
        """End the statement if it runs and free what it held; harmless when repeated."""
        ...

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Warehouse(Protocol):
    """Runs statements that only read; may be used from several threads at once."""

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> Reading:
        """Return the rows of the statement to come.

        Binds are checked at once; whether the text and its columns are good may not show before the first pull.

        Args:
            statement: what to run.
            binds: a value for exactly each of the statement's binds.
            schema: columns the rows must have; names compare without case, order is the schema's.
            deadline_s: seconds from now until the statement is ended, however far it got.
            tag: what the DBA reads beside the session.

        Raises:
            ValueError: a bind has no value, or a value no bind.
            WarehouseUnavailable: no session.
            WarehouseError: the statement was refused.
            ContractBroken: columns are missing or not declared.
        """
        ...

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> Reading:
        """Do as `open`, for a short look-up: on a connection that is shared with others, one after the other.

        Raises:
            PoolExhausted: no connection came free in time.
            Everything that `open` raises.
        """
        ...

    def plant_time(self) -> datetime:
        """Return what the plant's clock shows, plant-local, without a zone.

        Raises:
            WarehouseUnavailable: no session.
        """
        ...

    def ping(self) -> None:
        """Return if the warehouse answers.

        Raises:
            WarehouseUnavailable: it does not.
        """
        ...

    def close(self) -> None:
        """End every running statement and close all sessions."""
        ...


def outlives_process(url: str) -> bool:
    """Return whether a statement may go on in the warehouse of this URL when the process that started it was killed.

    Oracle may not notice a dead connection before it has rows to send; what is embedded dies with its process.
    """
    return urlsplit(url).scheme == "oracle"


def open_warehouse(
    url: str,
    *,
    statement_log: Path | None = None,
    fault_path: Path | None = None,
    memory_limit_bytes: int = 512 << 20,
    thread_count: int = 2,
) -> Warehouse:
    """Return the warehouse that a URL names; nothing is connected before the first statement.

    Args:
        url: `oracle://user@host:port/service`, with the rest in SLUICE_WAREHOUSE_*, see `oracle_settings`; or
            `duckdb:///absolute/path.duckdb`, the embedded twin.
        statement_log: JSON lines of every statement that really ran; only the twin keeps one.
        fault_path: faults on cue, see `sluice_warehouse.faults`; only the twin has them.
        memory_limit_bytes: of the embedded engine.
        thread_count: of the embedded engine.

    Raises:
        ValueError: the URL has another scheme, or lacks a piece.
        SettingsError: of an Oracle warehouse.
    """
    # Each implementation brings its driver; a process pays only for the one it uses.
    parts = urlsplit(url)
    if parts.scheme == "oracle":
        from sluice_warehouse.oracle import open_oracle
        from sluice_warehouse.oracle_settings import OracleSettings

        return open_oracle(url, OracleSettings.load())
    from sluice_warehouse.duckdb import DuckDBWarehouse

    # SQLAlchemy's four slashes before an absolute path mean the same as three.
    path = Path("/" + unquote(parts.path).lstrip("/"))
    if parts.scheme != "duckdb" or parts.netloc or not parts.path.startswith("/") or not path.name:
        # Not repeated: whoever mistypes the scheme may have put a password behind it.
        raise ValueError(
            "this is no warehouse URL; expected oracle://user@host:port/service or duckdb:///absolute/path.duckdb"
        )
    return DuckDBWarehouse(
        path,
        statement_log=statement_log,
        fault_path=fault_path,
        memory_limit_bytes=memory_limit_bytes,
        thread_count=thread_count,
    )
