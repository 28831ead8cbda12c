"""A query that ends without an answer is an error of its own kind for Python callers."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from prometheus_client import CollectorRegistry
from sluice.query.v1 import query_service_pb2 as pb
from sluice.query.v1 import query_service_pb2_grpc as pb_grpc
from sluice_client.client import SluiceClient
from sluice_rpc.errors import Cancelled, Internal, OutOfRange, QueryTimeout, ServiceError, Unavailable
from sluice_rpc.server import RpcServer, Service
from sluice_rpc.settings import RpcServerSettings


class FailingQueries(pb_grpc.QueryServiceServicer):
    """Every query has failed already; its id says of what."""

    def WatchQuery(
        self, request: pb.WatchQueryRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WatchQueryResponse]:
        query = pb.Query(query_id=request.query_id, state=pb.QUERY_STATE_FAILED, error_code=request.query_id)
        yield pb.WatchQueryResponse(query=query)


@pytest.fixture(scope="module")
def client() -> Iterator[SluiceClient]:
    servicer = FailingQueries()  # type: ignore[abstract]  # waiting asks for nothing else
    service = Service(
        "sluice.query.v1.QueryService",
        lambda server: pb_grpc.add_QueryServiceServicer_to_server(servicer, server),
    )
    server = RpcServer("query-engine", RpcServerSettings(), [service], CollectorRegistry())
    with SluiceClient(f"127.0.0.1:{server.start()}") as connected:
        yield connected
    server.stop(0)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("CANCELLED", Cancelled),
        ("QUERY_TIMEOUT", QueryTimeout),
        ("CONTRACT_BROKEN", Internal),
        ("WAREHOUSE_ERROR", Internal),
        ("CHUNK_TOO_LARGE", OutOfRange),
        ("PERMITS_EXHAUSTED", Unavailable),
        ("WAREHOUSE_UNAVAILABLE", Unavailable),
    ],
)
def test_a_failed_query_raises_what_it_failed_of(client: SluiceClient, code: str, kind: type[ServiceError]) -> None:
    with pytest.raises(kind) as caught:
        client.wait(code)
    assert caught.value.reason == code
