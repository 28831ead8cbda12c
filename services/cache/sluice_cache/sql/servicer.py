"""SQL over frames over gRPC: messages in, messages out, nothing else decided here."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice.cache.v1 import sql_service_pb2 as sql_pb
from sluice.cache.v1 import sql_service_pb2_grpc as sql_grpc
from sluice_rpc import arrow, pieces
from sluice_rpc.deadline import remaining_s
from sluice_rpc.errors import FieldViolation, InvalidParameter
from sluice_rpc.ports import Clock

from sluice_cache import binds, convert
from sluice_cache.frames import check_id, check_table_name
from sluice_cache.manifests import Manifests
from sluice_cache.sql.answer import Answer, Limits
from sluice_cache.sql.call import Call, Watch
from sluice_cache.sql.runner import Request, Runner
from sluice_cache.sql.tables import Statement

_LIMITS = ("max_row_count", "max_result_bytes", "max_memory_bytes", "thread_count", "timeout_s")


class SqlServicer(sql_grpc.SqlServiceServicer):
    """RunQuery.

    Args:
        runner: does it.
        manifests: whose tables statements may read.
        watch: stops what runs too long.
        clock: measures what statements take.
        statement_timeout_s: time of a call that has no deadline of its own.
    """

    def __init__(
        self, runner: Runner, manifests: Manifests, watch: Watch, clock: Clock, statement_timeout_s: float
    ) -> None:
        self._runner = runner
        self._manifests = manifests
        self._watch = watch
        self._clock = clock
        self._statement_timeout_s = statement_timeout_s

    def RunQuery(  # type: ignore[override]  # bytes are the message already, see sluice_rpc.pieces
        self, request: sql_pb.RunQueryRequest, context: grpc.ServicerContext
    ) -> Iterator[sql_pb.RunQueryResponse | bytes]:
        asked = self._request(request)
        left_s = remaining_s(context, self._statement_timeout_s)
        call = Call(self._clock, self._watch, min(left_s, request.timeout_s or left_s))
        context.add_callback(call.cancel)
        started = self._clock.monotonic()
        for answer in self._runner.run(asked, call):
            yield from _told(answer)
            elapsed_s = self._clock.monotonic() - started
            yield sql_pb.RunQueryResponse(done=_done(answer, elapsed_s))
            started += elapsed_s

    def _request(self, request: sql_pb.RunQueryRequest) -> Request:
        _check(request)
        frames, manifests = self._sources(request)
        return Request(
            frames,
            manifests,
            [Statement(item.sql, binds.all_from_proto(item.binds)) for item in request.statements],
            limits=Limits(request.max_row_count, request.max_result_bytes),
            memory_bytes=request.max_memory_bytes,
            thread_count=request.thread_count,
            explain=request.explain,
        )

    def _sources(self, request: sql_pb.RunQueryRequest) -> tuple[dict[str, str], list[pb.Manifest]]:
        frames: dict[str, str] = {}
        manifests: list[pb.Manifest] = []
        for source in request.sources:
            match source.WhichOneof("source"):
                case "frame" if source.frame.name in frames:
                    raise InvalidParameter("sources", f"two sources are named {source.frame.name!r}")
                case "frame":
                    frames[check_table_name(source.frame.name)] = check_id(source.frame.frame_id)
                case "manifest_id":
                    manifests.append(self._manifests.get(check_id(source.manifest_id, "manifest_id")))
                case _:
                    raise InvalidParameter("sources", "a source is a frame or a manifest")
        return frames, manifests


def _check(request: sql_pb.RunQueryRequest) -> None:
    violations = [] if request.statements else [FieldViolation("statements", "at least one statement")]
    # Not greater or equal, so that NaN is refused too.
    violations += [FieldViolation(name, "never negative") for name in _LIMITS if not getattr(request, name) >= 0]
    if violations:
        raise InvalidParameter.of(violations)


def _told(answer: Answer) -> Iterator[sql_pb.RunQueryResponse | bytes]:
    yield sql_pb.RunQueryResponse(header=sql_pb.StatementHeader(statement_index=answer.index))
    yield from pieces.on_the_wire(arrow.encode(answer.schema, answer.batches()))


def _done(answer: Answer, elapsed_s: float) -> sql_pb.StatementDone:
    return sql_pb.StatementDone(
        row_count=answer.row_count,
        tier=convert.tier_to_proto(answer.tier),
        elapsed_s=elapsed_s,
        plan=answer.plan,
        cached=answer.cached,
    )
