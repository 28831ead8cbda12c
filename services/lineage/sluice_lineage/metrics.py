"""What lineage counts beside its RPCs: the permits it holds and the calls that wait for one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge
from sluice_warehouse.permits import Permits


def register_permits(permits: Permits, registry: CollectorRegistry) -> None:
    """Show the permits of the slow lane as gauges, read at scrape time."""
    available = Gauge("sluice_lineage_permits_available", "Permits that could be taken now.", registry=registry)
    available.set_function(lambda: permits.available_count)
    waiting = Gauge("sluice_lineage_permits_waiting", "Calls that wait for a permit.", registry=registry)
    waiting.set_function(lambda: permits.snapshot().waiting_count)
