"""A year of detection, machines and lots through a real engine, cache, lineage and the twin: what is read, and when."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2

from tests.dataset_frames import ENGINE
from tests.engine_rig import EngineRig, serving_cache, serving_engine, serving_lineage
from tests.integration.test_year_of_histories import YEAR, asked, rows_of

BUSIEST = """
select s.WORK_CENTER_GROUP, count(distinct h.CONTAINERID)
from DWH.DW_MES_LOTWIPHISTORY h
join (select distinct WORK_CENTER, WORK_CENTER_GROUP from DWH.DW_MES_SPEC_WORKCENTER_V) s
    on trim(s.WORK_CENTER) = trim(h.WORKCENTERNAME)
where year(h.TRACKINTIMESTAMP) = 2025 and h.EQUIPMENTID is not null
group by all
order by 2 desc, 1
limit 1
"""
LARGEST_ORDER = """
select c.MFGORDERNAME, count(*)
from DWH.DW_MES_CONTAINER c
where c.MFGORDERNAME is not null
group by all
order by 2 desc, 1
limit 1
"""
BATCH = 10


@dataclass(frozen=True)
class Traces:
    """An engine with its lineage, and what the warehouse ran for it."""

    rig: EngineRig
    plant: Path
    statements: Path

    def ran(self) -> Counter[str]:
        """Return how often each statement of the engine has run, by name."""
        if not self.statements.exists():
            return Counter()
        lines = [json.loads(line) for line in self.statements.read_text(encoding="utf-8").splitlines()]
        return Counter(line["statement"] for line in lines if line["kind"] == "start")


@pytest.fixture(scope="module")
def traces(twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    folder = tmp_path_factory.mktemp("traces")
    small = {"direct_max_ids": BATCH, "id_batch_size": BATCH}
    with ExitStack() as stack:
        cache = stack.enter_context(serving_cache(folder / "cache"))
        lineage = stack.enter_context(serving_lineage(twin_path, cache))
        rig = stack.enter_context(
            serving_engine(
                twin_path,
                statement_log=folder / "statements.jsonl",
                cache_target=cache,
                lineage_target=lineage,
                datasets_dir=ENGINE / "datasets",
                dataset_limits={"split-merge-history": small},
            )
        )
        yield Traces(rig, twin_path, folder / "statements.jsonl")


def whole(query: pb.Query) -> pb.Query:
    """Return a query that is complete."""
    receipt = query.receipt
    assert receipt.status == table_pb2.COMPLETENESS_COMPLETE, receipt
    assert (list(receipt.failed_ranges), list(receipt.truncated_ranges)) == ([], [])
    return query


def test_a_year_at_the_busiest_station_is_detected_in_months_and_looked_up_by_id(traces: Traces) -> None:
    [(station, lots)] = rows_of(traces.plant, BUSIEST)
    given = {"mode": "date_range", "stations": [str(station)], **YEAR}
    query, _ = asked(traces.rig, "mid-section-defect", given)
    [row] = traces.rig.views(whole(query).query_id, "kpi")["kpi"].table.to_pylist()
    assert (row["lot_count"], row["total_defect_qty"] > 0) == (lots, True)
    # 365 days, 31 at a time; everything else of these lots is read by their keys, up to a thousand at once.
    ran = traces.ran()
    assert ran["passes"] == 12
    assert ran["sessions_at"] == -(-int(str(lots)) // 1000)
    assert asked(traces.rig, "mid-section-defect", given)[1] == 0


@pytest.mark.parametrize(("station", "last", "chunks"), [("Testing", "2024-05-30", 1), ("Plating", "2024-05-31", 2)])
def test_sixty_days_of_detection_are_one_statement_and_one_more_is_cut(
    traces: Traces, station: str, last: str, chunks: int
) -> None:
    # Stations are among what the statement binds, so the two share no chunk.
    before = traces.ran()["passes"]
    given = {"mode": "date_range", "stations": [station], "start_date": "2024-04-01", "end_date": last}
    whole(asked(traces.rig, "mid-section-defect", given)[0])
    assert traces.ran()["passes"] - before == chunks


def test_a_year_of_machines_is_read_in_months_and_a_part_of_it_not_at_all(traces: Traces) -> None:
    machines = [
        str(row[0]) for row in rows_of(traces.plant, "select distinct RESOURCEID from DWH.DW_MES_JOB order by 1")
    ]
    given = {**YEAR, "equipment_ids": machines[:200]}
    query, statements = asked(traces.rig, "equipment-lots", given)
    assert (whole(query).receipt.chunks.total, statements >= 12) == (12, True)
    part = {**given, "start_date": "2025-03-01", "end_date": "2025-06-30"}
    narrow, statements = asked(traces.rig, "equipment-lots", part)
    assert statements == 0
    assert 0 < narrow.receipt.row_count < query.receipt.row_count


def test_splits_of_a_large_work_order_are_read_in_batches_of_its_lots_and_once(traces: Traces) -> None:
    [(order, lots)] = rows_of(traces.plant, LARGEST_ORDER)
    given = {"container_input_type": "work_order", "container_values": [str(order)]}
    query, _ = asked(traces.rig, "split-merge-history", given)
    of_order = f"select CONTAINERID from DWH.DW_MES_CONTAINER where MFGORDERNAME = '{order}'"
    [(count,)] = rows_of(
        traces.plant,
        "select count(*) from DWH.DW_MES_HM_LOTMOVEOUT where CDONAME in ('SplitLot', 'CombineLot')"
        f" and FROMCONTAINERID is not null and (CONTAINERID in ({of_order}) or FROMCONTAINERID in ({of_order}))",
    )
    page = traces.rig.views(whole(query).query_id, "list")["list"].page
    assert (page.total_count, page.total_count > 0) == (count, True)
    batches = -(-int(str(lots)) // BATCH)
    assert batches > 1
    ran = traces.ran()
    assert (ran["came_of"], ran["went_into"]) == (batches, batches)
    assert asked(traces.rig, "split-merge-history", given)[1] == 0
