"""Reject history on plants made by hand: the expected numbers stand beside the rows they come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from sluice_query_engine.catalog import Catalog

from tests.dataset_frames import DatasetFrame, Row
from tests.unit.query_engine_datasets.test_machine_plants import Bench, at

DAYS = {"start_date": "2025-03-10", "end_date": "2025-03-10"}
LOTS = {
    "L": {"PRODUCTLINENAME": "SMA  ", "PJ_TYPE": "Zener", "OBJECTTYPE": "LOT", "CONTAINERNAME": "GA1-001"},
    "M": {"PRODUCTLINENAME": "SMB", "PJ_TYPE": "BJT", "OBJECTTYPE": "MATERIAL", "CONTAINERNAME": "MT1-001"},
    "P": {"PRODUCTLINENAME": "PB_SMA", "PJ_TYPE": "BJT", "OBJECTTYPE": "LOT", "CONTAINERNAME": "GA2-001"},
}
EVERYTHING = {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"}


def lost(event: str | None, quantity: int | None = 10, when: str = "10 12:00", **values: object) -> Row:
    """Return a reject of lot L, `101_Die chip`, out of 1000 pieces moved in, unless told otherwise."""
    return {
        "HISTORYMAINLINEID": None if event is None else event * 16,
        "CONTAINERID": "L" * 16,
        "LOSSREASONNAME": "101_Die chip",
        "MOVEINQTY": 1000,
        "REJECTQTY": quantity,
        "TXNDATE": at(when),
        "SPECNAME": "S",
        **values,
    }


class Plants:
    """Frames of reject history over 10 March on plants of three lots."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def of(self, *rows: Row, excluded: tuple[str, ...] = (), given: Mapping[str, object] | None = None) -> DatasetFrame:
        """Return the frame of these rejects, with these reasons on the plant's list of exclusions."""
        lots = [{"CONTAINERID": key * 16, **values} for key, values in LOTS.items()]
        listed = [{"REASON_ID": 1, "REASON_NAME": name, "ENABLE_FLAG": "Y"} for name in excluded]
        listed.append({"REASON_ID": 2, "REASON_NAME": "101", "ENABLE_FLAG": "N"})
        tables = {
            "DW_MES_LOTREJECTHISTORY": rows,
            "DW_MES_CONTAINER": lots,
            "ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE": listed,
        }
        return self._bench.read("reject-history", {**DAYS, **(given or {})}, tables)


@pytest.fixture
def plants(catalog: Catalog, tmp_path: Path) -> Plants:
    return Plants(Bench(catalog, tmp_path))


def totals(frame: DatasetFrame, **filters: object) -> tuple[int, int]:
    """Return rows and pieces charged off."""
    [count], [summary] = frame.rows("count", filters), frame.rows("summary", filters)
    return count["row_count"], summary["reject_total_qty"]


def test_days_are_calendar_days(plants: Plants) -> None:
    frame = plants.of(
        lost("1", 1, "09 23:59:59"),
        lost("2", 2, "10 00:00:00"),
        lost("3", 4, "10 07:29:59"),
        lost("4", 8, "10 07:30:00"),
        lost("5", 16, "10 23:59:59"),
        lost("6", 32, "11 00:00:00"),
    )
    assert [(row["bucket_date"].day, row["reject_total_qty"]) for row in frame.rows("trend")] == [(10, 30)]


def test_charged_off_are_the_five_parts_and_defects_stand_apart(plants: Plants) -> None:
    frame = plants.of(
        lost("1", 1, STANDBYQTY=2, QTYTOPROCESS=4, INPROCESSQTY=8, PROCESSEDQTY=16, DEFECTQTY=69), lost("2", None)
    )
    assert frame.rows("summary") == [
        {
            "movein_qty": 2000,
            "reject_total_qty": 31,
            "defect_qty": 69,
            "reject_rate_pct": 1.55,
            "defect_rate_pct": 3.45,
            "reject_share_pct": 31.0,
            "lot_count": 1,
            "workorder_count": 0,
        }
    ]


