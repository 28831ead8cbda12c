"""The judge of hold history: what a query and its views must answer, worked out row by row.

Written from the rules of the plant alone, and naive on purpose: plain loops over plain objects, no SQL, no arrays.
Input is what stands in the raw tables; output is plain Python. Times are plant-local, quantities exact.

Percentages and hours are rounded half up from exact fractions. An engine that computes with binary floats may differ by
one unit in the last place when the exact value lies on a half.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import floor
from typing import Final, TypeAlias

from sluice_twin.words import NON_QUALITY_REASONS

RawRow: TypeAlias = Mapping[str, object]
"""One row of a raw table by Oracle column name."""

Number: TypeAlias = int | Fraction
"""An exact quantity; whole ones stay int because that is many times faster."""

DAY_BEGINS: Final = time(7, 30)
NOT_FILLED: Final = "(not filled)"
DURATION_RANGES: Final = ("<4h", "4-24h", "1-3d", ">3d")
HOLD_TYPES: Final = ("quality", "non-quality", "all")

RAW_HOLD_COLUMNS: Final = (
    "HISTORYMAINLINEID",
    "CONTAINERID",
    "PJ_WORKORDER",
    "WORKCENTERNAME",
    "QTY",
    "HOLDTXNDATE",
    "RELEASETXNDATE",
    "HOLDREASONID",
    "HOLDREASONNAME",
    "HOLDEMP",
    "HOLDCOMMENTS",
    "RELEASEEMP",
    "RELEASECOMMENTS",
    "NCRID",
    "FUTUREHOLDCOMMENTS",
)
"""What `hold_rows` reads of `DW_MES_HOLDRELEASEHISTORY`; a missing key counts as NULL."""

RAW_CONTAINER_COLUMNS: Final = ("CONTAINERID", "CONTAINERNAME", "PRODUCTNAME", "PRODUCTLINENAME")
"""What `hold_rows` reads of `DW_MES_CONTAINER`."""


@dataclass
class Hold:
    """One hold of a query, with its ranks among the rows of that query."""

    history_id: str
    container_id: str | None
    lot_id: str | None
    workorder: str | None
    product: str | None
    package: str | None
    workcenter: str | None
    reason_id: str | None
    reason: str | None
    quantity: Number
    hold_time: datetime
    release_time: datetime | None
    hold_employee: str | None
    hold_comment: str | None
    release_employee: str | None
    release_comment: str | None
    ncr: str | None
    future_hold_comment: str | None
    seconds: int
    """From hold to release, or to the query's `as_of` while open."""
    quality: bool = True
    rn_hold_day: int = 0
    rn_reason: int = 0

    @cached_property
    def hold_day(self) -> date:
        """The production day of the hold, labelled by the day it ends on."""
        return production_day(self.hold_time)

    @cached_property
    def release_day(self) -> date | None:
        """The production day of the release; None while open."""
        return None if self.release_time is None else production_day(self.release_time)

    @property
    def hours(self) -> Fraction:
        """How long it lasted, exactly."""
        return Fraction(self.seconds, 3600)

    @cached_property
    def duration_range(self) -> str:
        """The bucket of the hold's hours, whether it is released or still open."""
        for label, limit in zip(DURATION_RANGES, (4, 24, 72), strict=False):
            if self.seconds < limit * 3600:
                return label
        return DURATION_RANGES[-1]


@dataclass(frozen=True)
class Filters:
    """What a user selects on a view; the defaults are those of a first look."""

    hold_type: str = "quality"
    record_type: frozenset[str] = frozenset({"new"})
    include_reasons: tuple[str, ...] = ()
    exclude_reasons: tuple[str, ...] = ()
    duration_range: str | None = None
    day_filter: str | None = None


def production_day(moment: datetime) -> date:
    """The day that ends at the next 07:30; exactly 07:30:00 opens the next day."""
    return moment.date() + timedelta(days=1) if moment.time() >= DAY_BEGINS else moment.date()


