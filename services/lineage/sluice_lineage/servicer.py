"""LineageService: requests checked and translated, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
import structlog
from sluice.lineage.v1 import lineage_service_pb2 as pb
from sluice.lineage.v1 import lineage_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc.deadline import remaining_s
from sluice_rpc.errors import FieldViolation, InvalidParameter
from sluice_rpc.ports import Clock

from sluice_lineage.errors import TooManyIds
from sluice_lineage.genealogy import MAX_DEPTH, Genealogy, SplitAncestors
from sluice_lineage.withdrawal import Withdrawal

_MAX_ID_LENGTH = 64
"""Ids of the warehouse have 16 characters; what is longer than this was never meant as one."""
_MAX_VIOLATION_COUNT = 20
"""Error details ride in trailers, which must stay small."""


class LineageServicer(pb_grpc.LineageServiceServicer):
    """Answers LineageService.

    Args:
        genealogy: what resolves.
        clock: stamps receipts.
        max_id_count: most ids in one request.
        statement_timeout_s: deadline of calls that bring none.
    """

    def __init__(self, genealogy: Genealogy, clock: Clock, *, max_id_count: int, statement_timeout_s: float) -> None:
        self._genealogy = genealogy
        self._clock = clock
        self._max_id_count = max_id_count
        self._statement_timeout_s = statement_timeout_s

    def ResolveSplitAncestors(
        self, request: pb.ResolveSplitAncestorsRequest, context: grpc.ServicerContext
    ) -> pb.ResolveSplitAncestorsResponse:
        withdrawal = Withdrawal()
        if not context.add_callback(withdrawal.withdraw):
            withdrawal.withdraw()
        found = self._genealogy.resolve_split_ancestors(
            self._ids(request.container_ids),
            max_depth=_depth(request.max_depth),
            deadline_s=remaining_s(context, self._statement_timeout_s),
            client_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
            withdrawal=withdrawal,
        )
        return pb.ResolveSplitAncestorsResponse(
            child_to_parent=found.child_to_parent,
            container_names=found.container_names,
            not_found_ids=found.not_found_ids,
            truncated_ids=found.truncated_ids,
            receipt=self._receipt(found),
        )

    def _ids(self, given: Sequence[str]) -> list[str]:
        if len(given) > self._max_id_count:
            raise TooManyIds(self._max_id_count, len(given))
        ids = list(dict.fromkeys(stripped for text in given if (stripped := text.strip())))
        if any(len(container_id) > _MAX_ID_LENGTH for container_id in ids):
            violations = [
                FieldViolation(f"container_ids[{position}]", f"longer than {_MAX_ID_LENGTH} characters")
                for position, text in enumerate(given)
                if len(text.strip()) > _MAX_ID_LENGTH
            ]
            raise InvalidParameter.of(violations[:_MAX_VIOLATION_COUNT])
        return ids

    def _receipt(self, found: SplitAncestors) -> table_pb2.Receipt:
        receipt = table_pb2.Receipt(
            status=table_pb2.COMPLETENESS_COMPLETE,
            row_count=len(found.found_ids),
            chunks=table_pb2.ChunkCounts(total=found.statement_count, run=found.statement_count),
            warehouse_statement_count=found.statement_count,
            warehouse_row_count=found.row_count,
            plan=_plan(found),
        )
        receipt.read_time.FromDatetime(self._clock.now())
        if found.truncated_ids:
            receipt.status = table_pb2.COMPLETENESS_TRUNCATED
            receipt.truncated_ranges.add(
                part="split_ancestors", id_count=len(found.truncated_ids), code="RESULT_TOO_LARGE"
            )
        return receipt


def _depth(given: int) -> int:
    if not 0 <= given <= MAX_DEPTH:
        raise InvalidParameter("max_depth", f"{given} is not 1 to {MAX_DEPTH}, nor 0 for {MAX_DEPTH}")
    return given or MAX_DEPTH


def _plan(found: SplitAncestors) -> str:
    if found.statement_count == 0:
        return "nothing was asked for, nothing was read"
    statements = "1 statement" if found.statement_count == 1 else f"{found.statement_count:,} statements"
    return f"{statements} read {found.row_count:,} rows"
