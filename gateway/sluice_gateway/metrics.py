"""Rate, errors and duration of HTTP requests."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from sluice_rpc.telemetry import BUCKETS_S

_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"})


class HttpMetrics:
    """Counts requests by method, path template and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._handled = Counter(
            "sluice_gateway_requests_total", "Requests that ended.", ["method", "path", "status"], registry=registry
        )
        self._duration = Histogram(
            "sluice_gateway_request_duration_seconds",
            "Time a request took, its streamed body included.",
            ["method", "path"],
            buckets=BUCKETS_S,
            registry=registry,
        )

    def observe(self, method: str, path: str, status: int, elapsed_s: float) -> None:
        """Count one ended request; status 0 when the client left before the answer."""
        known = method if method in _METHODS else "other"
        self._handled.labels(known, path, str(status)).inc()
        self._duration.labels(known, path).observe(elapsed_s)