def day_range(start: date, end: date) -> tuple[datetime, datetime]:
    """The half-open range of instants that the production days `start` to `end` cover."""
    return datetime.combine(start - timedelta(days=1), DAY_BEGINS), datetime.combine(end, DAY_BEGINS)


def hold_rows(
    holds: Iterable[RawRow],
    containers: Iterable[RawRow],
    *,
    start: date,
    end: date,
    as_of: datetime,
    groups: Mapping[str, str] | None = None,
    non_quality: Collection[str] = NON_QUALITY_REASONS,
) -> list[Hold]:
    """The holds of a query over the production days `start` to `end`, both included, ranked among themselves.

    A hold belongs when it was placed before the range ended and was not released before the range began. Hours of open
    holds count to `as_of`. A work centre without an entry in `groups` is shown by its own name.
    """
    begins, ends = day_range(start, end)
    lots = {_id(row["CONTAINERID"]): row for row in containers}
    names = {name.strip(" ") for name in non_quality}
    chosen = []
    for row in holds:
        held, released = _moment(row["HOLDTXNDATE"]), _moment(row.get("RELEASETXNDATE"))
        if held is None or held >= ends or (released is not None and released < begins):
            continue
        hold = _hold(row, lots.get(_id(row.get("CONTAINERID"))), until=released or as_of)
        hold.quality = hold.reason not in names
        hold.workcenter = (groups or {}).get(hold.workcenter or "", hold.workcenter)
        chosen.append(hold)
    _rank(chosen)
    return chosen


def _hold(row: RawRow, lot: RawRow | None, until: datetime) -> Hold:
    """One raw row with its lot, not yet classified, grouped or ranked."""
    container_id = _id(row.get("CONTAINERID"))
    held = _moment(row["HOLDTXNDATE"])
    assert held is not None
    return Hold(
        history_id=_id(row.get("HISTORYMAINLINEID")) or "",
        container_id=container_id,
        lot_id=(_text(lot, "CONTAINERNAME") if lot else None) or container_id,
        workorder=_text(row, "PJ_WORKORDER"),
        product=_text(lot, "PRODUCTNAME") if lot else None,
        package=_text(lot, "PRODUCTLINENAME") if lot else None,
        workcenter=_text(row, "WORKCENTERNAME"),
        reason_id=_id(row.get("HOLDREASONID")),
        reason=_text(row, "HOLDREASONNAME"),
        quantity=_quantity(row.get("QTY")),
        hold_time=held,
        release_time=_moment(row.get("RELEASETXNDATE")),
        hold_employee=_text(row, "HOLDEMP"),
        hold_comment=_text(row, "HOLDCOMMENTS"),
        release_employee=_text(row, "RELEASEEMP"),
        release_comment=_text(row, "RELEASECOMMENTS"),
        ncr=_text(row, "NCRID"),
        future_hold_comment=_text(row, "FUTUREHOLDCOMMENTS"),
        seconds=round((until - held).total_seconds()),
    )


def _rank(holds: Sequence[Hold]) -> None:
    """Number the holds of each lot and day, latest first, and of each lot and reason, earliest first."""
    seen_days: dict[tuple[str | None, date], int] = {}
    seen_reasons: dict[tuple[str | None, str | None], int] = {}
    in_order = sorted(holds, key=lambda hold: (hold.hold_time, hold.history_id))
    for hold in reversed(in_order):
        day = (hold.container_id, hold.hold_day)
        seen_days[day] = hold.rn_hold_day = seen_days.get(day, 0) + 1
    for hold in in_order:
        reason = (hold.container_id, hold.reason_id)
        seen_reasons[reason] = hold.rn_reason = seen_reasons.get(reason, 0) + 1


def _quantity(value: object) -> Number:
    if value is None:
        return 0
    assert isinstance(value, int | float | Decimal)
    exact = Fraction(value)
    return exact.numerator if exact.denominator == 1 else exact


