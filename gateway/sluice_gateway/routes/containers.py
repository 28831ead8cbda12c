"""What people type, resolved to containers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import pyarrow as pa
from sluice.lineage.v1 import container_service_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import lineage_tables, messages, render
from sluice_gateway.connection import while_connected
from sluice_gateway.identity import Caller, Identity
from sluice_gateway.lineage import Lineage, first_of
from sluice_gateway.lineage_inputs import KINDS, LineageInput

RESOLUTION_KEY: Final = b"sluice.resolution"
"""Schema metadata of an Arrow answer: everything beside its rows and its receipt, as JSON."""


class ContainerRoutes:
    """`/api/containers`.

    Args:
        lineage: what resolves.
        identity: who asks.
        max_body_bytes: longest body.
        json_max_row_count: most rows in JSON.
    """

    def __init__(self, lineage: Lineage, identity: Identity, max_body_bytes: int, json_max_row_count: int) -> None:
        self._lineage = lineage
        self._identity = identity
        self._max_body_bytes = max_body_bytes
        self._json_max_row_count = json_max_row_count

    async def resolve(self, request: Request) -> Response:
        """Say which containers each value means, as JSON, or as an Arrow stream if the client asks for that."""
        given = await LineageInput.of(request, self._max_body_bytes)
        kind, values, refresh = given.choice("kind", KINDS), given.texts("values"), given.refresh()
        given.check()
        as_arrow = lineage_tables.wants_arrow(request.headers.get("accept", ""))
        answer = self._arrow if as_arrow else self._json
        return await while_connected(request.receive, answer(kind, values, refresh, self._identity.of(request)))

    async def _json(self, kind: str, values: list[str], refresh: bool, caller: Caller) -> Response:
        async with self._lineage.containers(KINDS[kind], values, refresh, caller) as responses:
            summary = (await first_of(responses, "summary")).summary
            tables = await lineage_tables.tables_of(responses, self._json_max_row_count)
        rows = tables[pb.CONTAINER_TABLE_CONTAINERS]
        content = {"kind": kind, **_described(summary, tables[pb.CONTAINER_TABLE_TOKENS])}

        def answer() -> Response:
            return lineage_tables.json_answer(
                {**content, "data": _plain(rows), "receipt": messages.receipt(summary.receipt)}
            )

        return await asyncio.to_thread(answer)

    async def _arrow(self, kind: str, values: list[str], refresh: bool, caller: Caller) -> Response:
        async with AsyncExitStack() as closing:
            opened = self._lineage.containers(KINDS[kind], values, refresh, caller)
            responses = await closing.enter_async_context(opened)
            summary = (await first_of(responses, "summary")).summary
            tokens: list[bytes] = []
            async for response in responses:
                part = response.WhichOneof("part")
                if part == "header" and response.header.table == pb.CONTAINER_TABLE_CONTAINERS:
                    break
                if part == "chunk":
                    tokens.append(response.chunk.ipc)
            described = {"kind": kind, **_described(summary, render.table(tokens))}
            receipt = messages.receipt(summary.receipt)
            pieces = lineage_tables.with_metadata(
                (response.chunk.ipc async for response in responses),
                {render.RECEIPT_KEY: render.dumps(receipt), RESOLUTION_KEY: render.dumps(described)},
            )
            closing.pop_all()
        return lineage_tables.arrow_stream(opened, pieces, {"Sluice-Receipt": render.receipt_header(receipt)})


def _described(summary: pb.ContainersSummary, tokens: pa.Table) -> dict[str, object]:
    """Return everything of an answer beside its rows and its receipt."""
    counts = zip(*(tokens.column(name).to_pylist() for name in ("input_value", "container_count")), strict=True)
    expansion = dict(counts)
    return {
        "total": summary.total,
        "input_count": summary.input_count,
        "not_found": [value for value, count in expansion.items() if not count],
        "expansion_info": {value: count for value, count in expansion.items() if count},
        "guardrail": _guardrail(summary.guardrail),
    }


def _guardrail(rail: pb.Guardrail) -> dict[str, object]:
    return {
        "max_expansion_per_token": rail.max_expansion_per_token,
        "expansion_offenders": [{"token": one.token, "count": one.count} for one in rail.expansion_offenders],
        "expansion_offender_count": rail.expansion_offender_count,
        "max_container_ids": rail.max_container_ids,
        "resolved_container_ids": rail.resolved_container_ids,
        "over_container_limit": rail.over_container_limit,
    }


def _plain(rows: pa.Table) -> list[dict[str, object]]:
    plain = pa.table([render.plain(column) for column in rows.columns], names=rows.column_names)
    found: list[dict[str, object]] = plain.to_pylist()
    return found
