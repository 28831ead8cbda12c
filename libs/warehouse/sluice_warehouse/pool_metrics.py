"""The connections for short look-ups as Prometheus sees them, read when it asks: `sluice_warehouse_pool_*`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sluice_warehouse.lanes import PoolLane


class PoolMetrics(Collector):
    """Gauges of one process's pool lane.

    Args:
        lane: asked at every scrape.
        registry: where the gauges are registered.
    """

    def __init__(self, lane: PoolLane, registry: CollectorRegistry) -> None:
        self._lane = lane
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of one snapshot, so that they fit together."""
        now = self._lane.slots.snapshot()
        counts = {
            "size": ("Short look-ups that may run at once.", now.share_count),
            "busy": ("Short look-ups that run, those in quarantine included.", len(now.held)),
            "quarantined": ("Of these, those whose end is not known.", now.quarantined_count),
            "waiting": ("Short look-ups that wait for a connection.", now.waiting_count),
        }
        for name, (meaning, value) in counts.items():
            yield GaugeMetricFamily(f"sluice_warehouse_pool_{name}", meaning, value=value)
