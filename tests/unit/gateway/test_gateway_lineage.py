"""Containers and events at the gateway, before a lineage process that does as a test tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import grpc
import httpx
import pyarrow as pa
import pytest
from sluice.lineage.v1 import container_service_pb2 as containers_pb
from sluice.lineage.v1 import container_service_pb2_grpc as containers_rpc
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.lineage.v1 import event_service_pb2_grpc as rpc
from sluice.table.v1 import table_pb2
from sluice_gateway.bootstrap import build
from sluice_rpc import arrow
from sluice_rpc.errors import ResourceExhausted, ServiceError, Unavailable
from sluice_rpc.server import Service

from tests.unit.gateway.conftest import Behind, opened
from tests.unit.gateway.stand_ins import receipt, serving

pytestmark = pytest.mark.anyio

HOLDS = pb.EventDomain(
    name="holds", columns=[pb.EventColumn(name="CONTAINERID", type="string"), pb.EventColumn(name="QTY", type="int64")]
)


def records(container_id: str, *quantities: int) -> pb.ReadEventsResponse:
    """A message with rows of one container."""
    rows = [
        pb.EventRecord(values=[pb.EventValue(text=container_id), pb.EventValue(whole=quantity)])
        for quantity in quantities
    ]
    found = pb.ContainerRecords(container_id=container_id, records=rows)
    return pb.ReadEventsResponse(records=pb.EventRecords(containers=[found]))


@dataclass
class Script(rpc.EventServiceServicer, containers_rpc.ContainerServiceServicer):
    """What lineage answers.

    Attributes:
        failure: raised before anything else.
        messages: of events, between header and end.
        breaks: raised in place of the end.
        row_count: what an answer about containers says it holds.
        metadata: of the last call.
    """

    failure: ServiceError | None = None
    messages: list[pb.ReadEventsResponse] = field(default_factory=list)
    breaks: ServiceError | None = None
    row_count: int = 0
    metadata: dict[str, str] = field(default_factory=dict)

    def ReadEvents(
        self, request: pb.ReadEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadEventsResponse]:
        self._enter(context)
        yield pb.ReadEventsResponse(header=pb.EventHeader(domain=HOLDS))
        yield from self.messages
        if self.breaks is not None:
            raise self.breaks
        yield pb.ReadEventsResponse(end=pb.EventEnd(receipt=receipt()))

    def ReadContainers(
        self, request_iterator: Iterator[containers_pb.ReadContainersRequest], context: grpc.ServicerContext
    ) -> Iterator[containers_pb.ReadContainersResponse]:
        self._enter(context)
        list(request_iterator)
        yield containers_pb.ReadContainersResponse(summary=containers_pb.ContainersSummary(receipt=receipt()))
        header = containers_pb.ContainerTableHeader(
            table=containers_pb.CONTAINER_TABLE_TOKENS, row_count=self.row_count
        )
        yield containers_pb.ReadContainersResponse(header=header)
        table = pa.table({"input_value": pa.array([], pa.string()), "container_count": pa.array([], pa.int64())})
        for piece in arrow.encode(table.schema, table.to_batches()):
            yield containers_pb.ReadContainersResponse(chunk=table_pb2.TableChunk(ipc=piece))

    def _enter(self, context: grpc.ServicerContext) -> None:
        self.metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def script() -> Script:
    return Script()  # type: ignore[abstract]  # what no test here calls is left unimplemented


@pytest.fixture
async def http(behind: Behind, script: Script) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway whose lineage follows the script."""

    def add(server: grpc.Server) -> None:
        rpc.add_EventServiceServicer_to_server(script, server)
        containers_rpc.add_ContainerServiceServicer_to_server(script, server)

    with serving("lineage", Service("sluice.lineage.v1.EventService", add)) as lineage:
        target = f"127.0.0.1:{lineage.port}"
        settings = behind.settings(
            lineage_target=target, identity_header="X-User", client_address_header="X-Forwarded-For"
        )
        gateway = await build(settings)
        async with gateway.closing, opened(gateway) as client:
            yield client


async def events(http: httpx.AsyncClient, **headers: str) -> httpx.Response:
    """Ask for holds."""
    return await http.post("/api/events/holds", json={"container_ids": ["a"]}, headers=headers)


async def test_records_that_go_on_in_the_next_message_stand_together(http: httpx.AsyncClient, script: Script) -> None:
    script.messages = [records("a", 1), records("a", 2), records("b", 3)]
    body = (await events(http)).json()
    found = {container: [row["QTY"] for row in rows] for container, rows in body["records_by_cid"].items()}
    assert found == {"a": [1, 2], "b": [3]}


async def test_no_records_are_an_empty_object(http: httpx.AsyncClient) -> None:
    assert (await events(http)).json()["records_by_cid"] == {}


async def test_a_rate_limit_is_429_with_when_to_come_again(http: httpx.AsyncClient, script: Script) -> None:
    script.failure = ResourceExhausted("more than 20 requests in 60 s", retry_after_s=41.2, bucket="event-holds")
    response = await events(http)
    assert (response.status_code, response.headers["retry-after"]) == (429, "42")
    assert (response.json()["code"], response.json()["metadata"]["bucket"]) == ("RATE_LIMITED", "event-holds")


async def test_what_breaks_after_its_first_rows_is_still_a_problem(http: httpx.AsyncClient, script: Script) -> None:
    script.messages = [records("a", 1)]
    script.breaks = Unavailable("the warehouse is away", reason="WAREHOUSE_UNAVAILABLE")
    response = await events(http)
    assert (response.status_code, response.json()["code"]) == (503, "WAREHOUSE_UNAVAILABLE")


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({}, "127.0.0.1"),
        ({"X-User": "ann"}, "ann"),
        ({"X-Forwarded-For": "10.0.0.9, 10.0.0.1"}, "10.0.0.9"),
        ({"X-User": "ann", "X-Forwarded-For": "10.0.0.9"}, "ann"),
    ],
)
async def test_lineage_is_told_whose_request_counts(
    http: httpx.AsyncClient, script: Script, headers: dict[str, str], client: str
) -> None:
    await events(http, **headers)
    assert script.metadata["x-sluice-client"] == client


async def test_more_rows_than_json_takes_name_the_format_that_does(http: httpx.AsyncClient, script: Script) -> None:
    script.row_count = 500_001
    response = await http.post("/api/containers/resolve", json={"kind": "lot_id", "values": []})
    assert (response.status_code, response.json()["code"]) == (413, "RESULT_TOO_LARGE")
    assert "accept application/vnd.apache.arrow.stream" in response.json()["detail"]


async def test_more_bytes_of_ids_than_a_message_holds_are_too_many_ids(http: httpx.AsyncClient) -> None:
    ids = [f"{number:064}" for number in range(70_000)]
    response = await http.post("/api/events/holds", json={"container_ids": ids})
    assert (response.status_code, response.json()["code"]) == (413, "TOO_MANY_IDS")