def _id(value: object) -> str | None:
    text = str(value).strip(" ") if value is not None else ""
    return text or None


def _text(row: RawRow, column: str) -> str | None:
    return _id(row.get(column))


def _moment(value: object) -> datetime | None:
    assert value is None or isinstance(value, datetime)
    return value


def select(rows: Iterable[Hold], start: date, end: date, filters: Filters, *apply: str) -> list[Hold]:
    """The rows that pass the filters named in `apply`: hold_type, record_type, reason, duration_range, day_filter."""
    tests: dict[str, Callable[[Hold], bool]] = {
        "hold_type": lambda hold: filters.hold_type == "all" or hold.quality == (filters.hold_type == "quality"),
        "record_type": lambda hold: _is_of_record_type(hold, start, end, filters.record_type),
        "reason": lambda hold: _has_reason(hold, filters),
        "duration_range": lambda hold: filters.duration_range in (None, hold.duration_range),
        "day_filter": lambda hold: filters.day_filter is None or _is_on_day(hold, filters.day_filter),
    }
    chosen = list(rows)
    for name in apply:
        chosen = [hold for hold in chosen if tests[name](hold)]
    return chosen


def _is_of_record_type(hold: Hold, start: date, end: date, record_type: Collection[str]) -> bool:
    return (
        ("new" in record_type and start <= hold.hold_day <= end)
        or ("on_hold" in record_type and hold.release_time is None)
        or ("released" in record_type and hold.release_time is not None)
        or {"new", "on_hold", "released"} <= set(record_type)
    )


def _has_reason(hold: Hold, filters: Filters) -> bool:
    label = reason_label(hold)
    included = not filters.include_reasons or label in [name.strip(" ") for name in filters.include_reasons]
    return included and label not in [name.strip(" ") for name in filters.exclude_reasons]


def _is_on_day(hold: Hold, day_filter: str) -> bool:
    day_text, kind = day_filter.split(":")
    day = date.fromisoformat(day_text)
    return hold.release_day == day if kind == "release" else hold.hold_day == day and hold.rn_hold_day == 1


def reason_label(hold: Hold) -> str:
    """The reason as a pareto shows it."""
    return hold.reason or NOT_FILLED


def trend(rows: Sequence[Hold], start: date, end: date) -> list[dict[str, object]]:
    """One entry per calendar day and hold type, in day order; no filter touches it.

    Keys: day, hold_type, hold_qty, new_hold_qty, release_qty, future_hold_qty, repeat_quality_hold_qty.
    """
    measures = ("hold_qty", "new_hold_qty", "release_qty", "future_hold_qty", "repeat_quality_hold_qty")
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    sums: dict[tuple[date, str, str], Number] = {
        (day, kind, measure): 0 for day in days for kind in HOLD_TYPES for measure in measures
    }

    def add(day: date | None, measure: str, hold: Hold) -> None:
        for kind in ("quality" if hold.quality else "non-quality", "all"):
            if day is not None and (day, kind, measure) in sums:
                sums[day, kind, measure] += hold.quantity

    for hold in rows:
        gone = hold.release_day
        for number in range((max(hold.hold_day, start) - start).days, len(days)):
            if gone is not None and gone <= days[number]:
                break
            add(days[number], "hold_qty", hold)
        if hold.rn_hold_day == 1:
            add(hold.hold_day, "new_hold_qty", hold)
        add(gone, "release_qty", hold)
        if hold.future_hold_comment is not None and hold.rn_reason == 1:
            add(hold.hold_day, "future_hold_qty", hold)
        if hold.rn_reason > 1 and hold.quality:
            add(hold.hold_day, "repeat_quality_hold_qty", hold)
    return [
        {"day": day, "hold_type": kind, **{measure: plain(sums[day, kind, measure]) for measure in measures}}
        for day in days
        for kind in HOLD_TYPES
    ]


