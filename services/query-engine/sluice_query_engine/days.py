"""What day it is: the three conventions of the plant, and which instants a range of dates covers.

A production day has a wall time at which it begins; the instant itself belongs to the day that begins. Nothing here
knows a zone: plant-local time never jumps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from sluice_query_engine.planning.time_range import TimeRange

DayLabel = Literal["end", "start", "calendar"]
"""Which calendar date names a production day: the one it ends on, the one it starts on, or the date itself."""

PLANT_DAY_START: Final = time(7, 30)
"""When the production days of the plant begin."""


def end_day(instant: datetime, day_start: time = PLANT_DAY_START) -> date:
    """Return the END-day of an instant: day d is [d-1 `day_start`, d `day_start`)."""
    return start_day(instant, day_start) + timedelta(days=1)


def start_day(instant: datetime, day_start: time = PLANT_DAY_START) -> date:
    """Return the START-day of an instant: day d is [d `day_start`, d+1 `day_start`)."""
    return instant.date() if instant.time() >= day_start else instant.date() - timedelta(days=1)


def calendar_day(instant: datetime, day_start: time = time(0)) -> date:
    """Return the calendar date of an instant; such days begin at midnight."""
    return start_day(instant, day_start)


DAY_OF: Final[Mapping[DayLabel, Callable[[datetime, time], date]]] = {
    "end": end_day,
    "start": start_day,
    "calendar": calendar_day,
}
"""The convention of each label."""


@dataclass(frozen=True)
class DayRule:
    """How the dates users give become instants.

    Attributes:
        day_start: wall time at which a production day begins; exactly this instant belongs to the day that begins.
        label: which date names the day; midnight is the start of calendar days.
    """

    day_start: time
    label: DayLabel

    def day_of(self, instant: datetime) -> date:
        """Return the day to which an instant belongs."""
        return DAY_OF[self.label](instant, self.day_start)

    def range_of(self, start_date: date, end_date: date) -> TimeRange:
        """Return the half-open plant-local range that the two dates cover, both days included."""
        # planning imports the model of datasets, which imports this module: the import waits until a range is wanted.
        from sluice_query_engine.planning.time_range import TimeRange

        first = start_date - timedelta(days=1) if self.label == "end" else start_date
        after = end_date if self.label == "end" else end_date + timedelta(days=1)
        return TimeRange(datetime.combine(first, self.day_start), datetime.combine(after, self.day_start))

    def describe(self) -> str:
        """Return the rule as a sentence for people."""
        clock = self.day_start.strftime("%H:%M")
        match self.label:
            case "end":
                return (
                    f"A day runs from {clock} of the day before to {clock} of its own date, which it does not include."
                )
            case "start":
                return f"A day runs from {clock} of its own date to {clock} of the next, which it does not include."
            case "calendar":
                return "A day is the calendar date, from midnight to midnight."

    def translations(self) -> dict[str, str]:
        """Return the same sentence by language, apart from English."""
        clock = self.day_start.strftime("%H:%M")
        match self.label:
            case "end":
                return {"zh-TW": f"一日自前一天 {clock} 起，至當天 {clock} 止（不含）。"}
            case "start":
                return {"zh-TW": f"一日自當天 {clock} 起，至隔天 {clock} 止（不含）。"}
            case "calendar":
                return {"zh-TW": "一日為日曆日，自午夜至隔日午夜。"}
