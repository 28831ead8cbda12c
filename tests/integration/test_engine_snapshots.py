"""A dataset of kind snapshot through a real engine and cache: read by itself, kept while the warehouse fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice_query_engine.bootstrap import World
from sluice_rpc.errors import FailedPrecondition, InvalidArgument
from sluice_twin import plant_of
from sluice_twin.plant import PLANT_TIME
from sluice_warehouse import Bind, Reading, Statement, Tag
from sluice_warehouse.duckdb import DuckDBWarehouse
from sluice_warehouse.errors import WarehouseError
from sluice_warehouse.faults import Fault

from tests.engine_rig import REPOSITORY, Answer, EngineRig, serving_cache, serving_engine
from tests.polling import poll_until

DATASET = "floor-lots"


class Faults:
    """Fails every statement while it is told to, and counts those that read the whole table."""

    def __init__(self) -> None:
        self.failing = False
        self.read_count = 0

    def __call__(self, statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        self.read_count += "row_limit" in binds
        return Fault(error=WarehouseError(1555)) if self.failing else None


class Emptied:
    """A plant whose tables lose every row when they are told to.

    Args:
        plant: with rows.
        bare: without.
    """

    def __init__(self, plant: Path, bare: Path) -> None:
        self._plants = {False: DuckDBWarehouse(plant), True: DuckDBWarehouse(bare)}
        self.empty = False

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> Reading:
        return self._plants[self.empty].open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> Reading:
        return self._plants[self.empty].open_pooled(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def plant_time(self) -> datetime:
        return self._plants[False].plant_time()

    def ping(self) -> None:
        self._plants[False].ping()

    def close(self) -> None:
        for plant in self._plants.values():
            plant.close()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def rig(twin_path: Path, tmp_path: Path, faults: Faults) -> Iterator[EngineRig]:
    shutil.copytree(REPOSITORY / "tests" / "datasets" / DATASET, tmp_path / "datasets" / DATASET)
    with (
        serving_cache(tmp_path / "cache") as cache,
        serving_engine(
            twin_path,
            fault=faults,
            cache_target=cache,
            datasets_dir=tmp_path / "datasets",
            refreshes_snapshots=True,
        ) as rig,
    ):
        yield rig


def look(rig: EngineRig, **filters: str) -> Answer | None:
    """Return the newest answer of the chart, or None while there is none."""
    request = pb.ReadViewRequest(dataset=DATASET, views=["per_workcenter"])
    request.filters.update(filters)
    try:
        return rig.read(request)["per_workcenter"]
    except FailedPrecondition:
        return None


def look_until(rig: EngineRig, fact: Callable[[Answer], bool]) -> Answer:
    """Look again and again until an answer is as it should be."""

    def seen() -> Answer | None:
        answer = look(rig)
        return answer if answer is not None and fact(answer) else None

    found = poll_until(seen, 120.0, "the snapshot as it should be")
    assert found is not None
    return found


def first_look(rig: EngineRig) -> Answer:
    return look_until(rig, lambda answer: True)


def test_views_answer_without_a_query_and_have_every_row_of_the_table(rig: EngineRig, twin_path: Path) -> None:
    answer = first_look(rig)
    with duckdb.connect(str(twin_path), read_only=True) as connection:
        rows = connection.execute(
            "select WORKCENTERNAME, count(distinct LOTID) from DWH.DW_MES_LOT_V group by 1"
        ).fetchall()
    counts = zip(answer.table["workcenter"].to_pylist(), answer.table["lot_count"].to_pylist(), strict=True)
    assert dict(counts) == {name and name.strip(): count for name, count in rows}
    assert (answer.receipt.stale, answer.receipt.degraded) == (False, False)
    one = answer.table["workcenter"][0].as_py()
    narrowed = look(rig, workcenter=one)
    assert narrowed is not None
    assert narrowed.table["workcenter"].to_pylist() == [one]


def test_while_the_version_is_the_same_nothing_is_read_again_and_the_snapshot_lives_on(
    rig: EngineRig, faults: Faults
) -> None:
    before = first_look(rig)
    expired = before.receipt.expires_time.ToMilliseconds()
    later = look_until(rig, lambda answer: answer.receipt.expires_time.ToMilliseconds() > expired)
    assert (later.receipt.query_id, faults.read_count) == (before.receipt.query_id, 1)
    assert later.table == before.table


def test_while_the_warehouse_fails_the_snapshot_of_before_answers_and_says_so(rig: EngineRig, faults: Faults) -> None:
    before = first_look(rig)
    faults.failing = True
    degraded = look_until(rig, lambda answer: answer.receipt.degraded)
    assert degraded.table == before.table
    stale = look_until(rig, lambda answer: answer.receipt.stale)
    assert stale.table == before.table
    faults.failing = False
    good = look_until(rig, lambda answer: not answer.receipt.degraded)
    assert good.table == before.table


def test_a_refresh_that_comes_back_empty_leaves_the_snapshot_of_before_and_says_so(
    twin_path: Path, tmp_path: Path
) -> None:
    shutil.copytree(REPOSITORY / "tests" / "datasets" / DATASET, tmp_path / "datasets" / DATASET)
    plant = Emptied(twin_path, plant_of({}, tmp_path / "bare.duckdb", PLANT_TIME))
    with (
        serving_cache(tmp_path / "cache") as cache,
        serving_engine(
            twin_path,
            world=World(warehouse=plant),
            cache_target=cache,
            datasets_dir=tmp_path / "datasets",
            refreshes_snapshots=True,
        ) as rig,
    ):
        before = first_look(rig)
        plant.empty = True
        kept = look_until(rig, lambda answer: answer.receipt.degraded and answer.receipt.stale)
        assert (kept.table, kept.receipt.query_id) == (before.table, before.receipt.query_id)
        assert kept.table.num_rows > 0
        plant.empty = False
        good = look_until(rig, lambda answer: not answer.receipt.degraded)
        assert good.table == before.table


def test_a_snapshot_is_not_queried_and_a_query_is_no_snapshot(rig: EngineRig) -> None:
    with pytest.raises(InvalidArgument, match="snapshot"):
        rig.ask(DATASET, {})
    definition = rig.stub.GetDataset(pb.GetDatasetRequest(dataset=DATASET)).dataset
    assert definition.kind == pb.DATASET_KIND_SNAPSHOT
