"""For operators, read-only: who holds which permit, and which queries run for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sluice.query.v1 import query_service_pb2 as pb
from starlette.responses import Response

from sluice_gateway import messages, render
from sluice_gateway.body import JSON
from sluice_gateway.engine import QueryEngine
from sluice_gateway.process_details import ProcessDetails, permits_json


class OpsRoutes:
    """`/api/ops/permits` and `/api/ops/queries`.

    Args:
        details: what the processes with a warehouse say of themselves, by name.
        engine: who runs queries.
    """

    def __init__(self, details: Mapping[str, ProcessDetails], engine: QueryEngine) -> None:
        self._details = details
        self._engine = engine

    async def permits(self) -> Response:
        """Show the permits of each process; null where one does not answer."""
        said = await asyncio.gather(*(details.read() for details in self._details.values()))
        shown: dict[str, JSON] = {
            name: None if details is None else permits_json(details.permits)
            for name, details in zip(self._details, said, strict=True)
        }
        return Response(render.dumps({"permits": shown}), media_type="application/json")

    async def queries(self) -> Response:
        """Show the queries that run, oldest first, for whom and how far."""
        running = await self._engine.running()
        content = render.dumps({"queries": [_running(item) for item in running.queries]})
        return Response(content, media_type="application/json")


def _running(item: pb.RunningQuery) -> dict[str, object]:
    query = messages.query(item.query)
    return {**query, "user": item.user or None, "request_id": item.request_id, "elapsed_s": item.elapsed_s}
