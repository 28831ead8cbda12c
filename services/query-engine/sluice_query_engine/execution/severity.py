"""Which of several failures a caller should hear of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sluice_rpc.errors import ServiceError

_MOST_SEVERE_FIRST: Final = (
    "INTERNAL",
    "CONTRACT_BROKEN",
    "WAREHOUSE_ERROR",
    "CHUNK_TOO_LARGE",
    "RESULT_TOO_LARGE",
    "QUERY_TIMEOUT",
    "WAREHOUSE_UNAVAILABLE",
    "CIRCUIT_OPEN",
    "SERVICE_UNAVAILABLE",
    "MEMORY_PRESSURE",
    "PERMITS_EXHAUSTED",
    "POOL_EXHAUSTED",
    "CANCELLED",
)
"""Faults that stay come before those that may be gone at the next try: what is told should not promise too much."""


def most_severe(errors: Sequence[ServiceError]) -> ServiceError:
    """Return the error whose cause is the hardest to wait out; errors must not be empty."""
    return min(errors, key=_rank)


def _rank(error: ServiceError) -> int:
    reason = error.reason
    return _MOST_SEVERE_FIRST.index(reason) if reason in _MOST_SEVERE_FIRST else 0
