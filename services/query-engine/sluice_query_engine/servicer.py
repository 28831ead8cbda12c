"""QueryService: requests in, responses out; every decision is made elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import unquote

import grpc
import pyarrow as pa
import structlog
from google.protobuf import json_format, struct_pb2
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc.deadline import remaining_s
from sluice_rpc.errors import InvalidParameter, Unavailable

from sluice_query_engine import computation, definitions, paging
from sluice_query_engine.catalog import Catalog
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import TooManyWatchers
from sluice_query_engine.execution.coordinator import Coordinator
from sluice_query_engine.execution.forecast import Forecast
from sluice_query_engine.execution.known_names import KnownNames
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.snapshots import Snapshots
from sluice_query_engine.execution.steps import expectations
from sluice_query_engine.execution.survey import Survey
from sluice_query_engine.parameters import JSON, canonical
from sluice_query_engine.planning.identity import query_id_of, well_formed
from sluice_query_engine.planning.plan import Plan, describe_plan
from sluice_query_engine.planning.time_range import instant_text
from sluice_query_engine.plant_clock import PlantClock
from sluice_query_engine.reader import Reader, Streamed, ViewAnswer, ViewOptions
from sluice_query_engine.views import MAX_OPTIONS

VIEW_DEADLINE_S: Final = 60.0
"""For answers from the cache whose caller named no deadline."""
USER_KEY: Final = "x-sluice-user"
"""Metadata key of the user's name, percent-encoded UTF-8."""
_USER_BYTES: Final = 31
"""Oracle keeps 64 bytes of a client identifier, and a request id takes 32 of them."""
_REMOTE_LOOK_S: Final = 0.5
"""How often a watched query that another process runs is looked at."""


