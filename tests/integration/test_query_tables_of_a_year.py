"""A year of holds merged, and chunk by chunk, out of a real cache: the same rows, one batch in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice_query_engine.cache import Answers, GrpcFrameCache
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution import iterate_query, merge_query
from sluice_query_engine.execution.chunk_rows import stored_schema
from sluice_query_engine.execution.small_frames import put_table, timestamp

from tests.dataset_frames import load
from tests.engine_rig import DATASET, EngineRig, serving_cache, serving_engine

YEAR = ("2025-01-01", "2025-12-31")


class CountingCache(GrpcFrameCache):
    """A cache that counts the pieces of tables that were taken from it."""

    piece_count = 0

    def run_query(self, request: sql.RunQueryRequest, *, deadline_s: float) -> Answers:
        return _Counted(self, super().run_query(request, deadline_s=deadline_s))


class _Counted:
    def __init__(self, cache: CountingCache, answers: Answers) -> None:
        self._cache = cache
        self._answers = answers

    def cancel(self) -> None:
        self._answers.cancel()

    def __enter__(self) -> Iterator[sql.RunQueryResponse]:
        return self._taken(self._answers.__enter__())

    def __exit__(self, *error: object) -> None:
        self._answers.__exit__(*error)  # type: ignore[arg-type]

    def _taken(self, answers: Iterator[sql.RunQueryResponse]) -> Iterator[sql.RunQueryResponse]:
        for answer in answers:
            self._cache.piece_count += answer.WhichOneof("part") == "chunk"
            yield answer


@pytest.fixture(scope="module")
def year(twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineRig, str, CountingCache]]:
    """An engine that has read the year, the query, and a cache of the test's own."""
    with ExitStack() as stack:
        target = stack.enter_context(serving_cache(tmp_path_factory.mktemp("cache")))
        rig = stack.enter_context(serving_engine(twin_path, cache_target=target))
        cache = CountingCache(target)
        stack.callback(cache.close)
        yield rig, rig.run(*YEAR).query_id, cache


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load().get(DATASET)


def test_the_year_merged_is_the_stored_table(year: tuple[EngineRig, str, CountingCache], dataset: Dataset) -> None:
    # B2.7, B4.8
    rig, query_id, cache = year
    with merge_query(query_id, "slice", cache=cache, dataset=dataset) as reader:
        merged = reader.read_all()
    assert merged == rig.frame(query_id, "slice").table
    assert merged.num_rows > 100


def test_the_year_chunk_by_chunk_is_the_year_merged(
    year: tuple[EngineRig, str, CountingCache], dataset: Dataset
) -> None:
    # B2.7
    rig, query_id, cache = year
    tables = []
    for chunk in iterate_query(query_id, "slice", cache=cache, dataset=dataset):
        with chunk.reading() as reader:
            tables.append(reader.read_all())
    assert len(tables) == 12
    assert pa.concat_tables(tables) == rig.frame(query_id, "slice").table


def large_query(cache: GrpcFrameCache, dataset: Dataset) -> str:
    """Keep a query of one slice of 200,000 rows, and return its id."""
    schema = stored_schema(dataset.tables[0])
    count = 200_000
    columns = [pa.nulls(count, field.type) for field in schema]
    columns[schema.get_field_index("history_id")] = pa.array([f"{number:040}" for number in range(count)])
    now, life = datetime.now(UTC), timedelta(minutes=5)
    put_table(cache, "large-slice", pa.table(columns, schema=schema), {}, now=now, fresh_for=life)
    slices = frames.FrameSlices(frames=[frames.FrameSlice(frame_id="large-slice")])
    table = frames.ManifestTable(name="slice", slices=slices)
    manifest = frames.Manifest(
        manifest_id="large-query", version=1, tables=[table], keep_until_time=timestamp(now + life)
    )
    return cache.put_manifest(manifest).manifest_id


def test_a_piece_is_asked_for_when_its_rows_are(year: tuple[EngineRig, str, CountingCache], dataset: Dataset) -> None:
    _, _, cache = year
    query_id = large_query(cache, dataset)
    cache.piece_count = 0
    with merge_query(query_id, "slice", cache=cache, dataset=dataset) as reader:
        first = reader.read_next_batch().num_rows
        after_one_batch = cache.piece_count
        rest = sum(batch.num_rows for batch in reader)
    assert first + rest == 200_000
    assert 1 <= after_one_batch <= cache.piece_count / 2
