"""The cache's own numbers for Prometheus: each tier's counts, read when they are scraped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from sluice_cache.pressure_watch import PressureWatch
from sluice_cache.sql.native import NativeTables
from sluice_cache.sql.results import Results
from sluice_cache.tiers import Counted


class CacheMetrics(Collector):
    """Counts of all tiers, DuckDB's own tables and kept results, and where the ladder of memory pressure stands."""

    def __init__(
        self,
        tiers: Sequence[Counted],
        native: NativeTables,
        results: Results,
        pressure: PressureWatch,
        registry: CollectorRegistry,
    ) -> None:
        self._tiers = tiers
        self._native = native
        self._results = results
        self._pressure = pressure
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        yield from self._of_tiers()
        yield GaugeMetricFamily(
            "sluice_cache_native_bytes", "Decoded bytes of frames held as DuckDB tables.", value=self._native.bytes
        )
        yield from self._of_results()
        yield from self._of_memory()

    def _of_results(self) -> Iterator[Metric]:
        counts = self._results.counts()
        yield GaugeMetricFamily("sluice_cache_results_bytes", "Bytes of kept tables of statements.", value=counts.bytes)
        yield CounterMetricFamily("sluice_cache_result_hits", "Statements answered from them.", value=counts.hit_count)
        yield CounterMetricFamily("sluice_cache_result_misses", "Statements that ran.", value=counts.miss_count)
        yield CounterMetricFamily(
            "sluice_cache_result_evictions", "Kept tables dropped for room.", value=counts.eviction_count
        )

    def _of_memory(self) -> Iterator[Metric]:
        stands = self._pressure.pressure()
        level, own = stands.level, stands.reading.own_bytes
        yield GaugeMetricFamily("sluice_cache_memory_level", "0 normal, 1 warn, 2 evict, 3 refuse.", value=level)
        yield GaugeMetricFamily("sluice_cache_memory_own_bytes", "Resident less pages of mapped files.", value=own)
        yield GaugeMetricFamily(
            "sluice_cache_memory_limit_bytes", "Most that it may hold; 0 unknown.", value=stands.reading.limit_bytes
        )
        yield CounterMetricFamily(
            "sluice_cache_memory_refusals", "Calls refused for want of memory.", value=stands.refusal_count
        )

    def _of_tiers(self) -> Iterator[Metric]:
        available = GaugeMetricFamily("sluice_cache_tier_available", "1 when the tier answers.", labels=["tier"])
        frames = GaugeMetricFamily("sluice_cache_tier_frames", "Frames in the tier.", labels=["tier"])
        size = GaugeMetricFamily("sluice_cache_tier_bytes", "Bytes in the tier.", labels=["tier"])
        hits = CounterMetricFamily("sluice_cache_tier_hits", "Reads answered by the tier.", labels=["tier"])
        misses = CounterMetricFamily("sluice_cache_tier_misses", "Reads that went on.", labels=["tier"])
        evictions = CounterMetricFamily("sluice_cache_tier_evictions", "Frames dropped for room.", labels=["tier"])
        for tier in self._tiers:
            counts = tier.counts()
            label = [tier.kind.name.lower()]
            available.add_metric(label, float(counts.available))
            frames.add_metric(label, counts.frame_count)
            size.add_metric(label, counts.bytes)
            hits.add_metric(label, counts.hit_count)
            misses.add_metric(label, counts.miss_count)
            evictions.add_metric(label, counts.eviction_count)
        yield from (available, frames, size, hits, misses, evictions)
