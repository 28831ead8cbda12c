"""Answers of lineage that come as tables: read whole for JSON, or passed on as an Arrow stream with their receipt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import pyarrow as pa
from sluice_rpc.errors import Internal
from starlette.responses import Response

from sluice_gateway import render
from sluice_gateway.connection import WatchedStream, closing_source
from sluice_gateway.errors import TooManyForJson
from sluice_gateway.messages import JSONObject

ARROW_TYPE: Final = "application/vnd.apache.arrow.stream"
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What ends an IPC stream: the continuation mark, and no message (Arrow columnar format, IPC)."""


def wants_arrow(accept: str) -> bool:
    """Return whether a client asks for Arrow."""
    return ARROW_TYPE in accept


async def tables_of(responses: AsyncIterator[Any], max_row_count: int) -> dict[int, pa.Table]:
    """Return the tables of a stream of headers and pieces by their number; decoded off the event loop.

    Raises:
        TooManyForJson: a table has more rows than these.
    """
    pieces: dict[int, list[bytes]] = {}
    held: list[bytes] = []
    async for response in responses:
        if response.WhichOneof("part") == "header":
            if response.header.row_count > max_row_count:
                raise TooManyForJson(max_row_count, response.header.row_count, ARROW_TYPE)
            held = pieces.setdefault(response.header.table, [])
        else:
            held.append(response.chunk.ipc)
    return await asyncio.to_thread(lambda: {table: render.table(given) for table, given in pieces.items()})


async def pieces_of(responses: AsyncIterator[Any], table: int) -> AsyncGenerator[bytes, None]:
    """Yield the pieces of one table of a stream of headers and pieces."""
    wanted = False
    async for response in responses:
        if response.WhichOneof("part") == "header":
            wanted = response.header.table == table
        elif wanted:
            yield response.chunk.ipc


async def with_metadata(pieces: AsyncIterator[bytes], metadata: dict[bytes, bytes]) -> AsyncGenerator[bytes, None]:
    """Yield an Arrow stream with more in its schema's metadata."""
    held = b""
    started = None
    async for piece in pieces:
        if started is not None:
            yield piece
            continue
        held += piece
        started = render.with_schema_metadata(held, metadata)
        if started is not None:
            yield started
    if started is None:
        raise Internal("lineage's answer holds no table")


async def without_end(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield an Arrow stream without its end mark, so that a last batch may follow."""
    held = b""
    async for piece in pieces:
        held += piece
        if len(held) > len(_END):
            yield held[: -len(_END)]
            held = held[-len(_END) :]
    if held != _END:
        raise Internal("lineage's answer holds no whole table")


def last_batch(schema: pa.Schema, metadata: dict[bytes, bytes]) -> bytes:
    """Return the end of an Arrow stream: a batch without rows that carries metadata, and the end mark."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema=schema), custom_metadata=metadata)
    written = bytes(sink.getvalue())
    return written[render.schema_length(written) :]


def arrow_answer(table: pa.Table, receipt: JSONObject) -> Response:
    """Return a table of ours as an Arrow stream."""
    schema = render.with_receipt(table.schema, render.dumps(receipt))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(table.replace_schema_metadata(schema.metadata))
    headers = {"Sluice-Receipt": render.receipt_header(receipt), "Vary": "Accept"}
    return Response(bytes(sink.getvalue()), media_type=ARROW_TYPE, headers=headers)


def arrow_stream(
    opened: AbstractAsyncContextManager[Any], pieces: AsyncGenerator[bytes, None], headers: dict[str, str]
) -> WatchedStream:
    """Return an Arrow stream whose source is closed with it."""
    return WatchedStream(closing_source(opened, pieces), ARROW_TYPE, {"Vary": "Accept", **headers})


def json_answer(content: Mapping[str, object]) -> Response:
    """Return an answer as JSON."""
    return Response(render.dumps(content), media_type="application/json", headers={"Vary": "Accept"})
