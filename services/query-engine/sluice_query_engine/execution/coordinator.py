"""Runs queries: one run per query id, chunks shared between queries, an end for those that nobody looks at.

It starts, joins, cancels and recalls; a run is brought to its end by `answering`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import structlog
from google.protobuf import json_format
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_rpc.errors import InternalFault, InvalidParameter, ServiceError, Unavailable, of_reason

from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import CacheExpired, QueryFinished, QueryNotReady, TooManyQueries
from sluice_query_engine.execution import id_lists
from sluice_query_engine.execution.answering import Answering, CoordinatorLimits, Tools
from sluice_query_engine.execution.given_up import without
from sluice_query_engine.execution.manifest import parameters_of
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.parameters import JSON, canonical
from sluice_query_engine.planning.identity import query_id_of
from sluice_query_engine.state import Signal

log = structlog.get_logger()

_KEPT_RUN_COUNT: Final = 512
"""Ended queries that are remembered in memory; older ones are recalled from the ledger or the cache."""
_MOST_NAMED: Final = 20
"""Chunks that the refusal of another names."""
_ANSWERED_STATES: Final = (pb.QUERY_STATE_COMPLETED, pb.QUERY_STATE_PARTIAL)


class Coordinator:
    """The queries of this process, by id.

    Args:
        tools: what it works with.
        limits: what queries may take.
    """

    def __init__(self, tools: Tools, limits: CoordinatorLimits) -> None:
        self._tools = tools
        self._limits = limits
        self._answering = Answering(tools, limits)
        self._runs: dict[str, QueryRun] = {}
        # Guards the dictionary; nothing slow happens under it.
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(limits.max_running_count, thread_name_prefix="query")
        self._stopping = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="query-beat", daemon=True)
        self._beating.start()

    def start(
        self,
        dataset: Dataset,
        parameters: Mapping[str, JSON],
        *,
        no_cache: bool,
        client_id: str,
        given_up: Sequence[pb.ChunkProgress] = (),
    ) -> pb.Query:
        """Start the query, or join the run of the same id, and return it as it stands.

        A run that is joined without the cache reads everything once more before it ends.

        Args:
            dataset: what is asked.
            parameters: canonical.
            no_cache: nothing that is there is used.
            client_id: for whom.
            given_up: chunks that failed before and are not tried again; they fail of the same in this run.

        Raises:
            TooManyQueries: as many run as this process takes on.
            ServiceUnavailable: the cache is away, so nothing can be planned.
        """
        query_id = query_id_of(dataset.name, dataset.version, parameters)
        with self._lock:
            there = self._runs.get(query_id)
            if there is not None and there.start_again(anew=no_cache):
                return there.snapshot()
            if sum(run.running for run in self._runs.values()) >= self._limits.max_running_count:
                raise TooManyQueries(self._limits.max_running_count)
            run = self._remembered(query_id, dataset, parameters, client_id)
        try:
            departures = self._tools.survey.depart(run, parameters, no_cache=no_cache)
        except ServiceError as error:
            run.fail(error)
            self._forget(run)
            raise
        departures = without(given_up, departures, self._tools.flights, run)
        self._tools.ledger.open(run)
        future = self._pool.submit(self._answering.run, run, departures)
        future.add_done_callback(lambda ended: self._broke(run, ended))
        return run.snapshot()

    def get(self, query_id: str) -> pb.Query:
        """Return the query as it stands; looking keeps it alive.

        Raises:
            CacheExpired: it is not, or no longer, known, or its answer is no longer there.
        """
        query = self._known(query_id)
        if query.state in _ANSWERED_STATES and self._answer_gone(query_id):
            raise CacheExpired(query_id)
        return query

    def _known(self, query_id: str) -> pb.Query:
        run = self.run_of(query_id)
        if run is not None:
            run.touch()
            return run.snapshot()
        recalled = self._tools.ledger.recall(query_id) or self._from_manifest(query_id)
        if recalled is None:
            raise CacheExpired(query_id)
        if recalled.state == pb.QUERY_STATE_RUNNING:
            self._tools.ledger.send(query_id, Signal.SEEN)
        return recalled

    def _answer_gone(self, query_id: str) -> bool:
        try:
            return self._tools.cache.get_manifest(query_id) is None
        except Unavailable:
            # Nobody can tell; what the query became is true all the same.
            return False

    def run_of(self, query_id: str) -> QueryRun | None:
        """Return the query's run in this process, or None."""
        with self._lock:
            return self._runs.get(query_id)

    def running(self) -> list[QueryRun]:
        """Return what runs in this process, oldest first; looking keeps nothing alive."""
        with self._lock:
            return sorted((run for run in self._runs.values() if run.running), key=lambda run: -run.elapsed_s)

    def cancel(self, query_id: str, *, force: bool) -> pb.Query:
        """Withdraw one caller's interest, or the query itself with `force`.

        Raises:
            CacheExpired: it is not known.
            QueryFinished: it has ended already.
        """
        run = self.run_of(query_id)
        if run is None or not run.running:
            there = self.get(query_id)
            if there.state == pb.QUERY_STATE_RUNNING:
                # Another process runs it; it hears of this at its next beat.
                self._tools.ledger.send(query_id, Signal.CANCELLED if force else Signal.WITHDRAWN)
                return there
            raise QueryFinished(query_id, str(pb.QueryState.Name(there.state)).removeprefix("QUERY_STATE_").lower())
        if run.withdraw() or force:
            run.cancel("withdrawn by force" if force else "withdrawn by its caller")
        return run.snapshot()

    def retry(self, query_id: str, client_id: str, chunk_index: int | None = None) -> pb.Query:
        """Start the query again; what is there is not read again, and of what failed only the chunk that is named.

        Raises:
            CacheExpired: it is not, or no longer, known.
            InvalidParameter: the chunk that is named did not fail.
            ServiceError: as `start` does.
        """
        query = self._known(query_id)
        failed = [chunk for chunk in query.progress.chunks if chunk.state == pb.CHUNK_STATE_FAILED]
        if chunk_index is not None and chunk_index not in [chunk.index for chunk in failed]:
            there = ", ".join(str(chunk.index) for chunk in failed[:_MOST_NAMED]) or "none"
            raise InvalidParameter("chunk_index", f"is no chunk of the query that failed; those that did: {there}")
        given_up = [] if chunk_index is None else [chunk for chunk in failed if chunk.index != chunk_index]
        dataset = self._tools.catalog.get(query.dataset)
        given = id_lists.given(self._tools.cache, json_format.MessageToDict(query.parameters))
        parameters = canonical(dataset, given)
        return self.start(dataset, parameters, no_cache=False, client_id=client_id, given_up=given_up)

    def readable(self, query_id: str, *, allow_partial: bool) -> frames.Manifest:
        """Return the manifest that answers views of the query.

        A query that is run again answers from its last manifest meanwhile.

        Raises:
            QueryNotReady: it runs for the first time, and nothing partial is allowed or there.
            CacheExpired: it is not, or no longer, there.
            ServiceError: it ended without an answer; what it failed of.
        """
        run = self.run_of(query_id)
        if run is not None:
            run.touch()
        manifest = self._tools.cache.get_manifest(query_id)
        if manifest is not None:
            return manifest
        if run is None or not run.running:
            recalled = self._tools.ledger.recall(query_id) if run is None else run.snapshot()
            if recalled is not None and recalled.state == pb.QUERY_STATE_RUNNING:
                raise QueryNotReady(query_id)
            if recalled is not None and recalled.error_code:
                raise of_reason(recalled.error_code, recalled.error_message, query_id=query_id)
            raise CacheExpired(query_id)
        if not allow_partial:
            raise QueryNotReady(query_id)
        return self._provisional(run)

    def close(self) -> None:
        """Cancel what runs, and wait for it."""
        self._stopping.set()
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.cancel("the process stops")
        self._pool.shutdown(wait=True)
        self._beating.join()

    def _provisional(self, run: QueryRun) -> frames.Manifest:
        references, outcome = run.references, run.so_far()
        if references is None or outcome is None or outcome.empty:
            raise QueryNotReady(run.query_id)
        return self._tools.composer.compose(run, outcome, references, f"{run.query_id}-so-far")

    def _from_manifest(self, query_id: str) -> pb.Query | None:
        manifest = self._tools.cache.get_manifest(query_id)
        if manifest is None:
            return None
        complete = manifest.receipt.status == table_pb2.COMPLETENESS_COMPLETE
        query = pb.Query(
            query_id=query_id,
            dataset=manifest.labels.get("dataset", ""),
            state=pb.QUERY_STATE_COMPLETED if complete else pb.QUERY_STATE_PARTIAL,
            receipt=manifest.receipt,
        )
        dataset = self._tools.catalog.get(query.dataset)
        query.parameters.update(parameters_of(manifest, dataset))
        return query

    def _broke(self, run: QueryRun, ended: Future[None]) -> None:
        error = ended.exception()
        if error is not None:
            log.error("query broke", query_id=run.query_id, exc_info=error)
            run.fail(InternalFault(run.request_id))

    def _remembered(self, query_id: str, dataset: Dataset, parameters: Mapping[str, JSON], client_id: str) -> QueryRun:
        """Return a new run, which takes the place of an earlier one; the oldest that have ended are forgotten."""
        patience = self._limits.patience
        run = QueryRun(query_id, dataset, parameters, self._tools.clock, client_id, patience=patience)
        self._runs.pop(query_id, None)
        self._runs[query_id] = run
        ended = [name for name, other in self._runs.items() if not other.running]
        for name in ended[: max(0, len(self._runs) - _KEPT_RUN_COUNT)]:
            del self._runs[name]
        return run

    def _forget(self, run: QueryRun) -> None:
        with self._lock:
            if self._runs.get(run.query_id) is run:
                del self._runs[run.query_id]

    def _beat(self) -> None:
        while not self._stopping.wait(self._limits.beat_s):
            with self._lock:
                running = [run for run in self._runs.values() if run.running]
            for run in running:
                self._look_after(run)

    def _look_after(self, run: QueryRun) -> None:
        heard = self._tools.ledger.heard(run)
        if heard[Signal.SEEN]:
            run.touch()
        if heard[Signal.CANCELLED] or any(run.withdraw() for _ in range(heard[Signal.WITHDRAWN])):
            run.cancel("withdrawn through another process")
            return
        if run.abandoned:
            run.cancel("nobody looked at it any more")
            return
        if run.elapsed_s > self._limits.deadline_s(run.dataset):
            run.overtime.cancel()
        self._tools.ledger.write(run)
