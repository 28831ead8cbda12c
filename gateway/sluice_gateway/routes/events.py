"""What happened to containers: one domain of events, as records by container or as an Arrow stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final

import pyarrow as pa
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice_rpc.errors import Internal
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import lineage_tables, messages, render
from sluice_gateway.connection import WatchedStream, closing_source, while_connected
from sluice_gateway.identity import Identity
from sluice_gateway.lineage import Lineage, first_of
from sluice_gateway.lineage_inputs import LineageInput
from sluice_gateway.messages import JSONObject

_HELD_BYTES: Final = 8 << 20
"""What breaks before so much has been answered is told as a problem; later, the answer ends without its end."""
_COLUMN_TYPES: Final = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp[s]": pa.timestamp("s"),
    "date32": pa.date32(),
}


class EventRoutes:
    """`/api/events/{domain}`.

    Args:
        lineage: what reads.
        identity: who asks.
        max_body_bytes: longest body.
    """

    def __init__(self, lineage: Lineage, identity: Identity, max_body_bytes: int) -> None:
        self._lineage = lineage
        self._identity = identity
        self._max_body_bytes = max_body_bytes

    async def domains(self, request: Request) -> Response:
        """Return what can be asked about containers, with the columns of each answer."""
        found = await while_connected(request.receive, self._lineage.event_domains(self._identity.of(request)))
        return lineage_tables.json_answer({"domains": [_described(domain) for domain in found.domains]})

    async def read(self, request: Request, domain: str) -> Response:
        """Stream the events of a domain: JSON, or Arrow if the client asks for that; the receipt comes last."""
        given = await LineageInput.of(request, self._max_body_bytes)
        as_arrow = lineage_tables.wants_arrow(request.headers.get("accept", ""))
        wanted = pb.ReadEventsRequest(
            domain=domain,
            container_ids=given.texts("container_ids"),
            format=pb.EVENT_FORMAT_ARROW if as_arrow else pb.EVENT_FORMAT_RECORDS,
            refresh=given.refresh(),
            allow_partial=given.flag("allow_partial"),
        )
        given.check()
        opened = self._lineage.events(wanted, self._identity.of(request))
        return await while_connected(request.receive, _started(opened, as_arrow))


def _described(domain: pb.EventDomain) -> JSONObject:
    return {
        "name": domain.name,
        "title": domain.title,
        "about": domain.about,
        "columns": [{"name": one.name, "type": one.type, "about": one.about} for one in domain.columns],
        "key": list(domain.key),
        "schema_version": domain.schema_version,
        "ttl_s": domain.ttl_s,
    }


async def _started(
    opened: AbstractAsyncContextManager[AsyncIterator[pb.ReadEventsResponse]], as_arrow: bool
) -> Response:
    """Return the answer once it is whole, or longer than is held."""
    async with AsyncExitStack() as closing:
        responses = await closing.enter_async_context(opened)
        header = (await first_of(responses, "header")).header
        pieces = _arrow_pieces(header.domain, responses) if as_arrow else _json_pieces(header.domain, responses)
        held: list[bytes] = []
        size = 0
        async for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > _HELD_BYTES:
                break
        else:
            media_type = lineage_tables.ARROW_TYPE if as_arrow else "application/json"
            return Response(b"".join(held), media_type=media_type, headers={"Vary": "Accept"})
        closing.pop_all()
    body_pieces = closing_source(opened, _chained(held, pieces))
    media_type = lineage_tables.ARROW_TYPE if as_arrow else "application/json"
    return WatchedStream(body_pieces, media_type, {"Vary": "Accept"})


async def _chained(held: Sequence[bytes], rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    for piece in held:
        yield piece
    async for piece in rest:
        yield piece


async def _arrow_pieces(
    domain: pb.EventDomain, responses: AsyncIterator[pb.ReadEventsResponse]
) -> AsyncGenerator[bytes, None]:
    """Yield the Arrow stream; its last batch has no rows and carries the receipt."""
    end: list[pb.EventEnd] = []

    async def chunks() -> AsyncIterator[bytes]:
        async for response in responses:
            if response.WhichOneof("part") == "chunk":
                yield response.chunk.ipc
            else:
                end.append(response.end)

    async for piece in lineage_tables.without_end(chunks()):
        yield piece
    if not end:
        raise Internal("lineage's answer does not end with its receipt")
    schema = pa.schema([(column.name, _COLUMN_TYPES[column.type]) for column in domain.columns])
    said = _said(end[0])
    metadata = {render.RECEIPT_KEY: render.dumps(said.pop("receipt")), b"sluice.events": render.dumps(said)}
    yield lineage_tables.last_batch(schema, metadata)


async def _json_pieces(
    domain: pb.EventDomain, responses: AsyncIterator[pb.ReadEventsResponse]
) -> AsyncGenerator[bytes, None]:
    """Yield one JSON object; records of a container stand together, receipt and warnings at the end."""
    columns = [{"name": column.name, "type": column.type} for column in domain.columns]
    yield b'{"domain":%b,"columns":%b,"records_by_cid":{' % (render.dumps(domain.name), render.dumps(columns))
    keys = [render.dumps(column.name) for column in domain.columns]
    last_id = None
    end = None
    async for response in responses:
        if response.WhichOneof("part") == "end":
            end = response.end
            continue
        piece = await asyncio.to_thread(_records, keys, response.records, last_id)
        if response.records.containers:
            last_id = response.records.containers[-1].container_id
        yield piece
    if end is None:
        raise Internal("lineage's answer does not end with its receipt")
    yield (b"" if last_id is None else b"]") + b"}," + render.dumps(_said(end))[1:]


def _records(keys: Sequence[bytes], records: pb.EventRecords, last_id: str | None) -> bytes:
    """Return members of `records_by_cid`; the last list is left open, for it may go on in the next message."""
    pieces: list[bytes] = []
    for container in records.containers:
        if container.container_id == last_id:
            pieces.append(b",")
        else:
            pieces.append(b"" if last_id is None else b"],")
            pieces.append(render.dumps(container.container_id) + b":[")
        pieces.append(b",".join(_record(keys, record) for record in container.records))
        last_id = container.container_id
    return b"".join(pieces)


def _record(keys: Sequence[bytes], record: pb.EventRecord) -> bytes:
    members = (key + b":" + value for key, value in zip(keys, _values(record), strict=True))
    return b"{" + b",".join(members) + b"}"


def _values(record: pb.EventRecord) -> Iterator[bytes]:
    for value in record.values:
        kind = value.WhichOneof("kind")
        yield render.dumps(None if kind is None else getattr(value, kind))


def _said(end: pb.EventEnd) -> JSONObject:
    return {
        "reasons": list(end.reasons),
        "failed_batches": [
            {"first_id": one.first_id, "last_id": one.last_id, "id_count": one.id_count, "code": one.code}
            for one in end.failed_batches
        ],
        "warnings": [{"code": one.code, "message": one.message} for one in end.warnings],
        "kept": end.kept,
        "receipt": messages.receipt(end.receipt),
    }
