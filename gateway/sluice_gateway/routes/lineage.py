"""Lot genealogy: container ids in, graph out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Final

import pyarrow as pa
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.table.v1 import table_pb2
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import body, lineage_tables, messages, render
from sluice_gateway.body import JSON
from sluice_gateway.connection import while_connected
from sluice_gateway.genealogy import genealogy_json
from sluice_gateway.identity import Caller, Identity
from sluice_gateway.lineage import Lineage, first_of
from sluice_gateway.lineage_inputs import MAX_COUNT, MAX_DEPTH, LineageInput
from sluice_gateway.messages import JSONObject

_TABLES: Final[Mapping[str, pb.GenealogyTable.ValueType]] = {
    name.removeprefix("GENEALOGY_TABLE_").lower(): number
    for name, number in pb.GenealogyTable.items()
    if number not in (pb.GENEALOGY_TABLE_UNSPECIFIED, pb.GENEALOGY_TABLE_SERIALS)
}
"""Tables of a full genealogy by name."""


class LineageRoutes:
    """`/api/lineage`.

    Args:
        lineage: what resolves.
        identity: who asks.
        max_body_bytes: longest body.
        json_max_row_count: most rows of one table in JSON.
    """

    def __init__(self, lineage: Lineage, identity: Identity, max_body_bytes: int, json_max_row_count: int) -> None:
        self._lineage = lineage
        self._identity = identity
        self._max_body_bytes = max_body_bytes
        self._json_max_row_count = json_max_row_count

    async def ancestors(self, request: Request) -> Response:
        """Walk from each container up through the lots it was split from."""
        given = await self._given(request)
        wanted = pb.ResolveSplitAncestorsRequest(container_ids=given.texts("container_ids"), max_depth=_depth(given))
        given.check()
        answer = await while_connected(
            request.receive, self._lineage.split_ancestors(wanted, self._identity.of(request))
        )
        edges = [(parent, child) for child, parent in answer.child_to_parent.items()]
        content: JSONObject = {
            "child_to_parent": dict(answer.child_to_parent),
            "container_names": dict(answer.container_names),
            "not_found_ids": list(answer.not_found_ids),
            "truncated_ids": list(answer.truncated_ids),
        }
        return _answered(request, content, edges, "split_from", answer.receipt)

    async def descendants(self, request: Request) -> Response:
        """Walk from each container down through the lots split from it."""
        given = await self._given(request)
        wanted = pb.ResolveSplitDescendantsRequest(
            container_ids=given.texts("container_ids"),
            max_depth=_depth(given),
            max_node_count=_node_count(given),
        )
        given.check()
        answer = await while_connected(
            request.receive, self._lineage.split_descendants(wanted, self._identity.of(request))
        )
        children: dict[str, JSON] = {parent: list(found.container_ids) for parent, found in answer.children_map.items()}
        edges = [(parent, child) for parent, found in answer.children_map.items() for child in found.container_ids]
        content: JSONObject = {
            "children_map": children,
            "container_names": dict(answer.container_names),
            "not_found_ids": list(answer.not_found_ids),
            "truncated_ids": list(answer.truncated_ids),
        }
        return _answered(request, content, edges, "split_from", answer.receipt)

    async def merge_sources(self, request: Request) -> Response:
        """Say what was merged into each container, one merge far."""
        given = await self._given(request)
        wanted = pb.ResolveMergeSourcesRequest(container_ids=given.texts("container_ids"))
        given.check()
        answer = await while_connected(request.receive, self._lineage.merge_sources(wanted, self._identity.of(request)))
        sources: dict[str, JSON] = {target: list(found.container_ids) for target, found in answer.merge_sources.items()}
        edges = [(source, target) for target, found in answer.merge_sources.items() for source in found.container_ids]
        return _answered(request, {"merge_sources": sources}, edges, "merge_source", answer.receipt)

    async def genealogy(self, request: Request) -> Response:
        """Return everything each container came from, as JSON; or one of its tables as an Arrow stream."""
        given = await self._given(request)
        wanted = pb.ReadGenealogyRequest(
            kind=pb.GENEALOGY_KIND_FULL,
            container_ids=given.texts("container_ids"),
            max_depth=_depth(given),
            max_merge_hop_count=given.count("max_merge_hop_count", 1, MAX_DEPTH),
            max_node_count=_node_count(given),
        )
        table = given.choice("table", _TABLES, "edges")
        given.check()
        caller = self._identity.of(request)
        if lineage_tables.wants_arrow(request.headers.get("accept", "")):
            wanted.tables.append(_TABLES[table])
            return await while_connected(request.receive, self._genealogy_stream(wanted, caller))
        return await while_connected(request.receive, self._genealogy_json(wanted, caller))

    async def _genealogy_json(self, wanted: pb.ReadGenealogyRequest, caller: Caller) -> Response:
        async with self._lineage.genealogy(wanted, caller) as responses:
            receipt = (await first_of(responses, "receipt")).receipt
            tables = await lineage_tables.tables_of(responses, self._json_max_row_count)
        content = await asyncio.to_thread(genealogy_json, tables)
        said = {"merge_hop_count": wanted.max_merge_hop_count, "receipt": messages.receipt(receipt)}
        return await asyncio.to_thread(lineage_tables.json_answer, {**content, **said})

    async def _genealogy_stream(self, wanted: pb.ReadGenealogyRequest, caller: Caller) -> Response:
        async with AsyncExitStack() as closing:
            opened = self._lineage.genealogy(wanted, caller)
            responses = await closing.enter_async_context(opened)
            receipt = messages.receipt((await first_of(responses, "receipt")).receipt)
            pieces = lineage_tables.with_metadata(
                lineage_tables.pieces_of(responses, wanted.tables[0]), {render.RECEIPT_KEY: render.dumps(receipt)}
            )
            closing.pop_all()
        return lineage_tables.arrow_stream(opened, pieces, {"Sluice-Receipt": render.receipt_header(receipt)})

    async def _given(self, request: Request) -> LineageInput:
        return LineageInput(await body.read_object(request, self._max_body_bytes))


def _depth(given: LineageInput) -> int:
    return given.count("max_depth", MAX_DEPTH, MAX_DEPTH)


def _node_count(given: LineageInput) -> int:
    return given.count("max_node_count", MAX_COUNT, MAX_COUNT)


def _answered(
    request: Request,
    content: JSONObject,
    edges: Iterable[tuple[str, str]],
    edge_type: str,
    receipt: table_pb2.Receipt,
) -> Response:
    """Return the content as JSON, or its edges as an Arrow stream."""
    said = messages.receipt(receipt)
    if not lineage_tables.wants_arrow(request.headers.get("accept", "")):
        return lineage_tables.json_answer({**content, "receipt": said})
    pairs = sorted(edges)
    columns = {
        "from_cid": pa.array([pair[0] for pair in pairs], pa.string()),
        "to_cid": pa.array([pair[1] for pair in pairs], pa.string()),
        "edge_type": pa.array([edge_type] * len(pairs), pa.string()),
    }
    return lineage_tables.arrow_answer(pa.table(columns), said)
