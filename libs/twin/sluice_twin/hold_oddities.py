"""The holds planted by hand: each has a name, and `truth.json` says under that name which rows they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from sluice_twin.genealogy import HELD
from sluice_twin.words import NON_QUALITY_REASONS, words

EDGE_DAY: Final = datetime(2025, 6, 18)
"""The production day whose two edges are planted: it runs from 2025-06-17 07:30 to 2025-06-18 07:30."""

NULL_MONTH: Final = (datetime(2024, 9, 1), datetime(2024, 10, 1))
"""Holds of this month have neither comment nor NCR number."""


@dataclass(frozen=True)
class Reason:
    """A hold reason as the plant writes it: `key` stands for its id, several names may share one."""

    key: int
    name: str


@dataclass(frozen=True)
class PlantedHold:
    """One hold placed by hand. `lot` counts within the lots kept for this; None is a lot without container."""

    oddity: str
    lot: int | None
    held: datetime
    released: datetime | None
    reason: str | None
    quantity: int | None = 1000
    future: bool = False
    mapped: bool = True


@cache
def reasons() -> tuple[Reason, ...]:
    """Every reason a hold may name: the plain ones first, then spellings with blanks and one name with two ids."""
    plain = [*NON_QUALITY_REASONS, *words("quality_reasons")]
    odd = [
        Reason(plain.index("Low yield"), "Low yield  "),
        Reason(plain.index("Process trial"), "Process trial "),
        Reason(len(plain), "   "),
        Reason(len(plain) + 1, "Bond lift"),
    ]
    return (*(Reason(key, name) for key, name in enumerate(plain)), *odd)


def plain_reason_count() -> int:
    """How many of `reasons()` are free of oddities."""
    return len(NON_QUALITY_REASONS) + len(words("quality_reasons"))


@cache
def planted_holds() -> tuple[PlantedHold, ...]:
    """All planted holds. No lot occurs in two oddities."""
    listed = [*_edges(), *_long_ones(), *_repeated(), *_blank()]
    assert max(hold.lot or 0 for hold in listed) < len(HELD)
    return tuple(listed)


def _edges() -> list[PlantedHold]:
    start = EDGE_DAY - timedelta(days=1) + timedelta(hours=7, minutes=30)
    end = EDGE_DAY + timedelta(hours=7, minutes=30)
    second = timedelta(seconds=1)
    later = timedelta(hours=30)
    return [
        PlantedHold("held_at_07_29_59", 0, start - second, start + later, "Die crack"),
        PlantedHold("held_at_07_30_00", 1, start, start + later, "Die crack"),
        PlantedHold("held_at_07_29_59", 2, end - second, end + later, "Die crack"),
        PlantedHold("held_at_07_30_00", 3, end, end + later, "Die crack"),
        PlantedHold("released_at_07_30_00", 4, start - later, start, "Mold void"),
        PlantedHold("released_at_07_30_00", 5, start + second, end, "Mold void"),
        PlantedHold("released_at_07_29_59", 6, start - later, start - second, "Mold void"),
        PlantedHold("released_in_the_second_it_was_held", 7, start, start, "Lead bent"),
        PlantedHold("duration_on_a_bucket_edge", 8, start, start + timedelta(hours=4), "Lead bent"),
        PlantedHold("duration_on_a_bucket_edge", 9, start, start + timedelta(hours=24), "Lead bent"),
        PlantedHold("duration_on_a_bucket_edge", 10, start, start + timedelta(hours=72), "Lead bent"),
    ]


def _long_ones() -> list[PlantedHold]:
    return [
        PlantedHold("open_since_before_the_plant", 11, datetime(2023, 11, 3, 9), None, "Customer complaint"),
        PlantedHold("open_since_before_the_plant", 12, datetime(2023, 12, 31, 23, 59, 59), None, "Process trial"),
        PlantedHold("spans_a_year", 13, datetime(2024, 2, 1, 10), datetime(2025, 8, 1, 10), "Wrong material"),
        PlantedHold(
            "spans_the_plant", 14, datetime(2023, 10, 1, 8), datetime(2025, 12, 30, 8), "Aged stock incoming check"
        ),
        PlantedHold("open_and_old", 15, datetime(2024, 3, 5, 11), None, "Delamination"),
        PlantedHold("open_and_old", 16, datetime(2024, 12, 24, 6), None, "Development trial"),
        PlantedHold("open_on_the_last_day", 17, datetime(2025, 12, 31, 7, 30), None, "Low yield"),
    ]


def _repeated() -> list[PlantedHold]:
    first = datetime(2025, 3, 10, 9)
    day = timedelta(days=1)
    hour = timedelta(hours=1)
    return [
        *(
            PlantedHold(
                "repeated_for_one_reason",
                18,
                first + 20 * n * day,
                first + (20 * n + 2) * day,
                "Wire sweep",
                future=True,
            )
            for n in range(4)
        ),
        *(
            PlantedHold("repeated_for_one_reason", 19, first + n * day, first + n * day + hour, "Process trial")
            for n in range(3)
        ),
        PlantedHold("two_holds_in_one_day", 20, first, first + hour, "Plating stain", quantity=700),
        PlantedHold("two_holds_in_one_day", 20, first + 3 * hour, first + day, "Mark unclear", quantity=600),
        *(
            PlantedHold(
                "held_twice_in_one_second", 21, first, first + (n + 1) * day, "Test bin shift", quantity=500 + n
            )
            for n in range(2)
        ),
        *(
            PlantedHold("two_ids_with_one_name", 22, first + n * day, first + (n + 1) * day, name)
            for n, name in enumerate(["Bond lift", "Bond lift#2"])
        ),
        PlantedHold("overlapping_holds", 23, first, first + 9 * day, "Wrong material", quantity=800),
        PlantedHold("overlapping_holds", 23, first + 2 * day, first + 4 * day, "Overdue cure", quantity=750),
        PlantedHold("future_hold_comment", 24, first, first + day, "Parameter out of control", future=True),
        PlantedHold("future_hold_comment", 25, first, None, "Sample or prototype keep", future=True),
    ]


def _blank() -> list[PlantedHold]:
    first = datetime(2025, 4, 7, 14)
    later = first + timedelta(hours=10)
    return [
        PlantedHold("no_quantity", 26, first, later, "Die crack", quantity=None),
        PlantedHold("no_reason", 27, first, later, None, quantity=900),
        PlantedHold("blank_reason", 28, first, later, "   ", quantity=800),
        PlantedHold("reason_with_blanks_at_its_end", 29, first, later, "Low yield  "),
        PlantedHold("reason_with_blanks_at_its_end", 30, first, later, "Process trial "),
        PlantedHold("work_center_without_group", 31, first, later, "Quantity mismatch", mapped=False),
        PlantedHold("lot_without_container", None, first, later, "Low yield"),
        PlantedHold("lot_without_container", None, first + timedelta(days=3), None, "Low yield"),
        PlantedHold("zero_quantity", 32, first, later, "Die crack", quantity=0),
    ]
