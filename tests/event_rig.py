"""EventService in this process for tests: real gRPC, a plant as warehouse, places for answers of a test's choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from prometheus_client import CollectorRegistry
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.lineage.v1 import event_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_lineage.asked import AskedIds
from sluice_lineage.events.kept import KeptEvents
from sluice_lineage.events.pointers import MemoryPointers, Pointers
from sluice_lineage.events.wiring import SERVICE_NAME, event_servicer
from sluice_lineage.frames import FrameStore
from sluice_lineage.frames_memory import MemoryFrames
from sluice_lineage.settings import Settings
from sluice_rpc import arrow
from sluice_rpc.client import open_channel
from sluice_rpc.interceptors import ResponseStream
from sluice_rpc.ports import FakeClock
from sluice_rpc.server import RpcServer, Service
from sluice_warehouse import Bind, Reading, Statement, Tag, Warehouse, open_warehouse
from sluice_warehouse.duckdb import DuckDBWarehouse
from sluice_warehouse.faults import FaultSource
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permits import ProcessPermits

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class CountingWarehouse:
    """A warehouse that counts what is asked of it.

    Args:
        inner: what answers.
    """

    def __init__(self, inner: Warehouse) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter()
        self.binds: list[Mapping[str, Bind]] = []

    def open(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> Reading:
        self.calls["open"] += 1
        self.binds.append(binds)
        return self._inner.open(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def open_pooled(
        self, statement: Statement, binds: Mapping[str, Bind], *, schema: pa.Schema, deadline_s: float, tag: Tag
    ) -> Reading:
        self.calls["open_pooled"] += 1
        return self._inner.open_pooled(statement, binds, schema=schema, deadline_s=deadline_s, tag=tag)

    def plant_time(self) -> datetime:
        self.calls["plant_time"] += 1
        return self._inner.plant_time()

    def ping(self) -> None:
        self.calls["ping"] += 1
        self._inner.ping()

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True)
class EventAnswer:
    """One answer as a caller gets it."""

    header: pb.EventHeader
    table: pa.Table
    """Of an Arrow answer."""
    records: dict[str, list[dict[str, Any]]]
    """Of an answer of records."""
    end: pb.EventEnd

    @property
    def receipt(self) -> table_pb2.Receipt:
        return self.end.receipt


@dataclass
class EventRig:
    """A serving EventService and a caller's stub to it."""

    stub: pb_grpc.EventServiceStub
    warehouse: CountingWarehouse
    permits: ProcessPermits
    frames: FrameStore
    pointers: Pointers
    clock: FakeClock

    def read(self, domain: str, ids: Iterable[str], **fields: Any) -> EventAnswer:
        """Ask for an Arrow stream."""
        return self.ask(domain, ids, format=pb.EVENT_FORMAT_ARROW, **fields)

    def ask(self, domain: str, ids: Iterable[str], **fields: Any) -> EventAnswer:
        """Ask for records, unless a format is given."""
        return received(self.stream(domain, ids, **fields))

    def stream(self, domain: str, ids: Iterable[str], **fields: Any) -> ResponseStream:
        """Return the responses as a caller that may leave, by leaving the context."""
        request = pb.ReadEventsRequest(domain=domain, container_ids=list(ids), **fields)
        # The stub's annotations do not know the interceptor that wraps the call.
        stream: ResponseStream = self.stub.ReadEvents(request, timeout=120)  # type: ignore[assignment]
        return stream


def received(responses: Iterable[pb.ReadEventsResponse]) -> EventAnswer:
    """Return a whole answer from its pieces."""
    header, end = pb.EventHeader(), pb.EventEnd()
    pieces: list[bytes] = []
    records: dict[str, list[dict[str, Any]]] = {}
    for response in responses:
        match response.WhichOneof("part"):
            case "header":
                header = response.header
            case "chunk":
                pieces.append(response.chunk.ipc)
            case "records":
                for container in response.records.containers:
                    records.setdefault(container.container_id, []).extend(_rows(header, container.records))
            case _:
                end = response.end
    table = arrow.decode(pieces).read_all() if pieces else pa.table({})
    return EventAnswer(header, table, records, end)


def _rows(header: pb.EventHeader, records: Sequence[pb.EventRecord]) -> Iterator[dict[str, Any]]:
    names = [column.name for column in header.domain.columns]
    for record in records:
        values = [getattr(value, kind) if (kind := value.WhichOneof("kind")) else None for value in record.values]
        yield dict(zip(names, values, strict=True))


@contextmanager
def event_rig(
    url: str,
    *,
    permit_count: int = 3,
    frames: FrameStore | None = None,
    pointers: Pointers | None = None,
    fault: FaultSource | None = None,
    **settings: Any,
) -> Iterator[EventRig]:
    """Give a serving rig on the warehouse of a URL.

    Args:
        url: `duckdb:///...` or `oracle://...`.
        permit_count: permits of the process.
        frames: where answers are kept; None keeps them in memory.
        pointers: which answers are; None in memory.
        fault: what goes wrong, of a DuckDB warehouse.
        settings: of the process.
    """
    clock = FakeClock(NOW)
    given = Settings.model_validate({"listen": "127.0.0.1:0", "warehouse_url": url, **settings})
    with ExitStack() as closing:
        path = Path(url.removeprefix("duckdb://"))
        inner = DuckDBWarehouse(path, fault=fault) if fault else open_warehouse(url)
        closing.callback(inner.close)
        warehouse, permits = CountingWarehouse(inner), ProcessPermits(permit_count)
        chosen = frames if frames is not None else MemoryFrames(clock)
        noted = pointers if pointers is not None else MemoryPointers(clock)
        kept = KeptEvents(chosen, noted, clock, max_bytes=given.event_keep_max_bytes, keeps=True)
        lane = SlowLane(warehouse, permits, permit_wait_s=given.permit_wait_s)
        servicer = event_servicer(
            given, lane, warehouse, clock, kept, asked=AskedIds(chosen, max_count=given.max_id_count)
        )
        service = Service(SERVICE_NAME, lambda server: pb_grpc.add_EventServiceServicer_to_server(servicer, server))
        server = RpcServer("lineage", given, [service], CollectorRegistry())
        server.start()
        closing.callback(server.stop, 0)
        channel = closing.enter_context(open_channel(f"127.0.0.1:{server.port}", "lineage"))
        yield EventRig(pb_grpc.EventServiceStub(channel), warehouse, permits, chosen, noted, clock)
