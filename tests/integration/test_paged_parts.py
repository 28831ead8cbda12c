"""Holds read in pages of counted rows through a real engine, a real cache and the twin: the answer of date chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.query.v1 import query_service_pb2 as pb
from sluice_warehouse import Bind, Statement
from sluice_warehouse.errors import WarehouseError, WarehouseUnavailable
from sluice_warehouse.faults import Fault

from tests.engine_rig import REPOSITORY, EngineRig, serving_cache, serving_engine
from tests.row_pages import paged_datasets

YEAR = ("2025-01-01", "2025-12-31")
ROWS_PER_CHUNK = 25
ORDER = [("hold_time", "ascending"), ("history_id", "ascending")]


class FaultyPages:
    """Fails the pages that begin at these places, as often as they are named."""

    def __init__(self) -> None:
        self.failing: dict[object, list[WarehouseError | WarehouseUnavailable]] = {}
        self.places: list[object] = []

    def __call__(self, statement: Statement, binds: Mapping[str, Bind]) -> Fault | None:
        if statement.name != "slice_page":
            return None
        place = binds["first_row"]
        self.places.append(place)
        errors = self.failing.get(place, [])
        return Fault(error=errors.pop()) if errors else None


@pytest.fixture
def pages() -> FaultyPages:
    return FaultyPages()


@pytest.fixture
def engine(twin_path: Path, tmp_path: Path, pages: FaultyPages) -> Iterator[Callable[..., EngineRig]]:
    """Serve an engine on a cache of its own, paged or not."""
    with ExitStack() as stack:

        def serve(*, rows_per_chunk: int = 0) -> EngineRig:
            folder = tmp_path / f"of-{rows_per_chunk}"
            target = stack.enter_context(serving_cache(folder / "cache"))
            shipped = REPOSITORY / "services" / "query-engine" / "datasets"
            datasets = paged_datasets(folder / "datasets", rows_per_chunk) if rows_per_chunk else shipped
            return stack.enter_context(
                serving_engine(twin_path, fault=pages, cache_target=target, datasets_dir=datasets, chunk_max_parallel=1)
            )

        yield serve


def rows(rig: EngineRig, query: pb.Query) -> pa.Table:
    return rig.frame(query.query_id, "slice").table.sort_by(ORDER)


def test_pages_hold_row_for_row_what_date_chunks_hold(engine: Callable[..., EngineRig]) -> None:
    by_date, by_rows = engine(), engine(rows_per_chunk=ROWS_PER_CHUNK)
    wanted = rows(by_date, by_date.run(*YEAR))
    assert wanted.num_rows > 10 * ROWS_PER_CHUNK
    assert rows(by_rows, by_rows.run(*YEAR)) == wanted


def test_a_chunk_that_fits_one_page_is_counted_and_read_by_its_own_statement(
    engine: Callable[..., EngineRig], pages: FaultyPages
) -> None:
    rig = engine(rows_per_chunk=100_000)
    query = rig.run(*YEAR)
    assert pages.places == []
    assert query.receipt.warehouse_statement_count == rig.warehouse.counts.started == 13 + 12 + 1


def test_the_receipt_counts_every_page_and_every_count(engine: Callable[..., EngineRig]) -> None:
    rig = engine(rows_per_chunk=ROWS_PER_CHUNK)
    query = rig.run(*YEAR)
    assert query.receipt.warehouse_statement_count == rig.warehouse.counts.started > 13 + 12 + 12


def test_pages_are_chunks_that_later_queries_find(engine: Callable[..., EngineRig]) -> None:
    rig = engine(rows_per_chunk=ROWS_PER_CHUNK)
    rig.run(*YEAR)
    before = rig.warehouse.counts.started
    assert rig.run("2025-03-01", "2025-09-30").state == pb.QUERY_STATE_COMPLETED
    assert rig.warehouse.counts.started == before


def test_a_page_that_fails_fails_its_chunk_by_name(engine: Callable[..., EngineRig], pages: FaultyPages) -> None:
    rig = engine(rows_per_chunk=ROWS_PER_CHUNK)
    pages.failing[ROWS_PER_CHUNK + 1] = [WarehouseError(1555)]
    query = rig.run("2025-01-01", "2025-05-31")
    [gap] = query.receipt.failed_ranges
    assert (query.state, gap.part, gap.code) == (pb.QUERY_STATE_PARTIAL, "slice", "WAREHOUSE_ERROR")


def test_a_page_whose_session_drops_is_tried_again_with_its_chunk(
    engine: Callable[..., EngineRig], pages: FaultyPages
) -> None:
    rig = engine(rows_per_chunk=ROWS_PER_CHUNK)
    pages.failing[ROWS_PER_CHUNK + 1] = [WarehouseUnavailable()]
    assert rig.run("2025-01-01", "2025-01-31").state == pb.QUERY_STATE_COMPLETED
