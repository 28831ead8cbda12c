"""Every dataset through real engines, caches, lineage and the twin: what is asked and looked at is drawn.

One engine, with its lineage, reads the twin's file; the other reads it through the Oracle driver, and a gateway stands
before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_query_engine.bootstrap import World
from sluice_query_engine.dataset import Dataset
from sluice_rpc.errors import FailedPrecondition
from sluice_warehouse import open_warehouse

from tests.dataset_frames import ENGINE, DatasetFrame, from_warehouse, load
from tests.engine_rig import Answer, EngineRig, decoded, serving_cache, serving_engine, serving_lineage
from tests.every_dataset import Values, asked, looked_at
from tests.gateway_process import as_json, serving_gateway
from tests.polling import poll_until
from tests.warehouse_urls import Door, url_of

DATASETS = {dataset.name: dataset for dataset in load() if dataset.snapshot is None}
SNAPSHOTS = {dataset.name: dataset for dataset in load() if dataset.snapshot is not None}
"""What takes no question."""

CUT = {"direct_max_days": 1, "grain_days": 9, "direct_max_ids": 3, "id_batch_size": 2}
MOST_WITH_ROWS = 0.7


@dataclass
class Tally:
    """How many drawn cases there were, and how many of them selected rows."""

    with_rows: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Pair:
    """An engine that cuts all it can and uses again what it has, and one that reads each question whole and anew.

    The first reads the plant's file, the second the same plant through the Oracle driver.
    """

    chunked: EngineRig
    direct: EngineRig
    http: httpx.Client
    """A gateway before the second."""
    values: Values
    tally: Tally


@pytest.fixture(scope="module")
def pair(twin_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder, tally = tmp_path_factory.mktemp("pair"), Tally()
    with ExitStack() as stack:

        def engine(name: str, limits: Mapping[str, int], door: Door) -> EngineRig:
            url = stack.enter_context(url_of(twin_path, door))
            cache = stack.enter_context(serving_cache(folder / name))
            lineage = stack.enter_context(serving_lineage(twin_path, cache, warehouse_url=url))
            every = {dataset: dict(limits) for dataset in DATASETS}
            return stack.enter_context(
                serving_engine(
                    twin_path,
                    world=World(warehouse=open_warehouse(url)),
                    datasets_dir=ENGINE / "datasets",
                    refreshes_snapshots=door == "oracle",
                    warms_up=False,
                    cache_target=cache,
                    lineage_target=lineage,
                    dataset_limits=every,
                )
            )

        chunked = engine("chunked", CUT, "duckdb")
        direct = engine("direct", {"direct_max_days": 5000}, "oracle")
        http = stack.enter_context(serving_gateway(f"127.0.0.1:{direct.process.server.port}"))
        yield Pair(chunked, direct, http, Values.of(twin_path), tally)
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


def told(http: httpx.Client, dataset: Dataset, asked_: Mapping[str, object]) -> dict[str, list[list[object]]]:
    """Return the rows of every view as JSON has them."""
    names = [view.name for view in dataset.views]
    answer = http.post(f"/api/{dataset.route}/view", json={"view": names, **asked_})
    assert answer.status_code == httpx.codes.OK, answer.text
    return {name: view["rows"] for name, view in answer.json()["views"].items()}


def rows_in_json(answers: Mapping[str, Answer]) -> dict[str, list[list[object]]]:
    """Return the rows of answers that came as Arrow, as JSON must have them."""
    return {name: [[as_json(cell) for cell in row.values()] for row in rows] for name, rows in tables(answers).items()}


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
    assert told(pair.http, dataset, {"query_id": at_once.query_id, **filters}) == rows_in_json(there)
    rows, page = exported(pair.chunked, in_chunks, filters), there[dataset.rows_view]
    assert rows.num_rows == page.page.total_count
    assert rows.slice(0, page.table.num_rows).to_pylist() == page.table.to_pylist()
    pair.tally.with_rows.append(rows.num_rows > 0)


@pytest.fixture(scope="module")
def frames(twin_path: Path) -> dict[str, DatasetFrame]:
    """The snapshots as plain statements over the plant give them."""
    with url_of(twin_path, "duckdb") as url, closing(open_warehouse(url)) as warehouse:
        return {name: from_warehouse(dataset, warehouse, {}) for name, dataset in SNAPSHOTS.items()}


@pytest.mark.parametrize("name", SNAPSHOTS)
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_snapshot_is_the_plant_now_in_every_form(
    pair: Pair, frames: dict[str, DatasetFrame], name: str, data: st.DataObject
) -> None:
    dataset, frame, stub = SNAPSHOTS[name], frames[name], pair.direct.stub

    def options() -> pb.ReadOptionsResponse | None:
        try:
            return stub.ReadOptions(pb.ReadOptionsRequest(dataset=name))
        except FailedPrecondition:
            return None

    there = poll_until(options, 120.0, "the first copy of the snapshot")
    assert there is not None
    values = {item.filter: [option.value for option in item.values] for item in there.options}
    filters = data.draw(looked_at(dataset, values))
    request = pb.ReadViewRequest(dataset=name, views=[view.name for view in dataset.views])
    request.filters.update(dict(filters))  # type: ignore[arg-type]
    answers = pair.direct.read(request)
    assert tables(answers) == {view.name: frame.rows(view.name, filters) for view in dataset.views}
    assert told(pair.http, dataset, filters) == rows_in_json(answers)
    asked_ = pb.ExportRowsRequest(dataset=name)
    asked_.filters.update(dict(filters))  # type: ignore[arg-type]
    rows = decoded([item.chunk.ipc for item in list(stub.ExportRows(asked_))[1:]])
    assert rows.to_pylist() == frame.exported(filters)
    pair.tally.with_rows.append(rows.num_rows > 0)
