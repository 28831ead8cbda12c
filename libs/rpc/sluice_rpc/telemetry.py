"""Rate, errors and duration of every RPC, and the port where Prometheus reads them."""

from __future__ import annotations

import threading
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class RpcMetrics:
    """Counts RPCs of one process by method, gRPC status and reason."""

    def __init__(self, process: str, registry: CollectorRegistry) -> None:
        prefix = f"sluice_{process.replace('-', '_')}"
        self._handled = Counter(
            f"{prefix}_rpcs_total", "RPCs that ended.", ["method", "status", "reason"], registry=registry
        )
        self._duration = Histogram(
            f"{prefix}_rpc_duration_seconds", "Time an RPC took.", ["method"], buckets=BUCKETS_S, registry=registry
        )

    def observe(self, method: str, status: str, reason: str, elapsed_s: float) -> None:
        """Count one ended RPC."""
        self._handled.labels(method, status, reason).inc()
        self._duration.labels(method).observe(elapsed_s)


def serve_metrics(listen: str, registry: CollectorRegistry) -> tuple[WSGIServer, threading.Thread] | None:
    """Serve `/metrics` on `host:port`; an empty address means no metrics port and gives None."""
    if not listen:
        return None
    host, _, port = listen.rpartition(":")
    return start_http_server(int(port), addr=host, registry=registry)
