"""The twin's own log of the statements that really ran, as the DBA would see them: a file of JSON lines and counters.

Two lines for each statement, `start` when it starts and `end` when it has ended. Several processes append to one file.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sluice_warehouse import Bind, Statement, Tag

Outcome: TypeAlias = Literal["completed", "left", "cancelled", "timeout", "failed"]
"""How a statement ended; `left` is a reading closed before its last row."""

_SHOWN_BIND_COUNT: Final = 32
"""An id list of a thousand binds would make the log a copy of the request."""


@dataclass(frozen=True)
class StatementCounts:
    """What ran on this warehouse since it was opened, by this process."""

    started: int = 0
    ended: int = 0
    row_count: int = 0

    @property
    def running(self) -> int:
        """Statements that have started and not ended."""
        return self.started - self.ended


class StatementLog:
    """Counts statements and, given a path, writes them down.

    Args:
        path: where lines are appended; None only counts.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        # Protects the counters. Reentrant, since a reading may be collected, and so ended, by whoever counts.
        self._lock = threading.RLock()
        self._counts = StatementCounts()
        self._numbers = itertools.count(1)

    @property
    def counts(self) -> StatementCounts:
        """The counters now."""
        with self._lock:
            return self._counts

    def start(self, statement: Statement, binds: Mapping[str, Bind], tag: Tag) -> str:
        """Note that a statement starts and return the id that its `end` line will carry."""
        with self._lock:
            run_id = f"{os.getpid()}-{next(self._numbers)}"
            counts = self._counts
            self._counts = StatementCounts(counts.started + 1, counts.ended, counts.row_count)
        shown = {name: _shown(value) for name, value in itertools.islice(binds.items(), _SHOWN_BIND_COUNT)}
        self._append(
            kind="start",
            id=run_id,
            module=tag.module,
            action=tag.action,
            client_id=tag.client_id,
            statement=statement.name,
            binds=shown,
            bind_count=len(binds),
        )
        return run_id

    def end(self, run_id: str, statement: Statement, row_count: int, outcome: Outcome) -> None:
        """Note that a statement has ended, with the rows it handed out."""
        with self._lock:
            counts = self._counts
            self._counts = StatementCounts(counts.started, counts.ended + 1, counts.row_count + row_count)
        self._append(kind="end", id=run_id, statement=statement.name, row_count=row_count, outcome=outcome)

    def _append(self, **fields: object) -> None:
        if self._path is None:
            return
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **fields}, ensure_ascii=False)
        # One write in append mode keeps the lines of several processes whole.
        with self._path.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())


def _shown(value: Bind) -> str | int | float | None:
    return value.isoformat() if isinstance(value, date) else value
