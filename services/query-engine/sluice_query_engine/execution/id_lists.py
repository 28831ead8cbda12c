"""Long lists of ids among a query's parameters: shown as a frame that holds them, and read from it again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import CacheExpired
from sluice_query_engine.execution.id_sets import IdSets, read_sets
from sluice_query_engine.parameters import JSON

LONGEST_SHOWN: Final = 1000
"""Ids that a query shows in full. Progress of 100,000 ids would be 2 MB at every step of every chunk."""
_FRAME: Final = "ids_frame"


def shown(
    cache: FrameCache,
    dataset: Dataset,
    parameters: Mapping[str, JSON],
    now: datetime,
    keep_for: timedelta,
    *,
    longest: int = LONGEST_SHOWN,
) -> dict[str, JSON]:
    """Return the parameters with each longer list of ids as `{"ids_frame", "id_count"}`, kept for so long.

    Raises:
        ServiceError: the cache did not take a list.
    """
    lists = dataset.id_lists
    return {
        name: _framed(cache, value, now, keep_for)
        if name in lists and isinstance(value, list) and len(value) > longest
        else value
        for name, value in parameters.items()
    }


def given(cache: FrameCache, parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return parameters as `shown` returned them with their lists in full.

    Raises:
        CacheExpired: a list is not, or no longer, there.
        ServiceUnavailable: the cache is away.
    """
    return {
        name: _listed(cache, str(value[_FRAME])) if isinstance(value, dict) and _FRAME in value else value
        for name, value in parameters.items()
    }


def _framed(cache: FrameCache, ids: list[JSON], now: datetime, keep_for: timedelta) -> JSON:
    frame_id = IdSets({0: [str(item) for item in ids]}).keep(cache, now, keep_for)
    return {_FRAME: frame_id, "id_count": len(ids)}


def _listed(cache: FrameCache, frame_id: str) -> JSON:
    sets = read_sets(cache, frame_id)
    if 0 not in sets:
        raise CacheExpired(frame_id)
    return [*sorted(sets[0])]
