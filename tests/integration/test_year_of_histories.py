"""A year of rejects, machines and jobs through a real engine, cache, lineage and the twin: what is read, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest
from sluice.query.v1 import query_service_pb2 as pb

from tests.dataset_frames import ENGINE
from tests.engine_rig import EngineRig, serving_cache, serving_engine, serving_lineage

YEAR = {"start_date": "2025-01-01", "end_date": "2025-12-31"}
AUTUMN = {"start_date": "2025-09-03", "end_date": "2025-11-14"}


@pytest.fixture(scope="module")
def rig(twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with ExitStack() as stack:
        cache = stack.enter_context(serving_cache(tmp_path_factory.mktemp("cache")))
        lineage = stack.enter_context(serving_lineage(twin_path, cache))
        yield stack.enter_context(
            serving_engine(
                twin_path,
                cache_target=cache,
                lineage_target=lineage,
                datasets_dir=ENGINE / "datasets",
                refreshes_snapshots=False,
                warms_up=False,
                dataset_limits={"reject-history": {"direct_max_ids": 200, "id_batch_size": 200}},
            )
        )


def rows_of(plant: Path, text: str) -> list[tuple[object, ...]]:
    """Return the rows of a statement on the plant."""
    with duckdb.connect(str(plant), read_only=True) as connection:
        return connection.sql(text).fetchall()


def asked(
    rig: EngineRig, dataset: str, parameters: Mapping[str, object], *, no_cache: bool = False
) -> tuple[pb.Query, int]:
    """Ask and return the query as it ended, and how many statements the warehouse ran for it."""
    before = rig.warehouse.counts.started
    query = rig.finish(rig.ask(dataset, parameters, no_cache=no_cache).query_id)
    assert query.state == pb.QUERY_STATE_COMPLETED, query
    return query, rig.warehouse.counts.started - before


def test_a_year_of_rejects_is_read_ten_days_at_a_time_and_once(rig: EngineRig, twin_path: Path) -> None:
    query, _ = asked(rig, "reject-history", YEAR)
    [(count,)] = rows_of(twin_path, "select count(*) from DWH.DW_MES_LOTREJECTHISTORY where year(TXNDATE) = 2025")
    assert (query.receipt.chunks.total, query.receipt.row_count) == (37, count)
    assert asked(rig, "reject-history", AUTUMN)[1] == 0


@pytest.mark.parametrize(("last", "chunks"), [("2024-03-29", 1), ("2024-03-30", 7)])
def test_sixty_days_of_rejects_are_one_statement_and_one_more_is_cut(rig: EngineRig, last: str, chunks: int) -> None:
    packages = ["SMA", last]
    query, _ = asked(rig, "reject-history", {"start_date": "2024-01-30", "end_date": last, "packages": packages})
    assert (query.receipt.chunks.run, query.receipt.chunks.total) == (chunks, chunks)


def test_rejects_of_six_hundred_lots_are_read_in_batches_of_ids(rig: EngineRig, twin_path: Path) -> None:
    lots = rows_of(
        twin_path,
        "select CONTAINERNAME, CONTAINERID from DWH.DW_MES_CONTAINER c"
        " semi join DWH.DW_MES_LOTREJECTHISTORY r on r.CONTAINERID = c.CONTAINERID order by 1 limit 600",
    )
    assert len(lots) > 500
    query, _ = asked(rig, "reject-history", {"mode": "container", "container_values": [str(name) for name, _ in lots]})
    keys = ", ".join(f"'{key}'" for _, key in lots)
    counted = f"select count(*) from DWH.DW_MES_LOTREJECTHISTORY where CONTAINERID in ({keys})"
    [(count,)] = rows_of(twin_path, counted)
    shown = rig.views(query.query_id, "count", filters=EVERYTHING)["count"].table.to_pylist()
    assert shown == [{"row_count": count}]
    assert query.receipt.chunks.total > 3


def test_rejects_of_work_orders_of_hundreds_of_lots_are_read_in_batches_of_their_lots(
    rig: EngineRig, twin_path: Path
) -> None:
    # B12
    orders = [
        str(row[0])
        for row in rows_of(
            twin_path,
            "select MFGORDERNAME from DWH.DW_MES_CONTAINER where MFGORDERNAME is not null"
            " group by all order by count(*) desc, 1 limit 40",
        )
    ]
    typed = {"mode": "container", "container_input_type": "work_order", "container_values": orders}
    # Read anew, since lots that other tests have read would divide them further.
    query, _ = asked(rig, "reject-history", typed, no_cache=True)
    names = ", ".join(f"'{name}'" for name in orders)
    of_orders = f"select CONTAINERID from DWH.DW_MES_CONTAINER where MFGORDERNAME in ({names})"
    [(lots,)] = rows_of(twin_path, f"select count(*) from ({of_orders})")
    [(count,)] = rows_of(
        twin_path, f"select count(*) from DWH.DW_MES_LOTREJECTHISTORY where CONTAINERID in ({of_orders})"
    )
    shown = rig.views(query.query_id, "count", filters=EVERYTHING)["count"].table.to_pylist()
    assert shown == [{"row_count": count}]
    # The lots are resolved by one step, and read 200 at a time.
    assert isinstance(lots, int)
    assert lots > 400
    assert query.receipt.chunks.total == 1 + -(-lots // 200)


EVERYTHING = {"include_excluded_scrap": "true", "exclude_material_scrap": "false", "exclude_pb_diode": "false"}


def test_a_year_of_machines_is_one_query_and_answers_every_range_within(rig: EngineRig) -> None:
    query, _ = asked(rig, "resource-history", YEAR)
    # 365 days of hours and of track-outs, and 425 of rejects, 31 days each.
    assert query.receipt.chunks.total == 12 + 12 + 14
    narrow, statements = asked(rig, "resource-history", AUTUMN)
    assert statements == 0
    assert rig.views(narrow.query_id, "kpi")["kpi"].table.to_pylist()[0]["machine_count"] > 20


def test_granularity_and_filters_are_asked_of_what_is_there(rig: EngineRig) -> None:
    query, _ = asked(rig, "resource-history", AUTUMN)
    before = rig.warehouse.counts.started
    chosen = {"granularity": "month", "workcenter_group": ["Molding"]}
    months = rig.views(query.query_id, "trend", filters=chosen)["trend"].table.to_pylist()
    assert [row["date"] for row in months] == ["2025-09", "2025-10", "2025-11"]
    assert rig.warehouse.counts.started == before


def test_a_year_of_jobs_of_every_machine_is_read_in_months_and_once(rig: EngineRig, twin_path: Path) -> None:
    machines = [str(row[0]) for row in rows_of(twin_path, "select distinct RESOURCEID from DWH.DW_MES_JOB order by 1")]
    parameters = {**YEAR, "resource_ids": machines[:50]}
    query, _ = asked(rig, "job-query", parameters)
    [(count,)] = rows_of(twin_path, "select count(*) from DWH.DW_MES_JOB where year(CREATEDATE) = 2025")
    assert (query.receipt.chunks.total, query.receipt.row_count) == (12, count)
    assert asked(rig, "job-query", {**parameters, "resource_ids": machines[:50][::-1]})[1] == 0
