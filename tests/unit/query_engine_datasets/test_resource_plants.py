"""Resource history on plants made by hand: the expected numbers stand beside the rows they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog

from tests.dataset_frames import DatasetFrame, Row
from tests.unit.query_engine_datasets.test_machine_plants import Bench, at

ONE, TWO, LOT = "1" * 16, "2" * 16, "L" * 16
DAYS = {"start_date": "2025-03-10", "end_date": "2025-03-11"}

Rows = Sequence[Mapping[str, object]]


def machine(key: str, **values: object) -> Row:
    """Return a machine of the master: a production machine of work centre W, approved, in Hall 1."""
    return {
        "RESOURCEID": key,
        "RESOURCENAME": f"Bonder {key[0]}",
        "OBJECTCATEGORY": "ASSEMBLY",
        "OBJECTTYPE": "ASSEMBLY",
        "WORKCENTERNAME": "W",
        "LOCATIONNAME": "Hall 1",
        "PJ_ASSETSSTATUS": "Approved",
        "PJ_ISPRODUCTION": 1,
        **values,
    }


def spent(status: str, hours: float, when: str = "10 12:00", key: str = ONE) -> Row:
    """Return hours of a machine in a state."""
    return {"HISTORYID": key, "OLDSTATUSNAME": status, "HOURS": hours, "TXNDATE": at(when)}


def out(quantity: int | None, when: str, key: str | None = ONE, **values: object) -> Row:
    """Return a track-out of lot L at step S of work centre W."""
    where = {"SPECNAME": "S", "WORKCENTERNAME": "W", "EQUIPMENTID": key}
    return {"CONTAINERID": LOT, "TRACKOUTQTY": quantity, "TRACKOUTTIMESTAMP": at(when), **where, **values}


def lost(quantity: int, when: str | datetime, **values: object) -> Row:
    """Return a reject of lot L at step S of work centre W."""
    booked = at(when) if isinstance(when, str) else when
    where = {"SPECNAME": "S", "WORKCENTERNAME": "W"}
    return {"CONTAINERID": LOT, "REJECTQTY": quantity, "TXNDATE": booked, **where, **values}


class Plants:
    """Frames of resource history over 10 and 11 March on plants of two machines."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def of(self, hours: Rows = (), outs: Rows = (), losses: Rows = (), machines: Rows | None = None) -> DatasetFrame:
        """Return the frame of these rows."""
        return self._bench.read(
            "resource-history",
            DAYS,
            {
                "DW_MES_RESOURCE": [machine(ONE), machine(TWO)] if machines is None else machines,
                "DW_MES_RESOURCESTATUS_SHIFT": hours,
                "DW_MES_LOTWIPHISTORY": outs,
                "DW_MES_LOTREJECTHISTORY": losses,
            },
        )


@pytest.fixture
def plants(catalog: Catalog, tmp_path: Path) -> Plants:
    return Plants(Bench(catalog, tmp_path))


def kpi(frame: DatasetFrame, *names: str, **filters: object) -> tuple[object, ...]:
    """Return figures of the whole frame."""
    [row] = frame.rows("kpi", filters)
    return tuple(row[name] for name in names)


def test_utilisation_leaves_out_what_is_not_scheduled_and_availability_does_not(plants: Plants) -> None:
    # PRD 60, SBY 20, UDT 10, SDT 5, EGT 5, NST 20: 60 of 100, and 85 of 120.
    states = {"PRD": 60, "SBY": 20, "UDT": 10, "SDT": 5, "EGT": 5, "NST": 20}
    frame = plants.of([spent(status, hours) for status, hours in states.items()])
    assert kpi(frame, "ou_pct", "availability_pct", "nst_pct") == (60.0, 70.8, 16.7)


def test_a_state_outside_the_six_counts_in_all_hours_only(plants: Plants) -> None:
    frame = plants.of([spent("PRD", 6), spent("SCRAP", 2), spent("PRD ", 4)])
    assert kpi(frame, "prd_hours", "ou_pct", "availability_pct", "prd_pct") == (10.0, 100.0, 100.0, 83.3)


