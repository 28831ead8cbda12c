"""The permits of a process as Prometheus sees them, read when it asks: `sluice_permits_*`, alike in every process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sluice_warehouse.permit_ledger import State
from sluice_warehouse.permits import Permits

STATES = (*get_args(State), "away", "none")


class PermitMetrics(Collector):
    """Gauges of one process's permits.

    Args:
        permits: asked at every scrape.
        registry: where the gauges are registered.
    """

    def __init__(self, permits: Permits, registry: CollectorRegistry) -> None:
        self._permits = permits
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of one snapshot, so that they fit together."""
        now = self._permits.snapshot()
        counts = {
            "share": ("Permits reserved for this process.", now.share_count),
            "total": ("Permits this process could hold now: its share, leases held and leases free.", now.total_count),
            "active": ("Permits held, those in quarantine included.", len(now.held)),
            "leased": ("Leases held, those in quarantine included.", now.leased_count),
            "quarantined": ("Permits whose statement is not known to have ended.", now.quarantined_count),
            "available": ("Permits that could be taken now.", now.available_count),
            "waiting": ("Calls that wait for a permit.", now.waiting_count),
            "grace_seconds": ("Time until leases are granted again.", now.grace_left_s),
        }
        for name, (meaning, value) in counts.items():
            yield GaugeMetricFamily(f"sluice_permits_{name}", meaning, value=value)
        state = GaugeMetricFamily("sluice_permits_lease_state", "1 for the state of leases.", labels=["state"])
        for name in STATES:
            state.add_metric([name], 1 if name == now.lease_state else 0)
        yield state