def test_a_transactions_move_in_counts_once_and_whole_for_each_of_its_reasons(plants: Plants) -> None:
    frame = plants.of(lost("1", 10), lost("1", 30, LOSSREASONNAME="202_Broken wire"), lost("2", 10, MOVEINQTY=500))
    assert [row["movein_qty"] for row in frame.rows("summary")] == [1500]
    assert [(row["item"], row["movein_qty"]) for row in frame.rows("reason_pareto")] == [
        ("202_Broken wire", 1000),
        ("101_Die chip", 1500),
    ]


@pytest.mark.parametrize("view", ["summary", "trend", "analytics", "reason_pareto", "package_pareto", "type_pareto"])
def test_a_reason_that_stands_twice_in_a_transaction_counts_its_move_in_once(plants: Plants, view: str) -> None:
    frame = plants.of(lost("1", 10), lost("1", 20, EQUIPMENTNAME="E"), lost("2", 5, MOVEINQTY=500))
    assert [(row["movein_qty"], row["reject_total_qty"]) for row in frame.rows(view)] == [(1500, 35)]


def test_a_transaction_of_which_rows_are_left_out_keeps_the_largest_move_in_of_the_others(plants: Plants) -> None:
    frame = plants.of(lost("1", 0, MOVEINQTY=900), lost("1", 7), lost("1", 8, MOVEINQTY=0))
    assert [row["movein_qty"] for row in frame.rows("summary", {"metric_filter": "reject"})] == [1000]
    assert [row["movein_qty"] for row in frame.rows("trend", {"metric_filter": "defect"})] == []


@pytest.mark.parametrize("view", ["summary", "trend"])
def test_a_transaction_of_two_lots_counts_its_move_in_once(plants: Plants, view: str) -> None:
    frame = plants.of(lost("1", 10), lost("1", 20, CONTAINERID="P" * 16), lost("2", 5, MOVEINQTY=500))
    [row] = frame.rows(view, EVERYTHING)
    assert (row["movein_qty"], row["reject_total_qty"]) == (1500, 35)


def test_a_transaction_of_two_lots_counts_its_move_in_whole_for_the_package_and_type_of_each(plants: Plants) -> None:
    frame = plants.of(lost("1", 10), lost("1", 20, CONTAINERID="P" * 16), lost("2", 5, MOVEINQTY=500))
    everything = {**EVERYTHING, "scope": "all"}
    packages = [(row["item"], row["movein_qty"]) for row in frame.rows("package_pareto", everything)]
    types = [(row["item"], row["movein_qty"]) for row in frame.rows("type_pareto", everything)]
    assert (packages, types) == ([("PB_SMA", 1000), ("SMA", 1500)], [("BJT", 1000), ("Zener", 1500)])


def test_a_lot_with_two_rejects_of_a_reason_on_a_day_counts_once_there(plants: Plants) -> None:
    days = {**DAYS, "end_date": "2025-03-11"}
    frame = plants.of(lost("1"), lost("2", when="10 13:00"), lost("3", when="11 08:00"), given=days)
    assert [row["lot_count"] for row in frame.rows("analytics")] == [1, 1]


def test_the_move_in_is_the_same_whether_a_reason_is_chosen_in_the_warehouse_or_in_the_view(plants: Plants) -> None:
    rows = (lost("1", 10), lost("1", 30, LOSSREASONNAME="202_Broken wire"))
    before = plants.of(*rows, given={"reasons": ["202_Broken wire"]}).rows("summary")
    assert before == plants.of(*rows).rows("summary", {"loss_reason": "202_Broken wire"})
    assert [(row["movein_qty"], row["reject_rate_pct"]) for row in before] == [(1000, 3.0)]


def test_rows_without_a_transaction_are_one_where_lot_second_and_step_agree(plants: Plants) -> None:
    frame = plants.of(
        lost(None, 1, SPECID="s" * 16),
        lost(None, 2, SPECID="s" * 16),
        lost(None, 4),
        lost(None, 8, "10 12:00:01", SPECID="s" * 16),
    )
    assert [row["movein_qty"] for row in frame.rows("summary")] == [3000]


