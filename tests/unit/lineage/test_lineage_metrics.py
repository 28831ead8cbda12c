"""What lineage shows of its permits."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from sluice_lineage.metrics import register_permits
from sluice_warehouse.permits import LocalPermits


def test_permits_are_shown_as_they_are_when_asked() -> None:
    permits, registry = LocalPermits(2), CollectorRegistry()
    register_permits(permits, registry)
    with permits.acquire(1, "walk"):
        held = registry.get_sample_value("sluice_lineage_permits_available")
    assert (held, registry.get_sample_value("sluice_lineage_permits_available")) == (1, 2)


def test_nobody_waits_for_a_permit_that_is_free() -> None:
    permits, registry = LocalPermits(2), CollectorRegistry()
    register_permits(permits, registry)
    assert registry.get_sample_value("sluice_lineage_permits_waiting") == 0
