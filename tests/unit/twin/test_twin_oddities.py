"""Every oddity that `truth.json` names is really in the plant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import duckdb
import pytest
from sluice_twin import NON_QUALITY_REASONS, PLANT_TIME, PlantSummary, catalogue


def rows_of(plant: duckdb.DuckDBPyConnection, sql: str, *binds: object) -> list[tuple[Any, ...]]:
    return plant.execute(sql, list(binds)).fetchall()


def planted_holds(plant: duckdb.DuckDBPyConnection, truths: Any, oddity: str) -> list[dict[str, Any]]:
    ids = truths["planted"]["holds"][oddity]
    cursor = plant.execute(
        "select * from DWH.DW_MES_HOLDRELEASEHISTORY where list_contains(?, HISTORYMAINLINEID)", [ids]
    )
    names = [column[0] for column in cursor.description or []]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert len(found) == len(ids)
    return found


def column(rows: Sequence[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def test_the_clock_stands_in_the_meta_table(plant: duckdb.DuckDBPyConnection, summary: PlantSummary) -> None:
    assert rows_of(plant, "select SEED, SCALE, PLANT_TIME from DWH_TWIN.META") == [
        (summary.seed, summary.scale, PLANT_TIME)
    ]


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_table_has_the_rows_that_the_truths_count(
    plant: duckdb.DuckDBPyConnection, truths: Any, name: str
) -> None:
    assert rows_of(plant, f'select count(*) from DWH."{name}"') == [(truths["row_counts"][name],)]
    assert truths["row_counts"][name] > 0


@pytest.mark.parametrize("name", list(catalogue()))
def test_text_is_never_empty_fits_its_column_and_char_is_padded(plant: duckdb.DuckDBPyConnection, name: str) -> None:
    wrong = []
    for listed in catalogue()[name].columns:
        if listed.duckdb_type != "VARCHAR":
            continue
        shortest, longest = rows_of(
            plant, f'select min(length("{listed.name}")), max(length("{listed.name}")) from DWH."{name}"'
        )[0]
        width = int(re.findall(r"\d+", listed.oracle_type)[-1])
        least = listed.blank_padded_width or 1
        if shortest is not None and not least <= shortest <= longest <= width:
            wrong.append(listed.name)
    assert wrong == []


def test_short_ids_are_blank_padded(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    found = rows_of(plant, "select CONTAINERID from DWH.DW_MES_CONTAINER where CONTAINERID like '% '")
    assert sorted(row[0].rstrip() for row in found) == sorted(truths["planted"]["lots"]["short_ids"])


def test_ids_are_unique(plant: duckdb.DuckDBPyConnection) -> None:
    assert rows_of(plant, "select count(distinct CONTAINERID) = count(*) from DWH.DW_MES_CONTAINER") == [(True,)]
    assert rows_of(plant, "select count(distinct CONTAINERNAME) = count(*) from DWH.DW_MES_CONTAINER") == [(True,)]
    assert rows_of(plant, "select count(distinct HISTORYMAINLINEID) = count(*) from DWH.DW_MES_HOLDRELEASEHISTORY") == [
        (True,)
    ]


def test_both_ids_of_a_hold_sort_alike(plant: duckdb.DuckDBPyConnection) -> None:
    by_line = rows_of(plant, "select HISTORYID from DWH.DW_MES_HOLDRELEASEHISTORY order by HISTORYMAINLINEID")
    assert by_line == sorted(by_line)


def test_holds_stand_in_time_order(plant: duckdb.DuckDBPyConnection) -> None:
    times = [row[0] for row in rows_of(plant, "select HOLDTXNDATE from DWH.DW_MES_HOLDRELEASEHISTORY")]
    assert times == sorted(times)


def test_nothing_happens_after_the_plants_last_day(plant: duckdb.DuckDBPyConnection) -> None:
    assert rows_of(
        plant,
        "select max(HOLDTXNDATE) < '2026-01-01', max(RELEASETXNDATE) < '2026-01-01' from DWH.DW_MES_HOLDRELEASEHISTORY",
    ) == [(True, True)]


@pytest.mark.parametrize(
    ("oddity", "name", "expected"),
    [
        ("held_at_07_29_59", "HOLDTXNDATE", {datetime(2025, 6, 17, 7, 29, 59), datetime(2025, 6, 18, 7, 29, 59)}),
        ("held_at_07_30_00", "HOLDTXNDATE", {datetime(2025, 6, 17, 7, 30), datetime(2025, 6, 18, 7, 30)}),
        ("released_at_07_30_00", "RELEASETXNDATE", {datetime(2025, 6, 17, 7, 30), datetime(2025, 6, 18, 7, 30)}),
        ("released_at_07_29_59", "RELEASETXNDATE", {datetime(2025, 6, 17, 7, 29, 59)}),
        ("open_since_before_the_plant", "RELEASETXNDATE", {None}),
        ("open_and_old", "RELEASETXNDATE", {None}),
        ("open_on_the_last_day", "RELEASETXNDATE", {None}),
        ("no_quantity", "QTY", {None}),
        ("zero_quantity", "QTY", {0}),
        ("no_reason", "HOLDREASONNAME", {None}),
        ("no_reason", "HOLDREASONID", {None}),
        ("blank_reason", "HOLDREASONNAME", {"   "}),
        ("reason_with_blanks_at_its_end", "HOLDREASONNAME", {"Low yield  ", "Process trial "}),
        ("two_ids_with_one_name", "HOLDREASONNAME", {"Bond lift"}),
        ("work_center_without_group", "WORKCENTERNAME", {"FG_STORE"}),
    ],
)
def test_planted_holds_carry_their_oddity(
    plant: duckdb.DuckDBPyConnection, truths: Any, oddity: str, name: str, expected: set[object]
) -> None:
    assert set(column(planted_holds(plant, truths, oddity), name)) == expected


def test_one_lot_is_held_four_times_for_one_reason(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    found = planted_holds(plant, truths, "repeated_for_one_reason")
    times = [(row["CONTAINERID"], row["HOLDREASONID"]) for row in found]
    assert sorted(times.count(key) for key in set(times)) == [3, 4]


def test_one_lot_is_held_twice_in_one_second(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    found = planted_holds(plant, truths, "held_twice_in_one_second")
    assert len({(row["CONTAINERID"], row["HOLDTXNDATE"]) for row in found}) == 1


def test_one_lot_is_held_twice_in_one_day(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    found = planted_holds(plant, truths, "two_holds_in_one_day")
    assert len({(row["CONTAINERID"], row["HOLDTXNDATE"].date()) for row in found}) == 1


def test_one_reason_name_has_two_ids(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    assert len(set(column(planted_holds(plant, truths, "two_ids_with_one_name"), "HOLDREASONID"))) == 2


def test_future_hold_comments_are_planted(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    assert all(column(planted_holds(plant, truths, "future_hold_comment"), "FUTUREHOLDCOMMENTS"))


def test_some_holds_have_no_container(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    orphans = planted_holds(plant, truths, "lot_without_container")
    known = {row[0] for row in rows_of(plant, "select CONTAINERID from DWH.DW_MES_CONTAINER")}
    assert known.isdisjoint(column(orphans, "CONTAINERID"))


def test_some_rejects_have_no_container(plant: duckdb.DuckDBPyConnection) -> None:
    rejected = {row[0] for row in rows_of(plant, "select trim(CONTAINERID) from DWH.DW_MES_LOTREJECTHISTORY")}
    assert rejected - set(parents(plant))


def test_a_month_has_neither_comments_nor_ncr_numbers(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    first, last = (datetime.fromisoformat(text) for text in truths["planted"]["other"]["null_month"])
    rows = rows_of(plant, "select HOLDTXNDATE, HOLDCOMMENTS, NCRID from DWH.DW_MES_HOLDRELEASEHISTORY")
    inside = [row[1:] for row in rows if first <= row[0] < last]
    outside = [row[1:] for row in rows if not first <= row[0] < last]
    assert set(inside) == {(None, None)}
    assert all(any(values) for values in zip(*outside, strict=True))


def test_both_kinds_of_reason_are_held_for(plant: duckdb.DuckDBPyConnection) -> None:
    names = {row[0] for row in rows_of(plant, "select HOLDREASONNAME from DWH.DW_MES_HOLDRELEASEHISTORY")}
    assert set(NON_QUALITY_REASONS) <= names
    assert "Low yield" in names


def parents(plant: duckdb.DuckDBPyConnection) -> dict[str, tuple[str | None, str | None]]:
    found = rows_of(
        plant, "select trim(CONTAINERID), trim(SPLITFROMID), trim(ORIGINALCONTAINERID) from DWH.DW_MES_CONTAINER"
    )
    return {row[0]: (row[1], row[2]) for row in found}


def test_a_chain_of_25_splits_is_planted(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    chain = truths["planted"]["lots"]["split_chain"]
    assert [parents(plant)[lot][0] for lot in chain] == [None, *chain[:-1]]
    assert len(chain) == 26


def test_a_lot_is_its_own_parent(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    (lot,) = truths["planted"]["lots"]["self_parent"]
    assert parents(plant)[lot][0] == lot


def test_three_lots_are_split_in_a_cycle(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    cycle = truths["planted"]["lots"]["split_cycle"]
    assert [parents(plant)[lot][0] for lot in cycle] == [*cycle[1:], cycle[0]]


def test_two_splits_of_one_lot_were_combined_again(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    root, left, right, bottom = truths["planted"]["lots"]["diamond"]
    sources = rows_of(
        plant, "select trim(CONTAINERID) from DWH.DW_MES_PJ_COMBINEDASSYLOTS where trim(LOTID) = ?", bottom
    )
    assert {row[0] for row in sources} == {left, right}
    assert {parents(plant)[lot][0] for lot in (left, right)} == {root}


def test_rework_names_its_source_by_origin_by_split_or_by_both(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    lots = truths["planted"]["lots"]
    (source,) = lots["rework_source"]
    (by_original,), (by_split,), (by_both,) = (lots[f"rework_by_{how}"] for how in ("original", "split", "both"))
    known = parents(plant)
    assert [known[lot] for lot in (by_original, by_split, by_both)] == [
        (None, source),
        (source, None),
        (by_original, source),
    ]


def test_a_lot_was_split_from_a_container_that_is_not_there(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    (lot,) = truths["planted"]["lots"]["parent_without_container"]
    known = parents(plant)
    assert known[lot][0] is not None
    assert known[lot][0] not in known


def test_a_serial_is_the_text_unknown(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    found = rows_of(plant, "select trim(LOTID) from DWH.DW_MES_PJ_COMBINEDASSYLOTS where FINISHEDNAME = 'Unknown'")
    assert {row[0] for row in found} == {truths["planted"]["lots"]["unknown_serial"][2]}


def test_lots_name_a_wafer_lot_that_is_in_the_plant(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    lots = truths["planted"]["lots"]
    rows = rows_of(plant, "select trim(CONTAINERID), CONTAINERNAME, FIRSTNAME from DWH.DW_MES_CONTAINER")
    by_name = {name: lot for lot, name, _ in rows}
    wafer_of = {lot: wafer for lot, _, wafer in rows}
    assert {by_name[wafer_of[lot]] for lot in lots["from_wafer_lot"]} == set(lots["wafer_lot"])


def test_group_order_as_text_misleads(plant: duckdb.DuckDBPyConnection, truths: Any) -> None:
    spec = truths["planted"]["other"]["spec_under_several_groups"]
    rows = rows_of(plant, "select WORKCENTERSEQUENCE_GROUP from DWH.DW_MES_SPEC_WORKCENTER_V where SPEC = ?", spec)
    orders = [row[0] for row in rows]
    assert (min(orders), min(int(order) for order in orders)) == ("10", 2)


def test_packages_carry_trailing_blanks(plant: duckdb.DuckDBPyConnection) -> None:
    found = rows_of(plant, "select count(*) from DWH.DW_MES_CONTAINER where PRODUCTLINENAME like '% '")
    assert found[0][0] > 0


def test_partials_of_a_session_add_up_to_at_most_its_input(plant: duckdb.DuckDBPyConnection) -> None:
    rows = rows_of(plant, "select WIPLOTHISTORYID, TRACKINQTY, TRACKOUTQTY from DWH.DW_MES_LOTWIPHISTORY")
    sessions: dict[str, list[tuple[Any, Any]]] = {}
    for session, quantity_in, quantity_out in rows:
        sessions.setdefault(session, []).append((quantity_in, quantity_out or 0))
    several = [parts for parts in sessions.values() if len(parts) > 1]
    assert len(several) > 100
    assert all(max(into for into, _ in parts) >= sum(out for _, out in parts) for parts in several)
    assert all(parts == sorted(parts, key=lambda part: -part[0]) for parts in several)


def test_rows_of_a_reject_event_repeat_its_move_in_quantity(plant: duckdb.DuckDBPyConnection) -> None:
    rows = rows_of(plant, "select HISTORYMAINLINEID, MOVEINQTY from DWH.DW_MES_LOTREJECTHISTORY")
    assert len(set(rows)) == len({event for event, _ in rows}) < len(rows)


def test_shift_fragments_of_a_machine_leave_no_gap(plant: duckdb.DuckDBPyConnection) -> None:
    columns = "HISTORYID, OLDLASTSTATUSCHANGEDATE, LASTSTATUSCHANGEDATE"
    rows = rows_of(plant, f"select {columns} from DWH.DW_MES_RESOURCESTATUS_SHIFT order by 1, 2")
    touching = [(end, start) for (one, _, end), (other, start, _) in pairwise(rows) if one == other]
    assert len(touching) > 10_000
    assert all(end == start for end, start in touching)


def test_every_machine_state_is_there(plant: duckdb.DuckDBPyConnection) -> None:
    found = rows_of(plant, "select distinct OLDSTATUSNAME from DWH.DW_MES_RESOURCESTATUS_SHIFT")
    assert {row[0] for row in found} == {"PRD", "SBY", "UDT", "SDT", "EGT", "NST", "SCRAP"}


def test_jobs_name_lots_of_the_plant_by_their_unpadded_ids(plant: duckdb.DuckDBPyConnection) -> None:
    found = rows_of(plant, "select CONTAINERIDS from DWH.DW_MES_JOB where CONTAINERIDS like '%,%'")
    known = set(parents(plant))
    assert {lot for row in found for lot in row[0].split(",")} <= known
    assert len(found) > 10


def test_the_lot_view_is_the_live_lots_at_the_clock(plant: duckdb.DuckDBPyConnection) -> None:
    assert rows_of(plant, "select distinct SYS_DATE from DWH.DW_MES_LOT_V") == [(PLANT_TIME,)]
    assert rows_of(plant, "select sum(CURRENTHOLDCOUNT) > 0 from DWH.DW_MES_LOT_V") == [(True,)]