def test_nothing_moved_in_is_a_rate_of_zero(plants: Plants) -> None:
    frame = plants.of(lost("1", 5, MOVEINQTY=None))
    [row] = frame.rows("summary")
    assert (row["reject_rate_pct"], row["reject_share_pct"]) == (0.0, 100.0)
    [nothing] = plants.of().rows("summary")
    assert list(nothing.values()) == [0, 0, 0, 0.0, 0.0, 0.0, 0, 0]


@pytest.mark.parametrize(
    ("reason", "counts"),
    [
        ("101_Die chip", True),
        ("101_Die chip ", True),
        ("801_Sampling loss", False),
        ("901_By code", False),
        ("XXX_System balance", False),
        ("ZZZ_Count", False),
        ("10_Short", False),
        ("Operator scrap", False),
        (None, False),
    ],
)
def test_statistics_count_reasons_by_the_plants_policy(plants: Plants, reason: str | None, counts: bool) -> None:
    frame = plants.of(lost("1", LOSSREASONNAME=reason), excluded=(" 801_sampling LOSS", "901"))
    assert totals(frame) == ((1, 10) if counts else (0, 0))
    assert totals(frame, include_excluded_scrap="true") == (1, 10)


def test_material_and_pb_packages_are_left_out_unless_wanted(plants: Plants) -> None:
    frame = plants.of(lost("1", 1), lost("2", 2, CONTAINERID="M" * 16), lost("3", 4, CONTAINERID="P" * 16))
    assert totals(frame) == (1, 1)
    assert totals(frame, exclude_material_scrap="false") == (2, 3)
    assert totals(frame, exclude_pb_diode="false") == (2, 5)
    assert totals(frame, package="PB_SMA") == (0, 0)


def test_what_is_not_known_has_a_name_that_finds_it(plants: Plants) -> None:
    unknown = lost("1", 1, CONTAINERID="X" * 16, SPECNAME=None, LOSSREASONNAME="  ")
    frame = plants.of(unknown, lost("2", 2))
    [row] = frame.rows("list", {**EVERYTHING, "package": "(NA)"})
    shown = ("lot_id", "package", "pj_type", "spec", "equipment", "workcenter", "loss_reason", "loss_reason_code")
    assert [row[name] for name in shown] == ["X" * 16, *["(NA)"] * 5, "(not filled)", "(not filled)"]
    for given in ({"packages": ["(NA)"]}, {"pj_types": ["(NA)"]}, {"reasons": ["(not filled)"]}):
        assert totals(plants.of(unknown, lost("2", 2), given=given), **EVERYTHING) == (1, 1)


def test_lists_restrict_what_is_read_together(plants: Plants) -> None:
    rows = (lost("1", 1), lost("2", 2, CONTAINERID="P" * 16), lost("3", 4, LOSSREASONNAME="202_Broken wire"))
    frame = plants.of(*rows, given={"packages": ["SMA", "SMB"], "reasons": ["101_Die chip"], "pj_types": []})
    assert totals(frame, **EVERYTHING) == (1, 1)


@pytest.mark.parametrize(("quantities", "left"), [((50, 30, 20), 2), ((50, 25, 25), 3), ((100, 0, 0), 1)])
def test_a_pareto_ends_with_the_item_that_reaches_eighty_percent(
    plants: Plants, quantities: tuple[int, ...], left: int
) -> None:
    frame = plants.of(
        *(lost(str(place), quantity, LOSSREASONNAME=f"10{place}_R") for place, quantity in enumerate(quantities))
    )
    assert len(frame.rows("reason_pareto")) == left
    shown = frame.rows("reason_pareto", {"scope": "all"})
    assert [row["metric_value"] for row in shown] == [quantity for quantity in quantities if quantity]
    assert shown[-1]["cum_pct"] == 100.0


def test_equal_items_come_by_name_and_shares_are_cumulated_before_they_are_rounded(plants: Plants) -> None:
    frame = plants.of(*(lost(str(place), 1, LOSSREASONNAME=f"10{place}_R") for place in (3, 1, 2)))
    rows = frame.rows("reason_pareto", {"scope": "all"})
    assert [(row["item"], row["pct"], row["cum_pct"]) for row in rows] == [
        ("101_R", 33.3333, 33.3333),
        ("102_R", 33.3333, 66.6667),
        ("103_R", 33.3333, 100.0),
    ]


