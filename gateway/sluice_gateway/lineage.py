"""The lineage process as the gateway calls it: genealogy, containers and events, under the caller's name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import grpc.aio
from google.protobuf.message import Message
from sluice.lineage.v1 import container_service_pb2 as containers_pb
from sluice.lineage.v1 import container_service_pb2_grpc as containers_rpc
from sluice.lineage.v1 import event_service_pb2 as events_pb
from sluice.lineage.v1 import event_service_pb2_grpc as events_rpc
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as rpc
from sluice_rpc.errors import Internal

from sluice_gateway.errors import TooManyIdBytes
from sluice_gateway.identity import Caller
from sluice_gateway.settings import Settings

M = TypeVar("M", bound=Message)

MESSAGE_BYTES: Final = (4 << 20) - (64 << 10)
"""Longest request: gRPC servers refuse messages above 4 MiB."""
_VALUES_PER_MESSAGE: Final = 10_000
"""Values of at most 64 characters, of four bytes each at worst, fit into a message."""


class Lineage:
    """The lineage process.

    Args:
        channel: open for as long as this object is used.
        settings: deadlines.
    """

    def __init__(self, channel: grpc.aio.Channel, settings: Settings) -> None:
        self._stub = rpc.LineageServiceStub(channel)
        self._containers = containers_rpc.ContainerServiceStub(channel)
        self._events = events_rpc.EventServiceStub(channel)
        self._timeout_s = settings.lineage_timeout_s
        self._event_timeout_s = settings.event_timeout_s

    async def split_ancestors(
        self, request: pb.ResolveSplitAncestorsRequest, caller: Caller
    ) -> pb.ResolveSplitAncestorsResponse:
        """Return the lots that each container was split from."""
        call = self._stub.ResolveSplitAncestors
        return await call(_sized(request), timeout=self._timeout_s, metadata=caller.metadata)

    async def split_descendants(
        self, request: pb.ResolveSplitDescendantsRequest, caller: Caller
    ) -> pb.ResolveSplitDescendantsResponse:
        """Return the lots split from each container."""
        call = self._stub.ResolveSplitDescendants
        return await call(_sized(request), timeout=self._timeout_s, metadata=caller.metadata)

    async def merge_sources(
        self, request: pb.ResolveMergeSourcesRequest, caller: Caller
    ) -> pb.ResolveMergeSourcesResponse:
        """Return what was merged into each container."""
        call = self._stub.ResolveMergeSources
        return await call(_sized(request), timeout=self._timeout_s, metadata=caller.metadata)

    async def merge_targets(
        self, request: pb.ResolveMergeTargetsRequest, caller: Caller
    ) -> pb.ResolveMergeTargetsResponse:
        """Return what each container was merged into."""
        call = self._stub.ResolveMergeTargets
        return await call(_sized(request), timeout=self._timeout_s, metadata=caller.metadata)

    async def leaf_serials(
        self, request: pb.ResolveLeafSerialsRequest, caller: Caller
    ) -> pb.ResolveLeafSerialsResponse:
        """Return the serials of each container."""
        call = self._stub.ResolveLeafSerials
        return await call(_sized(request), timeout=self._timeout_s, metadata=caller.metadata)

    async def event_domains(self, caller: Caller) -> events_pb.ListEventDomainsResponse:
        """Return what can be asked about containers."""
        call = self._events.ListEventDomains
        return await call(events_pb.ListEventDomainsRequest(), timeout=self._timeout_s, metadata=caller.metadata)

    @asynccontextmanager
    async def genealogy(
        self, request: pb.ReadGenealogyRequest, caller: Caller
    ) -> AsyncIterator[AsyncIterator[pb.ReadGenealogyResponse]]:
        """Open a genealogy as tables; leaving the block ends the call."""
        call = self._stub.ReadGenealogy(_sized(request), timeout=self._timeout_s, metadata=caller.metadata)
        async with _open(call) as responses:
            yield responses

    @asynccontextmanager
    async def containers(
        self, kind: containers_pb.ContainerKind.ValueType, values: Sequence[str], refresh: bool, caller: Caller
    ) -> AsyncIterator[AsyncIterator[containers_pb.ReadContainersResponse]]:
        """Open what values mean as tables; leaving the block ends the call."""
        requests = _value_requests(kind, values, refresh)
        call = self._containers.ReadContainers(requests, timeout=self._timeout_s, metadata=caller.metadata)
        async with _open(call) as responses:
            yield responses

    @asynccontextmanager
    async def events(
        self, request: events_pb.ReadEventsRequest, caller: Caller
    ) -> AsyncIterator[AsyncIterator[events_pb.ReadEventsResponse]]:
        """Open the events of containers; leaving the block ends the call."""
        call = self._events.ReadEvents(_sized(request), timeout=self._event_timeout_s, metadata=caller.metadata)
        async with _open(call) as responses:
            yield responses


async def first_of(responses: AsyncIterator[M], part: str) -> M:
    """Return the first message of a stream, which holds `part`; early errors are raised before a byte is sent."""
    first = await anext(responses, None)
    if first is None or first.WhichOneof("part") != part:
        raise Internal(f"lineage's answer does not begin with its {part}")
    return first


def _sized(request: M) -> M:
    size = request.ByteSize()
    if size > MESSAGE_BYTES:
        raise TooManyIdBytes(MESSAGE_BYTES, size)
    return request


def _value_requests(
    kind: containers_pb.ContainerKind.ValueType, values: Sequence[str], refresh: bool
) -> Iterator[containers_pb.ReadContainersRequest]:
    for start in range(0, max(1, len(values)), _VALUES_PER_MESSAGE):
        part = values[start : start + _VALUES_PER_MESSAGE]
        yield containers_pb.ReadContainersRequest(kind=kind, values=part, refresh=refresh)


@asynccontextmanager
async def _open(call: Any) -> AsyncIterator[Any]:
    try:
        yield aiter(call)
    finally:
        call.cancel()
