"""Processes that answer the gateway's calls as a test tells them to, over real gRPC."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pyarrow as pa
from prometheus_client import CollectorRegistry
from sluice.lineage.v1 import lineage_service_pb2 as lineage_pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as lineage_rpc
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc as rpc
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import ServiceError
from sluice_rpc.server import RpcServer, Service
from sluice_rpc.settings import RpcServerSettings

QUERY_ID = "0123456789abcdef"

TREND = pa.table(
    {
        "day": pa.array([19723, 19724], pa.date32()),
        "hold_type": pa.array(["quality", "all"]).dictionary_encode(),
        "hold_qty": pa.array([2**53 - 1, None], pa.int64()),
        "share": pa.array([float("nan"), 12.5]),
    }
)
LIST = pa.table(
    {
        "lot_id": ["GA26010001", "=cmd|' /C calc'!A0"],
        "hold_time": pa.array([1704094199, None], pa.timestamp("s")),
        "qty": pa.array([-5, 7], pa.int64()),
        "comment": ["", 'said "no", twice'],
    }
)


def receipt(**changes: object) -> table_pb2.Receipt:
    """A receipt of a complete query; `changes` replace its fields."""
    made = table_pb2.Receipt(
        query_id=QUERY_ID,
        status=table_pb2.COMPLETENESS_COMPLETE,
        row_count=2,
        tier=table_pb2.TIER_MEMORY,
        chunks=table_pb2.ChunkCounts(total=13, reused=12, run=1),
        plan="12 of 13 chunks were there; 1 × 7 days read",
        as_of_time="2025-12-31T12:00:00",
    )
    made.read_time.FromSeconds(1_700_000_000)
    made.MergeFrom(table_pb2.Receipt(**changes))  # type: ignore[arg-type]  # whatever a test wants to differ
    return made


def partial_receipt() -> table_pb2.Receipt:
    """A receipt that names one missing range."""
    gap = table_pb2.Gap(part="slice", start="2025-01-31T07:30:00", end="2025-03-03T07:30:00", code="QUERY_TIMEOUT")
    return receipt(status=table_pb2.COMPLETENESS_PARTIAL, failed_ranges=[gap])


def query(state: pb.QueryState.ValueType, **changes: object) -> pb.Query:
    """A query in a state, with the receipt it has once it is finished."""
    made = pb.Query(query_id=QUERY_ID, dataset="hold-history", state=state)
    made.progress.CopyFrom(pb.Progress(total_count=13, completed_count=12, percent=92.3))
    if state == pb.QUERY_STATE_COMPLETED:
        made.receipt.CopyFrom(receipt(warehouse_statement_count=1, warehouse_row_count=988))
    made.MergeFrom(pb.Query(**changes))  # type: ignore[arg-type]  # whatever a test wants to differ
    return made


def hold_history() -> pb.Dataset:
    """A dataset as the query-engine describes it, with a filter of every shape."""
    made = pb.Dataset(
        name="hold-history", route="hold-history", title="Hold history", version=1, initial_views=["trend", "list"]
    )
    made.parameters_schema.update(
        {
            "type": "object",
            "required": ["start_date", "end_date"],
            "properties": {"start_date": {"type": "string", "format": "date"}, "end_date": {"type": "string"}},
        }
    )
    texts: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    sides: dict[str, Any] = {
        "type": "object",
        "properties": {"include": texts, "exclude": texts},
        "additionalProperties": False,
    }
    made.filters_schema.update(
        {
            "type": "object",
            "properties": {
                "hold_type": {"type": "string", "enum": ["quality", "non-quality", "all"]},
                "record_type": {
                    "type": "array",
                    "items": {"type": "string", "enum": ["new", "on_hold", "released"]},
                    "minItems": 1,
                },
                "reason": {"oneOf": [{"type": "string", "minLength": 1}, texts, sides]},
                "day_filter": {
                    "type": "string",
                    "pattern": "^(?:(?<day>[0-9]{4}-[0-9]{2}-[0-9]{2}):(?<kind>new|release))$",
                },
                "min_qty": {"type": "integer", "minimum": 0},
            },
            "x-order": ["reason", "hold_type", "record_type", "min_qty", "day_filter"],
        }
    )
    made.views.add(name="trend", title="Trend", columns=[pb.Column(name="day", type="date32[day]")])
    made.views.add(name="list", title="Holds", paged=True, sort_keys=[pb.SortKey(name="hold_time", descending=True)])
    return made


def resource_history() -> pb.Dataset:
    """A dataset whose route holds a slash."""
    return pb.Dataset(name="resource-history", route="resource/history", title="Machines", initial_views=["kpi"])


@dataclass
class FakeQueryService(rpc.QueryServiceServicer):
    """A query-engine with a script.

    Attributes:
        failures: what a method raises, by its name.
        started: what StartQuery answers.
        changes: what WatchQuery streams; when they end before the query does, it waits until the caller leaves.
        receipt, tables: what views, exports and frames answer.
        breaks_after_piece: what an export raises once its first piece is sent.
        list_count: how many rows the view `list` says it has in all.
        stalls_after_piece: an export that sends its first piece and no other until its caller has left.
        stalling: a method that answers nothing until its caller has left.
        running: what ListRunningQueries answers.
        requests: what it was asked, in order.
        metadata: of the last call.
        left: set when a watcher, or the reader of an export that stalls, has gone before the end.
    """

    failures: dict[str, ServiceError] = field(default_factory=dict)
    started: pb.Query = field(default_factory=lambda: query(pb.QUERY_STATE_COMPLETED))
    changes: list[pb.Query] = field(default_factory=list)
    receipt: table_pb2.Receipt = field(default_factory=receipt)
    tables: dict[str, pa.Table] = field(default_factory=lambda: {"trend": TREND, "list": LIST})
    breaks_after_piece: ServiceError | None = None
    list_count: int = 2
    stalls_after_piece: bool = False
    stalling: str = ""
    running: list[pb.RunningQuery] = field(default_factory=list)
    requests: list[object] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    watched: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)

    def asked(self, kind: type[object]) -> list[object]:
        """Return the requests of one type."""
        return [request for request in self.requests if isinstance(request, kind)]

    def ListDatasets(self, request: pb.ListDatasetsRequest, context: grpc.ServicerContext) -> pb.ListDatasetsResponse:
        self._enter("ListDatasets", request, context)
        # One per page, so that the pages are walked.
        everything = [hold_history(), resource_history()]
        position = int(request.page_token or 0)
        return pb.ListDatasetsResponse(
            datasets=everything[position : position + 1],
            next_page_token=str(position + 1) if position + 1 < len(everything) else "",
            plant_time="2025-12-31T12:00:00",
        )

    def GetDataset(self, request: pb.GetDatasetRequest, context: grpc.ServicerContext) -> pb.GetDatasetResponse:
        self._enter("GetDataset", request, context)
        return pb.GetDatasetResponse(dataset=hold_history())

    def PlanQuery(self, request: pb.PlanQueryRequest, context: grpc.ServicerContext) -> pb.PlanQueryResponse:
        self._enter("PlanQuery", request, context)
        chunk = pb.PlannedChunk(part="slice", start="2025-01-01T07:30:00", end="2025-02-01T07:30:00", cached=True)
        return pb.PlanQueryResponse(query_id=QUERY_ID, parameters=request.parameters, chunks=[chunk], plan="all there")

    def StartQuery(self, request: pb.StartQueryRequest, context: grpc.ServicerContext) -> pb.StartQueryResponse:
        self._enter("StartQuery", request, context)
        return pb.StartQueryResponse(query=self.started)

    def GetQuery(self, request: pb.GetQueryRequest, context: grpc.ServicerContext) -> pb.GetQueryResponse:
        self._enter("GetQuery", request, context)
        return pb.GetQueryResponse(query=self.started)

    def ListRunningQueries(
        self, request: pb.ListRunningQueriesRequest, context: grpc.ServicerContext
    ) -> pb.ListRunningQueriesResponse:
        self._enter("ListRunningQueries", request, context)
        return pb.ListRunningQueriesResponse(queries=self.running)

    def WatchQuery(
        self, request: pb.WatchQueryRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchQueryResponse]:
        self._enter("WatchQuery", request, context)
        ended = threading.Event()
        context.add_callback(ended.set)
        self.watched.set()
        for change in self.changes:
            yield pb.WatchQueryResponse(query=change)
        if not self.changes or self.changes[-1].state == pb.QUERY_STATE_RUNNING:
            ended.wait(30)
            self.left.set()

    def CancelQuery(self, request: pb.CancelQueryRequest, context: grpc.ServicerContext) -> pb.CancelQueryResponse:
        self._enter("CancelQuery", request, context)
        return pb.CancelQueryResponse(query=query(pb.QUERY_STATE_CANCELLED, error_code="CANCELLED"))

    def RetryQuery(self, request: pb.RetryQueryRequest, context: grpc.ServicerContext) -> pb.RetryQueryResponse:
        self._enter("RetryQuery", request, context)
        return pb.RetryQueryResponse(query=query(pb.QUERY_STATE_RUNNING))

    def ReadView(self, request: pb.ReadViewRequest, context: grpc.ServicerContext) -> Iterator[pb.ReadViewResponse]:
        self._enter("ReadView", request, context)
        yield pb.ReadViewResponse(receipt=self.receipt)
        for name in request.views or ["trend", "list"]:
            page = pb.Page(page=1, page_size=50, total_count=self.list_count, page_count=1) if name == "list" else None
            yield pb.ReadViewResponse(header=pb.ViewHeader(view=name, page=page))
            for piece in _pieces(self.tables[name]):
                yield pb.ReadViewResponse(chunk=piece)

    def ReadOptions(self, request: pb.ReadOptionsRequest, context: grpc.ServicerContext) -> pb.ReadOptionsResponse:
        self._enter("ReadOptions", request, context)
        values = [pb.Option(value="Scratch", row_count=3)]
        return pb.ReadOptionsResponse(receipt=self.receipt, options=[pb.OptionList(filter="reason", values=values)])

    def ExportRows(
        self, request: pb.ExportRowsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ExportRowsResponse]:
        self._enter("ExportRows", request, context)
        yield pb.ExportRowsResponse(receipt=self.receipt)
        for piece in _pieces(self.tables["list"]):
            yield pb.ExportRowsResponse(chunk=piece)
            if self.breaks_after_piece is not None:
                raise self.breaks_after_piece
            if self.stalls_after_piece:
                _until_left(context)
                self.left.set()

    def ReadFrame(self, request: pb.ReadFrameRequest, context: grpc.ServicerContext) -> Iterator[pb.ReadFrameResponse]:
        self._enter("ReadFrame", request, context)
        yield pb.ReadFrameResponse(receipt=self.receipt)
        for piece in _pieces(self.tables["trend"]):
            yield pb.ReadFrameResponse(chunk=piece)

    def _enter(self, method: str, request: object, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        if method == self.stalling:
            _until_left(context)
        if method in self.failures:
            raise self.failures[method]


class FakeLineageService(lineage_rpc.LineageServiceServicer):
    """Lineage with one split."""

    def ResolveSplitAncestors(
        self, request: lineage_pb.ResolveSplitAncestorsRequest, context: grpc.ServicerContext
    ) -> lineage_pb.ResolveSplitAncestorsResponse:
        child = request.container_ids[0]
        return lineage_pb.ResolveSplitAncestorsResponse(child_to_parent={child: "parent"}, receipt=receipt())


@contextmanager
def serving(process: str, *services: Service) -> Iterator[RpcServer]:
    """A real server of a process for the length of the block."""
    server = RpcServer(process, RpcServerSettings(listen="127.0.0.1:0"), services, CollectorRegistry())
    server.start()
    try:
        yield server
    finally:
        server.stop(0)


def _until_left(context: grpc.ServicerContext) -> None:
    ended = threading.Event()
    # A call that is over already takes no callback.
    if context.add_callback(ended.set):
        ended.wait(30)


def _pieces(rows: pa.Table) -> Iterator[table_pb2.TableChunk]:
    for piece in arrow.encode(rows.schema, rows.to_batches()):
        yield table_pb2.TableChunk(ipc=piece)