def reason_pareto(
    rows: Sequence[Hold], start: date, end: date, filters: Filters | None = None
) -> list[dict[str, object]]:
    """Reasons by falling quantity, then name: reason, hold_count, qty, pct, cum_pct.

    The reason filter is left aside, so that the user can change the selection.
    """
    chosen = select(rows, start, end, filters or Filters(), "hold_type", "record_type", "duration_range", "day_filter")
    quantity: dict[str, Number] = {}
    count: dict[str, int] = {}
    for hold in chosen:
        label = reason_label(hold)
        quantity[label] = quantity.get(label, 0) + hold.quantity
        count[label] = count.get(label, 0) + 1
    whole = sum(quantity.values())
    items: list[dict[str, object]] = []
    running: Number = 0
    for label in sorted(quantity, key=lambda name: (-quantity[name], name)):
        running += quantity[label]
        shares = (percent(quantity[label], whole), percent(running, whole))
        items.append(
            {
                "reason": label,
                "hold_count": count[label],
                "qty": plain(quantity[label]),
                "pct": shares[0],
                "cum_pct": shares[1],
            }
        )
    return items


def duration(rows: Sequence[Hold], start: date, end: date, filters: Filters | None = None) -> list[dict[str, object]]:
    """The four buckets in order, over released rows: duration_range, hold_count, qty, pct.

    The duration and day filters are left aside.
    """
    chosen = select(rows, start, end, filters or Filters(), "hold_type", "record_type", "reason")
    released = [hold for hold in chosen if hold.release_time is not None]
    whole = sum(hold.quantity for hold in released)
    items: list[dict[str, object]] = []
    for label in DURATION_RANGES:
        inside = [hold for hold in released if hold.duration_range == label]
        part = sum(hold.quantity for hold in inside)
        items.append(
            {"duration_range": label, "hold_count": len(inside), "qty": plain(part), "pct": percent(part, whole)}
        )
    return items


def hours(rows: Sequence[Hold], start: date, end: date, filters: Filters | None = None) -> dict[str, float]:
    """Averages and maxima of the hours of released and of open rows, 2 decimals, 0 where there are none."""
    chosen = select(rows, start, end, filters or Filters(), "hold_type", "record_type", "reason")
    released = [hold.seconds for hold in chosen if hold.release_time is not None]
    still = [hold.seconds for hold in chosen if hold.release_time is None]
    return {
        "avg_released_hours": two_places(Fraction(sum(released), 3600 * max(len(released), 1))),
        "max_released_hours": two_places(Fraction(max(released, default=0), 3600)),
        "avg_on_hold_hours": two_places(Fraction(sum(still), 3600 * max(len(still), 1))),
        "max_on_hold_hours": two_places(Fraction(max(still, default=0), 3600)),
    }


def listed(rows: Sequence[Hold], start: date, end: date, filters: Filters | None = None) -> list[Hold]:
    """The rows of the list, latest hold first; ties by lot, then history id, both rising."""
    names = ("hold_type", "record_type", "reason", "duration_range", "day_filter")
    chosen = select(rows, start, end, filters or Filters(), *names)
    by_lot = sorted(chosen, key=lambda hold: (hold.lot_id is None, hold.lot_id or "", hold.history_id))
    return sorted(by_lot, key=lambda hold: hold.hold_time, reverse=True)


def percent(part: Number, whole: Number) -> float:
    """Share of the whole in percent, 2 decimals; 0 of nothing."""
    return two_places(Fraction(part * 100) / whole) if whole else 0.0


def two_places(value: Fraction) -> float:
    """The nearest hundredth; halves go up."""
    return floor(value * 100 + Fraction(1, 2)) / 100


def plain(value: Number) -> int | float:
    """A quantity as an int where it is whole."""
    return int(value) if value.denominator == 1 else float(value)
