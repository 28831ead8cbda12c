"""The two lanes to the warehouse: slow for chunks, lineage and events, behind permits; pool for short look-ups.

A lane bounds how many statements run at once and how long; what they say and return is not its business.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from sluice_warehouse import Bind, Reading, Statement, Tag, Warehouse
from sluice_warehouse.errors import PermitsExhausted, PoolExhausted, StatementTimeout
from sluice_warehouse.permits import LONGEST_HOLD_S, MARGIN_S, LocalPermits, Permits

PERMIT_WAIT_S: Final = 60.0
"""Longest wait for a permit."""
POOL_DEADLINE_S: Final = 55.0
"""Longest a short look-up may run."""
POOL_WAIT_S: Final = 5.0
"""Longest wait for a pooled connection."""


class SlowLane:
    """Runs each statement under a permit of its own.

    Args:
        warehouse: where statements run.
        permits: how many may run at once.
        permit_wait_s: longest wait for a permit.
    """

    def __init__(self, warehouse: Warehouse, permits: Permits, *, permit_wait_s: float = PERMIT_WAIT_S) -> None:
        self._warehouse = warehouse
        self._permits = permits
        self._permit_wait_s = permit_wait_s

    @property
    def permits(self) -> Permits:
        """The permits of this lane."""
        return self._permits

    @contextmanager
    def read(
        self,
        statement: Statement,
        binds: Mapping[str, Bind],
        *,
        schema: pa.Schema,
        deadline_s: float,
        tag: Tag,
        withdrawn: threading.Event | None = None,
        statement_s: float = LONGEST_HOLD_S,
    ) -> Iterator[Reading]:
        """Wait for a permit, run the statement, and give the permit back once the statement has ended.

        An end that the warehouse has not confirmed leaves the permit in quarantine, see `permits`.

        Args:
            statement, binds: what to run, and its values.
            schema: the columns it must yield.
            deadline_s: seconds from now for the wait and the statement together.
            tag: what the DBA reads beside the session.
            withdrawn: set to end the wait for a permit; a running statement is ended by `Reading.cancel`.
            statement_s: longest the statement may run once it has its permit.

        Raises:
            PermitsExhausted: no permit within 60 s or the deadline.
            StatementCancelled: withdrawn while waiting.
            Everything that `Warehouse.open` and the reading raise.
        """
        until = time.monotonic() + deadline_s
        who = f"{tag.module} {tag.action} for {tag.client_id}"
        hold_s = min(LONGEST_HOLD_S, statement_s, deadline_s)
        with self._permits.acquire(min(self._permit_wait_s, deadline_s), who, withdrawn, hold_s=hold_s) as permit:
            left_s = min(time.monotonic() + statement_s, until, permit.until) - time.monotonic()
            if left_s <= 0:
                raise StatementTimeout(statement.name, deadline_s)
            reading = self._warehouse.open(statement, binds, schema=schema, deadline_s=left_s, tag=tag)
            try:
                with reading:
                    permit.when_lost(reading.cancel)
                    # The deadline counts from `open`, and the process may have been paused on the way there.
                    if not permit.covers(time.monotonic() + left_s):
                        raise StatementTimeout(statement.name, deadline_s)
                    yield reading
            finally:
                permit.release(confirmed=reading.end_confirmed)


class PoolLane:
    """Runs short look-ups on a bounded number of connections, which no other process shares.

    A connection that was lost with its statement running counts as in use until the statement's deadline and a margin,
    so that what still runs at the warehouse never exceeds the bound either.

    Args:
        warehouse: where statements run.
        size: connections.
        wait_s: longest wait for one.
        margin_s: that margin.
    """

    def __init__(
        self, warehouse: Warehouse, size: int, *, wait_s: float = POOL_WAIT_S, margin_s: float = MARGIN_S
    ) -> None:
        self._warehouse = warehouse
        self._size = size
        self._wait_s = wait_s
        self._slots = LocalPermits(size, margin_s=margin_s)

    @property
    def slots(self) -> Permits:
        """Who uses the connections."""
        return self._slots

    @contextmanager
    def read(
        self,
        statement: Statement,
        binds: Mapping[str, Bind],
        *,
        schema: pa.Schema,
        tag: Tag,
        deadline_s: float = POOL_DEADLINE_S,
    ) -> Iterator[Reading]:
        """Run a short look-up; never longer than 55 s.

        Raises:
            PoolExhausted: no connection came free within 5 s.
            Everything that `Warehouse.open` and the reading raise.
        """
        limit_s = min(deadline_s, POOL_DEADLINE_S)
        who = f"{tag.module} {tag.action} for {tag.client_id}"
        try:
            slot = self._slots.acquire(self._wait_s, who, hold_s=limit_s)
        except PermitsExhausted as error:
            raise PoolExhausted(self._size, self._wait_s) from error
        with slot:
            reading = self._warehouse.open_pooled(statement, binds, schema=schema, deadline_s=limit_s, tag=tag)
            try:
                with reading:
                    yield reading
            finally:
                slot.release(confirmed=reading.end_confirmed)
