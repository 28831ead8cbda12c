"""Lots around a lot on plants made by hand: which are shown, and at which place, stands beside the rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog

from tests.dataset_frames import DatasetFrame, Row
from tests.unit.query_engine_datasets.test_machine_plants import MACHINE, OTHER, Bench, at, part

ASKED = {"equipment_id": MACHINE, "lot_id": "X", "start_date": "2025-03-10", "end_date": "2025-03-10"}


class Line:
    """A machine that takes in a lot every hour from 01:00 of the 10th on."""

    def __init__(self) -> None:
        self.sessions: list[Row] = []
        self.lots: dict[str, Row] = {}

    def takes(self, name: str, pj_type: str | None, **values: object) -> Line:
        """Take in a lot of a product type."""
        key = name.ljust(16, "0")
        began = at("10 01:00") + timedelta(hours=len(self.sessions))
        changed = {"CONTAINERID": key, "TRACKINTIMESTAMP": began, **values}
        self.sessions.append({**part(10, 10, None), **changed})
        self.lots[key] = {"CONTAINERID": key, "CONTAINERNAME": name, "PJ_TYPE": pj_type}
        return self

    def seen(self, bench: Bench, *more: Row) -> DatasetFrame:
        """Return the frame around lot X."""
        tables = {"DW_MES_LOTWIPHISTORY": [*self.sessions, *more], "DW_MES_CONTAINER": list(self.lots.values())}
        return bench.read("adjacent-lots", ASKED, tables)


def line_of(types: Sequence[tuple[str, str | None]]) -> Line:
    """Return a line that takes in these lots of these types, one after the other."""
    line = Line()
    for name, pj_type in types:
        line.takes(name, pj_type)
    return line


def places(frame: DatasetFrame, target: int = 1) -> list[tuple[int, str]]:
    """Return position and lot of what is shown around a target."""
    rows = frame.rows("list", {"target_number": target})
    return [(row["relative_position"], row["lot_id"]) for row in rows]


@pytest.fixture
def bench(catalog: Catalog, tmp_path: Path) -> Bench:
    return Bench(catalog, tmp_path)


def test_the_run_of_the_type_is_shown_with_one_of_another_type_on_either_side(bench: Bench) -> None:
    before = [("P", "B"), ("Q", "B"), ("A1", "A"), ("A2", "A"), ("A3", "A"), ("A4", "A")]
    after = [("A5", "A"), ("A6", "A"), ("A7", "A"), ("A8", "A"), ("R", "C"), ("S", "A")]
    frame = line_of([*before, ("X", "A"), *after]).seen(bench)
    # Four of type A and Q before, four and R after; P and S lie beyond a change of type.
    assert places(frame) == [
        (-5, "Q"),
        (-4, "A1"),
        (-3, "A2"),
        (-2, "A3"),
        (-1, "A4"),
        (0, "X"),
        (1, "A5"),
        (2, "A6"),
        (3, "A7"),
        (4, "A8"),
        (5, "R"),
    ]


def test_three_on_either_side_are_shown_whatever_their_type_as_far_as_there_are(bench: Bench) -> None:
    frame = line_of([("P", "B"), ("Q", "C"), ("X", "A"), ("R", "B"), ("S", "C"), ("T", "D"), ("U", "E")]).seen(bench)
    assert places(frame) == [(-2, "P"), (-1, "Q"), (0, "X"), (1, "R"), (2, "S"), (3, "T")]


def test_a_missing_type_is_a_type_of_its_own(bench: Bench) -> None:
    missing = [(f"N{number}", None) for number in range(5)]
    frame = line_of([("P", "A"), ("Q", "A"), *missing, ("X", None)]).seen(bench)
    # Five without a type, and Q, the first that has one.
    assert [place for place, _ in places(frame)] == [-6, -5, -4, -3, -2, -1, 0]
    assert places(frame)[0] == (-6, "Q")


def test_parts_of_a_session_use_up_no_place(bench: Bench) -> None:
    line = line_of([("P", "A"), ("Q", "A"), ("R", "A"), ("S", "B"), ("X", "A")])
    again = [{**line.sessions[2], "TRACKINQTY": left, "TRACKOUTQTY": out} for left, out in ((7, 5), (2, 2))]
    rows = line.seen(bench, *again).rows("list")
    # R went out in three parts, 10, 5 and 2 of what were 10, 7 and 2: one place of the three on this side.
    assert [(row["relative_position"], row["lot_id"]) for row in rows] == [(-3, "Q"), (-2, "R"), (-1, "S"), (0, "X")]
    assert [(row["track_in_qty"], row["track_out_qty"], row["partial_count"]) for row in rows] == [
        (10, 10, 1),
        (10, 17, 3),
        (10, 10, 1),
        (10, 10, 1),
    ]


def test_each_session_of_the_lot_is_a_target_with_places_of_its_own(bench: Bench) -> None:
    frame = line_of([("X", "A"), ("P", "B"), ("Q", "B")]).takes("X", "A").takes("R", "B").seen(bench)
    assert [
        (row["target_number"], row["track_in_time"].hour, row["before_count"], row["after_count"])
        for row in frame.rows("targets")
    ] == [(1, 1, 0, 3), (2, 4, 3, 1)]
    assert places(frame, 2) == [(-3, "X"), (-2, "P"), (-1, "Q"), (0, "X"), (1, "R")]


def test_lots_of_one_instant_stand_in_the_order_of_their_keys(bench: Bench) -> None:
    line = Line().takes("X", "A")
    for name in ("C", "B", "D"):
        line.takes(name, "A", TRACKINTIMESTAMP=at("10 02:00"))
    assert places(line.seen(bench)) == [(0, "X"), (1, "B"), (2, "C"), (3, "D")]


def test_what_is_on_another_machine_or_another_day_is_no_neighbour(bench: Bench) -> None:
    line = Line().takes("X", "A").takes("P", "A", EQUIPMENTID=OTHER)
    line.takes("Q", "A", TRACKINTIMESTAMP=at("11 00:00:00")).takes("R", "A", TRACKINTIMESTAMP=at("10 23:59:59"))
    assert places(line.seen(bench)) == [(0, "X"), (1, "R")]


def test_a_lot_that_was_not_there_has_no_neighbours(bench: Bench) -> None:
    frame = line_of([("P", "A"), ("Q", "A")]).seen(bench)
    assert (frame.rows("targets"), frame.rows("list")) == ([], [])
