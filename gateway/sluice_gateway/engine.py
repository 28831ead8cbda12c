"""The other processes as the gateway calls them: every call under the caller's name and with a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc as rpc
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import Internal

from sluice_gateway.identity import Caller
from sluice_gateway.settings import Settings

Q = TypeVar("Q")
M = TypeVar("M")


@dataclass
class ViewTable:
    """One view of an answer: what it is, and the pieces of its Arrow stream."""

    header: pb.ViewHeader
    pieces: list[bytes] = field(default_factory=list)


@dataclass
class ViewAnswer:
    """A receipt and the views in the order asked."""

    receipt: table_pb2.Receipt
    views: list[ViewTable] = field(default_factory=list)


class QueryEngine:
    """The query-engine.

    Args:
        channel: open for as long as this object is used.
        settings: deadlines.
    """

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = rpc.QueryServiceStub(channel)
        self._call_s = settings.call_timeout_s
        self._view_s = settings.view_timeout_s
        self._export_s = settings.export_timeout_s

    async def list_datasets(self) -> pb.ListDatasetsResponse:
        """Return all datasets, whatever the number of pages."""
        whole = pb.ListDatasetsResponse()
        token = ""
        while True:
            request = pb.ListDatasetsRequest(page_size=200, page_token=token)
            page = await self._stub.ListDatasets(request, timeout=self._call_s)
            whole.datasets.extend(page.datasets)
            whole.plant_time = page.plant_time
            token = page.next_page_token
            if not token:
                return whole

    async def get_dataset(self, name: str) -> pb.GetDatasetResponse:
        """Return one dataset with what its views compute."""
        return await self._stub.GetDataset(pb.GetDatasetRequest(dataset=name), timeout=self._call_s)

    async def plan(self, request: pb.PlanQueryRequest, caller: Caller) -> pb.PlanQueryResponse:
        """Return what the query would do."""
        return await self._stub.PlanQuery(request, timeout=self._call_s, metadata=caller.metadata)

    async def start(self, request: pb.StartQueryRequest, caller: Caller) -> pb.Query:
        """Start or join a query and return it as it stands."""
        response = await self._stub.StartQuery(request, timeout=self._call_s, metadata=caller.metadata)
        return response.query

    async def get(self, query_id: str, caller: Caller) -> pb.Query:
        """Return a query as it stands."""
        request = pb.GetQueryRequest(query_id=query_id)
        response = await self._stub.GetQuery(request, timeout=self._call_s, metadata=caller.metadata)
        return response.query

    async def running(self) -> pb.ListRunningQueriesResponse:
        """Return what runs in the engine."""
        return await self._stub.ListRunningQueries(pb.ListRunningQueriesRequest(), timeout=self._call_s)

    async def cancel(self, query_id: str, force: bool, caller: Caller) -> pb.Query:
        """Withdraw the caller's interest, or cancel for everybody with `force`."""
        request = pb.CancelQueryRequest(query_id=query_id, force=force)
        response = await self._stub.CancelQuery(request, timeout=self._call_s, metadata=caller.metadata)
        return response.query

    async def retry(self, query_id: str, chunk_index: int | None, caller: Caller) -> pb.Query:
        """Run what is missing from a finished query; of what failed only one chunk where it is given."""
        request = pb.RetryQueryRequest(query_id=query_id, chunk_index=chunk_index)
        response = await self._stub.RetryQuery(request, timeout=self._call_s, metadata=caller.metadata)
        return response.query

    @asynccontextmanager
    async def watch(self, query_id: str, timeout_s: float, caller: Caller) -> AsyncIterator[AsyncIterator[pb.Query]]:
        """Watch a query inside the block; leaving it ends the call, which tells the engine that nobody waits."""
        request = pb.WatchQueryRequest(query_id=query_id)
        async with _open(self._stub.WatchQuery(request, timeout=timeout_s, metadata=caller.metadata)) as changes:
            yield (change.query async for change in changes)

    async def read_view(self, request: pb.ReadViewRequest, caller: Caller) -> ViewAnswer:
        """Return views, all pieces received."""
        answer = ViewAnswer(table_pb2.Receipt())
        async with _open(self._stub.ReadView(request, timeout=self._view_s, metadata=caller.metadata)) as responses:
            async for response in responses:
                part = response.WhichOneof("part")
                if part == "receipt":
                    answer.receipt = response.receipt
                elif part == "header":
                    answer.views.append(ViewTable(response.header))
                elif part == "chunk":
                    answer.views[-1].pieces.append(response.chunk.ipc)
        return answer

    async def options(self, request: pb.ReadOptionsRequest, caller: Caller) -> pb.ReadOptionsResponse:
        """Return the values of each filter."""
        return await self._stub.ReadOptions(request, timeout=self._view_s, metadata=caller.metadata)

    @asynccontextmanager
    async def export_rows(self, request: pb.ExportRowsRequest, caller: Caller) -> AsyncIterator[TableStream]:
        """Open a view's rows; leaving the block ends the call."""
        call = self._stub.ExportRows(request, timeout=self._export_s, metadata=caller.metadata)
        async with _open(call) as responses:
            yield await TableStream.opened(responses)

    @asynccontextmanager
    async def read_frame(self, request: pb.ReadFrameRequest, caller: Caller) -> AsyncIterator[TableStream]:
        """Open a stored table; leaving the block ends the call."""
        call = self._stub.ReadFrame(request, timeout=self._export_s, metadata=caller.metadata)
        async with _open(call) as responses:
            yield await TableStream.opened(responses)


class TableStream:
    """A table that arrives piece by piece: its receipt, then the pieces of its Arrow stream."""

    def __init__(
        self, receipt: table_pb2.Receipt, responses: AsyncIterator[pb.ExportRowsResponse | pb.ReadFrameResponse]
    ) -> None:
        self.receipt = receipt
        self._responses = responses

    @classmethod
    async def opened(cls, responses: AsyncIterator[pb.ExportRowsResponse | pb.ReadFrameResponse]) -> TableStream:
        """Return the stream once its receipt has arrived, so that early errors are raised before any byte is sent."""
        first = await anext(responses, None)
        if first is None or first.WhichOneof("part") != "receipt":
            raise Internal("the query-engine's answer does not begin with a receipt")
        return cls(first.receipt, responses)

    async def next_piece(self) -> bytes | None:
        """Return the next piece; None after the last."""
        response = await anext(self._responses, None)
        return response.chunk.ipc if response is not None else None


class Health:
    """The health service of one process."""

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = health_pb2_grpc.HealthStub(channel)
        self._timeout_s = settings.health_timeout_s

    async def check(self) -> str:
        """Return the status of the whole process, `SERVING` when all is well.

        Raises:
            ServiceError: the process cannot be reached or does not answer in time.
        """
        response = await self._stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=self._timeout_s)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


@asynccontextmanager
async def _open(call: grpc.aio.UnaryStreamCall[Q, M]) -> AsyncIterator[AsyncIterator[M]]:
    try:
        yield aiter(call)
    finally:
        call.cancel()