def test_hours_are_of_the_calendar_day(plants: Plants) -> None:
    frame = plants.of(
        [
            spent("PRD", 1, "09 23:59:59"),
            spent("PRD", 2, "10 00:00:00"),
            spent("PRD", 4, "10 07:29:59"),
            spent("PRD", 8, "11 23:59:59"),
            spent("PRD", 16, "12 00:00:00"),
        ]
    )
    assert [(row["date"], row["prd_hours"]) for row in frame.rows("trend")] == [
        ("2025-03-10", 6.0),
        ("2025-03-11", 8.0),
    ]


def test_production_is_of_the_day_that_begins_at_half_past_seven(plants: Plants) -> None:
    frame = plants.of(
        outs=[
            out(1, "10 07:29:59"),
            out(2, "10 07:30:00"),
            out(4, "11 07:29:59"),
            out(8, "11 07:30:00"),
            out(16, "12 07:29:59"),
            out(32, "12 07:30:00"),
        ]
    )
    assert [(row["date"], row["track_out_qty"]) for row in frame.rows("trend")] == [
        ("2025-03-10", 6),
        ("2025-03-11", 24),
    ]


def test_nothing_to_divide_by_leaves_a_percent_missing(plants: Plants) -> None:
    names = ("ou_pct", "availability_pct", "yield_pct", "oee_pct", "prd_pct")
    assert kpi(plants.of([spent("NST", 5)]), *names) == (None, 0.0, None, None, 0.0)
    assert kpi(plants.of(outs=[out(9, "10 08:00")]), *names) == (None, None, 100.0, None, None)
    assert kpi(plants.of(), *names, "machine_count", "prd_hours") == (*[None] * 5, 0, 0.0)


def test_oee_is_the_product_of_the_rounded_factors(plants: Plants) -> None:
    # Availability 2 of 3 is 66.7, yield 999 of 1000 is 99.9: 66.6333, so 66.6.
    frame = plants.of([spent("PRD", 2), spent("UDT", 1)], [out(999, "10 08:00")], [lost(1, "10 09:00")])
    assert kpi(frame, "availability_pct", "yield_pct", "oee_pct") == (66.7, 99.9, 66.6)


def test_what_was_lost_is_shared_out_by_what_was_tracked_out_and_counted_once(plants: Plants) -> None:
    # 10 lost over 300 and 100 pieces: 7.5 and 2.5, whole pieces 7 and 3.
    frame = plants.of(
        outs=[out(300, "10 08:00"), out(100, "11 08:00", TWO)], losses=[lost(4, "10 09:00"), lost(6, "11 09:00")]
    )
    shares = [(row["machine"], row["ng_qty"]) for row in frame.exported()]
    assert (shares, kpi(frame, "ng_qty")) == ([("Bonder 1", 7), ("Bonder 2", 3)], (10,))


def test_two_parts_of_one_machine_day_are_one_share(plants: Plants) -> None:
    frame = plants.of(outs=[out(30, "10 08:00"), out(70, "11 07:00")], losses=[lost(9, "10 09:00")])
    assert [(row["date"], row["track_out_qty"], row["ng_qty"]) for row in frame.rows("trend")] == [
        ("2025-03-10", 100, 9)
    ]


def test_where_nothing_was_tracked_out_the_shares_are_equal(plants: Plants) -> None:
    frame = plants.of(outs=[out(0, "10 08:00"), out(None, "10 08:00", TWO)], losses=[lost(8, "10 09:00")])
    assert [row["ng_qty"] for row in frame.exported()] == [4, 4]


def test_losses_count_from_thirty_days_before_to_thirty_days_after_the_range(plants: Plants) -> None:
    frame = plants.of(
        outs=[out(100, "10 08:00")],
        losses=[
            lost(1, datetime(2025, 2, 7, 23, 59, 59)),
            lost(2, datetime(2025, 2, 8)),
            lost(4, datetime(2025, 4, 10, 23, 59, 59)),
            lost(8, datetime(2025, 4, 11)),
        ],
    )
    assert kpi(frame, "ng_qty") == (6,)


