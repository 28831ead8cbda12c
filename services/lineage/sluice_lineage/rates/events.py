"""EventService behind its limits: a request too many is refused before anything is asked, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol
from urllib.parse import unquote

import grpc
from prometheus_client import CollectorRegistry, Counter
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.lineage.v1 import event_service_pb2_grpc as pb_grpc

from sluice_lineage.rates.limits import RateLimited, RateLimits

CLIENT_KEY: Final = "x-sluice-client"
"""Metadata key of the client whose requests are counted, percent-encoded UTF-8; else the peer counts."""
COUNTED_HERE: Final = "RATE_COUNTED_HERE"


class Events(Protocol):
    """What answers once a request is within its limit."""

    def ListEventDomains(
        self, request: pb.ListEventDomainsRequest, context: grpc.ServicerContext
    ) -> pb.ListEventDomainsResponse: ...

    def ReadEvents(
        self, request: pb.ReadEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadEventsResponse]: ...


class LimitedEventServicer(pb_grpc.EventServiceServicer):
    """Counts requests by domain and client and passes on what is within the limit.

    Args:
        inner: what answers.
        limits: by domain.
        registry: where refusals are counted.
    """

    def __init__(self, inner: Events, limits: RateLimits, registry: CollectorRegistry) -> None:
        self._inner = inner
        self._limits = limits
        self._refused = Counter(
            "sluice_lineage_rate_limited_total",
            "Requests refused for their rate, by bucket and where they are counted.",
            ["bucket", "counted_in"],
            registry=registry,
        )

    def ListEventDomains(
        self, request: pb.ListEventDomainsRequest, context: grpc.ServicerContext
    ) -> pb.ListEventDomainsResponse:
        return self._inner.ListEventDomains(request, context)

    def ReadEvents(
        self, request: pb.ReadEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadEventsResponse]:
        try:
            counted_in = self._limits.take(request.domain, client_of(context))
        except RateLimited as error:
            self._refused.labels(error.metadata["bucket"], error.metadata["counted_in"]).inc()
            raise
        counted_here = counted_in == "process" and self._limits.shared
        for response in self._inner.ReadEvents(request, context):
            if counted_here and response.WhichOneof("part") == "end":
                said = "Redis is away, so requests are counted in this process alone"
                response.end.warnings.add(code=COUNTED_HERE, message=said)
            yield response


def client_of(context: grpc.ServicerContext) -> str:
    """Return whose request this is: who the caller says it asks for, else the address it comes from."""
    named = str(dict(context.invocation_metadata()).get(CLIENT_KEY, ""))
    # `ipv4:127.0.0.1:50000`, `ipv6:%5B::1%5D:50000` or `unix:`; every connection has another port.
    return unquote(named) or unquote(context.peer()).rpartition(":")[0] or "local"
