"""Who is logged on and what runs: records as V$SESSION has them, limits, and counts of statements in flight."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from sluice_twin.oracle_wire.errors import OraError

Status: TypeAlias = Literal["ACTIVE", "INACTIVE"]

_FIRST_SESSION_ID: Final = 101


@dataclass(frozen=True)
class SessionRecord:
    """One session as it is at this moment."""

    session_id: int
    user: str
    module: str = ""
    action: str = ""
    client_identifier: str = ""
    client_info: str = ""
    status: Status = "INACTIVE"
    """ACTIVE within a call."""
    sql: str = ""
    """The statement run last."""
    open_statement_count: int = 0
    """Statements that were executed and have not ended."""


class SessionTable:
    """All sessions of a server.

    Args:
        session_limit: sessions at once, of all users; None has no limit.
        user_limit: sessions at once of one user; None has no limit.
        counted: says of a statement's text whether it counts as in flight; None counts all.
    """

    def __init__(
        self, session_limit: int | None, user_limit: int | None, counted: Callable[[str], bool] | None = None
    ) -> None:
        self._counted = counted
        self.session_limit = session_limit
        self.user_limit = user_limit
        # Protects everything below.
        self._lock = threading.Lock()
        self._ids = itertools.count(_FIRST_SESSION_ID)
        self._records: dict[int, SessionRecord] = {}
        self._killed: set[int] = set()
        self._in_flight = 0
        self._peak = 0
        self._active = 0

    def new_id(self) -> int:
        """Return the id of a session that is about to log on."""
        with self._lock:
            return next(self._ids)

    def admit(self, session_id: int, user: str) -> None:
        """Let a session in.

        Raises:
            OraError: a limit is reached.
        """
        with self._lock:
            mine = sum(record.user == user for record in self._records.values())
            if self.session_limit is not None and len(self._records) >= self.session_limit:
                raise OraError(18)
            if self.user_limit is not None and mine >= self.user_limit:
                raise OraError(2391)
            self._records[session_id] = SessionRecord(session_id, user)

    def leave(self, session_id: int) -> None:
        """Forget a session; statements it had open have ended with it."""
        with self._lock:
            record = self._records.pop(session_id, None)
            self._killed.discard(session_id)
            if record is not None:
                self._in_flight -= record.open_statement_count
                self._active -= record.status == "ACTIVE"

    def name(self, session_id: int, **attributes: str | None) -> None:
        """Set what a client says of itself; None leaves an attribute as it was."""
        given = {key: value for key, value in attributes.items() if value is not None}
        with self._lock:
            self._records[session_id] = replace(self._records[session_id], **given)  # type: ignore[arg-type]

    def begin_call(self, session_id: int) -> None:
        """Note that a session works."""
        self._set_status(session_id, "ACTIVE")

    def end_call(self, session_id: int) -> None:
        """Note that a session waits for its client."""
        self._set_status(session_id, "INACTIVE")

    def begin_statement(self, session_id: int, sql: str) -> bool:
        """Count a statement as running, and say whether it counts."""
        with self._lock:
            record = self._records[session_id]
            if self._counted is not None and not self._counted(sql):
                self._records[session_id] = replace(record, sql=sql)
                return False
            self._records[session_id] = replace(record, sql=sql, open_statement_count=record.open_statement_count + 1)
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)
            return True

    def end_statement(self, session_id: int) -> None:
        """Count a statement as ended."""
        with self._lock:
            record = self._records[session_id]
            self._records[session_id] = replace(record, open_statement_count=record.open_statement_count - 1)
            self._in_flight -= 1

    def kill(self, session_id: int) -> None:
        """Let the next call of a session end it with ORA-00028."""
        with self._lock:
            if session_id in self._records:
                self._killed.add(session_id)

    def killed(self, session_id: int) -> bool:
        """Say whether a session was killed."""
        with self._lock:
            return session_id in self._killed

    def record(self, session_id: int) -> SessionRecord:
        """Return one session."""
        with self._lock:
            return self._records[session_id]

    @property
    def records(self) -> list[SessionRecord]:
        """All sessions, oldest first."""
        with self._lock:
            return list(self._records.values())

    @property
    def in_flight(self) -> int:
        """Statements executed and not ended."""
        with self._lock:
            return self._in_flight

    @property
    def peak_in_flight(self) -> int:
        """Most statements that were in flight at once."""
        with self._lock:
            return self._peak

    @property
    def active(self) -> int:
        """Sessions within a call."""
        with self._lock:
            return self._active

    def _set_status(self, session_id: int, status: Status) -> None:
        with self._lock:
            record = self._records.get(session_id)
            if record is None or record.status == status:
                return
            self._records[session_id] = replace(record, status=status)
            self._active += 1 if status == "ACTIVE" else -1
