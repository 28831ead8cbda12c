"""The ladder of memory pressure: up at once, down only past the relief, and what is done on each rung."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sluice_cache.errors import MemoryPressure
from sluice_cache.memory_readings import AUTO_LIMIT_RATIO, FakeReadings, MemoryReadings, SystemReadings
from sluice_cache.pressure import Level, Reading, Thresholds, step
from sluice_cache.pressure_watch import PressureWatch
from sluice_rpc.ports import FakeClock

from tests.unit.cache.driver import NOW

RUNGS = Thresholds()
OWN = st.integers(0, 120).map(lambda percent: Reading(percent, 100, 0.0))
READINGS = st.builds(Reading, st.integers(0, 120), st.sampled_from([0, 100]), st.floats(0, 1))


def own(percent: int) -> Reading:
    return Reading(own_bytes=percent, limit_bytes=100)


def climbed(*percents: int) -> list[Level]:
    """Return the rung after each of the readings, from the ground."""
    readings = [own(percent) for percent in percents]
    return list(itertools.accumulate(readings, lambda level, item: step(level, item, RUNGS), initial=Level.NORMAL))[1:]


@pytest.mark.parametrize(
    ("percent", "level"),
    [(69, Level.NORMAL), (70, Level.WARN), (85, Level.EVICT), (95, Level.REFUSE), (120, Level.REFUSE)],
)
def test_the_ladder_is_climbed_at_once(percent: int, level: Level) -> None:
    assert climbed(percent) == [level]


def test_a_rung_is_left_only_past_its_relief() -> None:
    assert climbed(95, 91, 90, 89) == [Level.REFUSE, Level.REFUSE, Level.REFUSE, Level.EVICT]


def test_a_fall_may_pass_several_rungs() -> None:
    assert climbed(99, 10) == [Level.REFUSE, Level.NORMAL]


@pytest.mark.parametrize(("ratio", "level"), [(0.84, Level.NORMAL), (0.85, Level.EVICT), (0.92, Level.REFUSE)])
def test_the_machine_counts_as_well(ratio: float, level: Level) -> None:
    assert step(Level.NORMAL, Reading(1, 100, ratio), RUNGS) is level


def test_what_cannot_be_read_refuses_nothing() -> None:
    assert step(Level.REFUSE, Reading(), RUNGS) is Level.NORMAL


@given(st.sampled_from(Level), READINGS)
def test_no_step_is_below_what_the_reading_asks_for(level: Level, reading: Reading) -> None:
    assert step(level, reading, RUNGS) >= RUNGS.level_of(reading)


@given(st.sampled_from(Level), READINGS)
def test_the_same_reading_twice_changes_nothing_the_second_time(level: Level, reading: Reading) -> None:
    once = step(level, reading, RUNGS)
    assert step(once, reading, RUNGS) is once


@given(st.lists(st.integers(91, 94), min_size=2, max_size=20))
def test_readings_between_a_rung_and_its_relief_never_swing(percents: list[int]) -> None:
    assert set(climbed(96, *percents)) == {Level.REFUSE}


@given(st.sampled_from(Level), OWN, st.integers(0, 20))
def test_less_memory_never_means_a_higher_rung(level: Level, reading: Reading, less: int) -> None:
    smaller = Reading(max(0, reading.own_bytes - less), 100)
    assert step(level, smaller, RUNGS) <= step(level, reading, RUNGS)


class Watched:
    """A watch on a fake machine that counts its evictions."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.readings = FakeReadings(own(10))
        self.evictions = 0
        self.watch = PressureWatch(self.readings, RUNGS, [self._evict], self.clock, interval_s=1.0, evict_pause_s=15.0)

    def _evict(self) -> None:
        self.evictions += 1

    def at(self, percent: int, after_s: float = 1.0) -> Level:
        """Let time pass, hold so much, look."""
        self.clock.advance(after_s)
        self.readings.value = own(percent)
        return self.watch.pressure().level


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_work_is_admitted_below_the_last_rung(watched: Watched) -> None:
    watched.at(94)
    watched.watch.admit()
    assert watched.watch.pressure().refusal_count == 0


def test_work_is_refused_on_the_last_rung_and_told_when_to_come_again(watched: Watched) -> None:
    watched.at(95)
    with pytest.raises(MemoryPressure) as caught:
        watched.watch.admit()
    assert (caught.value.reason, caught.value.retry_after_s) == ("MEMORY_PRESSURE", 5.0)
    assert watched.watch.pressure().refusal_count == 1


def test_new_work_takes_a_fresh_reading(watched: Watched) -> None:
    watched.at(10)
    watched.clock.advance(1.0)
    watched.readings.value = own(99)
    with pytest.raises(MemoryPressure):
        watched.watch.admit()


def test_what_can_be_made_again_is_given_up_on_the_third_rung(watched: Watched) -> None:
    watched.at(84)
    assert watched.evictions == 0
    watched.at(85)
    assert watched.evictions == 1


def test_giving_up_is_not_repeated_at_each_look(watched: Watched) -> None:
    watched.at(85)
    watched.at(90, after_s=14.0)
    watched.at(90, after_s=2.0)
    assert watched.evictions == 2


@pytest.fixture(params=["fake", "system"])
def readings(request: pytest.FixtureRequest) -> MemoryReadings:
    return FakeReadings(Reading(50 << 20, 1 << 30, 0.5)) if request.param == "fake" else SystemReadings(1 << 30)


def test_every_source_of_readings_tells_what_is_held_now(readings: MemoryReadings) -> None:
    reading = readings.read()
    assert 1 << 20 < reading.own_bytes < 1 << 36
    assert reading.limit_bytes == 1 << 30
    assert 0.0 < reading.system_used_ratio < 1.0


def test_the_figure_is_the_present_one_and_falls_again() -> None:
    readings = SystemReadings()
    before = readings.read().own_bytes
    held = bytearray(b"x" * (128 << 20))
    during = readings.read().own_bytes
    del held
    after = readings.read().own_bytes
    assert during > before + (100 << 20)
    assert after < during - (100 << 20)


def test_without_a_limit_most_of_the_machine_is_one() -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < SystemReadings().read().limit_bytes <= AUTO_LIMIT_RATIO * total
