"""One query while and after it runs: where each chunk stands, who looks, and how it ended. It starts nothing itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from google.protobuf import struct_pb2
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock

from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import QueryNotReady
from sluice_query_engine.execution.chunk import StoredChunk
from sluice_query_engine.execution.interest import Interest, Patience
from sluice_query_engine.execution.manifest import Outcome
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.small_frames import timestamp
from sluice_query_engine.parameters import JSON
from sluice_query_engine.planning.plan import Plan, PlannedChunk

DONE_STATES: Final = frozenset({pb.CHUNK_STATE_REUSED, pb.CHUNK_STATE_DONE, pb.CHUNK_STATE_TRUNCATED})
_UNFINISHED_STATES: Final = (pb.CHUNK_STATE_QUEUED, pb.CHUNK_STATE_RUNNING)
_WATCH_CHECK_S: Final = 5.0
"""How often a watcher whose caller left without a word is noticed at the latest."""


class QueryRun:
    """A query of this process. Every method may be called from any thread.

    Args:
        query_id: its id.
        dataset: its dataset.
        parameters: canonical.
        clock: for start time, pace and interest.
        client_id: for whom it was started: the request's id, after the user's name and a space where that is known.
        patience: how long it goes on without anybody looking.
    """

    def __init__(
        self,
        query_id: str,
        dataset: Dataset,
        parameters: Mapping[str, JSON],
        clock: Clock,
        client_id: str,
        *,
        patience: Patience,
    ) -> None:
        self.query_id = query_id
        self.dataset = dataset
        self.parameters = dict(parameters)
        self.shown_parameters = self.parameters
        self.client_id = client_id
        self.scope = CancelScope()
        self.overtime = CancelScope()
        """Withdraws what has not been read when the query's time is up; what has been is still answered with."""
        self.references: Mapping[str, str] | None = None
        """Frames of its references, once they are pinned."""
        self.plan: Plan | None = None
        self.resolution: table_pb2.Resolution | None = None
        """What typed values meant, once that is known."""
        self._clock = clock
        self._started = clock.monotonic()
        self._start_time = clock.now()
        self._state: pb.QueryState.ValueType = pb.QUERY_STATE_RUNNING
        self._chunks: list[pb.ChunkProgress] = []
        self._stored: dict[int, StoredChunk] = {}
        self._receipt: table_pb2.Receipt | None = None
        self._error: tuple[str, str] | None = None
        self._asked_anew = False
        self._change_count = 0
        self._interest = Interest(patience, clock.monotonic())
        # Guards everything above, and wakes watchers.
        self._changed = threading.Condition()

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._state == pb.QUERY_STATE_RUNNING

    @property
    def state_name(self) -> str:
        """Its state in one lower-case word."""
        return str(pb.QueryState.Name(self._state)).removeprefix("QUERY_STATE_").lower()

    @property
    def request_id(self) -> str:
        """The id of the request that started it."""
        return self.client_id.rpartition(" ")[2]

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was started."""
        return self._clock.monotonic() - self._started

    @property
    def idle_s(self) -> float:
        """Seconds since somebody last looked; 0 while somebody watches."""
        with self._changed:
            return self._interest.idle_s(self._clock.monotonic())

    @property
    def abandoned(self) -> bool:
        """Nobody wants it any more."""
        with self._changed:
            return self._interest.lost(self._clock.monotonic())

    def start_again(self, *, anew: bool = False) -> bool:
        """One more caller started it, `anew` one who wants no row from before now; False when it has ended."""
        with self._changed:
            if not self.running:
                return False
            self._interest.start(self._clock.monotonic())
            self._asked_anew = self._asked_anew or anew
            return True

    def begin_anew(self) -> bool:
        """Return whether it must be read again for who came after its plan; what comes later counts anew."""
        with self._changed:
            asked, self._asked_anew = self._asked_anew and self.running, False
            return asked

    def touch(self) -> None:
        """Somebody looked."""
        with self._changed:
            self._interest.look(self._clock.monotonic())

    def withdraw(self) -> bool:
        """One caller no longer wants it; return whether nobody else does."""
        with self._changed:
            return self._interest.withdraw()

    def set_plan(self, plan: Plan) -> None:
        """Show the chunks of the plan; those that are there already count as reused."""
        with self._changed:
            self.plan = plan
            self._stored = {}
            self._chunks = [progress_of(chunk) for chunk in plan.chunks]
            self._tell()

    def extend_plan(self, plan: Plan) -> None:
        """Show the chunks that a plan has beyond those shown."""
        with self._changed:
            self.plan = plan
            self._chunks += [progress_of(chunk) for chunk in plan.chunks[len(self._chunks) :]]
            self._tell()

    def forget_plan(self) -> None:
        """Hold the plan no longer, once it has ended and nobody works at it: 512 are remembered, each with its ids."""
        with self._changed:
            self.plan = None

    def chunk_rows(self, index: int, row_count: int) -> None:
        """Show that a chunk is being read, and how far it is."""
        with self._changed:
            # A read that was just left may still tell of it under a longer plan of before.
            chunk = self._chunks[index] if index < len(self._chunks) else None
            if chunk is not None and self.running and chunk.state in _UNFINISHED_STATES:
                chunk.state = pb.CHUNK_STATE_RUNNING
                chunk.row_count = row_count
                self._tell()

    def chunk_stored(self, index: int, stored: StoredChunk) -> None:
        """Show that a chunk is there."""
        with self._changed:
            chunk = self._chunks[index]
            self._stored[index] = stored
            chunk.state = pb.CHUNK_STATE_TRUNCATED if stored.truncated else pb.CHUNK_STATE_DONE
            chunk.code = "RESULT_TOO_LARGE" if stored.truncated else ""
            chunk.row_count = stored.row_count
            self._tell()

    def chunk_failed(self, index: int, code: str) -> None:
        """Show that a chunk will not be there."""
        with self._changed:
            chunk = self._chunks[index]
            chunk.state = pb.CHUNK_STATE_FAILED
            chunk.code = code
            self._tell()

    def stored(self) -> dict[int, StoredChunk]:
        """Return the chunks that were read, by position in the plan."""
        with self._changed:
            return dict(self._stored)

    def failures(self) -> dict[int, str]:
        """Return the code of each failed chunk, by position in the plan."""
        with self._changed:
            return {chunk.index: chunk.code for chunk in self._chunks if chunk.state == pb.CHUNK_STATE_FAILED}

    def so_far(self) -> Outcome | None:
        """Return what is there at one instant, unfinished chunks as not ready; None before there is a plan."""
        with self._changed:
            if self.plan is None:
                return None
            unfinished = [chunk.index for chunk in self._chunks if chunk.state in _UNFINISHED_STATES]
            codes = {**dict.fromkeys(unfinished, QueryNotReady.reason), **self.failures()}
            return Outcome(self.plan, self.stored(), codes, unended=True)

    def finish(self, receipt: table_pb2.Receipt) -> bool:
        """End with an answer; False when it had ended before, or somebody asked for rows newer than these."""
        whole = receipt.status == table_pb2.COMPLETENESS_COMPLETE
        with self._changed:
            # Past its time there is none left to read again.
            if self._asked_anew and not self.overtime.cancelled:
                return False
            return self._end(pb.QUERY_STATE_COMPLETED if whole else pb.QUERY_STATE_PARTIAL, receipt, None)

    def fail(self, error: ServiceError) -> bool:
        """End without an answer; False when it had ended before."""
        return self._end(pb.QUERY_STATE_FAILED, None, (error.reason, error.message))

    def cancel(self, why: str) -> bool:
        """End as withdrawn and withdraw the work; False when it had ended before."""
        ended = self._end(pb.QUERY_STATE_CANCELLED, None, ("CANCELLED", why))
        if ended:
            self.scope.cancel()
        return ended

    def snapshot(self) -> pb.Query:
        """Return the query as it stands."""
        with self._changed:
            parameters = struct_pb2.Struct()
            parameters.update(self.shown_parameters)
            code, message = self._error or ("", "")
            return pb.Query(
                query_id=self.query_id,
                dataset=self.dataset.name,
                parameters=parameters,
                state=self._state,
                progress=self._progress(),
                receipt=self._receipt,
                error_code=code,
                error_message=message,
                start_time=timestamp(self._start_time),
            )

    def watch(self, active: Callable[[], bool]) -> Iterator[pb.Query]:
        """Yield the query as it stands, then whenever it changes, last in its final state.

        Changes that come faster than they are taken are shown as one.

        Args:
            active: whether the caller is still there; asked after every wait.
        """
        with self._changed:
            self._interest.watch()
        try:
            seen = -1
            while active():
                with self._changed:
                    if self._change_count == seen:
                        self._changed.wait(_WATCH_CHECK_S)
                    if self._change_count == seen:
                        continue
                    seen = self._change_count
                    ended = not self.running
                yield self.snapshot()
                if ended:
                    return
        finally:
            with self._changed:
                self._interest.leave(self._clock.monotonic())

    def wake(self) -> None:
        """Have every watcher look whether its caller is still there."""
        with self._changed:
            self._changed.notify_all()

    def _end(
        self, state: pb.QueryState.ValueType, receipt: table_pb2.Receipt | None, error: tuple[str, str] | None
    ) -> bool:
        with self._changed:
            if not self.running:
                return False
            for chunk in self._chunks:
                if chunk.state in _UNFINISHED_STATES:
                    chunk.state = pb.CHUNK_STATE_CANCELLED
            self._state, self._receipt, self._error = state, receipt, error
            self._tell()
            return True

    def _tell(self) -> None:
        self._change_count += 1
        self._changed.notify_all()

    def _progress(self) -> pb.Progress:
        done = [chunk for chunk in self._chunks if chunk.state in DONE_STATES]
        failed = [chunk for chunk in self._chunks if chunk.state == pb.CHUNK_STATE_FAILED]
        read = [chunk for chunk in self._chunks if chunk.state != pb.CHUNK_STATE_REUSED]
        progress = pb.Progress(
            total_count=len(self._chunks),
            completed_count=len(done),
            failed_count=len(failed),
            percent=round(100 * len(done) / len(self._chunks), 1) if self._chunks else 0.0,
            row_count=sum(chunk.row_count for chunk in read),
            chunks=self._chunks,
        )
        ended = sum(chunk.state in DONE_STATES or chunk.state == pb.CHUNK_STATE_FAILED for chunk in read)
        if self.running and ended:
            pace_s = (self._clock.monotonic() - self._started) / ended
            progress.remaining_s = round(pace_s * (len(read) - ended), 1)
        return progress


def progress_of(chunk: PlannedChunk) -> pb.ChunkProgress:
    """Return how a chunk is shown before anything was read for it."""
    reused = chunk.extent is not None and chunk.extent.frame_id != ""
    return pb.ChunkProgress(
        index=chunk.index,
        part=chunk.part,
        start=chunk.start_text,
        end=chunk.end_text,
        id_count=chunk.id_count,
        state=pb.CHUNK_STATE_REUSED if reused else pb.CHUNK_STATE_QUEUED,
        row_count=chunk.extent.row_count if chunk.extent is not None and reused else 0,
    )
