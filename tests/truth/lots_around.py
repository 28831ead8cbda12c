"""The judge of what stands around lots: neighbours on a machine, rejects of a machine's lots, splits and serials."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from tests.truth.raw_rows import Raw, name_of, whole, within

PARTS = ("REJECTQTY", "STANDBYQTY", "QTYTOPROCESS", "INPROCESSQTY", "PROCESSEDQTY")
Session = tuple[datetime, str]


def neighbours(
    history: Iterable[Raw], lots: Mapping[str, Raw], machine: str, lot_id: str, first: date, last: date
) -> list[list[tuple[int, str | None, datetime, int, int]]]:
    """Return, around each session of the lot on the machine, position, lot, track-in, pieces loaded and parts."""
    parts: dict[Session, list[Raw]] = {}
    for row in history:
        if row["EQUIPMENTID"] == machine and within(row["TRACKINTIMESTAMP"], first, last):
            parts.setdefault((row["TRACKINTIMESTAMP"], row["CONTAINERID"]), []).append(row)
    line = sorted(parts)
    kinds = [lots.get(container, {}).get("PJ_TYPE") for _, container in line]
    found = []
    for here, (_, container) in enumerate(line):
        if name_of(lots, container) != lot_id:
            continue
        left, right = _edge(kinds, here, -1), _edge(kinds, here, 1)
        found.append(
            [
                (
                    place - here,
                    name_of(lots, line[place][1]),
                    line[place][0],
                    max(whole(row["TRACKINQTY"]) for row in parts[line[place]]),
                    len(parts[line[place]]),
                )
                for place in range(left, right + 1)
            ]
        )
    return found


def _edge(kinds: Sequence[Any], here: int, step: int) -> int:
    """Return the last place on one side: the first of another type, but three places away at least."""
    place, other = here, False
    while 0 <= place + step < len(kinds) and (not other or abs(place - here) < 3):
        place += step
        other = other or kinds[place] != kinds[here]
    return place


def machine_rejects(
    history: Iterable[Raw],
    rejects: Iterable[Raw],
    machines: Mapping[str, Raw],
    steps: Mapping[str, tuple[int, str, str]],
    first: date,
    last: date,
) -> dict[str, list[Raw]]:
    """Return, by machine, the rejects at its own work centre of the lots that were tracked in on it on these days."""
    on: dict[str, set[str]] = {key: set() for key in machines}
    for row in history:
        if row["EQUIPMENTID"] in on and row["CONTAINERID"] and within(row["TRACKINTIMESTAMP"], first, last):
            on[row["EQUIPMENTID"]].add(row["CONTAINERID"])
    found: dict[str, list[Raw]] = {key: [] for key in machines}
    for row in rejects:
        where = steps[row["SPECNAME"]][2] if row["SPECNAME"] in steps else row["WORKCENTERNAME"]
        for key, containers in on.items():
            if row["CONTAINERID"] in containers and where == machines[key]["WORKCENTERNAME"]:
                found[key].append(row)
    return found


def charged_off(row: Raw) -> int:
    """Return the pieces of a reject that are deducted from the lot."""
    return sum(whole(row[name]) for name in PARTS)


def transactions(
    moves: Iterable[Raw], lots: Mapping[str, Raw], asked: Collection[str]
) -> list[tuple[str, datetime, str | None, str | None, bool, bool]]:
    """Return splits and merges of the lots, and of all lots of their work orders."""
    orders = {lots[lot]["MFGORDERNAME"] for lot in asked if lot in lots} - {None}
    family = {*asked, *(key for key, row in lots.items() if row["MFGORDERNAME"] in orders)}
    return [
        (
            "split" if row["CDONAME"] == "SplitLot" else "combine",
            row["TXNDATE"],
            row["FROMCONTAINERNAME"],
            row["CONTAINERNAME"],
            row["FROMCONTAINERID"] in asked,
            row["CONTAINERID"] in asked,
        )
        for row in moves
        if row["CDONAME"] in ("SplitLot", "CombineLot")
        and row["FROMCONTAINERID"] is not None
        and family & {row["FROMCONTAINERID"], row["CONTAINERID"]}
    ]


def serials(combined: Collection[Raw], asked: Collection[str]) -> dict[str, tuple[int, int, int]]:
    """Return lots, lots among those asked and good dies of every serial number that one of the lots is part of."""
    own = {row["FINISHEDNAME"] for row in combined if row["CONTAINERID"] in asked and row["FINISHEDNAME"]}
    found = {}
    for serial in {name for name in own if name.strip().upper() != "UNKNOWN"}:
        members = [row for row in combined if row["FINISHEDNAME"] == serial]
        found[serial] = (
            len({row["CONTAINERID"] for row in members}),
            len({row["CONTAINERID"] for row in members} & set(asked)),
            sum(whole(row["PJ_GOODDIEQTY"]) for row in members),
        )
    return found
