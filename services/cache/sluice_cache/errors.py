"""What the cache can fail for.

ServiceError
├── NotFound ── CacheExpired
├── OutOfRange ── ResultTooLarge
├── InvalidArgument ── InvalidParameter ── InvalidFrame, InvalidSql ── UnreadRows
├── DeadlineExceeded ── QueryTimeout (shared)
└── Unavailable ── MemoryPressure, StatementLost
"""

from __future__ import annotations

from sluice_rpc.errors import InvalidParameter, NotFound, OutOfRange, Unavailable


class CacheExpired(NotFound):
    """A well-formed id of a frame or manifest that is not, or no longer, there."""

    reason = "CACHE_EXPIRED"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name!r} is not, or no longer, in the cache")
        self.metadata = {f"{kind}_id": name}


class ResultTooLarge(OutOfRange):
    """More rows or bytes than the caller or the process allows."""

    reason = "RESULT_TOO_LARGE"

    def __init__(self, what: str, limit: int, observed: int) -> None:
        super().__init__(f"more than {limit} {what}", limit=limit, observed=observed)


class InvalidFrame(InvalidParameter):
    """The stream that was put is no frame: no header, no trailer, broken bytes, or other rows than it says."""


class InvalidSql(InvalidParameter):
    """Not one SELECT over the relations and functions that are allowed, or DuckDB refuses it."""

    def __init__(self, description: str, field: str = "sql") -> None:
        super().__init__(field, description)


class UnreadRows(InvalidSql):
    """DuckDB gave up while it read rows: the statement asks what they do not hold, or their file is broken."""


class MemoryPressure(Unavailable):
    """The statement needs more memory than the process may use."""

    reason = "MEMORY_PRESSURE"

    def __init__(self) -> None:
        super().__init__("the cache is short of memory for this")


class StatementLost(Unavailable):
    """What this statement ran in, or a copy that it read, is gone; the next try finds another that answers."""

    reason = "SERVICE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the statement was lost with what it ran on", service="cache")
