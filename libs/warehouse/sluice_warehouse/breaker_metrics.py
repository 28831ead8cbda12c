"""The state of the breaker for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sluice_warehouse import Warehouse
from sluice_warehouse.breaker import Breaker, State
from sluice_warehouse.guarded import GuardedWarehouse

_STATES: Final[tuple[State, ...]] = get_args(State)


def register_breaker(warehouse: Warehouse, registry: CollectorRegistry) -> None:
    """Show the breaker of a warehouse that has one: `sluice_warehouse_breaker_state{state}` and its failures."""
    if isinstance(warehouse, GuardedWarehouse):
        registry.register(_BreakerCollector(warehouse.breaker))


class _BreakerCollector(Collector):
    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def collect(self) -> Iterator[Metric]:
        now = self._breaker.snapshot()
        state = GaugeMetricFamily(
            "sluice_warehouse_breaker_state", "1 for the state the breaker is in.", labels=["state"]
        )
        for name in _STATES:
            state.add_metric([name], float(name == now.state))
        yield state
        yield GaugeMetricFamily(
            "sluice_warehouse_breaker_failures", "Failures among the latest results.", value=now.failure_count
        )
