"""Mid-section defects on lots made by hand: the expected numbers stand beside the rows they come from."""

from __future__ import annotations

import pytest
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset

from tests.dataset_frames import DatasetFrame, Row
from tests.unit.query_engine_datasets.section_plants import (
    FAMILY,
    PASSED,
    REJECTS,
    SESSIONS,
    ancestor,
    became,
    frame_of,
    lost,
    passed,
    reject,
    session,
    visited,
)


@pytest.fixture(scope="module")
def section(catalog: Catalog) -> Dataset:
    return catalog.get("mid-section-defect")


@pytest.fixture(scope="module")
def frame(section: Dataset) -> DatasetFrame:
    """Lots A, B, C with inputs 100, 200, 300; A lost 10 for r1 and 5 for r2, B 20 for r2."""
    return frame_of(section)


def figures(row: Row) -> tuple[object, ...]:
    """Return lots, input, defects and rate of a row."""
    return (row["lot_count"], row["input_qty"], row["defect_qty"], row["defect_rate"])


def kpi(frame: DatasetFrame, filters: dict[str, object] | None = None) -> tuple[object, ...]:
    """Return input, lots, defective lots, defects, rate, top reason and machines."""
    [row] = frame.rows("kpi", filters)
    return tuple(row.values())


def test_every_lot_is_in_the_denominator_once(frame: DatasetFrame) -> None:
    # 35 of 600 pieces.
    assert kpi(frame) == (600, 3, 2, 35, 5.8333, "r2", 3)


def test_a_mask_of_reasons_touches_the_numerator_only(frame: DatasetFrame) -> None:
    # Reason r1: 10 of still 600. An older rule dropped B, which has other reasons only, and told 2.5 %.
    assert kpi(frame, {"loss_reason": ["r1"]}) == (600, 3, 1, 10, 1.6667, "r1", 2)


def test_a_reason_that_nobody_has_leaves_every_lot(frame: DatasetFrame) -> None:
    assert kpi(frame, {"loss_reason": ["r9"]}) == (600, 3, 0, 0, 0.0, None, 0)


def test_a_mask_of_types_takes_lots_out_of_everything(section: Dataset) -> None:
    sessions = [SESSIONS[0], session("B", 200, pj_type="U"), SESSIONS[2]]
    assert kpi(frame_of(section, sessions_at=sessions), {"pj_type": "T"})[:5] == (400, 2, 1, 15, 3.75)


def test_a_machine_counts_each_of_its_lots_once(frame: DatasetFrame) -> None:
    rows = {row["equipment"]: figures(row) for row in frame.rows("attribution")}
    # P was on M1 three times: lots A and B, once each. M2 was met by Q, of B and C; M3 by A itself.
    assert rows == {"M1": (2, 300, 35, 11.6667), "M2": (2, 500, 20, 4.0), "M3": (1, 100, 15, 15.0)}
    assert [row["equipment"] for row in frame.rows("attribution")] == ["M3", "M1", "M2"]


def test_the_pareto_of_machines_cumulates_what_it_shows(frame: DatasetFrame) -> None:
    rows = [(row["equipment"], row["defect_qty"], row["cum_pct"]) for row in frame.rows("by_machine")]
    # 35, 20 and 15 of 70, which is more than the 35 of the lots: they share machines.
    assert rows == [("M1", 35, 50.0), ("M2", 20, 78.57), ("M3", 15, 100.0)]


@pytest.mark.parametrize("workcenter", ["TEST", "TAPE", "ODD", "UNHEARD"])
def test_only_what_comes_before_the_station_can_be_a_cause(section: Dataset, workcenter: str) -> None:
    frame = frame_of(section, passed=[passed("A", "M4", workcenter), passed("A", "M5", "SAW")])
    assert [row["equipment"] for row in frame.rows("attribution")] == ["M5"]
    assert [row["upstream_machines"] for row in frame.exported() if row["lot_id"] == "A"] == ["Sawing / M5"] * 2