def test_defects_make_a_pareto_of_their_own(plants: Plants) -> None:
    frame = plants.of(lost("1", 10), lost("2", 0, LOSSREASONNAME="202_Broken wire", DEFECTQTY=3))
    rows = frame.rows("reason_pareto", {"metric_mode": "defect", "scope": "all"})
    assert [(row["item"], row["metric_value"]) for row in rows] == [("202_Broken wire", 3)]


def test_a_step_in_several_groups_stands_in_the_first_of_the_flow(plants: Plants, catalog: Catalog) -> None:
    frame = plants.of(lost("1", WORKCENTERNAME="Elsewhere"), lost("2", SPECNAME="Unknown", WORKCENTERNAME="Elsewhere"))
    assert [(row["workcenter"], row["workcenter_group"]) for row in frame.rows("list", sort="workcenter")] == [
        ("Elsewhere", "Elsewhere"),
        ("W", "G"),
    ]


def test_lots_and_work_orders_are_counted_once_over_days_and_reasons(plants: Plants) -> None:
    frame = plants.of(
        lost("1", PJ_WORKORDER="GA1"),
        lost("2", PJ_WORKORDER="GA1", LOSSREASONNAME="202_Broken wire"),
        lost("3", PJ_WORKORDER="GA2", LOSSREASONNAME="202_Broken wire"),
    )
    [summary] = frame.rows("summary")
    assert (summary["lot_count"], summary["workorder_count"]) == (1, 2)
    assert sum(row["workorder_count"] for row in frame.rows("analytics")) == 3


def test_a_work_order_with_two_rejects_of_a_reason_on_a_day_counts_once_there_and_none_not_at_all(
    plants: Plants,
) -> None:
    days = {**DAYS, "end_date": "2025-03-11"}
    frame = plants.of(
        lost("1", PJ_WORKORDER="GA1"),
        lost("2", PJ_WORKORDER="GA1", when="10 13:00", CONTAINERID="P" * 16),
        lost("3", PJ_WORKORDER="GA2"),
        lost("4"),
        lost("5", PJ_WORKORDER="GA1", when="11 08:00"),
        lost("6", PJ_WORKORDER="GA3", LOSSREASONNAME=None),
        lost("7", PJ_WORKORDER="GA3", LOSSREASONNAME=None),
        given=days,
    )

    def counts(filters: Mapping[str, object]) -> list[tuple[str, int]]:
        return [(row["loss_reason"], row["workorder_count"]) for row in frame.rows("analytics", filters)]

    everything = [("(not filled)", 1), ("101_Die chip", 2), ("101_Die chip", 1)]
    assert counts(EVERYTHING) == everything
    # One of the two rejects of GA1 is of a package that is left out by default: the other one counts for it.
    assert counts({**EVERYTHING, "exclude_pb_diode": "true"}) == everything
    assert counts({**EVERYTHING, "package": "PB_SMA"}) == [("101_Die chip", 1)]


def test_days_of_the_trend_narrow_the_list_and_the_paretos_alone(plants: Plants) -> None:
    wide = {**DAYS, "end_date": "2025-03-11"}
    frame = plants.of(lost("1", 1), lost("2", 2, "11 09:00"), given=wide)
    assert totals(frame, trend_dates="2025-03-11") == (1, 3)
    assert [row["metric_value"] for row in frame.rows("reason_pareto", {"trend_dates": "2025-03-11"})] == [2]


@pytest.mark.parametrize(
    ("granularity", "first"), [("day", "2025-03-11"), ("week", "2025-03-10"), ("month", "2025-03-01")]
)
def test_buckets_are_named_by_their_first_day(plants: Plants, granularity: str, first: str) -> None:
    frame = plants.of(lost("1", 1, "11 09:00"), given={**DAYS, "end_date": "2025-03-11"})
    assert [row["bucket_date"].isoformat() for row in frame.rows("trend", {"granularity": granularity})] == [first]
