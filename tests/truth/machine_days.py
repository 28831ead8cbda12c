"""The judge of resource history: hours and production of each machine by day, and the figures over any of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from tests.truth.raw_rows import Raw, places, whole

STATES = ("PRD", "SBY", "UDT", "SDT", "EGT", "NST")
PARTS = ("REJECTQTY", "STANDBYQTY", "QTYTOPROCESS", "INPROCESSQTY", "PROCESSEDQTY")
PAD = timedelta(days=30)

LotStep = tuple[str, str, str]
MachineDay = tuple[str, date]


@dataclass
class Day:
    """One machine on one day: hours by state and in all, pieces out and pieces lost."""

    machine: Raw
    day: date
    hours: dict[str, Fraction] = field(default_factory=dict)
    total: Fraction = Fraction(0)
    stood: bool = False
    out: int = 0
    lost: int = 0


def counted_machines(resources: Iterable[Raw], steps: Iterable[Raw], package_groups: Iterable[Raw]) -> dict[str, Raw]:
    """Return the machines that figures count, by key, each with its GROUP, SEQUENCE and PACKAGEGROUP."""
    groups: dict[str, tuple[int, str]] = {}
    for row in steps:
        if row["WORK_CENTER"] and row["WORK_CENTER_GROUP"]:
            text = row["WORKCENTERSEQUENCE_GROUP"] or ""
            place = (int(text) if text.isdigit() else 999, row["WORK_CENTER_GROUP"])
            groups[row["WORK_CENTER"]] = min(groups.get(row["WORK_CENTER"], place), place)
    names = {row["PACKAGEGROUPID"]: row["PACKAGEGROUPNAME"] for row in package_groups}
    found = {}
    for row in resources:
        equipment = row["OBJECTCATEGORY"] == row["OBJECTTYPE"] and row["OBJECTTYPE"] in ("ASSEMBLY", "WAFERSORT")
        allowed = row["LOCATIONNAME"] != "Scrap yard" and row["PJ_ASSETSSTATUS"] != "Disapproved"
        if equipment and allowed and row["WORKCENTERNAME"] is not None:
            sequence, group = groups.get(row["WORKCENTERNAME"], (999, row["WORKCENTERNAME"]))
            package_group = names.get(row["PACKAGEGROUPID"])
            found[row["RESOURCEID"]] = {**row, "GROUP": group, "SEQUENCE": sequence, "PACKAGEGROUP": package_group}
    return found


def machine_days(
    machines: Mapping[str, Raw],
    fragments: Iterable[Raw],
    track_outs: Iterable[Raw],
    rejects: Iterable[Raw],
    start: date,
    end: date,
) -> list[Day]:
    """Return every machine-day of the range that has hours or production."""
    days: dict[MachineDay, Day] = {}

    def day_of(machine: str, day: date) -> Day:
        return days.setdefault((machine, day), Day(machines[machine], day, dict.fromkeys(STATES, Fraction(0))))

    for row in fragments:
        if row["HISTORYID"] in machines and row["TXNDATE"] is not None and start <= row["TXNDATE"].date() <= end:
            found = day_of(row["HISTORYID"], row["TXNDATE"].date())
            hours = Fraction(row["HOURS"] or 0)
            found.stood = True
            found.total += hours
            if row["OLDSTATUSNAME"] in STATES:
                found.hours[row["OLDSTATUSNAME"]] += hours
    made = _made(track_outs, start, end)
    shared = _shared(made, rejects, start, end)
    for (_, machine_day), quantity in made.items():
        if machine_day[0] in machines:
            day_of(*machine_day).out += quantity
    for machine_day, quantity in shared.items():
        if machine_day[0] in machines:
            day_of(*machine_day).lost += quantity
    return list(days.values())


def _made(track_outs: Iterable[Raw], start: date, end: date) -> dict[tuple[LotStep, MachineDay], int]:
    """Return pieces tracked out by lot and step, and machine and production day, which begins at 07:30 of its date."""
    made: dict[tuple[LotStep, MachineDay], int] = {}
    for row in track_outs:
        if row["TRACKOUTTIMESTAMP"] is None or row["EQUIPMENTID"] is None:
            continue
        day = (row["TRACKOUTTIMESTAMP"] - timedelta(minutes=450)).date()
        named = {row["SPECNAME"], row["WORKCENTERNAME"]}
        if start <= day <= end and None not in named and "FG_STORE" not in named:
            key = ((row["CONTAINERID"], row["SPECNAME"], row["WORKCENTERNAME"]), (row["EQUIPMENTID"], day))
            made[key] = made.get(key, 0) + whole(row["TRACKOUTQTY"])
    return made


def _shared(
    made: Mapping[tuple[LotStep, MachineDay], int], rejects: Iterable[Raw], start: date, end: date
) -> dict[MachineDay, int]:
    """Return pieces lost by machine-day: what a lot lost at a step, by what it was tracked out there."""
    lost: dict[LotStep, int] = {}
    for row in rejects:
        if row["TXNDATE"] is not None and start - PAD <= row["TXNDATE"].date() <= end + PAD:
            key = (row["CONTAINERID"], row["SPECNAME"], row["WORKCENTERNAME"])
            lost[key] = lost.get(key, 0) + sum(whole(row[part]) for part in PARTS)
    places_of: dict[LotStep, list[tuple[date, str, int]]] = {}
    for (lot_step, (machine, day)), quantity in made.items():
        places_of.setdefault(lot_step, []).append((day, machine, quantity))
    shares: dict[MachineDay, int] = {}
    for lot_step, where in places_of.items():
        where.sort()
        weights = [max(quantity, 0) for _, _, quantity in where]
        weights = weights if sum(weights) else [1] * len(where)
        given, upto = 0, 0
        for (day, machine, _), weight in zip(where, weights, strict=True):
            upto += weight
            until = lost.get(lot_step, 0) * upto // sum(weights)
            shares[machine, day] = shares.get((machine, day), 0) + until - given
            given = until
    return shares


def bucket(day: date, granularity: str) -> str:
    """Return the label of the bucket a day falls into."""
    match granularity:
        case "week":
            return (day - timedelta(days=day.weekday())).isoformat()
        case "month":
            return f"{day:%Y-%m}"
        case "year":
            return f"{day:%Y}"
    return day.isoformat()


def figures(days: Sequence[Day], names: Collection[str]) -> dict[str, Any]:
    """Return the named figures over machine-days: sums first, one rounding, missing where nothing can be divided by."""
    hours = {state: sum((day.hours[state] for day in days), Fraction(0)) for state in STATES}
    total = sum((day.total for day in days), Fraction(0))
    out, lost = sum(day.out for day in days), sum(day.lost for day in days)
    operating = sum((hours[state] for state in STATES if state != "NST"), Fraction(0))
    available = hours["PRD"] + hours["SBY"] + hours["EGT"]
    told: dict[str, Any] = {
        "ou_pct": percent(hours["PRD"], operating),
        "availability_pct": percent(available, operating + hours["NST"]),
        "yield_pct": percent(out, out + lost),
        "track_out_qty": out,
        "ng_qty": lost,
        "machine_count": len({day.machine["RESOURCEID"] for day in days if day.stood}),
    }
    factors = [told["availability_pct"], told["yield_pct"]]
    known = None not in factors
    told["oee_pct"] = places(_tenths(factors[0]) * _tenths(factors[1]) / 100, 1) if known else None
    for state in STATES:
        told[f"{state.lower()}_hours"] = places(hours[state], 1)
        told[f"{state.lower()}_pct"] = percent(hours[state], total)
    return {name: told[name] for name in names}


def percent(part: Fraction | int, whole_: Fraction | int) -> float | None:
    """Return a share in percent with one decimal, missing where there is nothing to divide by."""
    return places(100 * Fraction(part) / Fraction(whole_), 1) if whole_ else None


def _tenths(shown: float) -> Fraction:
    return Fraction(round(shown * 10), 10)


def grouped(days: Iterable[Day], by: Callable[[Day], Any]) -> dict[Any, list[Day]]:
    """Return machine-days by whatever `by` says of one."""
    groups: dict[Any, list[Day]] = {}
    for day in days:
        groups.setdefault(by(day), []).append(day)
    return groups
