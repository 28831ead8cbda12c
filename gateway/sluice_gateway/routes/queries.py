"""The life of a query over HTTP: start it, see how far it is, withdraw from it, run what is missing."""

from __future__ import annotations

import asyncio

import structlog
from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.errors import InvalidArgument, ServiceError, of_reason
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import body, events, inputs, messages, preference, render
from sluice_gateway.connection import Patience, WatchedStream, while_connected
from sluice_gateway.definitions import Definition, Definitions
from sluice_gateway.engine import QueryEngine, ViewAnswer
from sluice_gateway.events import EventStreams
from sluice_gateway.identity import Caller, Identity
from sluice_gateway.routes.views import view_answer, view_request

log = structlog.get_logger()

_WATCH_MARGIN_S = 5.0
"""A watch ends by our own clock; its deadline is only there so that no call is without one."""


class QueryRoutes:
    """`POST /api/{route}/query` and `/api/queries/{query_id}`."""

    def __init__(
        self,
        *,
        definitions: Definitions,
        engine: QueryEngine,
        identity: Identity,
        patience: Patience,
        streams: EventStreams,
        events_max_s: float,
        initial_views_min_s: float,
        max_body_bytes: int,
        root_path: str,
    ) -> None:
        self._definitions = definitions
        self._engine = engine
        self._identity = identity
        self._patience = patience
        self._streams = streams
        self._events_max_s = events_max_s
        self._initial_views_min_s = initial_views_min_s
        self._max_body_bytes = max_body_bytes
        self._root_path = root_path

    async def start(self, request: Request, route: str) -> Response:
        """Start or join a query; answer with its views if it finishes in time, else say where to look."""
        definition = await self._definitions.by_route(route)
        given = await body.read_object(request, self._max_body_bytes)
        asked = inputs.asked(given, definition, inputs.QUERY)
        prefer = request.headers.getlist("prefer")
        wait_s = preference.wait_s(prefer)
        no_cache = preference.refuses_cache(request.headers.getlist("cache-control"))
        response = await while_connected(
            request.receive, self._run(definition, asked, wait_s, no_cache, self._identity.of(request))
        )
        if prefer:
            response.headers["Preference-Applied"] = f"wait={wait_s}"
        return response

    async def get(self, request: Request, query_id: str) -> Response:
        """Show a query as it stands."""
        query = await self._engine.get(inputs.check_query_id(query_id), self._identity.of(request))
        return _state(query)

    async def events(self, request: Request, query_id: str) -> Response:
        """Stream the query's progress until it has ended."""
        caller = self._identity.of(request)
        # An id that is not there is a problem with a status, not a stream that ends at once.
        await self._engine.get(inputs.check_query_id(query_id), caller)
        watching = self._engine.watch(query_id, self._events_max_s + _WATCH_MARGIN_S, caller)
        return WatchedStream(self._streams.of(watching, request.url.path), events.MEDIA_TYPE, events.HEADERS)

    async def cancel(self, request: Request, query_id: str) -> Response:
        """Withdraw this caller; `?force=true` cancels for everybody."""
        force = inputs.flag(request.query_params.multi_items(), "force")
        caller = self._identity.of(request)
        return _state(await self._engine.cancel(inputs.check_query_id(query_id), force, caller))

    async def retry(self, request: Request, query_id: str) -> Response:
        """Run what is missing from a finished query; `?chunk=3` of what failed only that one."""
        chunk = inputs.position(request.query_params.multi_items(), "chunk")
        caller = self._identity.of(request)
        try:
            return self._accepted(await self._engine.retry(inputs.check_query_id(query_id), chunk, caller))
        except InvalidArgument as error:
            raise inputs.named_as_asked(error, {"chunk_index": "chunk"}) from error

    async def _run(
        self, definition: Definition, asked: inputs.Asked, wait_s: int, no_cache: bool, caller: Caller
    ) -> Response:
        started = pb.StartQueryRequest(
            dataset=definition.name, parameters=messages.struct(asked.parameters), no_cache=no_cache
        )
        until_s = asyncio.get_running_loop().time() + wait_s
        query = await self._settled(await self._begun(started, caller), wait_s, caller)
        if query.state == pb.QUERY_STATE_RUNNING:
            return self._accepted(query)
        if query.state in (pb.QUERY_STATE_FAILED, pb.QUERY_STATE_CANCELLED):
            raise failure(query)
        asked.query_id = query.query_id
        # What this very request cost the warehouse; the views alone cost nothing.
        receipt = query.receipt
        views: object = {}
        if asked.wants_views:
            answer = await self._initial_views(asked, until_s, caller)
            if answer is None:
                return self._accepted(query)
            receipt = query.receipt if query.HasField("receipt") else answer.receipt
            views = (await view_answer(answer))["views"]
        content = {
            "query_id": query.query_id,
            "status": messages.state(query),
            "receipt": messages.receipt(receipt),
            "views": views,
        }
        return Response(render.dumps(content), media_type="application/json")

    async def _initial_views(self, asked: inputs.Asked, until_s: float, caller: Caller) -> ViewAnswer | None:
        """Return the initial views, or None when they take longer than the client wants to wait.

        The first views of a large result wait for its derived table, which goes on being made without them.
        """
        left_s = max(until_s - asyncio.get_running_loop().time(), self._initial_views_min_s)
        try:
            async with self._patience.at_most(left_s):
                return await self._engine.read_view(view_request(asked), caller)
        except TimeoutError:
            return None

    async def _begun(self, wanted: pb.StartQueryRequest, caller: Caller) -> pb.Query:
        """Return the query as it starts; a client that leaves meanwhile withdraws from what was started for it."""
        starting = asyncio.ensure_future(self._engine.start(wanted, caller))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # Without its answer nobody knows whether a query runs, so it is waited for.
            await self._withdraw((await starting).query_id, caller)
            raise

    async def _settled(self, query: pb.Query, wait_s: int, caller: Caller) -> pb.Query:
        """Return the query once it has ended or the wait is over; a client that leaves meanwhile withdraws from it."""
        if query.state != pb.QUERY_STATE_RUNNING or wait_s == 0:
            return query
        watching = asyncio.ensure_future(self._watched(query, wait_s, caller))
        try:
            settled = await asyncio.shield(watching)
        except asyncio.CancelledError:
            # While still watching: the engine takes one watcher for the one who withdraws, a second for somebody else.
            await self._withdraw(query.query_id, caller)
            raise
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        # Who is told to come back is not gone, though the watch has ended: this look counts until then.
        return await self._engine.get(query.query_id, caller) if settled.state == pb.QUERY_STATE_RUNNING else settled

    async def _watched(self, query: pb.Query, wait_s: int, caller: Caller) -> pb.Query:
        newest = query
        try:
            async with (
                self._patience.at_most(wait_s),
                self._engine.watch(query.query_id, wait_s + _WATCH_MARGIN_S, caller) as changes,
            ):
                async for change in changes:
                    newest = change
                    if newest.state != pb.QUERY_STATE_RUNNING:
                        break
        except TimeoutError:
            pass
        return newest

    async def _withdraw(self, query_id: str, caller: Caller) -> None:
        try:
            await self._engine.cancel(query_id, False, caller)
        except ServiceError as error:
            # It has ended just now, or the engine is gone and what it ran with it; nobody is there to be told.
            log.info("nothing to withdraw from", query_id=query_id, reason=error.reason)

    def _accepted(self, query: pb.Query) -> Response:
        location = f"{self._root_path}/api/queries/{query.query_id}"
        content = render.dumps(messages.query(query))
        return Response(content, 202, {"Location": location}, media_type="application/json")


def failure(query: pb.Query) -> ServiceError:
    """Return the error of a query that ended without a result."""
    reason = query.error_code or ("CANCELLED" if query.state == pb.QUERY_STATE_CANCELLED else "INTERNAL")
    message = query.error_message or "the query ended without a result"
    return of_reason(reason, message, query_id=query.query_id)


def _state(query: pb.Query) -> Response:
    return Response(render.dumps(messages.query(query)), media_type="application/json")