def test_a_lot_has_one_root_and_roots_add_up(section: Dataset) -> None:
    roots = [{"seed_id": "A", "found": True, "root_name": "W1"}, {"seed_id": "B", "found": True, "root_name": "W1"}]
    rows = {row["root_name"]: figures(row) for row in frame_of(section, roots=roots).rows("by_wafer_root")}
    assert rows == {"W1": (2, 300, 35, 11.6667), "C": (1, 300, 0, 0.0)}


def test_a_material_counts_each_lot_once_and_has_one_description(section: Dataset) -> None:
    wire = {"materialpartname": "PN", "materiallotname": "ML"}
    consumed: list[Row] = [
        {"containerid": "P", **wire, "materialdescription": None},
        {"containerid": "P", **wire, "materialdescription": "Wire"},
        {"containerid": "A", **wire, "materialdescription": "A wire"},
    ]
    [row] = frame_of(section, consumed=consumed).rows("by_material")
    assert (row["material_key"], row["material_description"], *figures(row)) == (
        "PN [ML]",
        "A wire",
        *(2, 300, 35, 11.6667),
    )


def test_reasons_are_not_narrowed_by_themselves(frame: DatasetFrame) -> None:
    rows = [tuple(row.values()) for row in frame.rows("by_loss_reason", {"loss_reason": "r1"})]
    # r2: 25 pieces of A and B with inputs 100 + 200; r1: 10 of A's 100.
    assert rows == [("r2", 25, 2, 300, 0.083333, 71.43, 71.43), ("r1", 10, 1, 100, 0.1, 28.57, 100.0)]


def test_a_reason_that_was_not_filled_in_counts(section: Dataset) -> None:
    frame = frame_of(section, rejects_at=[reject("A", None, 7), reject("A", None, 1)])
    assert [(row["loss_reason"], row["defect_qty"]) for row in frame.rows("by_loss_reason")] == [("(not filled)", 8)]


def test_a_lot_that_passed_twice_counts_with_its_last_load(section: Dataset) -> None:
    sessions = [
        session("A", 500, "10 08:00"),
        # The second time: 90 loaded, 60 and then 30 left when the later parts began.
        session("A", 90, "11 08:00", equipment="T2", equipment_id="t2"),
        session("A", 60, "11 08:00", equipment="T2", equipment_id="t2"),
        session("A", 30, "11 08:00", equipment="T2", equipment_id="t2"),
    ]
    frame = frame_of(section, sessions_at=sessions, rejects_at=[reject("A", "r1", 9)])
    assert kpi(frame)[:5] == (90, 1, 1, 9, 10.0)
    assert [row["detection_equipment"] for row in frame.rows("by_detection_machine")] == ["T2"]
    assert [(row["day"].day, row["input_qty"]) for row in frame.rows("daily_trend")] == [(11, 90)]


def test_the_detail_has_a_row_for_each_reason_and_one_for_a_lot_without(frame: DatasetFrame) -> None:
    rows = [(row["lot_id"], row["loss_reason"], row["defect_qty"], row["defect_rate"]) for row in frame.exported()]
    assert rows == [("A", "r1", 10, 10.0), ("B", "r2", 20, 10.0), ("A", "r2", 5, 5.0), ("C", None, 0, 0.0)]
    masked = [(row["lot_id"], row["loss_reason"]) for row in frame.exported({"loss_reason": "r1"}, sort="lot_id")]
    assert masked == [("A", "r1"), ("B", None), ("C", None)]


def test_a_workflow_falls_back_to_the_step(section: Dataset) -> None:
    frame = frame_of(section, workflows=[{"lot_id": "A", "workflow": "Route A"}])
    rows = {row["workflow"]: row["lot_count"] for row in frame.rows("by_workflow")}
    assert rows == {"Route A": 1, "Test hot": 2}


