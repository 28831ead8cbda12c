"""A query that is read anew while others look at it: rows and receipt of an answer are of the same reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_query_engine.bootstrap import World
from sluice_query_engine.cache import Answers
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.state import MemoryState
from sluice_rpc.ports import SystemClock
from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import WarehouseError
from sluice_warehouse.faults import Fault

from tests.engine_rig import EngineRig, decoded, serving_engine

YEAR = ("2025-01-01", "2025-12-31")
FIRST_CHUNK = datetime(2024, 12, 31, 7, 30)
EVERYTHING = {"hold_type": "all", "record_type": ["new", "on_hold", "released"]}


class ObservedCache(MemoryFrameCache):
    """Remembers the manifests it was given, and does something before the next statements run."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.given: list[frames.Manifest] = []
        self.before_next: Callable[[], object] | None = None

    def put_manifest(self, manifest: frames.Manifest) -> frames.Manifest:
        kept = frames.Manifest()
        kept.CopyFrom(manifest)
        self.given.append(kept)
        return super().put_manifest(manifest)

    def run_query(self, request: sql.RunQueryRequest, *, deadline_s: float) -> Answers:
        act, self.before_next = self.before_next, None
        if act is not None:
            act()
        return super().run_query(request, deadline_s=deadline_s)


@dataclass
class Scene:
    """An engine, its cache, and whether the warehouse fails the first chunk of the year, or what is carried in."""

    cache: ObservedCache
    failing: bool = False
    carries_in: bool = True
    rigs: list[EngineRig] = field(default_factory=list)

    @property
    def rig(self) -> EngineRig:
        return self.rigs[0]

    def fault(self, statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        hit = self.failing and statement.name == "slice" and binds["start_time"] == FIRST_CHUNK
        hit = hit or (statement.name == "carry_in" and not self.carries_in)
        return Fault(error=WarehouseError(600)) if hit else None

    def lose_a_chunk(self) -> None:
        self.failing = True
        self.rig.run(*YEAR, no_cache=True)


@pytest.fixture
def scene(twin_path: Path) -> Iterator[Scene]:
    clock = SystemClock()
    scene = Scene(ObservedCache(clock))
    world = World(cache=scene.cache, state=MemoryState(clock), clock=clock)
    with serving_engine(twin_path, world=world, fault=scene.fault) as rig:
        scene.rigs.append(rig)
        yield scene


def test_no_receipt_is_shown_before_its_rows_are_counted(scene: Scene) -> None:
    query = scene.rig.run(*YEAR)
    shown = [manifest.receipt.row_count for manifest in scene.cache.given if manifest.manifest_id == query.query_id]
    assert set(shown) == {query.receipt.row_count}


def test_a_view_whose_rows_were_replaced_meanwhile_carries_the_receipt_of_what_it_shows(scene: Scene) -> None:
    query = scene.rig.run(*YEAR)
    scene.cache.before_next = scene.lose_a_chunk
    answer = scene.rig.views(query.query_id, "list", filters=EVERYTHING)["list"]
    assert answer.receipt.status == table_pb2.COMPLETENESS_PARTIAL
    assert answer.receipt.row_count == answer.page.total_count < query.receipt.row_count


def test_an_export_whose_rows_were_replaced_meanwhile_carries_the_receipt_of_what_it_holds(scene: Scene) -> None:
    query = scene.rig.run(*YEAR)

    def at_the_second() -> None:
        # The first statement of an export only opens the tables; the rows are the next.
        scene.cache.before_next = scene.lose_a_chunk

    scene.cache.before_next = at_the_second
    request = pb.ExportRowsRequest(query_id=query.query_id)
    request.filters.update(EVERYTHING)
    first, *rest = scene.rig.stub.ExportRows(request)
    rows = decoded([item.chunk.ipc for item in rest])
    assert first.receipt.status == table_pb2.COMPLETENESS_PARTIAL
    assert first.receipt.row_count == rows.num_rows < query.receipt.row_count


def test_an_answer_that_lacks_the_same_part_again_keeps_its_version(scene: Scene) -> None:
    scene.carries_in = False
    first, again = scene.rig.run(*YEAR), scene.rig.run(*YEAR)
    assert [gap.part for gap in again.receipt.failed_ranges] == ["carry_in"]
    versions = [given.version for given in scene.cache.given if given.manifest_id == first.query_id]
    assert len(versions) == 2
    assert len(set(versions)) == 1
