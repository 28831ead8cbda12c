"""The one table of error codes: what each is over gRPC, over HTTP, and when trying again makes sense.

Every member of `sluice.error.v1.ErrorCode` that is ever sent stands here; tests hold the table against the proto, the
error family, docs/errors.md and a running suite. Only the gateway looks at HTTP (ADR 0020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from grpc import StatusCode


@dataclass(frozen=True)
class Code:
    """How one code looks to callers.

    Args:
        status: over gRPC.
        http_status: over HTTP.
        title: the code in words, the same every time.
        retry_after_s: seconds after which trying again makes sense, where the error itself says nothing else; None
            when it never does by itself.
    """

    status: StatusCode
    http_status: int
    title: str
    retry_after_s: float | None = None


CODES: Final[Mapping[str, Code]] = {
    "INVALID_PARAMETER": Code(StatusCode.INVALID_ARGUMENT, 400, "A parameter is missing, malformed or out of range"),
    "UNAUTHENTICATED": Code(StatusCode.UNAUTHENTICATED, 401, "An identity is required"),
    "FORBIDDEN": Code(StatusCode.PERMISSION_DENIED, 403, "The caller may not do this"),
    "DATASET_NOT_FOUND": Code(StatusCode.NOT_FOUND, 404, "No such dataset"),
    "VIEW_NOT_FOUND": Code(StatusCode.NOT_FOUND, 404, "No such view"),
    "JOB_NOT_FOUND": Code(StatusCode.NOT_FOUND, 404, "No such job"),
    "CACHE_EXPIRED": Code(StatusCode.NOT_FOUND, 410, "The result is no longer there"),
    "QUERY_NOT_READY": Code(StatusCode.FAILED_PRECONDITION, 409, "The query still runs"),
    "QUERY_FINISHED": Code(StatusCode.FAILED_PRECONDITION, 409, "The query has already ended"),
    "RESULT_TOO_LARGE": Code(StatusCode.OUT_OF_RANGE, 413, "The answer is too large"),
    "TOO_MANY_IDS": Code(StatusCode.OUT_OF_RANGE, 413, "Too many ids in one request"),
    "CHUNK_TOO_LARGE": Code(StatusCode.OUT_OF_RANGE, 413, "A piece of the query is too large"),
    "RATE_LIMITED": Code(StatusCode.RESOURCE_EXHAUSTED, 429, "Too many requests", 5.0),
    "POOL_EXHAUSTED": Code(StatusCode.UNAVAILABLE, 503, "No warehouse connection came free", 5.0),
    "PERMITS_EXHAUSTED": Code(StatusCode.UNAVAILABLE, 503, "No warehouse permit came free", 5.0),
    "CIRCUIT_OPEN": Code(StatusCode.UNAVAILABLE, 503, "The warehouse is given a rest", 30.0),
    "WAREHOUSE_UNAVAILABLE": Code(StatusCode.UNAVAILABLE, 503, "The warehouse cannot be reached", 5.0),
    "MEMORY_PRESSURE": Code(StatusCode.UNAVAILABLE, 503, "Short of memory", 5.0),
    "SERVICE_UNAVAILABLE": Code(StatusCode.UNAVAILABLE, 503, "A part of Sluice is down or starting", 2.0),
    "INTERRUPTED": Code(StatusCode.UNAVAILABLE, 503, "The query was interrupted", 1.0),
    "QUERY_TIMEOUT": Code(StatusCode.DEADLINE_EXCEEDED, 504, "Time ran out"),
    # No registered status says "the client's own doing, earlier"; a conflict with the query's state comes closest.
    "CANCELLED": Code(StatusCode.CANCELLED, 409, "The query was cancelled"),
    "CONTRACT_BROKEN": Code(StatusCode.INTERNAL, 500, "The warehouse's answer does not fit its declaration"),
    "WAREHOUSE_ERROR": Code(StatusCode.INTERNAL, 502, "The warehouse refused the statement"),
    "INTERNAL": Code(StatusCode.INTERNAL, 500, "Internal error"),
}
