"""The lineage service as the engine needs it: tables computed from ids, as batches; a port, and the gRPC client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import grpc
import pyarrow as pa
from sluice.lineage.v1 import container_service_pb2 as containers
from sluice.lineage.v1 import container_service_pb2_grpc, event_service_pb2_grpc, lineage_service_pb2_grpc
from sluice.lineage.v1 import event_service_pb2 as events
from sluice.lineage.v1 import lineage_service_pb2 as lineage
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.client import open_channel
from sluice_rpc.errors import ServiceUnavailable

from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.parts import Stage

_VALUES_PER_MESSAGE: Final = 10_000
_KINDS: Final = {
    "lot": containers.CONTAINER_KIND_LOT_ID,
    "lot_id": containers.CONTAINER_KIND_LOT_ID,
    "wafer_lot": containers.CONTAINER_KIND_WAFER_LOT,
    "work_order": containers.CONTAINER_KIND_WORK_ORDER,
    "gd_work_order": containers.CONTAINER_KIND_GD_WORK_ORDER,
    "gd_lot": containers.CONTAINER_KIND_GD_LOT_ID,
    "gd_lot_id": containers.CONTAINER_KIND_GD_LOT_ID,
    "serial_number": containers.CONTAINER_KIND_SERIAL_NUMBER,
}
_GENEALOGIES: Final = {
    "lineage.ancestors": lineage.GENEALOGY_KIND_FULL,
    "lineage.descendants": lineage.GENEALOGY_KIND_FORWARD,
}
_TABLES: Final = {
    "edges": lineage.GENEALOGY_TABLE_EDGES,
    "nodes": lineage.GENEALOGY_TABLE_NODES,
    "ancestors": lineage.GENEALOGY_TABLE_ANCESTORS,
    "seeds": lineage.GENEALOGY_TABLE_SEEDS,
    "serials": lineage.GENEALOGY_TABLE_SERIALS,
}
_MOST_NAMED: Final = 100
"""Values that mean nothing, and values that mean much, that a receipt names."""


@dataclass(frozen=True)
class StageOrder:
    """A table wanted of the lineage service.

    Args:
        stage: which one.
        ids_frame_id: frame whose column `container_id` holds the ids; empty where values are resolved.
        kind: what typed values are; empty where there are none.
        values: what was typed.
        refresh: read again what is kept.
    """

    stage: Stage
    ids_frame_id: str = ""
    kind: str = ""
    values: Sequence[str] = ()
    refresh: bool = False


@dataclass
class StageAnswer:
    """A table on its way.

    Attributes:
        batches: its rows; to be read once.
        receipt: what lineage says of them; whole once the last batch was read.
        resolution: what typed values meant; None where nothing was typed.
        rest: what comes after the last batch.
    """

    batches: pa.RecordBatchReader
    receipt: table_pb2.Receipt
    resolution: table_pb2.Resolution | None = None
    rest: Iterator[bytes] = field(default_factory=lambda: iter(()))

    def settle(self) -> None:
        """Take what comes after the last batch, so that the receipt is whole. Raises as reading does."""
        for _ in self.rest:
            continue


class Lineage(Protocol):
    """Where tables of lineage come from."""

    def read(self, order: StageOrder, scope: CancelScope, deadline_s: float) -> AbstractContextManager[StageAnswer]:
        """Have a table computed; withdrawing the scope, or leaving the context, ends the call.

        Raises:
            ServiceError: of the lineage service, here or while the batches are read.
        """
        ...

    def close(self) -> None:
        """End all calls."""
        ...


class NoLineage:
    """A process that was started without lineage: every table of it is missing."""

    def read(self, order: StageOrder, scope: CancelScope, deadline_s: float) -> AbstractContextManager[StageAnswer]:
        raise ServiceUnavailable("lineage")

    def close(self) -> None:
        return


class GrpcLineage:
    """The lineage process over a channel that reconnects by itself.

    Args:
        target: `host:port` of the lineage process.
    """

    def __init__(self, target: str) -> None:
        self._channel: grpc.Channel = open_channel(target, "lineage")
        self._containers = container_service_pb2_grpc.ContainerServiceStub(self._channel)
        self._lineage = lineage_service_pb2_grpc.LineageServiceStub(self._channel)
        self._events = event_service_pb2_grpc.EventServiceStub(self._channel)

    @contextmanager
    def read(self, order: StageOrder, scope: CancelScope, deadline_s: float) -> Iterator[StageAnswer]:
        # The channel's interceptor returns ResponseStreams, whose exit cancels the call.
        call: Any
        if order.stage.source in _GENEALOGIES:
            call = self._lineage.ReadGenealogy(_genealogy(order), timeout=deadline_s)
            answered = _genealogy_answer(call)
        elif order.values:
            call = self._containers.ReadContainers(_typed(order), timeout=deadline_s)
            answered = _containers_answer(order.stage, call)
        else:
            call = self._events.ReadEvents(_events(order), timeout=deadline_s)
            answered = _events_answer(call)
        with call, scope.attached(call.cancel), answered as answer:
            yield answer

    def close(self) -> None:
        self._channel.close()


def _genealogy(order: StageOrder) -> lineage.ReadGenealogyRequest:
    return lineage.ReadGenealogyRequest(
        kind=_GENEALOGIES[order.stage.source],
        ids_frame_id=order.ids_frame_id,
        tables=[_TABLES[order.stage.table]],
        refresh=order.refresh,
    )


def _events(order: StageOrder) -> events.ReadEventsRequest:
    return events.ReadEventsRequest(
        domain=order.stage.source.removeprefix("events."),
        ids_frame_id=order.ids_frame_id,
        format=events.EVENT_FORMAT_ARROW,
        allow_partial=False,
        refresh=order.refresh,
    )


def _typed(order: StageOrder) -> Iterator[containers.ReadContainersRequest]:
    for first in range(0, len(order.values), _VALUES_PER_MESSAGE):
        yield containers.ReadContainersRequest(
            kind=_KINDS[order.kind],
            values=order.values[first : first + _VALUES_PER_MESSAGE],
            refresh=order.refresh,
        )


@contextmanager
def _genealogy_answer(responses: Iterator[lineage.ReadGenealogyResponse]) -> Iterator[StageAnswer]:
    receipt = next(responses).receipt
    with arrow.decode(item.chunk.ipc for item in responses if item.WhichOneof("part") == "chunk") as reader:
        yield StageAnswer(reader, receipt)


@contextmanager
def _events_answer(responses: Iterator[events.ReadEventsResponse]) -> Iterator[StageAnswer]:
    receipt = table_pb2.Receipt()

    def pieces() -> Iterator[bytes]:
        for item in responses:
            match item.WhichOneof("part"):
                case "chunk":
                    yield item.chunk.ipc
                case "end":
                    receipt.CopyFrom(item.end.receipt)

    rest = pieces()
    with arrow.decode(rest) as reader:
        yield StageAnswer(reader, receipt, rest=rest)


@contextmanager
def _containers_answer(stage: Stage, responses: Iterator[containers.ReadContainersResponse]) -> Iterator[StageAnswer]:
    summary = next(responses).summary
    tokens: list[bytes] = []
    for item in responses:
        if item.WhichOneof("part") == "header" and item.header.table == containers.CONTAINER_TABLE_CONTAINERS:
            break
        if item.WhichOneof("part") == "chunk":
            tokens.append(item.chunk.ipc)
    resolution = _resolution(stage, summary, tokens)
    with arrow.decode(item.chunk.ipc for item in responses if item.WhichOneof("part") == "chunk") as reader:
        yield StageAnswer(reader, summary.receipt, resolution)


def _resolution(stage: Stage, summary: containers.ContainersSummary, tokens: Sequence[bytes]) -> table_pb2.Resolution:
    with arrow.decode(tokens) as reader:
        found = reader.read_all().to_pydict()
    unknown = [value for value, count in zip(found["input_value"], found["container_count"], strict=True) if not count]
    rail = summary.guardrail
    offenders = [
        table_pb2.ExpandedValue(value=item.token, container_count=item.count)
        for item in rail.expansion_offenders[:_MOST_NAMED]
    ]
    return table_pb2.Resolution(
        part=stage.name,
        input_count=summary.input_count,
        resolved_count=rail.resolved_container_ids,
        not_found=unknown[:_MOST_NAMED],
        not_found_count=summary.not_found_count,
        expansion=table_pb2.Expansion(
            max_container_count_per_value=rail.max_expansion_per_token,
            offenders=offenders,
            offender_count=rail.expansion_offender_count,
            max_container_count=rail.max_container_ids,
            over_container_limit=rail.over_container_limit,
        ),
    )
