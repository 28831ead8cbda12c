"""What the query engine counts besides its RPCs."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class EngineMetrics:
    """Queries and chunks by how they ended, and rows read."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        prefix = "sluice_query_engine"
        self._queries = Counter(
            f"{prefix}_queries_total", "Queries that ended.", ["dataset", "state"], registry=registry
        )
        self._chunks = Counter(
            f"{prefix}_chunks_total", "Chunks that ended.", ["dataset", "part", "outcome"], registry=registry
        )
        self._rows = Counter(
            f"{prefix}_warehouse_rows_total", "Rows of chunks that were stored.", ["dataset", "part"], registry=registry
        )

    def watch_redis(self, up: Callable[[], bool]) -> None:
        """Show whether Redis answered when last asked; not called where none is set."""
        gauge = Gauge(
            "sluice_query_engine_redis_up", "Redis answered; 0: each engine is alone.", registry=self._registry
        )
        gauge.set_function(lambda: float(up()))

    def query_ended(self, dataset: str, state: str) -> None:
        """Count one query."""
        self._queries.labels(dataset, state).inc()

    def chunk_ended(self, dataset: str, part: str, outcome: str, row_count: int) -> None:
        """Count one chunk, `stored` or `failed`, and its rows."""
        self._chunks.labels(dataset, part, outcome).inc()
        self._rows.labels(dataset, part).inc(row_count)
