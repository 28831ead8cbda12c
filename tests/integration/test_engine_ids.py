"""Holds by containers through a real engine, a real cache and the twin: what of a list of ids is read, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import WarehouseError
from sluice_warehouse.faults import Fault

from tests.engine_rig import REPOSITORY, EngineRig, datasets_with, serving_cache, serving_engine
from tests.polling import poll_until

IDS_DATASET = "container-holds"
BATCHED = {"[limits]\n": "[limits]\ndirect_max_ids = 5\nid_batch_size = 4\n"}


class RefusedIds:
    """Fails every statement that binds one of these ids."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def __call__(self, statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        return Fault(error=WarehouseError(1555)) if self.ids & {str(value) for value in binds.values()} else None


@dataclass(frozen=True)
class Plant:
    """Containers of the twin that were held, and all their holds."""

    containers: list[str]
    holds: dict[str, int]

    def row_count(self, ids: Sequence[str]) -> int:
        """Return how many holds these containers have."""
        return sum(self.holds.get(container, 0) for container in ids)


@pytest.fixture(scope="module")
def plant(twin_path: Path) -> Plant:
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        rows = connection.sql(
            "select CONTAINERID, count(*) from DWH.DW_MES_HOLDRELEASEHISTORY"
            " where CONTAINERID is not null group by all order by all"
        ).fetchall()
    return Plant([str(row[0]) for row in rows], {str(row[0]): int(row[1]) for row in rows})


@pytest.fixture
def refused() -> RefusedIds:
    return RefusedIds()


def folders(folder: Path, edits: Mapping[str, str]) -> Path:
    """Return the test's dataset with lines replaced."""
    return datasets_with(folder, edits, REPOSITORY / "tests" / "datasets", IDS_DATASET)


@pytest.fixture
def rig(twin_path: Path, tmp_path: Path, refused: RefusedIds) -> Iterator[EngineRig]:
    datasets = folders(tmp_path / "datasets", {})
    with (
        serving_cache(tmp_path / "cache") as target,
        serving_engine(twin_path, fault=refused, cache_target=target, datasets_dir=datasets) as rig,
    ):
        yield rig


@pytest.fixture
def batching(twin_path: Path, tmp_path: Path, refused: RefusedIds) -> Iterator[EngineRig]:
    """An engine that reads four ids at a time where more than five are missing."""
    datasets = folders(tmp_path / "datasets", BATCHED)
    with (
        serving_cache(tmp_path / "cache") as target,
        serving_engine(twin_path, fault=refused, cache_target=target, datasets_dir=datasets) as rig,
    ):
        yield rig


def run(rig: EngineRig, ids: Sequence[str], *, no_cache: bool = False) -> pb.Query:
    """Ask for the holds of these containers and return the query as it ended."""
    return rig.finish(rig.ask(IDS_DATASET, {"container_ids": list(ids)}, no_cache=no_cache).query_id)


def containers_of(rig: EngineRig, query: pb.Query) -> list[str]:
    """Return the container of every hold of the query's main table, sorted."""
    table: pa.Table = rig.frame(query.query_id).table
    return sorted(table["container_id"].to_pylist())


def test_up_to_a_thousand_ids_are_one_statement_and_one_more_is_cut(rig: EngineRig) -> None:
    # B2.2, B4.2
    many = [f"{number:016x}" for number in range(2500)]
    assert run(rig, many[:1000]).receipt.warehouse_statement_count == 1
    fresh = [f"{number:016X}" for number in range(0xA000, 0xA000 + 1001)]
    query = run(rig, fresh)
    assert query.receipt.plan == (
        "0 of 2 chunks were there; 1 × 1000 ids, 1 × 1 id read; more than 1000 ids are read 1000 at a time"
    )


def test_2500_ids_are_three_batches(rig: EngineRig) -> None:
    query = run(rig, [f"{number:016x}" for number in range(2500)])
    assert sorted(chunk.id_count for chunk in query.progress.chunks) == [500, 1000, 1000]


def test_a_set_that_shares_nine_tenths_reads_a_tenth(rig: EngineRig, plant: Plant) -> None:
    tenth = len(plant.containers) // 10
    known, fresh = plant.containers[:-tenth], plant.containers[-tenth:]
    run(rig, known)
    query = run(rig, [*known[100:], *fresh, *known[:100]])
    assert fresh
    assert query.receipt.warehouse_row_count == plant.row_count(fresh)
    assert query.receipt.warehouse_statement_count == 1
    assert query.receipt.row_count == plant.row_count([*known, *fresh])


def test_an_id_without_holds_is_not_asked_for_twice(rig: EngineRig) -> None:
    run(rig, ["nowhere-1", "nowhere-2"])
    query = run(rig, ["nowhere-2"])
    assert (query.receipt.warehouse_statement_count, query.receipt.row_count) == (0, 0)


