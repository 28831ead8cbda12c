"""LineageService: requests checked and translated, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias, TypeVar

import grpc
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import InvalidParameter
from sluice_rpc.ports import Clock

from sluice_lineage.answers import Answers
from sluice_lineage.asked import AskedIds
from sluice_lineage.callers import Caller, caller_of
from sluice_lineage.edge_reader import MAX_DEPTH
from sluice_lineage.edges import Relation
from sluice_lineage.flights import Flights
from sluice_lineage.genealogy import Found, Genealogy, Neighbours, Wanted
from sluice_lineage.kinship import Kin, forward_tree, full_genealogy
from sluice_lineage.tables import TABLES, table_of

_MAX_HOP_COUNT: Final = 20
_Cuts = Sequence[tuple[str, int]]
_Kind = TypeVar("_Kind", bound=Found)
_MergeRequest: TypeAlias = pb.ResolveMergeSourcesRequest | pb.ResolveMergeTargetsRequest


class _Request(Protocol):
    """Any request of the service."""

    @property
    def refresh(self) -> bool: ...


class LineageServicer(pb_grpc.LineageServiceServicer):
    """Answers LineageService.

    Args:
        genealogy: what resolves.
        answers: what makes messages of what was found.
        asked: reads the ids of requests.
        clock: stamps receipts.
        statement_timeout_s: deadline of calls that bring none.
    """

    def __init__(
        self,
        genealogy: Genealogy,
        answers: Answers,
        asked: AskedIds,
        clock: Clock,
        *,
        statement_timeout_s: float,
    ) -> None:
        self._genealogy = genealogy
        self._answers = answers
        self._asked = asked
        self._clock = clock
        self._statement_timeout_s = statement_timeout_s
        self._flights = Flights()

    def ResolveSplitAncestors(
        self, request: pb.ResolveSplitAncestorsRequest, context: grpc.ServicerContext
    ) -> pb.ResolveSplitAncestorsResponse:
        ids, depth = self._asked.of(request.container_ids), _depth(request.max_depth)
        found = self._found(
            ("ancestors", depth, *ids),
            request,
            context,
            lambda caller: self._genealogy.split_ancestors(ids, depth, caller),
        )
        receipt = self._receipt(found, int(found.read.sum()), [("split_ancestors", len(found.cut))])
        return self._answers.split_ancestors(found, receipt)

    def ResolveSplitDescendants(
        self, request: pb.ResolveSplitDescendantsRequest, context: grpc.ServicerContext
    ) -> pb.ResolveSplitDescendantsResponse:
        wanted = self._wanted(self._asked.of(request.container_ids), request.max_depth, request.max_node_count)
        found = self._found(
            ("descendants", wanted), request, context, lambda caller: self._genealogy.split_descendants(wanted, caller)
        )
        row_count = len(found.family) - int(found.missing.sum())
        receipt = self._receipt(found, row_count, [("split_descendants", len(found.cut))])
        return self._answers.split_descendants(found, receipt)

    def ResolveMergeSources(
        self, request: pb.ResolveMergeSourcesRequest, context: grpc.ServicerContext
    ) -> pb.ResolveMergeSourcesResponse:
        found = self._merges(Relation.SOURCES, request, context)
        return self._answers.merge_sources(found, self._receipt(found, len(found.pairs)))

    def ResolveMergeTargets(
        self, request: pb.ResolveMergeTargetsRequest, context: grpc.ServicerContext
    ) -> pb.ResolveMergeTargetsResponse:
        found = self._merges(Relation.TARGETS, request, context)
        return self._answers.merge_targets(found, self._receipt(found, len(found.pairs)))

    def ResolveLeafSerials(
        self, request: pb.ResolveLeafSerialsRequest, context: grpc.ServicerContext
    ) -> pb.ResolveLeafSerialsResponse:
        ids = self._asked.of(request.container_ids)
        found = self._found(
            ("serials", *ids), request, context, lambda caller: self._genealogy.leaf_serials(ids, caller)
        )
        return self._answers.leaf_serials(found, self._receipt(found, len(found.pairs)))

    def ResolveFullGenealogy(
        self, request: pb.ResolveFullGenealogyRequest, context: grpc.ServicerContext
    ) -> pb.ResolveFullGenealogyResponse:
        ids = self._asked.of(request.container_ids)
        wanted = self._wanted(ids, request.max_depth, request.max_node_count, request.max_merge_hop_count)
        found = self._found(
            ("full", wanted), request, context, lambda caller: full_genealogy(self._genealogy, wanted, caller)
        )
        return self._answers.full_genealogy(found, self._kin_receipt(found))

    def ResolveForwardTree(
        self, request: pb.ResolveForwardTreeRequest, context: grpc.ServicerContext
    ) -> pb.ResolveForwardTreeResponse:
        wanted = self._wanted(self._asked.of(request.container_ids), request.max_depth, request.max_node_count)
        found = self._found(
            ("forward", wanted), request, context, lambda caller: forward_tree(self._genealogy, wanted, caller)
        )
        return self._answers.forward_tree(found, self._kin_receipt(found))

    def ReadGenealogy(
        self, request: pb.ReadGenealogyRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadGenealogyResponse]:
        tables = _tables(request)
        ids = self._asked.of(request.container_ids, request.ids_frame_id)
        wanted = self._wanted(ids, request.max_depth, request.max_node_count, request.max_merge_hop_count)
        full = request.kind == pb.GENEALOGY_KIND_FULL
        resolve: Callable[[Genealogy, Wanted, Caller], Kin] = full_genealogy if full else forward_tree
        key = ("full" if full else "forward", wanted)
        found = self._found(key, request, context, lambda caller: resolve(self._genealogy, wanted, caller))
        yield pb.ReadGenealogyResponse(receipt=self._kin_receipt(found))
        for name in tables:
            table = table_of(found, name)
            yield pb.ReadGenealogyResponse(header=pb.GenealogyTableHeader(table=name, row_count=table.num_rows))
            for piece in arrow.encode(table.schema, table.to_batches()):
                yield pb.ReadGenealogyResponse(chunk=table_pb2.TableChunk(ipc=piece))

    def _merges(self, relation: Relation, request: _MergeRequest, context: grpc.ServicerContext) -> Neighbours:
        ids = self._asked.of(request.container_ids)
        return self._found(
            (relation, *ids), request, context, lambda caller: self._genealogy.merges(relation, ids, caller)
        )

    def _found(
        self, key: Hashable, request: _Request, context: grpc.ServicerContext, resolve: Callable[[Caller], _Kind]
    ) -> _Kind:
        caller = caller_of(context, self._statement_timeout_s, refresh=request.refresh)
        found, by_others = self._flights.run((request.refresh, key), caller, resolve)
        return replace(found, cost=found.cost.of_others()) if by_others else found

    def _wanted(self, ids: list[str], max_depth: int, max_node_count: int, max_hop_count: int = 0) -> Wanted:
        if max_node_count < 0:
            raise InvalidParameter("max_node_count", f"{max_node_count} is negative")
        if not 0 <= max_hop_count <= _MAX_HOP_COUNT:
            raise InvalidParameter("max_merge_hop_count", f"{max_hop_count} is not 1 to {_MAX_HOP_COUNT}, nor 0 for 1")
        return Wanted(tuple(ids), _depth(max_depth), self._genealogy.node_limit(max_node_count), max_hop_count or 1)

    def _kin_receipt(self, found: Kin) -> table_pb2.Receipt:
        row_count = len(found.family) - int(found.missing.sum())
        return self._receipt(found, row_count, [("genealogy", len(found.cut))])

    def _receipt(self, found: Found, row_count: int, cuts: _Cuts = ()) -> table_pb2.Receipt:
        cost = found.cost
        receipt = table_pb2.Receipt(
            status=table_pb2.COMPLETENESS_COMPLETE,
            row_count=row_count,
            chunks=table_pb2.ChunkCounts(
                total=cost.statement_count + cost.reused_count + len(cost.gaps),
                reused=cost.reused_count,
                run=cost.statement_count,
                failed=len(cost.gaps),
            ),
            warehouse_statement_count=cost.statement_count,
            warehouse_row_count=cost.row_count,
            stale=cost.stale,
            plan=_plan(found),
        )
        read = self._clock.now()
        if cost.oldest_s < read.timestamp():
            read = datetime.fromtimestamp(cost.oldest_s, UTC)
        receipt.read_time.FromDatetime(read)
        for part, id_count in cuts:
            if id_count:
                receipt.status = table_pb2.COMPLETENESS_TRUNCATED
                receipt.truncated_ranges.add(part=part, id_count=id_count, code="RESULT_TOO_LARGE")
        for gap in cost.gaps:
            receipt.status = table_pb2.COMPLETENESS_PARTIAL
            receipt.failed_ranges.add(part=gap.part, id_count=gap.id_count, code=gap.code)
        return receipt


def _depth(given: int) -> int:
    if not 0 <= given <= MAX_DEPTH:
        raise InvalidParameter("max_depth", f"{given} is not 1 to {MAX_DEPTH}, nor 0 for {MAX_DEPTH}")
    return given or MAX_DEPTH


def _tables(request: pb.ReadGenealogyRequest) -> Sequence[pb.GenealogyTable.ValueType]:
    if request.kind not in TABLES:
        raise InvalidParameter("kind", "is neither GENEALOGY_KIND_FULL nor GENEALOGY_KIND_FORWARD")
    known = TABLES[request.kind]
    for position, table in enumerate(request.tables):
        if table not in known:
            raise InvalidParameter(f"tables[{position}]", "is no table of this kind of genealogy")
    return list(dict.fromkeys(request.tables)) or known


def _plan(found: Found) -> str:
    cost = found.cost
    if cost.statement_count == 0:
        return "kept edges answered, nothing was read" if cost.reused_count else "nothing was asked for or read"
    statements = "1 statement" if cost.statement_count == 1 else f"{cost.statement_count:,} statements"
    return f"{statements} read {cost.row_count:,} rows"
