"""The judge itself, against numbers worked out by hand on a handful of rows."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sluice_twin import PLANT_TIME, PlantSummary, read_raw, truth

START, END = date(2025, 3, 11), date(2025, 3, 13)
AS_OF = datetime(2025, 3, 20, 12)


def hold(number: int, held: str, released: str | None, **columns: object) -> dict[str, object]:
    """A raw hold of lot A over 10 pieces for "Low yield", unless told otherwise; times as `11T08:00:00` of March."""
    return {
        "HISTORYMAINLINEID": f"{number:016x}",
        "CONTAINERID": "a               ",
        "QTY": Decimal(10),
        "HOLDREASONID": "r               ",
        "HOLDREASONNAME": "Low yield",
        "HOLDTXNDATE": datetime.fromisoformat(f"2025-03-{held}"),
        "RELEASETXNDATE": None if released is None else datetime.fromisoformat(f"2025-03-{released}"),
        **columns,
    }


CONTAINERS = [{"CONTAINERID": "a", "CONTAINERNAME": "GA-1", "PRODUCTNAME": "P1", "PRODUCTLINENAME": "SOD-123 "}]


def rows(*holds: dict[str, object], start: date = START, end: date = END) -> list[truth.Hold]:
    return truth.hold_rows(holds, CONTAINERS, start=start, end=end, as_of=AS_OF, groups={"GOLD_WB": "Wire Bond"})


def quantities(entries: list[dict[str, object]], hold_type: str, measure: str) -> list[object]:
    return [entry[measure] for entry in entries if entry["hold_type"] == hold_type]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2025, 3, 11, 7, 29, 59), date(2025, 3, 11)),
        (datetime(2025, 3, 11, 7, 30), date(2025, 3, 12)),
        (datetime(2025, 3, 11), date(2025, 3, 11)),
        (datetime(2024, 12, 31, 7, 30), date(2025, 1, 1)),
    ],
)
def test_a_production_day_is_labelled_by_the_day_it_ends_on(moment: datetime, day: date) -> None:
    assert truth.production_day(moment) == day


@pytest.mark.parametrize(
    ("held", "released", "belongs"),
    [
        ("10T07:29:59", "10T07:29:59", False),
        ("10T07:29:59", "10T07:30:00", True),
        ("10T07:30:00", "10T07:30:00", True),
        ("01T00:00:00", None, True),
        ("13T07:29:59", None, True),
        ("13T07:30:00", None, False),
        ("01T00:00:00", "30T00:00:00", True),
    ],
)
def test_a_hold_belongs_when_it_overlaps_the_range(held: str, released: str | None, belongs: bool) -> None:
    assert bool(rows(hold(1, held, released))) is belongs


def test_the_trend_of_three_holds() -> None:
    found = rows(
        hold(1, "10T08:00:00", "11T08:00:00"),
        hold(2, "11T09:00:00", None, CONTAINERID="b", QTY=Decimal(4), HOLDREASONNAME="Process trial"),
        hold(3, "11T10:00:00", "11T11:00:00", QTY=Decimal(3), FUTUREHOLDCOMMENTS="stop here"),
    )
    trend = truth.trend(found, START, END)
    assert [entry["day"] for entry in trend][::3] == [date(2025, 3, 11), date(2025, 3, 12), date(2025, 3, 13)]
    assert quantities(trend, "quality", "hold_qty") == [10, 0, 0]
    assert quantities(trend, "non-quality", "hold_qty") == [0, 4, 4]
    assert quantities(trend, "all", "hold_qty") == [10, 4, 4]
    assert quantities(trend, "quality", "new_hold_qty") == [10, 3, 0]
    assert quantities(trend, "quality", "release_qty") == [0, 13, 0]
    assert quantities(trend, "quality", "future_hold_qty") == [0, 0, 0]
    assert quantities(trend, "all", "repeat_quality_hold_qty") == [0, 3, 0]
    assert quantities(trend, "non-quality", "repeat_quality_hold_qty") == [0, 0, 0]


def test_a_future_hold_counts_when_it_is_the_first_for_its_reason() -> None:
    found = rows(
        hold(1, "10T08:00:00", "10T09:00:00", FUTUREHOLDCOMMENTS="x"),
        hold(2, "11T08:00:00", "11T09:00:00", QTY=Decimal(7), FUTUREHOLDCOMMENTS="x"),
    )
    assert quantities(truth.trend(found, START, END), "all", "future_hold_qty") == [10, 0, 0]


def test_only_the_last_hold_of_a_lot_and_day_is_new() -> None:
    found = rows(hold(1, "10T08:00:00", None), hold(2, "10T09:00:00", None, QTY=Decimal(6)))
    assert quantities(truth.trend(found, START, END), "all", "new_hold_qty") == [6, 0, 0]
    assert quantities(truth.trend(found, START, END), "all", "hold_qty") == [16, 16, 16]


def test_ranks_break_ties_by_history_id() -> None:
    found = rows(hold(2, "10T08:00:00", None), hold(1, "10T08:00:00", None))
    assert [(row.history_id[-1], row.rn_hold_day, row.rn_reason) for row in found] == [("2", 1, 2), ("1", 2, 1)]


def test_ranks_see_only_the_rows_of_the_query() -> None:
    earlier, later = hold(1, "01T08:00:00", "01T09:00:00"), hold(2, "11T08:00:00", "11T09:00:00")
    assert [row.rn_reason for row in rows(earlier, later)] == [1]
    assert [row.rn_reason for row in rows(earlier, later, start=date(2025, 3, 1))] == [1, 2]


def test_a_pareto_of_three_thirds_ends_at_one_hundred() -> None:
    found = rows(
        hold(1, "10T08:00:00", None, HOLDREASONNAME="B"),
        hold(2, "11T08:00:00", None, HOLDREASONNAME="A "),
        hold(3, "12T08:00:00", None, HOLDREASONNAME="  "),
    )
    pareto = truth.reason_pareto(found, START, END)
    assert [tuple(item.values()) for item in pareto] == [
        ("(not filled)", 1, 10, 33.33, 33.33),
        ("A", 1, 10, 33.33, 66.67),
        ("B", 1, 10, 33.33, 100.0),
    ]


def test_the_label_of_blank_reasons_selects_them() -> None:
    found = rows(hold(1, "10T08:00:00", None, HOLDREASONNAME=None), hold(2, "10T08:00:00", None))
    blank = truth.Filters(include_reasons=(truth.NOT_FILLED,))
    others = truth.Filters(exclude_reasons=(truth.NOT_FILLED,))
    assert [row.reason for row in truth.listed(found, START, END, blank)] == [None]
    assert [row.reason for row in truth.listed(found, START, END, others)] == ["Low yield"]


def test_durations_fall_into_the_bucket_that_starts_with_them() -> None:
    found = rows(
        hold(1, "10T08:00:00", "10T11:59:59"),
        hold(2, "10T08:00:00", "10T12:00:00"),
        hold(3, "10T08:00:00", "11T08:00:00"),
        hold(4, "10T08:00:00", "13T08:00:00", QTY=None),
        hold(5, "10T08:00:00", None),
    )
    assert [tuple(item.values()) for item in truth.duration(found, START, END)] == [
        ("<4h", 1, 10, 33.33),
        ("4-24h", 1, 10, 33.33),
        ("1-3d", 1, 10, 33.33),
        (">3d", 1, 0, 0.0),
    ]


def test_hours_of_released_and_open_rows_are_apart() -> None:
    found = rows(
        hold(1, "10T08:00:00", "10T09:00:00"), hold(2, "10T08:00:00", "10T09:20:00"), hold(3, "10T12:00:00", None)
    )
    assert truth.hours(found, START, END) == {
        "avg_released_hours": 1.17,
        "max_released_hours": 1.33,
        "avg_on_hold_hours": 240.0,
        "max_on_hold_hours": 240.0,
    }


def test_no_rows_give_zeros() -> None:
    assert set(truth.hours([], START, END).values()) == {0.0}
    assert [item["pct"] for item in truth.duration([], START, END)] == [0.0, 0.0, 0.0, 0.0]
    assert truth.reason_pareto([], START, END) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (truth.Filters(), [2]),
        (truth.Filters(hold_type="all"), [3, 2]),
        (truth.Filters(hold_type="non-quality"), [3]),
        (truth.Filters(record_type=frozenset({"on_hold"})), [1]),
        (truth.Filters(record_type=frozenset({"released"})), [2]),
        (truth.Filters(record_type=frozenset({"new", "on_hold", "released"})), [2, 1]),
        (truth.Filters(hold_type="all", duration_range="<4h"), [2]),
        (truth.Filters(hold_type="all", day_filter="2025-03-12:new"), [3]),
        (truth.Filters(hold_type="all", day_filter="2025-03-11:release"), [2]),
    ],
)
def test_filters_of_the_list(filters: truth.Filters, expected: list[int]) -> None:
    found = rows(
        hold(1, "01T08:00:00", None),
        hold(2, "10T08:00:00", "10T09:00:00"),
        hold(3, "11T08:00:00", None, HOLDREASONNAME="Process trial"),
    )
    assert [int(row.history_id, 16) for row in truth.listed(found, START, END, filters)] == expected


def test_a_hold_shows_its_lot_its_group_and_trimmed_names() -> None:
    (known,) = rows(hold(1, "10T08:00:00", None, WORKCENTERNAME="GOLD_WB"))
    assert (known.lot_id, known.product, known.package, known.workcenter) == ("GA-1", "P1", "SOD-123", "Wire Bond")


def test_a_hold_without_container_shows_the_trimmed_id_and_the_raw_work_center() -> None:
    (orphan,) = rows(hold(1, "10T08:00:00", None, CONTAINERID="b   ", WORKCENTERNAME="FG_STORE"))
    assert (orphan.lot_id, orphan.product, orphan.workcenter) == ("b", None, "FG_STORE")


def test_the_file_holds_what_the_judge_says_of_the_edge_day(summary: PlantSummary, truths: Any) -> None:
    holds = read_raw(summary.path, "DW_MES_HOLDRELEASEHISTORY", truth.RAW_HOLD_COLUMNS)
    containers = read_raw(summary.path, "DW_MES_CONTAINER", truth.RAW_CONTAINER_COLUMNS)
    day = date.fromisoformat(truths["planted"]["other"]["edge_day"])
    expected = next(entry for entry in truths["expected"] if entry["start"] == entry["end"] == day.isoformat())
    found = truth.hold_rows(holds, containers, start=day, end=day, as_of=PLANT_TIME)
    assert len(found) == expected["row_count"]
    assert [entry["hold_qty"] for entry in truth.trend(found, day, day)] == [
        entry["hold_qty"] for entry in expected["trend"]
    ]


def test_the_edge_day_has_its_two_edges(truths: Any) -> None:
    day = next(entry for entry in truths["expected"] if entry["start"] == entry["end"])
    placed = next(view for view in day["views"] if view["filters"]["day_filter"] == "2025-06-18:new")
    inside = truths["planted"]["holds"]["held_at_07_30_00"][0]
    outside = truths["planted"]["holds"]["held_at_07_29_59"][0]
    assert inside in placed["list_first"]
    assert outside not in placed["list_first"]


def test_the_judge_reads_no_sql() -> None:
    source = truth.__loader__.get_source(truth.__name__)  # type: ignore[union-attr]
    assert "duckdb" not in source
    assert "numpy" not in source
