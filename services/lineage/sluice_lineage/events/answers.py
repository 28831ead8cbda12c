"""Answers about events: a kept one where there is one, else one that is read and kept while it passes by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Protocol, Self

import pyarrow as pa
import structlog
from sluice.cache.v1 import frame_service_pb2 as frames_pb
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.ports import Clock
from sluice_warehouse import Warehouse

from sluice_lineage.callers import Caller
from sluice_lineage.events.domain import EventDomain
from sluice_lineage.events.identity import answer_hash
from sluice_lineage.events.kept import KeptEvents, Lookup
from sluice_lineage.events.reading import EventReader, EventReading, Failure, Wanted
from sluice_lineage.frames import FrameFacts, FrameUpload, KeptFrame

log = structlog.get_logger()

CHUNK_FAILURE: Final = "chunk_failure"
ROWS_EXCEEDED: Final = "max_total_rows_exceeded"


@dataclass(frozen=True)
class Question:
    """One request, checked."""

    domain: EventDomain
    ids: Sequence[str]
    caller: Caller
    max_row_count: int
    """Rows at which the answer stops; 0 for none."""
    allow_partial: bool
    refresh: bool


@dataclass(frozen=True)
class Warned:
    """What went otherwise than usual without costing a row."""

    code: str
    message: str


@dataclass
class Closing:
    """What an answer says of itself once its rows are out."""

    batch_count: int
    """Batches of ids that the answer is made of."""
    reused: bool = False
    done_count: int = 0
    statement_count: int = 0
    row_count: int = 0
    read_row_count: int = 0
    read_time: datetime | None = None
    expires_time: datetime | None = None
    as_of_time: str = ""
    tier: table_pb2.Tier.ValueType = table_pb2.TIER_UNSPECIFIED
    truncated: bool = False
    failures: Sequence[Failure] = ()
    warnings: list[Warned] = field(default_factory=list)
    kept: bool = False

    @property
    def reasons(self) -> list[str]:
        """Why rows are missing, worst first."""
        reasons = [CHUNK_FAILURE] if self.failures else []
        return [*reasons, ROWS_EXCEEDED] if self.truncated else reasons


class Answer(Protocol):
    """Rows, then what is to be said of them. A context manager: leaving it ends whatever still runs."""

    @property
    def closing(self) -> Closing:
        """Whole once the rows are out."""
        ...

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows. This or `pieces`, once. Raises as `EventReading.batches` does."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Yield the rows as the pieces of an IPC stream."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class EventAnswers:
    """Answers questions.

    Args:
        reader: reads what is not kept.
        kept: finds and keeps answers.
        warehouse: whose clock open rows are counted to.
        clock: stamps receipts.
        skip_id_count: more ids than these are never kept.
    """

    def __init__(
        self, reader: EventReader, kept: KeptEvents, warehouse: Warehouse, clock: Clock, *, skip_id_count: int
    ) -> None:
        self._reader = reader
        self._kept = kept
        self._warehouse = warehouse
        self._clock = clock
        self._skip_id_count = skip_id_count

    def answer(self, question: Question) -> Answer:
        """Return the answer to come.

        Raises:
            WarehouseUnavailable: the plant's clock cannot be read for hours of open rows.
        """
        warnings: list[Warned] = []
        lookup = self._lookup(question, warnings)
        if lookup is not None and lookup.found is not None:
            return KeptAnswer(question, lookup.found, warnings)
        as_of = self._plant_time() if question.domain.counts_hours and question.ids else None
        wanted = Wanted(
            question.domain,
            question.ids,
            as_of,
            question.caller,
            allow_partial=question.allow_partial,
            max_row_count=question.max_row_count,
        )
        closing = Closing(-(-len(question.ids) // 1000), read_time=self._clock.now(), warnings=warnings)
        if as_of is not None:
            closing.as_of_time = as_of.isoformat(timespec="seconds")
        keeping = None if lookup is None or not question.ids else Keeping(question.domain, lookup, self._kept, closing)
        return FreshAnswer(self._reader.open(wanted), question.domain.schema, closing, keeping)

    def _plant_time(self) -> datetime:
        return self._warehouse.plant_time().replace(microsecond=0)

    def _lookup(self, question: Question, warnings: list[Warned]) -> Lookup | None:
        """Return what is kept, found or not; None where the question is too large to be kept."""
        count, domain = len(question.ids), question.domain.name
        if count > self._skip_id_count:
            log.warning("events are not kept", domain=domain, id_count=count, threshold=self._skip_id_count)
            text = f"{domain}: {count:,} containers are more than {self._skip_id_count:,}, the answer is not kept"
            warnings.append(Warned("CACHE_SKIPPED", text))
            return None
        lookup = self._kept.look_up(
            question.domain.name,
            answer_hash(question.domain, question.ids),
            whole_only=question.max_row_count == 0,
            refresh=question.refresh or not question.ids,
        )
        warnings += [Warned("CACHE_UNAVAILABLE", fault) for fault in lookup.faults]
        return lookup


class Keeping:
    """An answer that is sent to be kept while it passes by.

    Args:
        domain: whose rows these are.
        lookup: under which name.
        kept: where.
        closing: of the answer, whole at the end.
    """

    def __init__(self, domain: EventDomain, lookup: Lookup, kept: KeptEvents, closing: Closing) -> None:
        self._domain = domain
        self._lookup = lookup
        self._kept = kept
        self._closing = closing
        self._upload: FrameUpload | None = None

    def put(self, batch: pa.RecordBatch) -> None:
        """Send rows along."""
        self._begun().put(batch)

    def finish(self) -> None:
        """Keep the answer, unless a batch failed: what is missing for a moment must not be missing for minutes."""
        closing, upload = self._closing, self._begun()
        if closing.failures:
            upload.abandon()
            return
        assert closing.read_time is not None
        fresh_until = closing.read_time + timedelta(seconds=self._domain.ttl_s)
        facts = FrameFacts(
            {
                "kind": "events",
                "domain": self._domain.name,
                "truncated": "true" if closing.truncated else "false",
                "as_of_time": closing.as_of_time,
            },
            closing.read_time,
            fresh_until,
            # Whoever has begun to read it may go on.
            fresh_until + timedelta(seconds=60),
        )
        closing.kept = self._kept.keep(self._lookup, upload, closing.row_count, facts)
        if closing.kept:
            closing.expires_time = fresh_until
        elif self._kept.keeps:
            self._lookup.faults.append("the cache did not take the answer")
        closing.warnings[:] = [Warned("CACHE_UNAVAILABLE", fault) for fault in self._lookup.faults]

    def abandon(self) -> None:
        """Leave nothing behind, unless it is kept already."""
        if self._upload is not None and not self._closing.kept:
            self._upload.abandon()

    def _begun(self) -> FrameUpload:
        if self._upload is None:
            self._upload = self._kept.begin(self._lookup, self._domain.schema)
        return self._upload


class FreshAnswer:
    """An answer that is read now."""

    def __init__(self, reading: EventReading, schema: pa.Schema, closing: Closing, keeping: Keeping | None) -> None:
        self._reading = reading
        self._schema = schema
        self._keeping = keeping
        self.closing = closing

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._reading.batches():
            if self._keeping is not None:
                self._keeping.put(batch)
            yield batch
        self._close()

    def pieces(self) -> Iterator[bytes]:
        yield from arrow.encode(self._schema, self.batches())

    def _close(self) -> None:
        outcome, closing = self._reading.outcome, self.closing
        closing.done_count = outcome.done_count
        closing.statement_count = outcome.statement_count
        closing.row_count = outcome.row_count
        closing.read_row_count = outcome.read_row_count
        closing.truncated = outcome.truncated
        closing.failures = outcome.failures
        if self._keeping is not None:
            self._keeping.finish()

    def __enter__(self) -> Self:
        self._reading.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.__exit__(kind, error, trace)
        if self._keeping is not None:
            self._keeping.abandon()


class KeptAnswer:
    """An answer that was read before; no statement runs for it."""

    def __init__(self, question: Question, found: KeptFrame, warnings: list[Warned]) -> None:
        frame = found.frame
        self._found = found
        self._max_row_count = question.max_row_count
        batch_count = -(-len(question.ids) // 1000)
        self.closing = Closing(
            batch_count,
            reused=True,
            done_count=batch_count,
            row_count=frame.row_count,
            read_time=_utc(frame, "read_time"),
            expires_time=_utc(frame, "fresh_until_time"),
            as_of_time=frame.labels.get("as_of_time", ""),
            tier=frame.tier,
            truncated=frame.labels.get("truncated") == "true",
            warnings=warnings,
            kept=True,
        )

    def batches(self) -> Iterator[pa.RecordBatch]:
        room = self._max_row_count or self.closing.row_count
        with arrow.decode(self._found.pieces()) as rows:
            for batch in rows:
                if batch.num_rows > room:
                    self.closing.truncated = True
                    self.closing.row_count = self._max_row_count
                    yield batch.slice(0, room)
                    return
                room -= batch.num_rows
                yield batch

    def pieces(self) -> Iterator[bytes]:
        yield from self._found.pieces()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._found.__exit__(kind, error, trace)


def _utc(frame: frames_pb.Frame, name: str) -> datetime:
    stamp: datetime = getattr(frame, name).ToDatetime(tzinfo=UTC)
    return stamp
