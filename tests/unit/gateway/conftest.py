"""A real gateway before real gRPC servers that do as a test tells them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
import httpx
import pytest
from sluice.lineage.v1 import lineage_service_pb2_grpc as lineage_rpc
from sluice.query.v1 import query_service_pb2_grpc as rpc
from sluice_gateway.bootstrap import Gateway, build
from sluice_gateway.settings import Settings
from sluice_rpc.ports import FakeClock, SequentialIds
from sluice_rpc.server import RpcServer, Service

from tests.unit.gateway.stand_ins import FakeLineageService, FakeQueryService, serving


@dataclass
class Behind:
    """The processes behind the gateway."""

    query_engine: RpcServer
    lineage: RpcServer
    cache: RpcServer

    def settings(self, **changes: object) -> Settings:
        """Return settings that point at them."""
        targets = {
            "query_engine_target": f"127.0.0.1:{self.query_engine.port}",
            "lineage_target": f"127.0.0.1:{self.lineage.port}",
            "cache_target": f"127.0.0.1:{self.cache.port}",
        }
        return Settings.model_validate({**targets, **changes})


@pytest.fixture(scope="session", autouse=True)
def kept_loop(one_loop: None) -> None:
    """Have the one loop from the first test to the last."""


@pytest.fixture
def engine() -> FakeQueryService:
    """What the query-engine does."""
    return FakeQueryService()


@pytest.fixture
def behind(engine: FakeQueryService) -> Iterator[Behind]:
    """All three processes, serving."""

    def add_engine(server: grpc.Server) -> None:
        rpc.add_QueryServiceServicer_to_server(engine, server)

    def add_lineage(server: grpc.Server) -> None:
        fake = FakeLineageService()  # type: ignore[abstract]  # what no test here calls is left unimplemented
        lineage_rpc.add_LineageServiceServicer_to_server(fake, server)

    with (
        serving("query-engine", Service("sluice.query.v1.QueryService", add_engine)) as query_engine,
        serving("lineage", Service("sluice.lineage.v1.LineageService", add_lineage)) as lineage,
        serving("cache") as cache,
    ):
        yield Behind(query_engine, lineage, cache)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def changed_settings() -> dict[str, object]:
    """Settings of the gateway that differ from the defaults; modules override this."""
    return {"keep_alive_s": 0.05, "identity_header": "X-User"}


@pytest.fixture
async def gateway(behind: Behind, clock: FakeClock, changed_settings: dict[str, object]) -> AsyncIterator[Gateway]:
    """The gateway under test."""
    built = await build(behind.settings(**changed_settings), clock=clock, ids=SequentialIds())
    async with built.closing:
        yield built


@pytest.fixture
async def http(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the gateway, in process."""
    async with opened(gateway) as client:
        yield client


@pytest.fixture
async def gateway_raising(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sees an answer cut short as the exception that makes the server close the connection."""
    transport = httpx.ASGITransport(gateway.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sluice.test") as client:
        yield client


def opened(gateway: Gateway, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    """Return a client that comes from `peer`."""
    transport = httpx.ASGITransport(gateway.app, raise_app_exceptions=False, client=(peer, 50000))
    return httpx.AsyncClient(transport=transport, base_url="http://sluice.test")
