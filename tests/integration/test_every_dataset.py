"""Every dataset through real engines, caches, lineage and the twin: what is asked and looked at is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_query_engine.dataset import Dataset

from tests.dataset_frames import ENGINE, load
from tests.engine_rig import Answer, EngineRig, decoded, serving_cache, serving_engine, serving_lineage
from tests.every_dataset import Values, asked, looked_at

DATASETS = {dataset.name: dataset for dataset in load() if dataset.parameters}
"""All but those that are kept as snapshots and take no question."""

CUT = {"direct_max_days": 1, "grain_days": 9, "direct_max_ids": 3, "id_batch_size": 2}
MOST_WITH_ROWS = 0.7


@dataclass
class Tally:
    """How many drawn cases there were, and how many of them selected rows."""

    with_rows: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Pair:
    """An engine that cuts all it can and uses again what it has, and one that reads each question whole and anew."""

    chunked: EngineRig
    direct: EngineRig
    values: Values
    tally: Tally


@pytest.fixture(scope="module")
def pair(twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder, tally = tmp_path_factory.mktemp("pair"), Tally()
    with ExitStack() as stack:

        def engine(name: str, limits: Mapping[str, int]) -> EngineRig:
            cache = stack.enter_context(serving_cache(folder / name))
            lineage = stack.enter_context(serving_lineage(twin_path, cache))
            every = {dataset: dict(limits) for dataset in DATASETS}
            return stack.enter_context(
                serving_engine(
                    twin_path,
                    datasets_dir=ENGINE / "datasets",
                    refreshes_snapshots=False,
                    warms_up=False,
                    cache_target=cache,
                    lineage_target=lineage,
                    dataset_limits=every,
                )
            )

        yield Pair(engine("chunked", CUT), engine("direct", {"direct_max_days": 5000}), Values.of(twin_path), tally)
    assert sum(tally.with_rows) >= MOST_WITH_ROWS * len(tally.with_rows), "too few of the drawn cases selected rows"


def ended(rig: EngineRig, dataset: str, parameters: Mapping[str, object], *, no_cache: bool = False) -> pb.Query:
    """Ask and return the query as it ended."""
    query = rig.finish(rig.ask(dataset, parameters, no_cache=no_cache).query_id)
    assert query.state == pb.QUERY_STATE_COMPLETED, query
    return query


def looked(rig: EngineRig, query: pb.Query, dataset: Dataset, filters: Mapping[str, object]) -> dict[str, Answer]:
    """Return every view of a dataset."""
    return rig.views(query.query_id, *(view.name for view in dataset.views), filters=filters)


def tables(answers: Mapping[str, Answer]) -> dict[str, list[dict[str, object]]]:
    """Return the rows of answers."""
    return {name: answer.table.to_pylist() for name, answer in answers.items()}


def exported(rig: EngineRig, query: pb.Query, filters: Mapping[str, object]) -> pa.Table:
    """Return all rows of the rows view."""
    request = pb.ExportRowsRequest(query_id=query.query_id)
    request.filters.update(dict(filters))  # type: ignore[arg-type]
    return decoded([item.chunk.ipc for item in list(rig.stub.ExportRows(request))[1:]])


def offered(rig: EngineRig, query: pb.Query) -> dict[str, list[str]]:
    """Return the values that the options of a query offer, by filter."""
    answer = rig.stub.ReadOptions(pb.ReadOptionsRequest(query_id=query.query_id))
    return {item.filter: [option.value for option in item.values] for item in answer.options}


@pytest.mark.parametrize("name", DATASETS)
@settings(
    max_examples=3,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_chunks_are_the_whole_the_cache_is_the_warehouse_and_the_export_is_the_view(
    pair: Pair, name: str, data: st.DataObject
) -> None:
    dataset = DATASETS[name]
    parameters = data.draw(asked(dataset, pair.values))
    in_chunks = ended(pair.chunked, name, parameters)
    at_once = ended(pair.direct, name, parameters, no_cache=True)
    filters = data.draw(looked_at(dataset, offered(pair.direct, at_once)))
    there = looked(pair.direct, at_once, dataset, filters)
    assert tables(looked(pair.chunked, in_chunks, dataset, filters)) == tables(there)
    assert in_chunks.receipt.row_count == at_once.receipt.row_count
    assert at_once.receipt.status == table_pb2.COMPLETENESS_COMPLETE
    rows, page = exported(pair.chunked, in_chunks, filters), there[dataset.rows_view]
    assert rows.num_rows == page.page.total_count
    assert rows.slice(0, page.table.num_rows).to_pylist() == page.table.to_pylist()
    pair.tally.with_rows.append(rows.num_rows > 0)
