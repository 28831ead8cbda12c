"""Lot genealogy: container ids in, graph out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

import pyarrow as pa
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.table.v1 import table_pb2
from starlette.requests import Request
from starlette.responses import Response

from sluice_gateway import lineage_tables, messages, render
from sluice_gateway.body import JSON
from sluice_gateway.connection import while_connected
from sluice_gateway.genealogy import forward_tree_json, genealogy_json
from sluice_gateway.identity import Caller, Identity
from sluice_gateway.lineage import Lineage, first_of
from sluice_gateway.lineage_inputs import MAX_COUNT, MAX_DEPTH, LineageInput
from sluice_gateway.messages import JSONObject

_FULL_TABLES: Final = ("edges", "nodes", "ancestors", "seeds", "truncated")
_FORWARD_TABLES: Final = ("edges", "nodes", "seeds", "serials", "truncated")
"""What a client may choose from as Arrow."""
_JSON: Final[Mapping[int, Callable[[Mapping[int, pa.Table]], dict[str, object]]]] = {
    pb.GENEALOGY_KIND_FULL: genealogy_json,
    pb.GENEALOGY_KIND_FORWARD: forward_tree_json,
}


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
        wanted = pb.ResolveSplitAncestorsRequest(
            container_ids=given.texts("container_ids"), max_depth=_depth(given), refresh=given.refresh()
        )
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
            refresh=given.refresh(),
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
        wanted = pb.ResolveMergeSourcesRequest(container_ids=given.texts("container_ids"), refresh=given.refresh())
        given.check()
        answer = await while_connected(request.receive, self._lineage.merge_sources(wanted, self._identity.of(request)))
        sources: dict[str, JSON] = {target: list(found.container_ids) for target, found in answer.merge_sources.items()}
        edges = [(source, target) for target, found in answer.merge_sources.items() for source in found.container_ids]
        return _answered(request, {"merge_sources": sources}, edges, "merge_source", answer.receipt)

    async def merge_targets(self, request: Request) -> Response:
        """Say what each container was merged into, one merge far."""
        given = await self._given(request)
        wanted = pb.ResolveMergeTargetsRequest(container_ids=given.texts("container_ids"), refresh=given.refresh())
        given.check()
        answer = await while_connected(request.receive, self._lineage.merge_targets(wanted, self._identity.of(request)))
        targets: dict[str, JSON] = {source: list(found.container_ids) for source, found in answer.merge_targets.items()}
        edges = [(source, target) for source, found in answer.merge_targets.items() for target in found.container_ids]
        return _answered(request, {"merge_targets": targets}, edges, "merge_source", answer.receipt)

    async def leaf_serials(self, request: Request) -> Response:
        """Return the serial numbers that each container went into."""
        given = await self._given(request)
        wanted = pb.ResolveLeafSerialsRequest(container_ids=given.texts("container_ids"), refresh=given.refresh())
        given.check()
        answer = await while_connected(request.receive, self._lineage.leaf_serials(wanted, self._identity.of(request)))
        serials: dict[str, JSON] = {leaf: list(found.serial_numbers) for leaf, found in answer.leaf_serials.items()}
        said = messages.receipt(answer.receipt)
        if not lineage_tables.wants_arrow(request.headers.get("accept", "")):
            return lineage_tables.json_answer({"leaf_serials": serials, "receipt": said})
        rows = sorted((leaf, text) for leaf, found in answer.leaf_serials.items() for text in found.serial_numbers)
        return lineage_tables.arrow_answer(_two_columns(rows, "container_id", "serial_number"), said)

    async def genealogy(self, request: Request) -> Response:
        """Return everything each container came from, as JSON; or one of its tables as an Arrow stream."""
        given = await self._given(request)
        wanted = pb.ReadGenealogyRequest(
            kind=pb.GENEALOGY_KIND_FULL,
            container_ids=given.texts("container_ids"),
            max_depth=_depth(given),
            max_merge_hop_count=given.count("max_merge_hop_count", 1, MAX_DEPTH),
            max_node_count=_node_count(given),
            refresh=given.refresh(),
        )
        said: JSONObject = {"merge_hop_count": wanted.max_merge_hop_count}
        return await self._tables(request, given, wanted, _FULL_TABLES, said)

    async def forward_tree(self, request: Request) -> Response:
        """Return the whole family of each container, as JSON; or one of its tables as an Arrow stream."""
        given = await self._given(request)
        wanted = pb.ReadGenealogyRequest(
            kind=pb.GENEALOGY_KIND_FORWARD,
            container_ids=given.texts("container_ids"),
            max_depth=_depth(given),
            max_node_count=_node_count(given),
            refresh=given.refresh(),
        )
        return await self._tables(request, given, wanted, _FORWARD_TABLES, {})

    async def _tables(
        self,
        request: Request,
        given: LineageInput,
        wanted: pb.ReadGenealogyRequest,
        names: Sequence[str],
        said: JSONObject,
    ) -> Response:
        tables = {name: pb.GenealogyTable.Value(f"GENEALOGY_TABLE_{name.upper()}") for name in names}
        table = given.choice("table", tables, "edges")
        given.check()
        caller = self._identity.of(request)
        if lineage_tables.wants_arrow(request.headers.get("accept", "")):
            wanted.tables.append(tables[table])
            return await while_connected(request.receive, self._genealogy_stream(wanted, caller))
        return await while_connected(request.receive, self._genealogy_json(wanted, said, caller))

    async def _genealogy_json(self, wanted: pb.ReadGenealogyRequest, said: JSONObject, caller: Caller) -> Response:
        async with self._lineage.genealogy(wanted, caller) as responses:
            receipt = (await first_of(responses, "receipt")).receipt
            tables = await lineage_tables.tables_of(responses, self._json_max_row_count)
        content = await asyncio.to_thread(_JSON[wanted.kind], tables)
        whole = {**content, **said, "receipt": messages.receipt(receipt)}
        return await asyncio.to_thread(lineage_tables.json_answer, whole)

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
        return await LineageInput.of(request, self._max_body_bytes)


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
    table = _two_columns(sorted(edges), "from_cid", "to_cid")
    kinds = pa.array([edge_type] * table.num_rows, pa.string())
    return lineage_tables.arrow_answer(table.append_column("edge_type", kinds), said)


def _two_columns(pairs: Sequence[tuple[str, str]], first: str, second: str) -> pa.Table:
    columns = {
        name: pa.array([pair[place] for pair in pairs], pa.string()) for place, name in enumerate((first, second))
    }
    return pa.table(columns)
