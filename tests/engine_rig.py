"""A query engine in this process for tests: real gRPC, the twin as its warehouse, a cache of the test's choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc
from sluice.table.v1 import table_pb2
from sluice_cache.bootstrap import build as build_cache
from sluice_cache.settings import Settings as CacheSettings
from sluice_lineage.bootstrap import build as build_lineage
from sluice_lineage.settings import Settings as LineageSettings
from sluice_query_engine.bootstrap import Process, World, build
from sluice_query_engine.settings import Settings
from sluice_rpc import arrow
from sluice_rpc.client import open_channel
from sluice_rpc.interceptors import ResponseStream
from sluice_warehouse.duckdb import DuckDBWarehouse
from sluice_warehouse.faults import FaultSource

REPOSITORY = Path(__file__).resolve().parent.parent
DATASET = "hold-history"


@dataclass(frozen=True)
class Answer:
    """One view as a caller gets it."""

    receipt: table_pb2.Receipt
    table: pa.Table
    page: pb.Page


@dataclass(frozen=True)
class EngineRig:
    """A serving engine and a caller's stub to it."""

    process: Process
    stub: query_service_pb2_grpc.QueryServiceStub
    warehouse: DuckDBWarehouse
    """The plant's file, which the engine reads unless its world brings another warehouse."""

    def start(self, start_date: str, end_date: str, *, no_cache: bool = False) -> pb.Query:
        """Start a query of holds and return it as it stands."""
        dates = {"start_date": start_date, "end_date": end_date}
        return self.ask(DATASET, dates, no_cache=no_cache)

    def ask(self, dataset: str, parameters: Mapping[str, object], *, no_cache: bool = False) -> pb.Query:
        """Start a query of any dataset and return it as it stands."""
        request = pb.StartQueryRequest(dataset=dataset, no_cache=no_cache)
        request.parameters.update(dict(parameters))  # type: ignore[arg-type]
        return self.stub.StartQuery(request).query

    def finish(self, query_id: str) -> pb.Query:
        """Watch a query to its end and return it."""
        *_, last = self.stub.WatchQuery(pb.WatchQueryRequest(query_id=query_id))
        return last.query

    def run(self, start_date: str, end_date: str, *, no_cache: bool = False) -> pb.Query:
        """Start a query, watch it to its end, and return it."""
        return self.finish(self.start(start_date, end_date, no_cache=no_cache).query_id)

    def watching(self, query_id: str) -> ResponseStream:
        """Watch a query as a caller that may leave, by leaving the context."""
        # The stub's annotations do not know the interceptor that wraps the call.
        stream: ResponseStream = self.stub.WatchQuery(pb.WatchQueryRequest(query_id=query_id))  # type: ignore[assignment]
        return stream

    def views(self, query_id: str, *names: str, filters: Mapping[str, object] | None = None) -> dict[str, Answer]:
        """Return the answers of views by name; all initial views when none are named."""
        request = pb.ReadViewRequest(query_id=query_id, views=names)
        request.filters.update(dict(filters or {}))  # type: ignore[arg-type]
        return self.read(request)

    def read(self, request: pb.ReadViewRequest) -> dict[str, Answer]:
        """Return the answers to a request by view name."""
        receipt = table_pb2.Receipt()
        pieces: dict[str, list[bytes]] = {}
        pages: dict[str, pb.Page] = {}
        for response in self.stub.ReadView(request):
            match response.WhichOneof("part"):
                case "receipt":
                    receipt = response.receipt
                case "header":
                    pieces[response.header.view] = []
                    pages[response.header.view] = response.header.page
                case "chunk":
                    next(reversed(pieces.values())).append(response.chunk.ipc)
        return {name: Answer(receipt, decoded(found), pages[name]) for name, found in pieces.items()}

    def export(self, query_id: str) -> Answer:
        """Return all rows of the rows view."""
        responses = list(self.stub.ExportRows(pb.ExportRowsRequest(query_id=query_id)))
        return Answer(responses[0].receipt, decoded([item.chunk.ipc for item in responses[1:]]), pb.Page())

    def frame(self, query_id: str, table: str = "") -> Answer:
        """Return a table of the query as it is stored."""
        responses = list(self.stub.ReadFrame(pb.ReadFrameRequest(query_id=query_id, table=table)))
        return Answer(responses[0].receipt, decoded([item.chunk.ipc for item in responses[1:]]), pb.Page())


def decoded(pieces: list[bytes]) -> pa.Table:
    """Return the table that the pieces of an IPC stream make up."""
    with arrow.decode(pieces) as reader:
        return reader.read_all()


@contextmanager
def serving_cache(data_dir: Path) -> Iterator[str]:
    """Serve a real cache from a folder and yield its target."""
    process = build_cache(CacheSettings(listen="127.0.0.1:0", data_dir=data_dir))
    with process.closing:
        port = process.server.start()
        yield f"127.0.0.1:{port}"
        process.server.stop(0)


@contextmanager
def serving_lineage(plant: Path, cache_target: str, **settings: object) -> Iterator[str]:
    """Serve lineage on a plant, with a cache, and yield its target."""
    own = {"listen": "127.0.0.1:0", "warehouse_url": f"duckdb://{plant}", "cache_target": cache_target, **settings}
    process = build_lineage(LineageSettings.model_validate(own))
    with process.closing:
        port = process.server.start()
        yield f"127.0.0.1:{port}"
        process.server.stop(0)


@contextmanager
def serving_engine(
    plant: Path,
    *,
    world: World | None = None,
    fault: FaultSource | None = None,
    statement_log: Path | None = None,
    **settings: object,
) -> Iterator[EngineRig]:
    """Serve an engine on a plant and yield a rig for it.

    Args:
        plant: the twin's file.
        world: what the engine talks to; without a warehouse in it that is the plant's file.
        fault: what shall go wrong in the warehouse.
        statement_log: file to which the warehouse writes what it runs.
        settings: settings of the engine; it has the dataset of holds alone unless `datasets_dir` is given.
    """
    warehouse = DuckDBWarehouse(plant, fault=fault, statement_log=statement_log)
    own = {
        "listen": "127.0.0.1:0",
        "warehouse_url": f"duckdb://{plant}",
        # Every start compiles all datasets there are; holds are enough for the engine itself.
        "datasets_dir": REPOSITORY / "tests" / "only_holds",
        # What an engine does by itself is in the way of those who count what a caller causes.
        "refreshes_snapshots": False,
        "warms_up": False,
        **settings,
    }
    given = world or World()
    process = build(Settings(**own), replace(given, warehouse=given.warehouse or warehouse))  # type: ignore[arg-type]
    with ExitStack() as stack:
        stack.enter_context(process.closing)
        port = process.server.start()
        stack.callback(process.server.stop, 0)
        channel = stack.enter_context(open_channel(f"127.0.0.1:{port}", "query-engine"))
        yield EngineRig(process, query_service_pb2_grpc.QueryServiceStub(channel), warehouse)


def datasets_with(
    folder: Path,
    edits: Mapping[str, str],
    source: Path = REPOSITORY / "services" / "query-engine" / "datasets",
    dataset: str = DATASET,
) -> Path:
    """Return a folder with one dataset, of whose `dataset.toml` texts are replaced, for other limits."""
    for path in (source / dataset).rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    declared = folder / dataset / "dataset.toml"
    text = declared.read_text(encoding="utf-8")
    for old, new in edits.items():
        if old not in text:
            raise ValueError(f"{declared} has no {old!r}")
        text = text.replace(old, new)
    declared.write_text(text, encoding="utf-8")
    return folder