def test_losses_are_the_five_parts_and_no_defects(plants: Plants) -> None:
    row = lost(1, "10 09:00", STANDBYQTY=2, QTYTOPROCESS=4, INPROCESSQTY=8, PROCESSEDQTY=16, DEFECTQTY=1000)
    assert kpi(plants.of(outs=[out(100, "10 08:00")], losses=[row]), "ng_qty") == (31,)


def test_losses_at_a_step_without_a_track_out_belong_to_nobody(plants: Plants) -> None:
    frame = plants.of(outs=[out(100, "10 08:00")], losses=[lost(5, "10 09:00", SPECNAME="T")])
    assert kpi(frame, "ng_qty") == (0,)


def test_the_store_and_places_without_a_machine_produce_nothing(plants: Plants) -> None:
    frame = plants.of(
        outs=[
            out(1, "10 08:00"),
            out(2, "10 08:00", None),
            out(4, "10 08:00", SPECNAME="FG_STORE"),
            out(8, "10 08:00", WORKCENTERNAME="FG_STORE"),
            out(16, "10 08:00", SPECNAME=None),
        ],
        losses=[lost(7, "10 09:00")],
    )
    assert kpi(frame, "track_out_qty", "ng_qty") == (1, 7)


def test_machines_that_the_plant_does_not_count_are_in_no_figure(plants: Plants) -> None:
    kinds: dict[str, dict[str, object]] = {
        "3": {"LOCATIONNAME": "Scrap yard"},
        "4": {"PJ_ASSETSSTATUS": "Disapproved"},
        "5": {"WORKCENTERNAME": None},
        "6": {"OBJECTTYPE": "WAFERSORT"},
        "7": {"LOCATIONNAME": None, "PJ_ASSETSSTATUS": None},
        "8": {"OBJECTCATEGORY": "WAFERSORT", "OBJECTTYPE": "WAFERSORT"},
    }
    machines = [machine(key * 16, **values) for key, values in kinds.items()]
    frame = plants.of([spent("PRD", 1, key=key * 16) for key in kinds], machines=machines)
    assert [row["machine"] for row in frame.exported()] == ["Bonder 7", "Bonder 8"]


def test_flags_count_when_they_are_one(plants: Plants) -> None:
    frame = plants.of(
        [spent("PRD", 1), spent("PRD", 2, key=TWO)],
        machines=[machine(ONE, PJ_ISKEY=1, PJ_ISPRODUCTION=None), machine(TWO, PJ_ISKEY=0)],
    )
    assert kpi(frame, "prd_hours", key="only") == (1.0,)
    assert kpi(frame, "prd_hours", production="only") == (2.0,)
    assert kpi(frame, "prd_hours") == (3.0,)


def test_a_work_centre_without_a_group_is_shown_by_its_name_and_last(plants: Plants) -> None:
    frame = plants.of(
        [spent("PRD", 1), spent("SBY", 1, key=TWO)], machines=[machine(ONE, WORKCENTERNAME="A"), machine(TWO)]
    )
    shown = [(row["workcenter"], row["workcenter_sequence"]) for row in frame.rows("heatmap")]
    assert shown == [("A", 999), ("G", 999)]
    assert [row["workcenter"] for row in frame.rows("workcenter_comparison")] == ["A", "G"]
    assert kpi(frame, "sby_hours", workcenter_group="G") == (1.0,)


@pytest.mark.parametrize(
    ("granularity", "label"), [("week", "2025-03-10"), ("month", "2025-03"), ("year", "2025"), ("day", "2025-03-11")]
)
def test_buckets_are_named_by_their_monday_month_or_year(plants: Plants, granularity: str, label: str) -> None:
    frame = plants.of([spent("PRD", 1, "11 12:00")])
    assert [row["date"] for row in frame.rows("trend", {"granularity": granularity})] == [label]


def test_machines_with_hours_are_counted_and_those_with_production_alone_are_shown(plants: Plants) -> None:
    frame = plants.of([spent("PRD", 1)], [out(5, "10 08:00", TWO)])
    assert kpi(frame, "machine_count", "track_out_qty") == (1, 5)
    assert [(row["machine"], row["machine_count"]) for row in frame.exported()] == [("Bonder 1", 1), ("Bonder 2", 0)]
