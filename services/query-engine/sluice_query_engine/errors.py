"""What the query engine itself can refuse or lose; what the warehouse does wrong is in `sluice_warehouse.errors`.

NotFound
├── DatasetNotFound
├── ViewNotFound
├── CacheExpired
└── ChunksMissing
FailedPrecondition
├── QueryNotReady
└── QueryFinished
OutOfRange ── ChunkTooLarge
ResourceExhausted
├── TooManyQueries
└── TooManyWatchers
Unavailable ── Interrupted
Internal
├── ReferenceEmpty
└── RowsMoved
"""

from __future__ import annotations

from sluice_rpc.errors import (
    FailedPrecondition,
    Internal,
    NotFound,
    OutOfRange,
    ResourceExhausted,
    Unavailable,
)


class DatasetNotFound(NotFound):
    """No dataset folder has this name."""

    reason = "DATASET_NOT_FOUND"

    def __init__(self, dataset: str) -> None:
        super().__init__(f"dataset {dataset!r} does not exist", dataset=dataset)


class ViewNotFound(NotFound):
    """The dataset has no such view."""

    reason = "VIEW_NOT_FOUND"

    def __init__(self, dataset: str, view: str) -> None:
        super().__init__(f"dataset {dataset!r} has no view {view!r}", dataset=dataset, view=view)


class CacheExpired(NotFound):
    """A well-formed id of a query or frame that is not, or no longer, there."""

    reason = "CACHE_EXPIRED"

    def __init__(self, query_id: str) -> None:
        super().__init__(f"query {query_id} is not, or no longer, there; run it again", query_id=query_id)


class ChunksMissing(NotFound):
    """A plan is not known, or chunks of it are not there; the metadata names them by position."""

    reason = "CACHE_EXPIRED"

    def __init__(self, query_hash: str, indexes: tuple[int, ...]) -> None:
        which = ", ".join(map(str, indexes))
        message = f"chunks {which} of {query_hash} are missing" if indexes else f"plan {query_hash} has no chunks"
        super().__init__(message, query_id=query_hash, indexes=which)
        self.indexes = indexes


class QueryNotReady(FailedPrecondition):
    """The query still runs."""

    reason = "QUERY_NOT_READY"

    def __init__(self, query_id: str) -> None:
        super().__init__(f"query {query_id} still runs; ask again later or allow a partial answer", query_id=query_id)


class QueryFinished(FailedPrecondition):
    """The query has already ended, so it cannot be cancelled."""

    reason = "QUERY_FINISHED"

    def __init__(self, query_id: str, state: str) -> None:
        super().__init__(f"query {query_id} is already {state}", query_id=query_id, state=state)


class ChunkTooLarge(OutOfRange):
    """A chunk's bytes passed its limit; its statement was cancelled and nothing of it was kept."""

    reason = "CHUNK_TOO_LARGE"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"a chunk passed its limit of {limit_bytes} bytes", limit_bytes=limit_bytes)


class TooManyQueries(ResourceExhausted):
    """As many queries run as this process takes on."""

    reason = "RATE_LIMITED"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} queries run already", limit=limit)


class TooManyWatchers(ResourceExhausted):
    """As many streams watch queries as this process keeps open."""

    reason = "RATE_LIMITED"
    retry_after_s = 2.0

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} streams watch already; ask for the query instead", limit=limit)


class Interrupted(Unavailable):
    """The process that ran the query went away; starting it again reads what is missing."""

    reason = "INTERRUPTED"

    def __init__(self, query_id: str) -> None:
        super().__init__(f"the process that ran query {query_id} went away; start it again", query_id=query_id)


class ReferenceEmpty(Internal):
    """A reference table came back without rows, which would silently match nothing."""

    reason = "CONTRACT_BROKEN"

    def __init__(self, reference: str) -> None:
        super().__init__(f"reference {reference!r} has no rows", part=reference)


class RowsMoved(Internal):
    """Rows came or went while the pages of a chunk were read, so some may be lost or doubled; none of it is kept."""

    reason = "CONTRACT_BROKEN"

    def __init__(self, part: str, counted: int) -> None:
        super().__init__(
            f"the rows of {part!r} changed while their pages were read; {counted} had been counted", part=part
        )
