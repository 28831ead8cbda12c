"""EventService: requests checked and translated, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import grpc
import pyarrow as pa
import structlog
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.lineage.v1 import event_service_pb2_grpc as pb_grpc
from sluice.lineage.v1 import limits_pb2
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.deadline import remaining_s
from sluice_rpc.errors import FieldViolation, InvalidParameter, NotFound

from sluice_lineage.errors import TooManyIds
from sluice_lineage.events.answers import Closing, EventAnswers, Question
from sluice_lineage.events.domain import EventDomain
from sluice_lineage.events.frames import FrameStore
from sluice_lineage.events.records import record_messages
from sluice_lineage.withdrawal import Withdrawal

_MAX_ID_LENGTH: Final = int(limits_pb2.LIMIT_ID_LENGTH)
_MAX_VIOLATION_COUNT: Final = 20
"""Error details ride in trailers, which must stay small."""
_ID_COLUMN: Final = "container_id"
"""Of a frame of ids."""


@dataclass(frozen=True)
class EventLimits:
    """What one request may ask for."""

    max_id_count: int
    max_row_count: int
    """Rows at which an answer of records stops."""
    allow_partial: bool
    """Where the caller does not say."""
    timeout_s: float
    """Deadline of calls that bring none."""


class EventServicer(pb_grpc.EventServiceServicer):
    """Answers EventService.

    Args:
        domains: by name.
        answers: what answers.
        frames: where frames of ids are read.
        limits: of one request.
    """

    def __init__(
        self, domains: Mapping[str, EventDomain], answers: EventAnswers, frames: FrameStore, limits: EventLimits
    ) -> None:
        self._domains = domains
        self._answers = answers
        self._frames = frames
        self._limits = limits

    def ListEventDomains(
        self, request: pb.ListEventDomainsRequest, context: grpc.ServicerContext
    ) -> pb.ListEventDomainsResponse:
        return pb.ListEventDomainsResponse(domains=[_described(domain) for domain in self._domains.values()])

    def ReadEvents(
        self, request: pb.ReadEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadEventsResponse]:
        withdrawal = Withdrawal()
        if not context.add_callback(withdrawal.withdraw):
            withdrawal.withdraw()
        question = self._question(request, context)
        with self._answers.answer(question, withdrawal) as answer:
            yield pb.ReadEventsResponse(
                header=pb.EventHeader(
                    domain=_described(question.domain),
                    container_count=len(question.ids),
                    max_row_count=question.max_row_count,
                )
            )
            if request.format == pb.EVENT_FORMAT_ARROW:
                for piece in answer.pieces():
                    yield pb.ReadEventsResponse(chunk=table_pb2.TableChunk(ipc=piece))
            else:
                for batch in answer.batches():
                    yield from (pb.ReadEventsResponse(records=records) for records in record_messages(batch))
            yield pb.ReadEventsResponse(end=_end(question.domain, answer.closing))

    def _question(self, request: pb.ReadEventsRequest, context: grpc.ServicerContext) -> Question:
        domain = self._domains.get(request.domain)
        if domain is None:
            raise InvalidParameter("domain", f"{request.domain!r} is none of {', '.join(self._domains)}")
        if request.format not in pb.EventFormat.values():
            raise InvalidParameter("format", f"{request.format} is no format")
        if request.ids_frame_id and request.container_ids:
            raise InvalidParameter("ids_frame_id", "given beside container_ids")
        given = self._ids_of_frame(request.ids_frame_id) if request.ids_frame_id else request.container_ids
        arrow_format = request.format == pb.EVENT_FORMAT_ARROW
        return Question(
            domain,
            self._ids(given),
            max_row_count=0 if arrow_format else self._limits.max_row_count,
            allow_partial=request.allow_partial if request.HasField("allow_partial") else self._limits.allow_partial,
            refresh=request.refresh,
            deadline_s=remaining_s(context, self._limits.timeout_s),
            client_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
        )

    def _ids_of_frame(self, frame_id: str) -> list[str]:
        found = self._frames.open(frame_id)
        if found is None:
            raise NotFound(f"frame {frame_id!r} is not there", reason="CACHE_EXPIRED", frame_id=frame_id)
        with found:
            if found.frame.row_count > self._limits.max_id_count:
                raise TooManyIds(self._limits.max_id_count, found.frame.row_count)
            with arrow.decode(found.pieces()) as rows:
                field = rows.schema.get_field_index(_ID_COLUMN)
                if field < 0 or not pa.types.is_string(rows.schema.field(field).type):
                    raise InvalidParameter("ids_frame_id", f"has no text column {_ID_COLUMN!r}")
                return [one for batch in rows for one in batch.column(field).to_pylist() if one is not None]

    def _ids(self, given: Sequence[str]) -> list[str]:
        if len(given) > self._limits.max_id_count:
            raise TooManyIds(self._limits.max_id_count, len(given))
        ids = list(dict.fromkeys(stripped for text in given if (stripped := text.strip())))
        if any(len(container_id) > _MAX_ID_LENGTH for container_id in ids):
            violations = [
                FieldViolation(f"container_ids[{position}]", f"longer than {_MAX_ID_LENGTH} characters")
                for position, text in enumerate(given)
                if len(text.strip()) > _MAX_ID_LENGTH
            ]
            raise InvalidParameter.of(violations[:_MAX_VIOLATION_COUNT])
        return ids


def _described(domain: EventDomain) -> pb.EventDomain:
    return pb.EventDomain(
        name=domain.name,
        title=domain.title,
        about=domain.about,
        columns=[pb.EventColumn(name=one.name, type=one.type, about=one.about) for one in domain.columns],
        key=domain.key,
        schema_version=domain.version,
        ttl_s=domain.ttl_s,
    )


def _end(domain: EventDomain, closing: Closing) -> pb.EventEnd:
    failed = [
        pb.FailedBatch(
            first_id=failure.batch.ids[0],
            last_id=failure.batch.ids[-1],
            id_count=len(failure.batch.ids),
            code=failure.error.reason,
        )
        for failure in closing.failures
    ]
    return pb.EventEnd(
        receipt=_receipt(domain, closing),
        failed_batches=failed,
        reasons=closing.reasons,
        warnings=[pb.EventWarning(code=one.code, message=one.message) for one in closing.warnings],
        kept=closing.kept,
    )


def _receipt(domain: EventDomain, closing: Closing) -> table_pb2.Receipt:
    failed_count = len(closing.failures)
    run_count = 0 if closing.reused else closing.done_count
    reused_count = closing.done_count if closing.reused else 0
    receipt = table_pb2.Receipt(
        status=_status(closing),
        row_count=closing.row_count,
        tier=closing.tier,
        chunks=table_pb2.ChunkCounts(
            total=run_count + reused_count + failed_count, reused=reused_count, run=run_count, failed=failed_count
        ),
        warehouse_statement_count=closing.statement_count,
        warehouse_row_count=closing.read_row_count,
        as_of_time=closing.as_of_time,
        plan=_plan(closing),
    )
    for failure in closing.failures:
        receipt.failed_ranges.add(part=domain.name, id_count=len(failure.batch.ids), code=failure.error.reason)
    if closing.truncated:
        receipt.truncated_ranges.add(part=domain.name, code="RESULT_TOO_LARGE")
    if closing.read_time is not None:
        receipt.read_time.FromDatetime(closing.read_time)
    if closing.expires_time is not None:
        receipt.expires_time.FromDatetime(closing.expires_time)
    return receipt


def _status(closing: Closing) -> table_pb2.Completeness.ValueType:
    if closing.failures:
        return table_pb2.COMPLETENESS_PARTIAL
    return table_pb2.COMPLETENESS_TRUNCATED if closing.truncated else table_pb2.COMPLETENESS_COMPLETE


def _plan(closing: Closing) -> str:
    if closing.batch_count == 0:
        return "nothing was asked for, nothing was read"
    if closing.reused:
        return f"{closing.row_count:,} rows were kept, nothing was read"
    statements = "1 statement" if closing.statement_count == 1 else f"{closing.statement_count:,} statements"
    return f"{statements} read {closing.read_row_count:,} rows"
