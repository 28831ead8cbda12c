"""Holds by department on plants made by hand: the expected numbers stand beside the rows they come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog

from tests.dataset_frames import DatasetFrame, Row
from tests.unit.query_engine_datasets.test_machine_plants import Bench, at

DAYS = {"start_date": "2025-03-11", "end_date": "2025-03-11"}


def held(key: str, when: str, released: str | None = None, **values: object) -> Row:
    """Return a hold of 100 pieces of lot L by Ada of Quality for `Die crack`."""
    return {
        "HISTORYMAINLINEID": key * 16,
        "CONTAINERID": "L" * 16,
        "HOLDEMPDEPTNAME": "Quality",
        "HOLDEMP": "Ada",
        "HOLDREASONNAME": "Die crack",
        "QTY": 100,
        "HOLDTXNDATE": at(when),
        "RELEASETXNDATE": None if released is None else at(released),
        **values,
    }


@pytest.fixture
def bench(catalog: Catalog, tmp_path: Path) -> Bench:
    return Bench(catalog, tmp_path)


def frame_of(bench: Bench, *rows: Row) -> DatasetFrame:
    """Return the frame of 11 March on a plant of these holds, its clock at the 20th, 12:00."""
    return bench.read("hold-department", DAYS, {"DW_MES_HOLDRELEASEHISTORY": rows})


def test_only_holds_placed_in_the_production_days_count(bench: Bench) -> None:
    frame = frame_of(
        bench,
        held("1", "10 07:29:59", QTY=1),
        held("2", "10 07:30:00", QTY=2),
        held("3", "11 07:29:59", QTY=4),
        held("4", "11 07:30:00", QTY=8),
    )
    assert [(row["hold_count"], row["qty"]) for row in frame.rows("department")] == [(2, 6)]


def test_departments_and_persons_come_by_pieces_and_blanks_have_a_name(bench: Bench) -> None:
    frame = frame_of(
        bench,
        held("1", "10 08:00", "10 09:00"),
        held("2", "10 08:00", HOLDEMP="Bo ", QTY=50),
        held("3", "10 08:00", "10 11:00", HOLDEMPDEPTNAME=" ", HOLDEMP=None, QTY=400, CONTAINERID="M" * 16),
    )
    # The open hold lasts 244 hours up to the clock; with the one hour beside it the mean is 122.5.
    assert [tuple(row.values()) for row in frame.rows("department")] == [
        ("(not filled)", 1, 1, 400, 0, 3.0),
        ("Quality", 2, 1, 150, 1, 122.5),
    ]
    assert [(row["department"], row["employee"], row["qty"]) for row in frame.rows("person")] == [
        ("(not filled)", "(not filled)", 400),
        ("Quality", "Ada", 100),
        ("Quality", "Bo", 50),
    ]
    assert [row["lot_id"] for row in frame.rows("list", {"department": "(not filled)"})] == ["M" * 16]


def test_a_department_that_is_chosen_narrows_persons_and_leaves_departments_alone(bench: Bench) -> None:
    frame = frame_of(bench, held("1", "10 08:00"), held("2", "10 08:00", HOLDEMPDEPTNAME="Process"))
    chosen = {"department": "Process"}
    assert [row["department"] for row in frame.rows("department", chosen)] == ["Process", "Quality"]
    assert [row["department"] for row in frame.rows("person", chosen)] == ["Process"]


def test_quality_holds_are_shown_unless_others_are_wanted(bench: Bench) -> None:
    frame = frame_of(bench, held("1", "10 08:00"), held("2", "10 08:00", HOLDREASONNAME="Process trial "))
    counts = [
        frame.rows("department", {"hold_type": kind})[0]["hold_count"] for kind in ("quality", "non-quality", "all")
    ]
    assert counts == [1, 1, 2]