class QueryServicer(query_service_pb2_grpc.QueryServiceServicer):
    """The RPCs of the query engine.

    Args:
        catalog: datasets.
        coordinator: runs queries.
        survey: plans queries that are not started.
        reader: answers from the cache.
        known_names: refuses names that nothing has.
        snapshots: which of each is the newest.
        forecast: what reading will take.
        plant_clock: shown beside the datasets.
        max_watcher_count: streams that only watch; they must not use up the threads that answer.
    """

    def __init__(
        self,
        catalog: Catalog,
        coordinator: Coordinator,
        survey: Survey,
        reader: Reader,
        *,
        known_names: KnownNames,
        snapshots: Snapshots,
        forecast: Forecast,
        plant_clock: PlantClock,
        max_watcher_count: int,
    ) -> None:
        self._known_names = known_names
        self._snapshots = snapshots
        self._catalog = catalog
        self._coordinator = coordinator
        self._survey = survey
        self._reader = reader
        self._forecast = forecast
        self._plant_clock = plant_clock
        self._max_watcher_count = max_watcher_count
        self._watching = threading.BoundedSemaphore(max_watcher_count)

    def ListDatasets(self, request: pb.ListDatasetsRequest, context: grpc.ServicerContext) -> pb.ListDatasetsResponse:
        size = paging.page_size_of(request.page_size)
        arguments = f"ListDatasets {size}"
        after = paging.decode_token(request.page_token, arguments)
        rest = [dataset for dataset in self._catalog if dataset.name > after]
        page = rest[:size]
        return pb.ListDatasetsResponse(
            datasets=[definitions.to_proto(dataset, self._catalog.columns(dataset.name)) for dataset in page],
            next_page_token=paging.encode_token(page[-1].name, arguments) if len(rest) > size else "",
            plant_time=self._plant_time(),
        )

    def GetDataset(self, request: pb.GetDatasetRequest, context: grpc.ServicerContext) -> pb.GetDatasetResponse:
        dataset = self._catalog.get(request.dataset)
        columns = self._catalog.columns(dataset.name)
        return pb.GetDatasetResponse(
            dataset=definitions.to_proto(dataset, columns), computation=computation.to_struct(dataset, columns)
        )

    def PlanQuery(self, request: pb.PlanQueryRequest, context: grpc.ServicerContext) -> pb.PlanQueryResponse:
        dataset = self._catalog.get(request.dataset)
        parameters = self._canonical(dataset, request.parameters, context)
        plan = self._survey.plan(dataset, parameters, no_cache=request.no_cache)
        struct = struct_pb2.Struct()
        struct.update(parameters)
        return pb.PlanQueryResponse(
            query_id=query_id_of(dataset.name, dataset.version, parameters),
            parameters=struct,
            chunks=_planned(plan),
            plan=describe_plan(plan),
            warnings=[*self._forecast.warnings(dataset, plan), *expectations(dataset, parameters)],
            estimated_row_count=self._forecast.row_count(dataset, plan),
            estimated_duration_s=self._forecast.duration_s(dataset, plan),
        )

    def StartQuery(self, request: pb.StartQueryRequest, context: grpc.ServicerContext) -> pb.StartQueryResponse:
        dataset = self._catalog.get(request.dataset)
        parameters = self._canonical(dataset, request.parameters, context)
        query = self._coordinator.start(dataset, parameters, no_cache=request.no_cache, client_id=_client_id(context))
        return pb.StartQueryResponse(query=query)

    def GetQuery(self, request: pb.GetQueryRequest, context: grpc.ServicerContext) -> pb.GetQueryResponse:
        return pb.GetQueryResponse(query=self._coordinator.get(_checked(request.query_id)))

    def WatchQuery(
        self, request: pb.WatchQueryRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchQueryResponse]:
        query_id = _checked(request.query_id)
        if not self._watching.acquire(blocking=False):
            raise TooManyWatchers(self._max_watcher_count)
        try:
            for query in self._watched(query_id, context):
                yield pb.WatchQueryResponse(query=query)
        finally:
            self._watching.release()

    def CancelQuery(self, request: pb.CancelQueryRequest, context: grpc.ServicerContext) -> pb.CancelQueryResponse:
        return pb.CancelQueryResponse(query=self._coordinator.cancel(_checked(request.query_id), force=request.force))

    def RetryQuery(self, request: pb.RetryQueryRequest, context: grpc.ServicerContext) -> pb.RetryQueryResponse:
        index = request.chunk_index if request.HasField("chunk_index") else None
        query = self._coordinator.retry(_checked(request.query_id), _client_id(context), index)
        return pb.RetryQueryResponse(query=query)

    def ListRunningQueries(
        self, request: pb.ListRunningQueriesRequest, context: grpc.ServicerContext
    ) -> pb.ListRunningQueriesResponse:
        return pb.ListRunningQueriesResponse(queries=map(_running, self._coordinator.running()))

    def ReadView(self, request: pb.ReadViewRequest, context: grpc.ServicerContext) -> Iterator[pb.ReadViewResponse]:
        receipt, answers = self._reader.views(
            self._meant(request.query_id, request.dataset),
            list(request.views),
            _mapping(request.filters),
            ViewOptions(
                page=request.page,
                page_size=request.page_size,
                sort=request.sort,
                descending=request.descending if request.HasField("descending") else None,
                allow_partial=request.allow_partial,
            ),
            dataset=request.dataset,
            scope=_scope(context),
            deadline_s=remaining_s(context, VIEW_DEADLINE_S),
        )
        yield pb.ReadViewResponse(receipt=receipt)
        for answer in answers:
            yield pb.ReadViewResponse(header=_header(answer))
            for piece in answer.answered.pieces:
                yield pb.ReadViewResponse(chunk=table_pb2.TableChunk(ipc=piece))

    def ReadOptions(self, request: pb.ReadOptionsRequest, context: grpc.ServicerContext) -> pb.ReadOptionsResponse:
        receipt, tables = self._reader.options(
            self._meant(request.query_id, request.dataset),
            _mapping(request.filters),
            dataset=request.dataset,
            scope=_scope(context),
            deadline_s=remaining_s(context, VIEW_DEADLINE_S),
        )
        return pb.ReadOptionsResponse(receipt=receipt, options=[_options(name, table) for name, table in tables])

    def ExportRows(
        self, request: pb.ExportRowsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ExportRowsResponse]:
        descending = request.descending if request.HasField("descending") else None
        streamed = self._reader.rows(
            self._meant(request.query_id, request.dataset),
            request.view,
            _mapping(request.filters),
            ViewOptions(sort=request.sort, descending=descending),
            dataset=request.dataset,
            scope=_scope(context),
            deadline_s=remaining_s(context, VIEW_DEADLINE_S),
        )
        yield pb.ExportRowsResponse(receipt=streamed.receipt)
        for chunk in _chunks(streamed):
            yield pb.ExportRowsResponse(chunk=chunk)

    def ReadFrame(self, request: pb.ReadFrameRequest, context: grpc.ServicerContext) -> Iterator[pb.ReadFrameResponse]:
        streamed = self._reader.table(
            _checked(request.query_id),
            request.table,
            dataset=request.dataset,
            scope=_scope(context),
            deadline_s=remaining_s(context, VIEW_DEADLINE_S),
        )
        yield pb.ReadFrameResponse(receipt=streamed.receipt)
        for chunk in _chunks(streamed):
            yield pb.ReadFrameResponse(chunk=chunk)

    def _canonical(self, dataset: Dataset, given: struct_pb2.Struct, context: grpc.ServicerContext) -> dict[str, JSON]:
        parameters = canonical(dataset, _mapping(given))
        self._known_names.check(dataset, parameters, _client_id(context))
        return parameters

    def _meant(self, query_id: str, dataset: str) -> str:
        """Return the query that is to answer: the one named, or the newest of a snapshot.

        Whether a query that is named with a dataset is one of it, its reader sees.
        """
        if query_id or not dataset:
            return _checked(query_id)
        found = self._catalog.get(dataset)
        if found.snapshot is None:
            raise InvalidParameter("query_id", f"is required; {found.name} is no snapshot")
        return self._snapshots.newest(found)

    def _watched(self, query_id: str, context: grpc.ServicerContext) -> Iterator[pb.Query]:
        run = self._coordinator.run_of(query_id)
        if run is not None and run.running:
            # gRPC tells a leaving caller only here; the waiting thread has to be woken to see it.
            context.add_callback(run.wake)
            yield from run.watch(context.is_active)
            return
        gone = threading.Event()
        context.add_callback(gone.set)
        last: pb.Query | None = None
        while not gone.is_set():
            query = self._coordinator.get(query_id)
            if query != last:
                yield query
            if query.state != pb.QUERY_STATE_RUNNING:
                return
            last = query
            gone.wait(_REMOTE_LOOK_S)

    def _plant_time(self) -> str:
        try:
            return instant_text(self._plant_clock.now())
        except Unavailable:
            return ""


