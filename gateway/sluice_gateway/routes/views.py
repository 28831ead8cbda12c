"""Looks at a finished query: views, options, exports and stored tables. None of them touches the warehouse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager

import anyio
import anyio.from_thread
import anyio.to_thread
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc import arrow
from sluice_rpc.errors import Internal, InvalidParameter
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import body, inputs, messages, render
from sluice_gateway.connection import WatchedStream, closing_source, while_connected
from sluice_gateway.definitions import Definition, Definitions
from sluice_gateway.engine import QueryEngine, TableStream, ViewAnswer
from sluice_gateway.identity import Identity
from sluice_gateway.spreadsheet_exports import SpreadsheetExports

ARROW_TYPE = "application/vnd.apache.arrow.stream"
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": ARROW_TYPE,
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_INLINE_BYTES = 256 << 10
"""Answers up to this size are decoded on the event loop: a hop to a thread costs more than the work."""


class ViewRoutes:
    """`/api/{route}/view`, `/options`, `/export` and `/frame`."""

    def __init__(
        self,
        *,
        definitions: Definitions,
        engine: QueryEngine,
        identity: Identity,
        max_body_bytes: int,
        export_thread_count: int,
        spreadsheets: SpreadsheetExports,
    ) -> None:
        self._definitions = definitions
        self._engine = engine
        self._identity = identity
        self._max_body_bytes = max_body_bytes
        self._spreadsheets = spreadsheets
        self._threads = anyio.CapacityLimiter(export_thread_count)

    async def view(self, request: Request, route: str) -> Response:
        """Answer views as JSON, or one view as an Arrow stream if the client asks for that."""
        _, asked = await self._asked(request, route, inputs.VIEW)
        as_arrow = ARROW_TYPE in request.headers.get("accept", "")
        if as_arrow and len(asked.views) != 1:
            raise InvalidParameter("view", "must name exactly one view for an Arrow stream")
        wanted = view_request(asked)
        answer = await while_connected(request.receive, self._engine.read_view(wanted, self._identity.of(request)))
        if as_arrow:
            return _arrow_answer(answer)
        content = {
            "query_id": asked.query_id or answer.receipt.query_id,
            "receipt": messages.receipt(answer.receipt),
            **await view_answer(answer),
        }
        return Response(render.dumps(content), media_type="application/json", headers={"Vary": "Accept"})

    async def options(self, request: Request, route: str) -> Response:
        """List the values of each filter, each narrowed by the others."""
        _, asked = await self._asked(request, route, inputs.OPTIONS)
        wanted = pb.ReadOptionsRequest(
            query_id=asked.query_id, dataset=asked.dataset, filters=messages.struct(asked.filters)
        )
        answer = await while_connected(request.receive, self._engine.options(wanted, self._identity.of(request)))
        return Response(render.dumps(messages.options(answer)), media_type="application/json")

    async def export(self, request: Request, route: str) -> Response:
        """Send every row of a paged view: streamed as CSV, Parquet or Arrow, or as a spreadsheet once it is whole."""
        definition, asked = await self._asked(request, route, inputs.EXPORT)
        file_format = _format(asked.format or "csv", ("csv", "parquet", "arrow", "xlsx"))
        wanted = pb.ExportRowsRequest(
            query_id=asked.query_id,
            dataset=asked.dataset,
            view=_one_paged_view(asked, definition),
            filters=messages.struct(asked.filters),
            sort=asked.sort,
            descending=asked.descending,
        )
        name = f"{definition.name}-{wanted.view}"
        caller = self._identity.of(request)
        if file_format == "xlsx":
            writing = self._spreadsheets.written(wanted, definition.titles[wanted.view], caller)
            made = await while_connected(request.receive, writing)
            headers = {**_file_headers(name, file_format, made.receipt), "Content-Length": str(made.size_bytes)}
            return WatchedStream(made.content(), _MEDIA_TYPES[file_format], headers)
        return await self._streamed(self._engine.export_rows(wanted, caller), name, file_format)

    async def frame(self, request: Request, route: str) -> Response:
        """Stream one stored table as Arrow or Parquet."""
        definition, asked = await self._asked(request, route, inputs.FRAME)
        file_format = _format(asked.format or "arrow", ("arrow", "parquet"))
        wanted = pb.ReadFrameRequest(query_id=asked.query_id, dataset=asked.dataset, table=asked.table)
        name = f"{definition.name}-frame"
        return await self._streamed(self._engine.read_frame(wanted, self._identity.of(request)), name, file_format)

    async def _asked(self, request: Request, route: str, accepts: inputs.Accepts) -> tuple[Definition, inputs.Asked]:
        definition = await self._definitions.by_route(route)
        given = inputs.from_query(request.query_params.multi_items(), definition, accepts)
        if request.method == "POST":
            posted = await body.read_object(request, self._max_body_bytes)
            for name in given:
                if name in posted:
                    raise InvalidParameter(name, "stands in the query string and in the body")
            given = {**given, **posted}
        return definition, inputs.asked(given, definition, accepts)

    async def _streamed(
        self, opening: AbstractAsyncContextManager[TableStream], name: str, file_format: str
    ) -> Response:
        # Entered here, so that an error before the first byte is a problem; left by the body, however that ends.
        stream = await opening.__aenter__()
        receipt = messages.receipt(stream.receipt)
        text = render.dumps(receipt)
        as_arrow = file_format == "arrow"
        pieces = _arrow_pieces(stream, text) if as_arrow else self._encoded(stream, file_format, receipt)
        headers = _file_headers(name, file_format, receipt)
        return WatchedStream(closing_source(opening, pieces), _MEDIA_TYPES[file_format], headers)

    async def _encoded(
        self, stream: TableStream, file_format: str, receipt: messages.JSONObject
    ) -> AsyncGenerator[bytes, None]:
        """Encode in a thread, one batch at a time: a slow reader holds up the engine, not our memory."""
        encoded = _encoder(stream.next_piece, file_format, receipt)
        while True:
            piece = await anyio.to_thread.run_sync(next, encoded, None, limiter=self._threads)
            if piece is None:
                return
            if piece:
                yield piece


def view_request(asked: inputs.Asked) -> pb.ReadViewRequest:
    """Return the request for the views asked."""
    return pb.ReadViewRequest(
        query_id=asked.query_id,
        dataset=asked.dataset,
        views=asked.views,
        filters=messages.struct(asked.filters),
        page=asked.page,
        page_size=asked.page_size,
        sort=asked.sort,
        descending=asked.descending,
        allow_partial=asked.allow_partial,
    )


async def view_answer(answer: ViewAnswer) -> dict[str, object]:
    """Return `{"views": {name: {columns, rows, page}}}`, with `page` for paged views only."""
    size = sum(len(piece) for view in answer.views for piece in view.pieces)
    return _views(answer) if size <= _INLINE_BYTES else await asyncio.to_thread(_views, answer)


def _views(answer: ViewAnswer) -> dict[str, object]:
    views: dict[str, object] = {}
    for view in answer.views:
        content = render.columns_and_rows(render.table(view.pieces))
        if view.header.HasField("page"):
            content["page"] = messages.page(view.header.page)
        views[view.header.view] = content
    return {"views": views}


def _arrow_answer(answer: ViewAnswer) -> Response:
    receipt = messages.receipt(answer.receipt)
    content = render.relabelled(b"".join(answer.views[0].pieces), render.dumps(receipt)) if answer.views else None
    if content is None:
        raise Internal("the query-engine's answer holds no table")
    headers = {"Sluice-Receipt": render.receipt_header(receipt), "Vary": "Accept"}
    return Response(content, media_type=ARROW_TYPE, headers=headers)


def _file_headers(name: str, file_format: str, receipt: messages.JSONObject) -> dict[str, str]:
    """Return the headers of a file; its name says when it is not complete."""
    status = "" if receipt["status"] == "complete" else f"-{receipt['status']}"
    return {
        "Content-Disposition": f'attachment; filename="{name}-{receipt["query_id"]}{status}.{file_format}"',
        "Sluice-Receipt": render.receipt_header(receipt),
    }


def _format(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise InvalidParameter("format", f"must be one of {', '.join(known)}")
    return name


def _one_paged_view(asked: inputs.Asked, definition: Definition) -> str:
    if len(asked.views) > 1:
        raise InvalidParameter("view", "must name one view")
    for view in asked.views:
        if not definition.views[view]:
            paged = ", ".join(definition.rows_views)
            raise InvalidParameter("view", f"cannot be exported; views with rows are {paged}")
    if not asked.views and not definition.rows_views:
        raise InvalidParameter("view", "the dataset has no view with rows")
    return asked.views[0] if asked.views else definition.rows_views[0]


async def _arrow_pieces(stream: TableStream, receipt: bytes) -> AsyncGenerator[bytes, None]:
    held = b""
    started = None
    while started is None:
        piece = await stream.next_piece()
        if piece is None:
            raise Internal("the query-engine's answer holds no table")
        held += piece
        started = render.relabelled(held, receipt)
    yield started
    while (piece := await stream.next_piece()) is not None:
        yield piece


def _encoder(
    next_piece: Callable[[], Coroutine[None, None, bytes | None]], file_format: str, receipt: messages.JSONObject
) -> Iterator[bytes]:
    """Return the encoded bytes; each step runs in a thread and fetches what it needs through the event loop."""

    def pieces() -> Iterator[bytes]:
        while (piece := anyio.from_thread.run(next_piece)) is not None:
            yield piece

    def encoded() -> Iterator[bytes]:
        batches = arrow.decode(pieces())
        if file_format == "parquet":
            yield from render.parquet(batches, render.dumps(receipt))
            return
        complete = receipt["status"] == "complete"
        yield from render.csv(batches, None if complete else f"# sluice.receipt {render.ascii_dumps(receipt)}")

    return encoded()
