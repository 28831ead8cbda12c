"""Rejects of machines on plants made by hand: the expected numbers stand beside the rows they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog

from tests.dataset_frames import DatasetFrame, Row
from tests.unit.query_engine_datasets.test_machine_plants import DAYS, LOT, MACHINE, OTHER, Bench, at, part

STEPS: Sequence[Row] = [
    {"SPEC": "S", "WORK_CENTER": "W", "WORK_CENTER_GROUP": "G", "WORKCENTERSEQUENCE_GROUP": "2"},
    {"SPEC": "S", "WORK_CENTER": "V", "WORK_CENTER_GROUP": "H", "WORKCENTERSEQUENCE_GROUP": "10"},
    {"SPEC": "T", "WORK_CENTER": "V", "WORK_CENTER_GROUP": "H", "WORKCENTERSEQUENCE_GROUP": "10"},
]
MACHINES: Sequence[Row] = [
    {"RESOURCEID": MACHINE, "RESOURCENAME": "Bonder 1", "WORKCENTERNAME": "W"},
    {"RESOURCEID": OTHER, "RESOURCENAME": "Bonder 2", "WORKCENTERNAME": "W"},
]
EVERYTHING = {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"}


def reject(pieces: int, **values: object) -> Row:
    """Return a reject of lot L at step S on the 11th for `701_Open`."""
    return {
        "CONTAINERID": LOT,
        "SPECNAME": "S",
        "WORKCENTERNAME": "elsewhere",
        "TXNDATE": at("11 12:00"),
        "LOSSREASONNAME": "701_Open",
        "REJECTQTY": pieces,
        **values,
    }


@pytest.fixture
def bench(catalog: Catalog, tmp_path: Path) -> Bench:
    return Bench(catalog, tmp_path)


def frame_of(
    bench: Bench, rejects: Sequence[Row], sessions: Sequence[Row] | None = None, lots: Sequence[Row] = ()
) -> DatasetFrame:
    """Return the rejects of both machines; lot L was on the first one on the 10th unless said otherwise."""
    tables: Mapping[str, Sequence[Row]] = {
        "DW_MES_SPEC_WORKCENTER_V": STEPS,
        "DW_MES_RESOURCE": MACHINES,
        "DW_MES_LOTWIPHISTORY": [part(100, 90, "10 10:00")] if sessions is None else sessions,
        "DW_MES_LOTREJECTHISTORY": rejects,
        "DW_MES_CONTAINER": lots,
        "ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE": [{"REASON_ID": 1, "REASON_NAME": "702", "ENABLE_FLAG": "Y"}],
    }
    return bench.read("equipment-rejects", {**DAYS, "equipment_ids": [MACHINE, OTHER]}, tables)


def test_rejects_count_at_the_machines_own_work_centre_wherever_and_whenever_they_were_reported(bench: Bench) -> None:
    frame = frame_of(
        bench,
        [
            reject(1),
            reject(2, EQUIPMENTNAME="Inspection 7"),
            reject(4, TXNDATE=at("20 12:00")),
            # T is a step of V, and the machine stands in W.
            reject(8, SPECNAME="T"),
            # A step that no dictionary knows belongs where the row says.
            reject(16, SPECNAME="unknown", WORKCENTERNAME="W"),
            reject(32, SPECNAME=None, WORKCENTERNAME="V"),
            # Another lot was never on the machine.
            reject(64, CONTAINERID=OTHER),
        ],
    )
    # 1 + 2 + 4 + 16
    assert [(row["machine"], row["lot_count"], row["reject_total_qty"]) for row in frame.rows("by_machine")] == [
        ("Bonder 1", 1, 23)
    ]
    assert sorted(row["reject_total_qty"] for row in frame.rows("list")) == [1, 2, 4, 16]


def test_a_lot_that_was_tracked_in_outside_the_days_has_none(bench: Bench) -> None:
    early = part(100, 90, "10 10:00", TRACKINTIMESTAMP=at("09 23:59:59"))
    late = part(100, 90, "13 10:00", TRACKINTIMESTAMP=at("13 00:00:00"))
    assert frame_of(bench, [reject(1)], [early, late]).rows("by_machine") == []


def test_a_lot_on_two_machines_counts_for_both_and_once_in_reasons_and_in_the_list(bench: Bench) -> None:
    sessions = [part(100, 90, "10 10:00"), part(90, 80, "10 12:00", EQUIPMENTID=OTHER)]
    frame = frame_of(bench, [reject(5, DEFECTQTY=3)], [*sessions, *sessions])
    assert [(row["machine"], row["reject_total_qty"], row["defect_qty"]) for row in frame.rows("by_machine")] == [
        ("Bonder 1", 5, 3),
        ("Bonder 2", 5, 3),
    ]
    assert [tuple(row.values()) for row in frame.rows("by_reason")] == [("701_Open", 1, 5, 3, 100.0, 100.0)]
    assert [(row["machines"], row["reject_total_qty"]) for row in frame.rows("list")] == [("Bonder 1, Bonder 2", 5)]


def test_equal_rejects_are_different_rejects(bench: Bench) -> None:
    frame = frame_of(bench, [reject(5), reject(5)])
    assert [row["reject_total_qty"] for row in frame.rows("by_reason")] == [10]
    assert len(frame.rows("list")) == 2


def test_five_parts_are_charged_off_and_reasons_come_by_what_they_cost(bench: Bench) -> None:
    frame = frame_of(
        bench,
        [
            reject(1, STANDBYQTY=2, QTYTOPROCESS=4, INPROCESSQTY=None, PROCESSEDQTY=16, DEFECTQTY=100),
            reject(2, LOSSREASONNAME="711_Chip"),
            reject(1, LOSSREASONNAME="700_Bent"),
        ],
    )
    # 23 of 26 are 88.46 percent, 25 of 26 are 96.15.
    assert [(row["loss_reason"], row["reject_total_qty"], row["cum_pct"]) for row in frame.rows("by_reason")] == [
        ("701_Open", 23, 88.46),
        ("711_Chip", 2, 96.15),
        ("700_Bent", 1, 100.0),
    ]


def test_the_policy_of_the_plant_hides_rejects_until_they_are_wanted(bench: Bench) -> None:
    material, pb = "D" * 16, "P" * 16
    rejects = [
        reject(1),
        reject(2, LOSSREASONNAME="702_Short"),
        reject(4, LOSSREASONNAME=None),
        reject(8, CONTAINERID=material),
        reject(16, CONTAINERID=pb),
    ]
    sessions = [part(100, 90, "10 10:00", CONTAINERID=lot) for lot in (LOT, material, pb)]
    lots: Sequence[Row] = [
        {"CONTAINERID": material, "OBJECTTYPE": "MATERIAL"},
        {"CONTAINERID": pb, "PRODUCTLINENAME": "PB_SMA"},
    ]
    frame = frame_of(bench, rejects, sessions, lots)
    sums = {
        name: sum(row["reject_total_qty"] for row in frame.rows("list", filters))
        for name, filters in {
            "policy": {},
            "all reasons": {"include_excluded_scrap": "true"},
            "material too": {"exclude_material_scrap": "false"},
            "PB too": {"exclude_pb_diode": "false"},
            "everything": EVERYTHING,
        }.items()
    }
    assert sums == {"policy": 1, "all reasons": 7, "material too": 9, "PB too": 17, "everything": 31}
