"""Parts whose days, or whose window, are not those of their dataset: which range each is read and cut for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.days import DayRule
from sluice_query_engine.execution.manifest import clipped
from sluice_query_engine.parameters import part_range
from sluice_query_engine.parts import Part
from sluice_query_engine.planning.planner import CutRule, PartShape, plan_query
from sluice_query_engine.planning.time_range import TimeRange

ASKED = {"start_date": "2025-03-10", "end_date": "2025-03-11"}
WANTED = TimeRange(datetime(2025, 3, 9, 7, 30), datetime(2025, 3, 11, 7, 30))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def part(dataset: Dataset) -> Part:
    return dataset.parts[0]


def test_a_padded_part_reaches_days_beyond_the_query_on_both_sides(dataset: Dataset, part: Part) -> None:
    covered = part_range(dataset, replace(part, pad_days=30), ASKED)
    assert (covered.start, covered.end) == (datetime(2025, 2, 7, 7, 30), datetime(2025, 4, 10, 7, 30))


def test_a_part_with_days_of_its_own_is_read_for_these(dataset: Dataset, part: Part) -> None:
    started = part_range(dataset, replace(part, day_rule=DayRule(time(7, 30), "start")), ASKED)
    calendar = part_range(dataset, replace(part, day_rule=DayRule(time(0), "calendar")), ASKED)
    assert (started.start, started.end) == (datetime(2025, 3, 10, 7, 30), datetime(2025, 3, 12, 7, 30))
    assert (calendar.start, calendar.end) == (datetime(2025, 3, 10), datetime(2025, 3, 12))


def test_the_clip_of_the_query_is_not_for_parts_with_a_range_of_their_own(part: Part) -> None:
    assert (clipped(part), clipped(replace(part, pad_days=1))) == (True, False)


def test_parts_of_one_query_are_cut_each_within_its_own_range() -> None:
    padded = TimeRange(datetime(2025, 3, 1), datetime(2025, 3, 21))
    shapes = [PartShape("hours", "time"), PartShape("rejects", "time", padded), PartShape("held", "start")]
    plan = plan_query(WANTED, shapes, [], CutRule(direct_max_days=5, grain_days=10), NOW)
    ranges = {name: [(c.start, c.end) for c in plan.chunks if c.part == name] for name in ("hours", "rejects", "held")}
    assert ranges == {
        "hours": [(WANTED.start, WANTED.end)],
        "rejects": [(padded.start, datetime(2025, 3, 11)), (datetime(2025, 3, 11), padded.end)],
        "held": [(WANTED.start, None)],
    }