def test_rows_of_ids_that_were_not_asked_for_are_not_shown(rig: EngineRig, plant: Plant) -> None:
    run(rig, plant.containers[:50])
    query = run(rig, plant.containers[10:12])
    assert query.receipt.warehouse_statement_count == 0
    assert set(containers_of(rig, query)) == set(plant.containers[10:12])


def test_no_ids_are_an_empty_answer_without_a_statement(rig: EngineRig) -> None:
    query = run(rig, [])
    assert query.state == pb.QUERY_STATE_COMPLETED
    assert (query.receipt.row_count, query.receipt.warehouse_statement_count) == (0, 0)


def test_no_cache_reads_every_id_again(rig: EngineRig, plant: Plant) -> None:
    run(rig, plant.containers[:20])
    query = run(rig, plant.containers[:20], no_cache=True)
    assert query.receipt.warehouse_row_count == plant.row_count(plant.containers[:20])


def test_a_failed_batch_is_named_by_its_ids_and_retried_alone(
    batching: EngineRig, refused: RefusedIds, plant: Plant
) -> None:
    wanted = plant.containers[:10]
    refused.ids = {wanted[5]}
    query = run(batching, wanted)
    assert query.receipt.status == table_pb2.COMPLETENESS_PARTIAL
    assert list(query.receipt.failed_ranges) == [
        table_pb2.Gap(part="holds_of", id_count=4, code="WAREHOUSE_ERROR"),
    ]
    assert set(containers_of(batching, query)) == {*wanted[:4], *wanted[8:]}
    refused.ids = set()
    again = batching.finish(batching.stub.RetryQuery(pb.RetryQueryRequest(query_id=query.query_id)).query.query_id)
    assert again.state == pb.QUERY_STATE_COMPLETED
    assert again.receipt.warehouse_row_count == plant.row_count(wanted[4:8])


def test_a_batch_that_hits_the_row_limit_is_named_and_read_again(twin_path: Path, tmp_path: Path, plant: Plant) -> None:
    wanted = plant.containers[:10]
    most = max(plant.row_count(wanted[start : start + 4]) for start in (0, 4))
    datasets = folders(tmp_path / "datasets", {**BATCHED, "= 100000": f"= {most - 1}"})
    with (
        serving_cache(tmp_path / "cache") as target,
        serving_engine(twin_path, cache_target=target, datasets_dir=datasets) as rig,
    ):
        first, again = run(rig, wanted), run(rig, wanted)
    cut = first.receipt.truncated_ranges
    assert {(gap.part, gap.id_count, gap.code) for gap in cut} == {("holds_of", 4, "RESULT_TOO_LARGE")}
    assert again.receipt.warehouse_statement_count == len(cut)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.frozensets(st.integers(0, 39), max_size=30), min_size=1, max_size=5))
def test_in_any_order_of_overlapping_sets_the_answer_is_whole_and_no_id_is_read_twice(
    batching: EngineRig, plant: Plant, asked: list[frozenset[int]]
) -> None:
    sets = [[plant.containers[number] for number in sorted(numbers)] for numbers in asked]
    found = [containers_of(batching, run(batching, ids)) for ids in sets]
    assert found == [sorted(name for name in ids for _ in range(plant.holds[name])) for ids in sets]
    assert batching.warehouse.counts.row_count <= plant.row_count(plant.containers[:40])


def test_a_query_is_asked_again_from_its_manifest_however_long_its_list(
    twin_path: Path, tmp_path: Path, plant: Plant
) -> None:
    wanted = plant.containers[:200]
    datasets = folders(tmp_path / "datasets", {})
    with serving_cache(tmp_path / "cache") as target:
        with serving_engine(twin_path, cache_target=target, datasets_dir=datasets) as rig:
            query_id = run(rig, wanted).query_id
        with serving_engine(twin_path, cache_target=target, datasets_dir=datasets) as rig:
            # Its records are gone with the first engine; the cache alone knows the query.
            again = rig.finish(rig.stub.RetryQuery(pb.RetryQueryRequest(query_id=query_id)).query.query_id)
            assert again.query_id == query_id
            assert again.receipt.row_count == plant.row_count(wanted)


def test_a_list_above_a_thousand_ids_is_shown_as_a_frame(rig: EngineRig) -> None:
    query = run(rig, [f"{number:016x}" for number in range(1001)])
    shown = query.parameters["container_ids"]
    assert shown["id_count"] == 1001  # type: ignore[index]
    again = rig.finish(rig.stub.RetryQuery(pb.RetryQueryRequest(query_id=query.query_id)).query.query_id)
    assert again.query_id == query.query_id


def test_a_query_that_has_ended_holds_no_ids_any_more_and_shows_its_chunks(batching: EngineRig, plant: Plant) -> None:
    query = run(batching, plant.containers[:10])
    held = batching.process.coordinator.run_of(query.query_id)
    poll_until(lambda: held is not None and held.plan is None, 60.0, "the plan is forgotten")
    assert [chunk.id_count for chunk in held.snapshot().progress.chunks] == [4, 4, 2]  # type: ignore[union-attr]
