"""The judge of mid-section defects: who was at the station, what they lost, what they met before and lost after.

Who came from whom is given: genealogies have a judge of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tests.truth.raw_rows import Raw, whole, within

LOST = ("REJECTQTY", "STANDBYQTY", "QTYTOPROCESS", "INPROCESSQTY", "PROCESSEDQTY", "DEFECTQTY")


@dataclass
class StationLot:
    """A lot at the station: its last session there, and what it lost by reason."""

    container_id: str
    input_qty: int
    track_in_time: datetime
    workcenter: str
    lost: dict[str, int] = field(default_factory=dict)

    @property
    def defect_qty(self) -> int:
        """All that it lost."""
        return sum(self.lost.values())


def station_lots(
    history: Iterable[Raw], rejects: Iterable[Raw], centers: Collection[str], start: date, end: date
) -> dict[str, StationLot]:
    """Return the lots that were tracked in at one of the work centres on these days, by key."""
    sessions: dict[tuple[str, datetime, str], list[Raw]] = {}
    for row in history:
        here = row["WORKCENTERNAME"] in centers and within(row["TRACKINTIMESTAMP"], start, end)
        if here and row["EQUIPMENTID"] is not None and row["CONTAINERID"] is not None:
            sessions.setdefault((row["CONTAINERID"], row["TRACKINTIMESTAMP"], row["EQUIPMENTID"]), []).append(row)
    last: dict[str, tuple[str, datetime, str]] = {}
    for key in sessions:
        if key[0] not in last or _rank(key, sessions) > _rank(last[key[0]], sessions):
            last[key[0]] = key
    lots = {
        key[0]: StationLot(
            key[0], max(whole(row["TRACKINQTY"]) for row in sessions[key]), key[1], sessions[key][0]["WORKCENTERNAME"]
        )
        for key in last.values()
    }
    for row in rejects:
        lot = lots.get(row["CONTAINERID"])
        if lot is not None and row["WORKCENTERNAME"] in centers and within(row["TXNDATE"], start, end):
            pieces = sum(whole(row[name]) for name in LOST)
            reason = row["LOSSREASONNAME"] or "(not filled)"
            if pieces:
                lot.lost[reason] = lot.lost.get(reason, 0) + pieces
    return lots


def _rank(key: tuple[str, datetime, str], sessions: Mapping[Any, Sequence[Raw]]) -> tuple[datetime, datetime]:
    """Return when a session began, then when its last part went out."""
    outs = [row["TRACKOUTTIMESTAMP"] for row in sessions[key] if row["TRACKOUTTIMESTAMP"] is not None]
    return key[1], max(outs, default=datetime.min)


def machines_before(
    lots: Mapping[str, StationLot],
    ancestors: Mapping[str, Collection[str]],
    history: Iterable[Raw],
    places: Mapping[str, int],
) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Return lots, input and defects by work centre and machine before the station."""
    seen: dict[str, set[tuple[str, str]]] = {}
    for row in history:
        if row["EQUIPMENTID"] is not None and row["TRACKINTIMESTAMP"] is not None and row["CONTAINERID"] is not None:
            seen.setdefault(row["CONTAINERID"], set()).add((row["WORKCENTERNAME"], row["EQUIPMENTNAME"]))
    members: dict[tuple[str, str], set[str]] = {}
    for lot in lots.values():
        for member in {lot.container_id, *ancestors.get(lot.container_id, ())}:
            for place in seen.get(member, ()):
                if places.get(place[0], 999) < min(places[lot.workcenter], 999):
                    members.setdefault(place, set()).add(lot.container_id)
    return {
        place: (
            len(found),
            sum(lots[container_id].input_qty for container_id in found),
            sum(lots[container_id].defect_qty for container_id in found),
        )
        for place, found in members.items()
    }


def family_of(lot: str, children: Mapping[str, Collection[str]]) -> set[str]:
    """Return the lot and everything that came of it."""
    found, waiting = {lot}, [lot]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def after_station(
    lots: Mapping[str, StationLot],
    children: Mapping[str, Collection[str]],
    history: Iterable[Raw],
    rejects: Iterable[Raw],
    places: Mapping[str, int],
) -> tuple[int, int, int]:
    """Return how many lots were followed, pieces loaded and pieces lost after the station, of lots with defects.

    Of several times at one machine the last counts.
    """
    first_place: dict[str, int] = {}
    for lot in lots.values():
        if lot.defect_qty:
            for member in family_of(lot.container_id, children):
                here = places[lot.workcenter]
                first_place[member] = min(first_place.get(member, here), here)
    visits: dict[tuple[str, str, str], tuple[datetime, int]] = {}
    for row in history:
        if row["CONTAINERID"] in first_place and row["EQUIPMENTID"] and row["TRACKINTIMESTAMP"]:
            key = (row["CONTAINERID"], row["WORKCENTERNAME"], row["EQUIPMENTNAME"])
            load = (row["TRACKINTIMESTAMP"], whole(row["TRACKINQTY"]))
            visits[key] = max(visits.get(key, load), load)
    loaded = sum(load[1] for key, load in visits.items() if first_place[key[0]] < places.get(key[1], 999) < 999)
    lost = sum(
        sum(whole(row[name]) for name in LOST)
        for row in rejects
        if row["CONTAINERID"] in first_place
        and first_place[row["CONTAINERID"]] < places.get(row["WORKCENTERNAME"], 999) < 999
    )
    return len(first_place), loaded, lost
