"""What to read and what is there already: pure code that decides and never touches the world."""

from sluice_query_engine.planning.decompose import (
    cut_range,
    decompose_by_ids,
    decompose_by_row_count,
    decompose_by_time_range,
)
from sluice_query_engine.planning.query_hash import canonical_json, compute_query_hash
from sluice_query_engine.planning.time_range import TimeRange

__all__ = [
    "TimeRange",
    "canonical_json",
    "compute_query_hash",
    "cut_range",
    "decompose_by_ids",
    "decompose_by_row_count",
    "decompose_by_time_range",
]
