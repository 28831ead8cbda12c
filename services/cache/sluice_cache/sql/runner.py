"""Runs checked statements over sources: relations made once per request, one table per statement, streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain

import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb

from sluice_cache import binds
from sluice_cache.flight import SingleFlight
from sluice_cache.frames import Frame
from sluice_cache.manifests import derived_frame_id
from sluice_cache.sql import check
from sluice_cache.sql.answer import NO_LIMITS, Answer, Limits
from sluice_cache.sql.apart import Room
from sluice_cache.sql.call import Call
from sluice_cache.sql.deriver import Deriver
from sluice_cache.sql.explain import plan_text
from sluice_cache.sql.lane import Lane, Places
from sluice_cache.sql.relations import Source
from sluice_cache.sql.results import Result, Results
from sluice_cache.sql.shared import Sharing
from sluice_cache.sql.tables import Bound, Statement, Table, bound, frame_ids_of, result_key, tables_of, values_of
from sluice_cache.tiers.memory import MappedCopy

MIN_MEMORY_BYTES = 32 << 20
"""Below this DuckDB cannot open a table; a call that names less gets this much."""

_NO_COLUMNS = pa.schema([])


@dataclass(frozen=True)
class Request:
    """Statements and what they may read and take.

    Attributes:
        frames: frame ids by relation name.
        manifests: all their tables are relations, their values are bound.
        statements: in the order of their answers.
        limits: of each table; 0 takes the process's own.
        memory_bytes: of all statements; 0 takes the process's own limit, anything else a process of their own.
        thread_count: of all statements; 0 takes the process's own, anything else a process of their own.
        explain: answer with plans instead of rows.
    """

    frames: Mapping[str, str]
    manifests: Sequence[pb.Manifest]
    statements: Sequence[Statement]
    limits: Limits = NO_LIMITS
    memory_bytes: int = 0
    thread_count: int = 0
    explain: bool = False


class Runner:
    """SQL over the frames of a store.

    Args:
        places: where statements run, and the frames they read.
        results: tables kept from earlier runs.
        deriver: makes derived tables.
        limits: of every table, whatever its caller names.
    """

    def __init__(self, places: Places, results: Results, deriver: Deriver, limits: Limits) -> None:
        self._places = places
        self._store = places.shelf.store
        self._native = places.shelf.native
        self._parse = places.shelf.database.parse
        self._sharing = Sharing(self._parse, places.shelf.database.text_of)
        self._results = results
        self._deriver = deriver
        self._limits = limits
        self._deriving = SingleFlight()
        self._answering = SingleFlight()

    def run(self, request: Request, call: Call) -> Iterator[Answer]:
        """Yield one answer per statement, in order; each must be read to its end before the next is taken.

        Raises:
            InvalidSql, InvalidParameter, CacheExpired, ResultTooLarge, QueryTimeout, Cancelled, MemoryPressure.
        """
        tables = tables_of(request.frames, request.manifests)
        values = values_of(request.manifests)
        checked = [bound(statement, tables, values, self._parse) for statement in request.statements]
        needed = sorted({name for item in checked for name in item.select.relations})
        # What must be computed first takes places of its own, so it comes before this call's is leased.
        sources = [self._source(tables[name], call) for name in needed]
        limits = _least(request.limits, self._limits)
        room = self._room(request, checked)
        shared = self._sharing.of(checked) if room is None and len(checked) > 1 and not request.explain else []
        with closing(Lane(self._places, sources, room, call)) as lane:
            lane.share(checked, shared)
            for index, item in enumerate(checked):
                if request.explain:
                    plan = plan_text(lane.plan(item))
                    yield Answer(_NO_COLUMNS, (), index=index, tier=lane.tier, plan=plan)
                    continue
                with self._answer(lane, item, sources, call, index=index, limits=limits) as answer:
                    yield answer
        self._promote([tables[name] for name in needed])

    def _room(self, request: Request, checked: Sequence[Bound]) -> Room | None:
        """Return what the statements may take in a process of their own; None lets them run inside this one."""
        if not (request.memory_bytes or request.thread_count) and all(item.plain for item in checked):
            return None
        most = self._places.apart.room
        memory = min(max(request.memory_bytes, MIN_MEMORY_BYTES), most.memory_bytes)
        return replace(
            most,
            memory_bytes=memory if request.memory_bytes else most.memory_bytes,
            thread_count=min(request.thread_count or most.thread_count, most.thread_count),
        )

    @contextmanager
    def _answer(
        self, lane: Lane, item: Bound, sources: Sequence[Source], call: Call, *, index: int, limits: Limits
    ) -> Iterator[Answer]:
        """Answer one statement from what is kept, or run it; its answer is read inside."""
        with ExitStack() as held:

            def fresh() -> Answer:
                running = held.enter_context(lane.run(item))
                return Answer(running.schema, running.batches(), index=index, tier=lane.tier, limits=limits)

            def kept() -> Answer:
                return self._kept(lane, held, item, sources, index=index, limits=limits)

            if not item.select.traits.repeatable or not self._results.largest_bytes:
                yield fresh()
            elif lane.held:
                # Whoever waits for another must not hold what that one may be waiting for.
                yield kept()
            else:
                key = result_key(item, sources, self._store.catalogue)
                answer = self._answering.run(key, kept, call.left_s())
                assert answer is not None
                yield answer

    def _kept(
        self, lane: Lane, held: ExitStack, item: Bound, sources: Sequence[Source], *, index: int, limits: Limits
    ) -> Answer:
        """Answer one statement from what is kept, or run it and keep its table if that is small."""
        catalogue = self._store.catalogue
        seen = self._results.drop_count
        key = result_key(item, sources, catalogue)
        result = self._results.get(key)
        if result is not None:
            return Answer.of_result(result, index=index, limits=limits, cached=True)
        running = held.enter_context(lane.run(item))
        batches = running.batches()
        first, whole = _taken(batches, self._results.largest_bytes)
        if not whole:
            return Answer(running.schema, chain(first, batches), index=index, tier=lane.tier, limits=limits)
        result = Result(running.schema, tuple(first), lane.tier, frame_ids_of(sources))
        self._results.put(key, result, seen)
        return Answer.of_result(result, index=index, limits=limits, cached=False)

    def _source(self, table: Table, call: Call) -> Source:
        if table.manifest is None or table.entry is None:
            return Source(table.name, (pb.FrameSlice(frame_id=table.frame_id),))
        if table.entry.WhichOneof("source") == "slices":
            slices = table.entry.slices
            values = binds.all_from_proto(table.manifest.binds)
            return Source(table.name, tuple(slices.frames), slices.clip, values)
        return Source(table.name, (pb.FrameSlice(frame_id=self._derived(table.manifest, table.entry, call)),))

    def _derived(self, manifest: pb.Manifest, entry: pb.ManifestTable, call: Call) -> str:
        """Return the id of a derived table's frame, computing it if it is not there."""
        frame_id = derived_frame_id(manifest, entry)
        if self._store.catalogue.find(frame_id) is None:
            with self._store.calm.disturbed():
                self._deriving.run(frame_id, lambda: self._derive(frame_id, manifest, entry, call), call.left_s())
        return frame_id

    def _derive(self, frame_id: str, manifest: pb.Manifest, entry: pb.ManifestTable, call: Call) -> Frame:
        present = self._store.catalogue.find(frame_id)
        if present is not None:
            return present
        call.check()
        before = {}
        for table in manifest.tables:
            if table.name == entry.name:
                break
            before[table.name] = Table(table.name, manifest=manifest, entry=table)
        select = check.select_of(entry.derived.sql, self._parse)
        sources = [self._source(before[name], call) for name in sorted(select.relations)]
        return self._deriver.derive(frame_id, manifest, entry, sources, call)

    def _promote(self, tables: Sequence[Table]) -> None:
        """Have DuckDB's own tables made of the derived frames that were asked for."""
        for table in tables:
            if table.derived is None:
                continue
            frame = self._store.catalogue.find(derived_frame_id(*table.derived))
            if frame is not None and self._native.lacks(frame):
                with self._store.open(frame.frame_id) as opened:
                    if isinstance(opened.copy, MappedCopy):
                        self._native.want(opened.frame, opened.copy)


def _least(asked: Limits, own: Limits) -> Limits:
    return Limits(
        row_count=min(asked.row_count or own.row_count, own.row_count),
        bytes=min(asked.bytes or own.bytes, own.bytes),
    )


def _taken(batches: Iterator[pa.RecordBatch], most_bytes: int) -> tuple[list[pa.RecordBatch], bool]:
    """Return the first batches up to a size, and whether these were all."""
    taken: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        taken.append(batch)
        size += batch.nbytes
        if size > most_bytes:
            return taken, False
    return taken, True
