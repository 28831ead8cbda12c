"""Makes derived tables: whole where that fits the memory of statements, else in passes (ADR 0032)."""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import structlog
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc.errors import QueryTimeout
from sluice_rpc.ports import Clock

from sluice_cache import binds, codec, files
from sluice_cache.errors import InvalidSql, MemoryPressure
from sluice_cache.frames import Frame, TierKind
from sluice_cache.sql.answer import Answer, Running
from sluice_cache.sql.call import Call
from sluice_cache.sql.division import Division, Share, bounds_sql, division_of, shares_of_ranges, shares_of_values
from sluice_cache.sql.lane import Lane, Places
from sluice_cache.sql.relations import Source
from sluice_cache.sql.tables import Bound, Statement, bound
from sluice_cache.tiers.memory import MappedCopy
from sluice_cache.tiers.opened import Ending

log = structlog.get_logger()

MEMORY_PER_BYTE: Final = 5
"""What a statement holds for each decoded byte that it reads: 4.2 to 4.4 measured, for two ranks and for one wide sort
of holds alike."""
MAX_PASS_COUNT: Final = 256


class PassTooLarge(MemoryPressure):
    """A pass did not fit the memory of statements; narrower ones may."""


@dataclass(frozen=True)
class DerivingRoom:
    """What deriving may take.

    Attributes:
        memory_bytes: memory of one pass inside the process.
        folder: where steps lie while they are read.
        disk_bytes: most bytes of one step.
    """

    memory_bytes: int
    folder: Path
    disk_bytes: int


@dataclass(frozen=True)
class _Work:
    """One table on its way."""

    frame_id: str
    manifest: pb.Manifest
    entry: pb.ManifestTable
    values: dict[str, binds.Bind]
    call: Call