def _checked(query_id: str) -> str:
    if not well_formed(query_id):
        raise InvalidParameter("query_id", "is not 16 lower-case hexadecimal characters")
    return query_id


def _mapping(struct: struct_pb2.Struct) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in struct.fields.items():
        try:
            values[name] = json_format.MessageToDict(value)
        except ValueError:
            # A caller's own encoder may write what JSON has no number for.
            raise InvalidParameter(name, "holds a number that is not finite") from None
    return values


def _client_id(context: grpc.ServicerContext) -> str:
    """Return for whom a call is made, as the DBA reads it: the user, where the caller names one, and the request."""
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    named = {key: value for key, value in context.invocation_metadata() or () if key == USER_KEY}
    user = unquote(str(named.get(USER_KEY, ""))).replace(" ", "_").encode()[:_USER_BYTES].decode(errors="ignore")
    return f"{user} {request_id}" if user else request_id


def _running(run: QueryRun) -> pb.RunningQuery:
    query = run.snapshot()
    query.progress.ClearField("chunks")
    user = run.client_id.rpartition(" ")[0]
    return pb.RunningQuery(query=query, user=user, request_id=run.request_id, elapsed_s=round(run.elapsed_s, 3))


def _scope(context: grpc.ServicerContext) -> CancelScope:
    """Return a scope that is withdrawn when the call ends, however it ends."""
    scope = CancelScope()
    if not context.add_callback(scope.cancel):
        scope.cancel()
    return scope


def _planned(plan: Plan) -> list[pb.PlannedChunk]:
    return [
        pb.PlannedChunk(
            index=chunk.index,
            part=chunk.part,
            start=chunk.start_text,
            end=chunk.end_text,
            id_count=chunk.id_count,
            cached=chunk.extent is not None,
            reason=chunk.reason,
        )
        for chunk in plan.chunks
    ]


def _header(answer: ViewAnswer) -> pb.ViewHeader:
    statement = answer.statement
    if answer.total_count is None:
        return pb.ViewHeader(view=statement.view)
    page = pb.Page(
        page=statement.page,
        page_size=statement.page_size,
        total_count=answer.total_count,
        page_count=statement.page_count(answer.total_count),
    )
    return pb.ViewHeader(view=statement.view, page=page)


def _options(name: str, table: pa.Table) -> pb.OptionList:
    rows = table.slice(0, MAX_OPTIONS).to_pylist()
    values = [pb.Option(value=_text(row["value"]), row_count=row["row_count"]) for row in rows]
    return pb.OptionList(filter=name, values=values, truncated=table.num_rows > MAX_OPTIONS)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _chunks(streamed: Streamed) -> Iterator[table_pb2.TableChunk]:
    for piece in streamed.pieces:
        yield table_pb2.TableChunk(ipc=piece)
