"""Splits, merges and serial numbers on plants made by hand: what is shown stands beside the rows it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog

from tests.dataset_frames import DatasetFrame, Row
from tests.unit.query_engine_datasets.test_machine_plants import Bench, at

A, B, C, D = (letter * 16 for letter in "ABCD")
LOTS: Sequence[Row] = [
    {"CONTAINERID": A, "CONTAINERNAME": "A", "MFGORDERNAME": "GA1"},
    {"CONTAINERID": B, "CONTAINERNAME": "B", "MFGORDERNAME": "GA1"},
    {"CONTAINERID": C, "CONTAINERNAME": "C", "MFGORDERNAME": "GA2"},
    {"CONTAINERID": D, "CONTAINERNAME": "D"},
]


def moved(key: str, source: str | None, target: str, what: str = "SplitLot", **values: object) -> Row:
    """Return a transaction of the 10th, 12:00, that took 40 of 100 pieces."""
    return {
        "HISTORYMAINLINEID": key * 16,
        "CDONAME": what,
        "TXNDATE": at("10 12:00"),
        "FROMCONTAINERID": source,
        "FROMCONTAINERNAME": None if source is None else source[0],
        "CONTAINERID": target,
        "CONTAINERNAME": target[0],
        "FROMQTY": 100,
        "QTY": 40,
        **values,
    }


def combined(lot: str, serial: str | None, ratio: float | None = 1.0, dies: int | None = 10) -> Row:
    """Return a combination of a lot into a finished serial number."""
    return {
        "CONTAINERID": lot,
        "CONTAINERNAME": lot[0],
        "FINISHEDNAME": serial,
        "PJ_COMBINEDRATIO": ratio,
        "PJ_GOODDIEQTY": dies,
        "PJ_ORIGINALGOODDIEQTY": 50,
        "PJ_WORKORDER": "GA1",
        "ORIGINALSTARTDATE": at("01 08:00"),
    }


@pytest.fixture
def bench(catalog: Catalog, tmp_path: Path) -> Bench:
    return Bench(catalog, tmp_path)


def frame_of(bench: Bench, moves: Sequence[Row], serials: Sequence[Row] = ()) -> DatasetFrame:
    """Return the frame of lot A."""
    tables: Mapping[str, Sequence[Row]] = {
        "DW_MES_CONTAINER": LOTS,
        "DW_MES_HM_LOTMOVEOUT": moves,
        "DW_MES_PJ_COMBINEDASSYLOTS": serials,
    }
    return bench.read("split-merge-history", {"container_values": ["A"]}, tables, meant=[A])


def told(frame: DatasetFrame, **filters: object) -> list[tuple[object, ...]]:
    """Return what was done to which lots, and which of both are asked."""
    rows = frame.rows("list", filters, sort="source_lot")
    names = ("operation", "source_lot", "target_lot", "source_asked", "target_asked")
    return [tuple(row[name] for name in names) for row in rows]


def test_transactions_of_all_lots_of_the_work_order_are_shown_each_once(bench: Bench) -> None:
    frame = frame_of(
        bench,
        [
            # Between two lots of GA1: read from both sides.
            moved("1", A, B),
            # B is of the work order of A, C and D are not.
            moved("2", B, C, "CombineLot"),
            moved("3", D, A, "CombineLot"),
            moved("4", C, D),
        ],
    )
    assert told(frame) == [
        ("split", "A", "B", True, False),
        ("combine", "B", "C", False, False),
        ("combine", "D", "A", False, True),
    ]
    assert told(frame, asked="asked") == [("split", "A", "B", True, False), ("combine", "D", "A", False, True)]
    assert told(frame, operation="split") == [("split", "A", "B", True, False)]


def test_a_transaction_without_a_source_or_of_another_class_is_none(bench: Bench) -> None:
    frame = frame_of(bench, [moved("1", None, A), moved("2", A, B, "MoveOut"), moved("3", A, B)])
    assert [(row["source_qty"], row["target_qty"]) for row in frame.rows("list")] == [(100, 40)]


def test_nothing_is_left_out_for_its_age(bench: Bench) -> None:
    old = moved("1", A, B, TXNDATE=at("10 12:00").replace(year=2023))
    assert [row["txn_time"].year for row in frame_of(bench, [old]).rows("list")] == [2023]


def test_a_serial_number_shows_every_lot_in_it_and_what_was_used(bench: Bench) -> None:
    serials = [
        combined(A, "F1", 0.5, 10),
        combined(C, "F1", 0.1234, 30),
        combined(D, "F2"),
        combined(A, "Unknown"),
        combined(A, " unknown "),
        combined(A, None),
    ]
    frame = frame_of(bench, [], serials)
    # F2 has nothing of lot A; a serial number that nobody knows is none.
    assert frame.rows("serials") == [{"serial": "F1", "lot_count": 2, "asked_lot_count": 1, "total_good_die_qty": 40}]
    assert [
        (row["lot_id"], row["combined_pct"], row["good_die_qty"], row["lot_asked"])
        for row in frame.rows("serial_lots", sort="lot_id")
    ] == [("A", 50.0, 10, True), ("C", 12.34, 30, False)]


def test_a_lot_without_a_work_order_has_transactions_of_its_own(bench: Bench) -> None:
    tables: Mapping[str, Sequence[Row]] = {
        "DW_MES_CONTAINER": LOTS,
        "DW_MES_HM_LOTMOVEOUT": [moved("1", D, A), moved("2", C, B)],
    }
    frame = bench.read("split-merge-history", {"container_values": ["D"]}, tables, meant=[D])
    assert told(frame) == [("split", "D", "A", True, False)]