class Deriver:
    """Makes derived tables and keeps them as frames.

    Args:
        places: where statements run, and the frames they read.
        clock: says until when derived frames are kept.
        room: what deriving may take.
    """

    def __init__(self, places: Places, clock: Clock, room: DerivingRoom) -> None:
        self._places = places
        self._store = places.shelf.store
        self._database = places.shelf.database
        self._clock = clock
        self._room = room
        # Held by who derives in passes: each pass is as large as the memory of all.
        self._turn = threading.Lock()

    def derive(
        self, frame_id: str, manifest: pb.Manifest, entry: pb.ManifestTable, sources: Sequence[Source], call: Call
    ) -> Frame:
        """Make the table of an entry out of the tables before it and return its frame.

        Raises:
            MemoryPressure: it does not fit, in however many passes.
            InvalidSql, CacheExpired, QueryTimeout, Cancelled.
        """
        work = _Work(frame_id, manifest, entry, binds.all_from_proto(manifest.binds), call)
        item = self._bound(work, entry.derived.sql, sources)
        division = division_of(entry.derived, self._database.parse, self._database.text_of)
        count = 1 if division is None else self._pass_count(item, sources)
        if division is None or count == 1:
            try:
                return self._kept(work, item, sources, [None])
            except PassTooLarge:
                if division is None:
                    raise
                count = 2
        with self._own_turn(call):
            return self._narrowed(work, division, sources, count)

    def _narrowed(self, work: _Work, division: Division, sources: Sequence[Source], count: int) -> Frame:
        """Derive in so many passes, in twice as many where one does not fit."""
        while True:
            log.info("derived in passes", frame_id=work.frame_id, table=work.entry.name, pass_count=count)
            try:
                return self._divided(work, division, sources, count)
            except PassTooLarge:
                if count >= MAX_PASS_COUNT:
                    raise
                count *= 2

    def _divided(self, work: _Work, division: Division, sources: Sequence[Source], count: int) -> Frame:
        with ExitStack() as held:
            known = list(sources)
            for step in division.steps:
                item = self._bound(work, step.sql, known)
                shares = shares_of_values(step.divide_by, count)
                known.append(held.enter_context(self._step(work, step.name, item, known, shares)))
            item = self._bound(work, division.sql, known)
            bounds = self._bounds(work, item, division.divide_by, known, count)
            return self._kept(work, item, known, shares_of_ranges(division.divide_by, bounds))

    def _kept(self, work: _Work, item: Bound, sources: Sequence[Source], shares: Sequence[Share | None]) -> Frame:
        """Run the passes and keep their rows, laid end to end, as the derived frame."""
        with self._passes(work, item, sources, shares) as (schema, batches):
            answer = Answer(schema, batches, index=0, tier=TierKind.MEMORY)
            encoder = codec.DictionaryEncoder(schema, work.entry.derived.dictionary_columns)
            keep_until = work.manifest.keep_until_time.ToDatetime(tzinfo=self._clock.now().tzinfo)
            labels = {"derived_from": work.manifest.manifest_id, "table": work.entry.name}
            frame, _ = self._store.put(
                work.frame_id,
                work.manifest.version,
                encoder.schema,
                (encoder.encode(batch) for batch in answer.batches()),
                lambda: Ending(answer.row_count, answer.bytes, labels, None, None, keep_until),
            )
            return frame

    @contextmanager
    def _step(
        self, work: _Work, name: str, item: Bound, sources: Sequence[Source], shares: Sequence[Share]
    ) -> Iterator[Source]:
        """Have a step's rows as a mapped file inside; its pages are the system's, like those of hot frames."""
        path = files.inside(self._room.folder, f"step.{secrets.token_hex(8)}{files.TEMP_SUFFIX}")
        try:
            with self._passes(work, item, sources, shares) as (schema, batches):
                self._write(path, schema, batches)
            yield Source(name, (), copy=(MappedCopy(*codec.map_stream(path)), path))
        finally:
            path.unlink(missing_ok=True)

    def _write(self, path: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        size = 0
        try:
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
                for batch in batches:
                    size += batch.nbytes
                    if size > self._room.disk_bytes:
                        raise MemoryPressure
                    writer.write_batch(batch)
        except OSError as error:
            log.warning("step not written", path=path.name, reason=str(error))
            raise MemoryPressure from error

    def _bounds(self, work: _Work, item: Bound, column: str, sources: Sequence[Source], count: int) -> list[binds.Bind]:
        """Return the bounds of so many ranges; none where no row has a value."""
        with closing(self._lane(work, item, sources, None)) as lane:
            relations = lane.relations_with(column)
            if not relations:
                raise InvalidSql(f"no table before it has a column {column!r}", field="divide_by")
            statement = Statement(bounds_sql(column, relations, count), {})
            with self._running(lane, bound(statement, relations, {}, self._database.parse)) as running:
                (row,) = pa.Table.from_batches(running.batches(), running.schema).to_pylist()
        return sorted(row["bounds"] or [])

    @contextmanager
    def _passes(
        self, work: _Work, item: Bound, sources: Sequence[Source], shares: Sequence[Share | None]
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """Run a statement once over each share inside; the rows of all passes come one after the other."""
        with ExitStack() as first:
            lane = first.enter_context(closing(self._lane(work, item, sources, shares[0])))
            running = first.enter_context(self._running(lane, item))

            def batches() -> Iterator[pa.RecordBatch]:
                yield from _fitting(running)
                first.close()
                for share in shares[1:]:
                    with (
                        closing(self._lane(work, item, sources, share)) as other,
                        self._running(other, item) as next_running,
                    ):
                        yield from _fitting(next_running)

            yield running.schema, batches()

    @contextmanager
    def _running(self, lane: Lane, item: Bound) -> Iterator[Running]:
        with ExitStack() as held:
            try:
                running = held.enter_context(lane.run(item))
            except MemoryPressure as error:
                raise PassTooLarge from error
            yield running

    def _lane(self, work: _Work, item: Bound, sources: Sequence[Source], share: Share | None) -> Lane:
        read = [replace(source, share=share) for source in sources if source.name in item.select.relations]
        room = None if item.plain else self._places.apart.room
        return Lane(self._places, read, room, work.call, derives=True)

    def _bound(self, work: _Work, sql: str, sources: Sequence[Source]) -> Bound:
        names = [source.name for source in sources]
        return bound(Statement(sql, work.values), names, work.values, self._database.parse)

    def _pass_count(self, item: Bound, sources: Sequence[Source]) -> int:
        frame_ids = {piece.frame_id for source in sources for piece in source.slices}
        found = [self._store.catalogue.find(frame_id) for frame_id in frame_ids]
        size = sum(frame.stored_bytes for frame in found if frame is not None)
        memory_bytes = self._room.memory_bytes if item.plain else self._places.apart.room.memory_bytes
        return min(MAX_PASS_COUNT, max(1, math.ceil(size * MEMORY_PER_BYTE / memory_bytes)))

    @contextmanager
    def _own_turn(self, call: Call) -> Iterator[None]:
        if not self._turn.acquire(timeout=call.left_s()):
            raise QueryTimeout("another large table was being derived all the time")
        try:
            call.check()
            yield
        finally:
            self._turn.release()


def _fitting(running: Running) -> Iterator[pa.RecordBatch]:
    try:
        yield from running.batches()
    except MemoryPressure as error:
        raise PassTooLarge from error