def forward(frame: DatasetFrame, filters: dict[str, object] | None = None) -> tuple[object, ...]:
    """Return the figures of the cohort."""
    [row] = frame.rows("forward_kpi", filters)
    return tuple(row.values())


def test_the_cohort_is_followed_through_what_came_of_it(frame: DatasetFrame) -> None:
    # A: 15 and B: 20 of 300 pieces. After it 4 + 6 + 3 of 40 + 45 + 180. Followed: A, A1, A2 and B.
    assert forward(frame) == (2, 300, 35, 11.6667, 4, 1, 265, 13, 4.9057, 0.420485)
    assert [tuple(row.values()) for row in frame.rows("downstream_stations")] == [("Taping", 12, 2, 265, 13, 4.9057)]


def test_a_mask_of_reasons_chooses_the_cohort(frame: DatasetFrame) -> None:
    # Only A has r1: 10 of 100 pieces; after it 4 of 40 + 45.
    assert forward(frame, {"loss_reason": "r1"})[:9] == (1, 100, 10, 10.0, 3, 1, 85, 4, 4.7059)


def test_the_matrix_is_read_by_row(frame: DatasetFrame) -> None:
    rows = [tuple(row.values()) for row in frame.rows("reason_matrix")]
    assert rows == [("r2", "d1", 10, 76.92), ("r2", "d2", 3, 23.08), ("r1", "d1", 4, 100.0)]


def test_the_detail_after_counts_what_came_of_the_lot(frame: DatasetFrame) -> None:
    rows = [
        (row["lot_id"], row["detection_loss_reason"], row["downstream_reject_qty"], row["downstream_reject_rate"])
        for row in frame.exported(view="forward_detail")
    ]
    assert rows == [("B", "r2", 9, 4.5), ("A", "r1", 4, 4.0)]


def test_a_lot_that_came_of_two_counts_once(section: Dataset) -> None:
    # A and B were combined into D, which lost 5 of 50.
    frame = frame_of(
        section,
        descendants=[*became("A", "D"), *became("B", "D")],
        visited=[visited("D", 50)],
        lost=[lost("D", "d1", 5)],
    )
    assert [tuple(row.values()) for row in frame.rows("downstream_stations")] == [("Taping", 12, 2, 50, 5, 10.0)]
    assert forward(frame)[4:8] == (3, 1, 50, 5)
    assert [row["downstream_reject_qty"] for row in frame.exported(view="forward_detail")] == [5, 5]


def test_siblings_and_earlier_stations_are_not_what_came_of_a_lot(section: Dataset) -> None:
    edges = [*became("ROOT", "A", "SIBLING"), *became("A", "A1"), *became("A1", "A")]
    rows = [visited("SIBLING", 70), visited("A1", 40), visited("A1", 30, "BOND"), visited("A1", 20, "ODD")]
    frame = frame_of(section, descendants=edges, visited=rows, lost=[lost("A1", "d1", 1, "TEST")])
    assert [tuple(row.values()) for row in frame.rows("downstream_stations")] == [("Taping", 12, 1, 40, 0, 0.0)]


def test_no_defects_means_no_cohort(section: Dataset) -> None:
    assert forward(frame_of(section, rejects_at=[])) == (0, 0, 0, 0.0, 0, 0, 0, 0, 0.0, None)


def test_days_after_have_no_rate_without_input(frame: DatasetFrame) -> None:
    [row] = frame.rows("downstream_trend")
    assert (row["day"].day, row["input_qty"], row["reject_qty"], row["reject_rate"]) == (11, 265, 13, 0.049057)


def test_the_examples_are_whole(frame: DatasetFrame) -> None:
    assert (len(FAMILY), len(PASSED), len(REJECTS)) == (4, 5, 3)
    assert ancestor("A", "P") == FAMILY[:1]
    kinds = {row["kind"] for row in frame.main()}
    assert kinds == {"lot", "reject", "machine", "member", "visit", "loss"}
