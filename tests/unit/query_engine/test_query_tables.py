"""Tables out of a query's manifest, merged or chunk by chunk: what is missing is named or refused, never empty."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from sluice_query_engine.errors import CacheExpired, ChunksMissing
from sluice_query_engine.execution import QueryChunk, iterate_query, merge_query
from sluice_warehouse.errors import WarehouseError

from tests.stepped_engine import SteppedEngine, stepped_engine
from tests.unit.query_engine.test_renewal import PLANT_NOW, STALE_S, answered, day, plant


@pytest.fixture
def engine() -> Iterator[SteppedEngine]:
    with stepped_engine(plant(), PLANT_NOW) as engine:
        yield engine


def merged(engine: SteppedEngine, query_id: str, *, allow_partial: bool = False) -> pa.Table:
    with merge_query(
        query_id, "slice", cache=engine.cache, dataset=engine.dataset, allow_partial=allow_partial
    ) as reader:
        return reader.read_all()


def chunks(engine: SteppedEngine, query_id: str, *, allow_partial: bool = False) -> list[QueryChunk]:
    found = iterate_query(query_id, "slice", cache=engine.cache, dataset=engine.dataset, allow_partial=allow_partial)
    return list(found)


def rows(chunk: QueryChunk) -> list[str]:
    with chunk.reading() as reader:
        return [str(key) for key in reader.read_all()["history_id"].to_pylist()]


def laid_end_to_end(found: list[QueryChunk]) -> list[str]:
    return [key for chunk in found if chunk.state != "missing" for key in rows(chunk)]


def keys(table: pa.Table) -> list[str]:
    return [str(key) for key in table["history_id"].to_pylist()]


def failing_one_chunk(engine: SteppedEngine) -> str:
    """Have one of several chunks of a query fail, and return its id."""
    query_id = engine.start(day(5), day(12))
    failed = False
    while waiting := engine.waiting():
        fails = not failed and waiting[0].begun.part == "slice"
        failed = failed or fails
        engine.release(waiting[0], WarehouseError(600) if fails else None)
    return query_id


def test_chunks_laid_end_to_end_are_the_merged_table(engine: SteppedEngine) -> None:
    # B2.7, B4.8
    query_id = answered(engine, 5, 12)
    found = chunks(engine, query_id)
    assert len(found) > 2
    assert laid_end_to_end(found) == keys(merged(engine, query_id)) != []


def test_chunks_touch_in_time_order(engine: SteppedEngine) -> None:
    found = chunks(engine, answered(engine, 5, 12))
    assert [chunk.end for chunk in found[:-1]] == [chunk.start for chunk in found[1:]]


def test_rows_that_were_renewed_come_once_in_either_form(engine: SteppedEngine) -> None:
    answered(engine, 5, 8)
    engine.clock.advance(STALE_S)
    query_id = answered(engine, 5, 8)
    found = chunks(engine, query_id)
    assert {chunk.part for chunk in found} == {"slice", "renewed"}
    assert sorted(laid_end_to_end(found)) == sorted(set(keys(merged(engine, query_id))))


def test_a_batch_of_ids_says_which_it_shows(engine: SteppedEngine) -> None:
    answered(engine, 5, 8)
    engine.clock.advance(STALE_S)
    found = chunks(engine, answered(engine, 5, 8))
    [batch] = [chunk for chunk in found if chunk.part == "renewed"]
    shown, ids = set(rows(batch)), batch.ids() or frozenset()
    assert shown
    assert shown <= ids
    assert not ids & {key for chunk in found if chunk is not batch for key in rows(chunk)}


def test_a_query_that_lacks_a_chunk_is_not_merged_unawares(engine: SteppedEngine) -> None:
    query_id = failing_one_chunk(engine)
    with pytest.raises(ChunksMissing):
        merged(engine, query_id)


def test_a_query_that_lacks_a_chunk_is_not_iterated_unawares(engine: SteppedEngine) -> None:
    query_id = failing_one_chunk(engine)
    with pytest.raises(ChunksMissing):
        chunks(engine, query_id)


def test_a_gap_is_named_with_its_range_and_cause(engine: SteppedEngine) -> None:
    query_id = failing_one_chunk(engine)
    [named] = engine.runs[query_id].snapshot().receipt.failed_ranges
    gap = chunks(engine, query_id, allow_partial=True)[-1]
    assert (gap.state, gap.start, gap.end, gap.code) == ("missing", named.start, named.end, "WAREHOUSE_ERROR")


def test_a_gap_has_no_rows_to_give(engine: SteppedEngine) -> None:
    gap = chunks(engine, failing_one_chunk(engine), allow_partial=True)[-1]
    with pytest.raises(ChunksMissing), gap.reading():
        pass


def test_what_is_there_of_a_partial_query_is_the_same_in_either_form(engine: SteppedEngine) -> None:
    query_id = failing_one_chunk(engine)
    found = chunks(engine, query_id, allow_partial=True)
    assert laid_end_to_end(found) == keys(merged(engine, query_id, allow_partial=True)) != []


def test_a_chunk_whose_frame_has_gone_is_an_error_that_names_its_position(engine: SteppedEngine) -> None:
    query_id = answered(engine, 5, 12)
    lost = [frame for frame in engine.cache.chunk_frames() if frame.labels["part"] == "slice"][1]
    engine.cache.lose(lost.frame_id)
    with pytest.raises(ChunksMissing) as missing:
        chunks(engine, query_id)
    assert missing.value.indexes == (1,)


def test_merging_what_has_gone_is_an_error(engine: SteppedEngine) -> None:
    query_id = answered(engine, 5, 12)
    engine.cache.lose(next(frame for frame in engine.cache.chunk_frames() if frame.labels["part"] == "slice").frame_id)
    with pytest.raises(CacheExpired):
        merged(engine, query_id)


def test_a_query_that_nobody_ran_is_no_empty_table(engine: SteppedEngine) -> None:
    with pytest.raises(CacheExpired):
        merged(engine, "0123456789abcdef")


def test_a_table_that_is_not_read_in_chunks_is_refused(engine: SteppedEngine) -> None:
    query_id = answered(engine, 5, 8)
    with pytest.raises(ValueError, match="no table 'holds'"):
        iterate_query(query_id, "holds", cache=engine.cache, dataset=engine.dataset)
