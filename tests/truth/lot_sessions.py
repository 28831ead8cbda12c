"""The judge of sessions: track-outs of a lot on a machine put together, and what is counted over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.truth.raw_rows import Raw, name_of, whole

SESSION_KEY = ("CONTAINERID", "EQUIPMENTID", "SPECNAME", "TRACKINTIMESTAMP")
TOLD_APART_BY = ("WORKCENTERNAME", "EQUIPMENTNAME", "FINISHEDRUNCARD", "PJ_WORKORDER")
"""What the parts of one session must agree in; what the lot says of itself they share."""


def sessions(
    history: Iterable[Raw], lots: Mapping[str, Raw], groups: Mapping[str, str], chosen: Callable[[Raw], bool]
) -> list[dict[str, Any]]:
    """Return the sessions of the chosen track-outs as the list shows them, in no order."""
    parts: dict[tuple[Any, ...], list[Raw]] = {}
    for row in history:
        if row["EQUIPMENTID"] is not None and row["TRACKINTIMESTAMP"] is not None and chosen(row):
            parts.setdefault(tuple(row[name] for name in SESSION_KEY), []).append(row)
    found = []
    for of_session in parts.values():
        alike = len({tuple(row[name] for name in TOLD_APART_BY) for row in of_session}) == 1
        for together in [of_session] if alike else [[row] for row in of_session]:
            found.append(_session(together, lots, groups))
    return found


def _session(parts: Sequence[Raw], lots: Mapping[str, Raw], groups: Mapping[str, str]) -> dict[str, Any]:
    first = parts[0]
    lot = lots.get(first["CONTAINERID"], {})
    loaded = [whole(row["TRACKINQTY"]) for row in parts if row["TRACKINQTY"] is not None]
    return {
        "lot_id": name_of(lots, first["CONTAINERID"]),
        "machine": first["EQUIPMENTNAME"],
        "workcenter": first["WORKCENTERNAME"],
        "workcenter_group": groups.get(first["WORKCENTERNAME"], first["WORKCENTERNAME"]),
        "spec": first["SPECNAME"],
        "track_in_time": first["TRACKINTIMESTAMP"],
        "track_out_time": _latest([row["TRACKOUTTIMESTAMP"] for row in parts]),
        "track_in_qty": max(loaded) if loaded else None,
        "track_out_qty": sum(whole(row["TRACKOUTQTY"]) for row in parts),
        "run_card": first["FINISHEDRUNCARD"],
        "workorder": first["PJ_WORKORDER"],
        "pj_type": lot.get("PJ_TYPE"),
        "bop": lot.get("PJ_BOP"),
        "wafer_lot": lot.get("FIRSTNAME"),
        "package": lot.get("PRODUCTLINENAME"),
        "partial_count": len(parts),
    }


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def counted(rows: Iterable[Mapping[str, Any]], by: Callable[[Mapping[str, Any]], Any]) -> dict[Any, tuple[int, ...]]:
    """Return sessions, different lots, pieces in and pieces out by whatever `by` says of a session."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(by(row), []).append(row)
    return {
        key: (
            len(members),
            len({row["lot_id"] for row in members}),
            sum(row["track_in_qty"] or 0 for row in members),
            sum(row["track_out_qty"] for row in members),
        )
        for key, members in groups.items()
    }
