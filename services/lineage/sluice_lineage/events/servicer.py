"""EventService: requests checked and translated, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import grpc
from sluice.lineage.v1 import event_service_pb2 as pb
from sluice.lineage.v1 import event_service_pb2_grpc as pb_grpc
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import InvalidParameter

from sluice_lineage.asked import AskedIds
from sluice_lineage.callers import Caller, caller_of
from sluice_lineage.events.answers import Closing, EventAnswers, Question
from sluice_lineage.events.domain import EventDomain
from sluice_lineage.events.records import record_messages


@dataclass(frozen=True)
class EventLimits:
    """What one request may ask for."""

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
        asked: reads the ids of requests.
        limits: of one request.
    """

    def __init__(
        self, domains: Mapping[str, EventDomain], answers: EventAnswers, asked: AskedIds, limits: EventLimits
    ) -> None:
        self._domains = domains
        self._answers = answers
        self._asked = asked
        self._limits = limits

    def ListEventDomains(
        self, request: pb.ListEventDomainsRequest, context: grpc.ServicerContext
    ) -> pb.ListEventDomainsResponse:
        return pb.ListEventDomainsResponse(domains=[_described(domain) for domain in self._domains.values()])

    def ReadEvents(
        self, request: pb.ReadEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadEventsResponse]:
        question = self._question(request, caller_of(context, self._limits.timeout_s))
        with self._answers.answer(question) as answer:
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

    def _question(self, request: pb.ReadEventsRequest, caller: Caller) -> Question:
        domain = self._domains.get(request.domain)
        if domain is None:
            raise InvalidParameter("domain", f"{request.domain!r} is none of {', '.join(self._domains)}")
        if request.format not in pb.EventFormat.values():
            raise InvalidParameter("format", f"{request.format} is no format")
        arrow_format = request.format == pb.EVENT_FORMAT_ARROW
        return Question(
            domain,
            self._asked.of(request.container_ids, request.ids_frame_id),
            caller,
            max_row_count=0 if arrow_format else self._limits.max_row_count,
            allow_partial=request.allow_partial if request.HasField("allow_partial") else self._limits.allow_partial,
            refresh=request.refresh,
        )


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
