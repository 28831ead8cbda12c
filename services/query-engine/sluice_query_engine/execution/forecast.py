"""What the missing chunks of a plan will probably take, from chunks already read; nothing is asked of anybody."""

from __future__ import annotations

import threading

from sluice_rpc.errors import Unavailable

from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution.survey import freshness_rule
from sluice_query_engine.planning.extents import Extent
from sluice_query_engine.planning.id_extents import IdExtent
from sluice_query_engine.planning.plan import Plan
from sluice_query_engine.planning.time_range import instant_text
from sluice_query_engine.plant_clock import PlantClock

_WEIGHT = 0.3
"""Of the newest chunk in the running mean; older chunks fade within about ten."""


class Forecast:
    """Estimates and warnings for people who have not pressed Run yet.

    Args:
        plant_clock: tells ranges that reach the newest edge.
    """

    def __init__(self, plant_clock: PlantClock) -> None:
        self.plant_clock = plant_clock
        self._chunk_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def learn(self, dataset: str, elapsed_s: float) -> None:
        """Note how long one chunk of a dataset took."""
        with self._lock:
            before = self._chunk_s.get(dataset, elapsed_s)
            self._chunk_s[dataset] = before + _WEIGHT * (elapsed_s - before)

    def duration_s(self, dataset: Dataset, plan: Plan) -> float | None:
        """Return seconds that reading what is missing will take; None before any chunk was read."""
        chunk_s = self._chunk_s.get(dataset.name)
        if not plan.missing:
            return 0.0
        return None if chunk_s is None else round(chunk_s * len(plan.missing) / dataset.limits.parallel, 2)

    def row_count(self, dataset: Dataset, plan: Plan) -> int | None:
        """Return rows that are missing, from the rows per day, and per id, of the chunks that are there.

        None where something is missing of which nothing like it is there. A part that depends on the start only counts
        for nothing.
        """
        extents = [chunk.extent for chunk in plan.chunks]
        cut = [item for item in extents if isinstance(item, Extent) and item.range is not None]
        batches = [item for item in extents if isinstance(item, IdExtent)]
        of_days = _expected(
            sum(chunk.days for chunk in plan.missing),
            sum(item.range.length.total_seconds() for item in cut if item.range) / 86_400,
            sum(item.row_count for item in cut),
        )
        of_ids = _expected(
            sum(len(chunk.ids) for chunk in plan.missing),
            sum(len(item.ids) for item in batches),
            sum(item.row_count for item in batches),
        )
        return None if of_days is None or of_ids is None else round(of_days + of_ids)

    def warnings(self, dataset: Dataset, plan: Plan) -> list[str]:
        """Return what is worth knowing before the query is run."""
        try:
            now = self.plant_clock.now()
        except Unavailable:
            return ["The warehouse does not answer at the moment."]
        if plan.range is None:
            return []
        if plan.range.end > now:
            return [f"The range ends after the plant's clock, {instant_text(now)}; what is to come is not there."]
        if plan.range.end > now - freshness_rule(dataset).settles_after:
            return [f"The range reaches the newest edge; the plant's clock shows {instant_text(now)}."]
        return []


def _expected(wanted: float, there: float, row_count: int) -> float | None:
    """Return rows of what is wanted at the rate of what is there; None where nothing tells the rate."""
    if not wanted:
        return 0.0
    return row_count / there * wanted if there else None
