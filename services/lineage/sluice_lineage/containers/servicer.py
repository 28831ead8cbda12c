"""ContainerService: requests checked and translated, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import grpc
from sluice.lineage.v1 import container_service_pb2 as pb
from sluice.lineage.v1 import container_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import InvalidParameter
from sluice_rpc.ports import Clock

from sluice_lineage.callers import caller_of
from sluice_lineage.containers.answers import Answer, GuardRails
from sluice_lineage.containers.kept import KeptResolutions
from sluice_lineage.containers.kinds import Kind
from sluice_lineage.containers.resolve import Containers
from sluice_lineage.containers.values import ValueLimits, Values
from sluice_lineage.errors import TooManyContainers


class ContainerServicer(pb_grpc.ContainerServiceServicer):
    """Answers ContainerService.

    Args:
        containers: what resolves.
        kept: what was resolved before.
        kinds: what values may be.
        clock: stamps receipts.
        limits: how much one request may ask for.
        rails: above which answers are flagged.
        max_response_bytes: most that one message may hold.
        statement_timeout_s: deadline of calls that bring none.
    """

    def __init__(
        self,
        containers: Containers,
        kept: KeptResolutions,
        kinds: Mapping[pb.ContainerKind.ValueType, Kind],
        clock: Clock,
        *,
        limits: ValueLimits,
        rails: GuardRails,
        max_response_bytes: int,
        statement_timeout_s: float,
    ) -> None:
        self._containers = containers
        self._kept = kept
        self._kinds = kinds
        self._clock = clock
        self._limits = limits
        self._rails = rails
        self._max_response_bytes = max_response_bytes
        self._statement_timeout_s = statement_timeout_s

    def ResolveContainers(
        self, request: pb.ResolveContainersRequest, context: grpc.ServicerContext
    ) -> pb.ResolveContainersResponse:
        values = self._values(request.kind)
        values.add(request.values)
        response = self._answer(values, context, refresh=request.refresh).response()
        if response.ByteSize() > self._max_response_bytes:
            raise TooManyContainers(
                self._max_response_bytes // _ROW_BYTES, response.total, "ask ReadContainers, which streams them"
            )
        return response

    def ReadContainers(
        self, request_iterator: Iterator[pb.ReadContainersRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ReadContainersResponse]:
        first = next(request_iterator, pb.ReadContainersRequest())
        values = self._values(first.kind)
        values.add(first.values)
        for request in request_iterator:
            if request.kind not in (pb.CONTAINER_KIND_UNSPECIFIED, first.kind):
                raise InvalidParameter("kind", "is another one than in the first message")
            values.add(request.values)
        # Pieces are bytes that are the message already, which the server's interceptor passes on.
        yield from cast(
            Iterator[pb.ReadContainersResponse], self._answer(values, context, refresh=first.refresh).stream()
        )

    def _values(self, number: pb.ContainerKind.ValueType) -> Values:
        kind = self._kinds.get(number)
        if kind is None:
            known = ", ".join(one.name for one in self._kinds.values())
            raise InvalidParameter("kind", f"must be one of {known}")
        return Values(kind, self._limits)

    def _answer(self, values: Values, context: grpc.ServicerContext, *, refresh: bool) -> Answer:
        values.check()
        caller = caller_of(context, self._statement_timeout_s)
        typed: Sequence[str] = list(values.typed.values())
        found = None if refresh or not typed else self._kept.find(values.kind, values.names)
        if found is not None:
            return Answer(typed, found.resolution, found.read_time, found.tier, self._rails)
        # Taken before the first statement: the oldest row may be as old as that.
        read_time = self._clock.now()
        resolution = self._containers.resolve(values.kind, values.names, caller)
        self._kept.keep(values.kind, resolution, read_time)
        return Answer(typed, resolution, read_time, table_pb2.TIER_UNSPECIFIED, self._rails)


_ROW_BYTES = 64
"""About what one row takes in a message."""
