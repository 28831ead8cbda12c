"""The judge of holds now, and of who placed holds: hours in whole seconds, days that begin at 07:30."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, Literal

from tests.truth.raw_rows import Raw, name_of, places, whole

Question = Literal["today", "current"]
TURN = time(7, 30)


@dataclass(frozen=True)
class HoldNow:
    """A hold that belongs to a question."""

    row: Raw
    lot_id: str | None
    reason: str | None
    hold_type: str
    on_hold: bool
    new: bool
    released: bool
    repeated: bool
    seconds: int

    @property
    def qty(self) -> int:
        """Its pieces."""
        return whole(self.row["QTY"])


def day_of(moment: datetime, question: Question) -> date:
    """Return the production day: named by the date on which it ends for `today`, on which it began for `current`."""
    turned = moment.time() >= TURN
    if question == "today":
        return moment.date() + timedelta(days=turned)
    return moment.date() - timedelta(days=not turned)


def holds_now(
    rows: Iterable[Raw],
    lots: Mapping[str, Raw],
    non_quality: Collection[str],
    now: datetime,
    question: Question,
) -> list[HoldNow]:
    """Return the holds of a question at this moment of the plant's clock."""
    every = [row for row in rows if row["HOLDTXNDATE"] is not None]
    firsts: dict[tuple[Any, Any], tuple[datetime, str]] = {}
    for row in every:
        key = (row["CONTAINERID"], row["HOLDREASONID"])
        mark = (row["HOLDTXNDATE"], row["HISTORYMAINLINEID"])
        firsts[key] = min(firsts.get(key, mark), mark)
    day = now.date() if question == "today" else day_of(now, "current")
    end = datetime.combine(now.date(), TURN) if question == "today" else datetime.max
    found = []
    for row in every:
        held, released = row["HOLDTXNDATE"], row["RELEASETXNDATE"]
        held_day = day_of(held, question)
        released_day = None if released is None else day_of(released, question)
        on_hold = released is None or (question == "today" and released_day is not None and released_day > day)
        if question == "today" and held_day > day:
            continue
        if not (on_hold or held_day == day or released_day == day):
            continue
        until = min(released or now, end)
        first = firsts[row["CONTAINERID"], row["HOLDREASONID"]]
        found.append(
            HoldNow(
                row=row,
                lot_id=name_of(lots, row["CONTAINERID"]),
                reason=row["HOLDREASONNAME"],
                hold_type="non-quality" if row["HOLDREASONNAME"] in non_quality else "quality",
                on_hold=on_hold,
                new=held_day == day,
                released=released_day == day,
                repeated=(held, row["HISTORYMAINLINEID"]) != first,
                seconds=int((until - held).total_seconds()),
            )
        )
    return found


def figures(holds: Collection[HoldNow]) -> dict[str, Any]:
    """Return the summary of these holds."""
    held = [hold for hold in holds if hold.on_hold]
    new = [hold for hold in holds if hold.new]
    seconds = [hold.seconds for hold in held]
    return {
        "on_hold_lot_count": len({hold.row["CONTAINERID"] for hold in held}),
        "on_hold_qty": sum(hold.qty for hold in held),
        "new_qty": sum(hold.qty for hold in new),
        "release_qty": sum(hold.qty for hold in holds if hold.released),
        "future_hold_qty": sum(hold.qty for hold in new if hold.row["FUTUREHOLDCOMMENTS"] is not None),
        "repeat_quality_hold_qty": sum(hold.qty for hold in new if hold.repeated and hold.hold_type == "quality"),
        "avg_hours": places(Fraction(sum(seconds), 3600 * len(held)), 2) if held else 0.0,
        "max_hours": places(Fraction(max(seconds), 3600), 2) if held else 0.0,
    }


def durations(holds: Collection[HoldNow]) -> list[dict[str, Any]]:
    """Return holds, pieces and the share of holds by duration, all four."""
    found = []
    for label, least, most in (("<4h", None, 4), ("4-24h", 4, 24), ("1-3d", 24, 72), (">3d", 72, None)):
        these = [
            hold
            for hold in holds
            if (least is None or hold.seconds >= 3600 * least) and (most is None or hold.seconds < 3600 * most)
        ]
        share = places(Fraction(100 * len(these), len(holds)), 2) if holds else 0.0
        qty = sum(hold.qty for hold in these)
        found.append({"duration_range": label, "hold_count": len(these), "qty": qty, "pct": share})
    return found


def reasons(holds: Iterable[HoldNow]) -> list[dict[str, Any]]:
    """Return holds, pieces and shares by reason, most pieces first."""
    of: dict[str, list[HoldNow]] = {}
    for hold in holds:
        of.setdefault(hold.reason or "(not filled)", []).append(hold)
    sums = sorted(((sum(hold.qty for hold in these), name) for name, these in of.items()), key=lambda x: (-x[0], x[1]))
    whole_qty, running, found = sum(qty for qty, _ in sums), 0, []
    for qty, name in sums:
        running += qty
        shares = [places(Fraction(100 * part, whole_qty), 2) if whole_qty else 0.0 for part in (qty, running)]
        found.append(dict(zip(REASON, (name, len(of[name]), qty, *shares), strict=True)))
    return found


REASON = ("reason", "hold_count", "qty", "pct", "cum_pct")


def departments(rows: Iterable[Raw], first: date, last: date, now: datetime) -> dict[str, tuple[Any, ...]]:
    """Return holds, lots, pieces, open holds and average hours by department, of holds placed in production days."""
    of: dict[str, list[Raw]] = {}
    for row in rows:
        if row["HOLDTXNDATE"] is not None and first <= day_of(row["HOLDTXNDATE"], "today") <= last:
            of.setdefault(row["HOLDEMPDEPTNAME"] or "(not filled)", []).append(row)
    return {
        name: (
            len(these),
            len({row["CONTAINERID"] for row in these}),
            sum(whole(row["QTY"]) for row in these),
            sum(row["RELEASETXNDATE"] is None for row in these),
            places(Fraction(sum(_seconds(row, now) for row in these), 3600 * len(these)), 2),
        )
        for name, these in of.items()
    }


def _seconds(row: Raw, now: datetime) -> int:
    return int(((row["RELEASETXNDATE"] or now) - row["HOLDTXNDATE"]).total_seconds())
