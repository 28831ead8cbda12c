"""The three ways in which the plant names a day, at the instant before a day begins and at the one at which it does."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest
from sluice_query_engine.days import DayRule, calendar_day, end_day, start_day

BEFORE = datetime(2024, 2, 29, 7, 29, 59, 999_000)
AT = datetime(2024, 2, 29, 7, 30)
HALF_PAST_SEVEN = time(7, 30)


def test_the_end_day_is_the_date_on_which_it_ends() -> None:
    assert (end_day(BEFORE), end_day(AT)) == (date(2024, 2, 29), date(2024, 3, 1))


def test_the_start_day_is_the_date_on_which_it_starts() -> None:
    assert (start_day(BEFORE), start_day(AT)) == (date(2024, 2, 28), date(2024, 2, 29))


def test_the_calendar_day_is_the_date_itself() -> None:
    last = datetime(2024, 2, 29, 23, 59, 59, 999_000)
    assert (calendar_day(last), calendar_day(datetime(2024, 3, 1))) == (date(2024, 2, 29), date(2024, 3, 1))


@pytest.mark.parametrize(
    "rule", [DayRule(HALF_PAST_SEVEN, "end"), DayRule(HALF_PAST_SEVEN, "start"), DayRule(time(0), "calendar")], ids=str
)
def test_the_range_of_a_day_holds_exactly_the_instants_of_that_day(rule: DayRule) -> None:
    day = date(2024, 2, 29)
    covered = rule.range_of(day, day)
    assert (rule.day_of(covered.start), rule.day_of(covered.end)) == (day, date(2024, 3, 1))
    assert rule.day_of(covered.end.replace(microsecond=0) - (AT - BEFORE)) == day
