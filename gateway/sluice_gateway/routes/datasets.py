"""Definitions of datasets, and plans of queries: what can be asked and what it would cost."""

from __future__ import annotations

import gzip
from typing import Final

from sluice.query.v1 import query_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import body, inputs, messages, preference, render
from sluice_gateway.definitions import Definitions
from sluice_gateway.encoding import takes_gzip
from sluice_gateway.engine import QueryEngine
from sluice_gateway.identity import Identity

_GZIP_LEVEL: Final = 1
"""361 kB of definitions become 49 kB in 3 ms; the page waits for them before it shows anything."""


class DatasetRoutes:
    """`/api/datasets`, what their views compute, and `/api/{route}/plan`."""

    def __init__(self, definitions: Definitions, engine: QueryEngine, identity: Identity, max_body_bytes: int) -> None:
        self._definitions = definitions
        self._engine = engine
        self._identity = identity
        self._max_body_bytes = max_body_bytes

    async def list(self, request: Request) -> Response:
        """List datasets in name order, with the plant's clock."""
        content = render.dumps(await self._definitions.listed())
        headers = {"Vary": "Accept-Encoding"}
        if takes_gzip(request.headers.getlist("accept-encoding")):
            content = gzip.compress(content, _GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers=headers, media_type="application/json")

    async def get(self, name: str) -> Response:
        """Show one dataset: parameters, filters, views with their columns."""
        definition = await self._definitions.by_name(name)
        return Response(render.dumps(definition.json), media_type="application/json")

    async def computation(self, name: str) -> Response:
        """Show what the views and filters of one dataset compute, as SQL over its stored table."""
        answer = await self._engine.get_dataset(name)
        return Response(render.dumps(messages.from_struct(answer.computation)), media_type="application/json")

    async def plan(self, request: Request, route: str) -> Response:
        """Say what a query would do; no warehouse work."""
        definition = await self._definitions.by_route(route)
        given = await body.read_object(request, self._max_body_bytes)
        asked = inputs.asked(given, definition, inputs.PLAN)
        wanted = pb.PlanQueryRequest(
            dataset=definition.name,
            parameters=messages.struct(asked.parameters),
            no_cache=preference.refuses_cache(request.headers.getlist("cache-control")),
        )
        answer = await self._engine.plan(wanted, self._identity.of(request))
        return Response(render.dumps(messages.plan(answer)), media_type="application/json")
