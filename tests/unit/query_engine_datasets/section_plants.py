"""Lots at a station made by hand, what they came from and what came of them, as the parts of the dataset hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sluice_query_engine.dataset import Dataset

from tests.dataset_frames import DatasetFrame, Row, hand_made

GIVEN = {
    "mode": "date_range",
    "stations": ["Testing"],
    "start_date": "2025-03-10",
    "end_date": "2025-03-12",
}
GROUPS = [
    {"workcenter": "SAW", "workcenter_group": "Sawing", "group_sequence": 0},
    {"workcenter": "BOND", "workcenter_group": "Bonding", "group_sequence": 2},
    {"workcenter": "TEST", "workcenter_group": "Testing", "group_sequence": 11},
    {"workcenter": "TAPE", "workcenter_group": "Taping", "group_sequence": 12},
    {"workcenter": "ODD", "workcenter_group": "Odd", "group_sequence": 999},
]


def at(text: str) -> datetime:
    """Return an instant of March 2025, `DD HH:MM`."""
    return datetime.fromisoformat(f"2025-03-{text}")


def session(lot: str, loaded: int, began: str = "10 08:00", **values: object) -> Row:
    """Return a track-out of a lot at the station: machine T1, type and package `T`, `P`."""
    return {
        "container_id": lot,
        "lot_id": lot,
        "pj_type": "T",
        "package": "P",
        "workcenter": "TEST",
        "spec": "Test hot",
        "equipment_id": "t1",
        "equipment": "T1",
        "track_in_time": at(began),
        "track_out_time": at(began).replace(hour=23),
        "track_in_qty": loaded,
        **values,
    }


def reject(lot: str, reason: str | None, lost: int) -> Row:
    """Return pieces a lot lost at the station."""
    return {"container_id": lot, "loss_reason": reason, "txn_time": at("10 09:00"), "lost_qty": lost}


def passed(lot: str, machine: str, workcenter: str = "BOND") -> Row:
    """Return that a lot was on a machine."""
    return {"containerid": lot, "workcentername": workcenter, "equipmentid": machine.lower(), "equipmentname": machine}


def visited(lot: str, loaded: int, workcenter: str = "TAPE", machine: str = "P1", began: str = "11 08:00") -> Row:
    """Return a visit of a lot after the station."""
    return {**passed(lot, machine, workcenter), "trackintimestamp": at(began), "trackinqty": loaded}


def lost(lot: str, reason: str, pieces: int, workcenter: str = "TAPE", machine: str = "P1") -> Row:
    """Return pieces a lot lost after the station."""
    return {
        "containerid": lot,
        "workcentername": workcenter,
        "equipmentname": machine,
        "lossreasonname": reason,
        "reject_total_qty": pieces,
        "txndate": at("11 09:00"),
    }


def ancestor(lot: str, *parents: str) -> list[Row]:
    """Return the lots that a lot came from."""
    return [{"seed_id": lot, "ancestor_id": parent} for parent in parents]


def became(lot: str, *children: str) -> list[Row]:
    """Return the lots that a lot was split into."""
    return [{"from_cid": lot, "to_cid": child, "edge_type": "split_from"} for child in children]


SESSIONS = [session("A", 100), session("B", 200), session("C", 300)]
REJECTS = [reject("A", "r1", 10), reject("A", "r2", 5), reject("B", "r2", 20)]
"""Inputs 600, defects 35: 5.8333 %."""

FAMILY = [*ancestor("A", "P"), *ancestor("B", "P", "Q"), *ancestor("C", "Q")]
PASSED = [*[passed("P", "M1")] * 3, passed("Q", "M2"), passed("A", "M3")]
AFTER = {
    "descendants": became("A", "A1", "A2"),
    "visited": [visited("A1", 40), visited("A2", 45), visited("B", 180)],
    "lost": [lost("A2", "d1", 4), lost("B", "d1", 6), lost("B", "d2", 3)],
}


def frame_of(dataset: Dataset, **parts: Sequence[Row]) -> DatasetFrame:
    """Return the frame of lots A, B and C, with other rows of single parts."""
    whole: Mapping[str, Sequence[Row]] = {
        "sessions_at": SESSIONS,
        "rejects_at": REJECTS,
        "ancestors": FAMILY,
        "passed": PASSED,
        **AFTER,
        **parts,
    }
    return hand_made(dataset, whole, GIVEN, references={"workcenter_groups": GROUPS})
