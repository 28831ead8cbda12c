"""Runs checked statements over sources: relations made once per request, one table per statement, streamed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb
from sluice_rpc import arrow
from sluice_rpc.errors import Cancelled, InvalidParameter, QueryTimeout
from sluice_rpc.ports import Clock

from sluice_cache import binds, codec
from sluice_cache.binds import Bind
from sluice_cache.errors import InvalidSql, MemoryPressure, ResultTooLarge
from sluice_cache.flight import SingleFlight
from sluice_cache.frames import Frame, TierKind
from sluice_cache.manifests import derived_frame_id
from sluice_cache.sql import check
from sluice_cache.sql.database import Database
from sluice_cache.sql.native import NativeTables
from sluice_cache.sql.relations import Relations, Source
from sluice_cache.tiers.memory import MappedCopy
from sluice_cache.tiers.read_through import Ending, FrameStore

_INTERRUPT_PAUSE_S = 0.05


@dataclass(frozen=True)
class Statement:
    """One SELECT and its values."""

    sql: str
    values: Mapping[str, Bind]


class Call:
    """Time and caller of one request; leaves through `Interrupt` when either is gone."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + timeout_s
        self._cancelled = threading.Event()
        # Guards the list, and that an interrupt never reaches a connection that was given back.
        self._lock = threading.Lock()
        self._running: dict[duckdb.DuckDBPyConnection, threading.Event] = {}

    def left_s(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self._end - self._clock.monotonic())

    def cancel(self) -> None:
        """Stop what runs for this call; harmless once it has ended."""
        self._cancelled.set()
        with self._lock:
            running = list(self._running.values())
        for ended in running:
            threading.Thread(target=self._interrupt_until, args=(ended,), daemon=True).start()

    def check(self) -> None:
        """Raise when nobody waits any more or time is up."""
        if self._cancelled.is_set():
            raise Cancelled("the caller went away")
        if self.left_s() <= 0.0:
            raise QueryTimeout("the statement ran out of time")

    @contextmanager
    def bounding(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupt the connection when time is up or the caller leaves."""
        ended = threading.Event()
        with self._lock:
            self._running[connection] = ended
        timer = threading.Timer(self.left_s(), self._interrupt_until, (ended,))
        timer.daemon = True
        timer.start()
        try:
            self.check()
            yield
        except duckdb.InterruptException:
            self.check()
            raise QueryTimeout("the statement was interrupted") from None
        finally:
            timer.cancel()
            ended.set()
            with self._lock:
                del self._running[connection]

    def _interrupt_until(self, ended: threading.Event) -> None:
        # DuckDB forgets an interrupt that comes between two steps of a statement, so one is not enough.
        while not ended.is_set():
            self._interrupt()
            ended.wait(_INTERRUPT_PAUSE_S)

    def _interrupt(self) -> None:
        with self._lock:
            for connection in self._running:
                connection.interrupt()


class Answer:
    """The table of one statement; its batches can be read once, and are counted and timed while they are."""

    def __init__(
        self,
        reader: pa.RecordBatchReader,
        connection: duckdb.DuckDBPyConnection,
        call: Call,
        *,
        index: int,
        tier: TierKind,
        limit: int,
    ) -> None:
        self.index = index
        self.schema = codec.wire_schema(reader.schema)
        self.tier = tier
        self.row_count = 0
        self.bytes = 0
        self._reader = reader
        self._connection = connection
        self._call = call
        self._limit = limit

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches in wire types.

        Raises:
            ResultTooLarge, InvalidSql, QueryTimeout, Cancelled, MemoryPressure.
        """
        while (batch := self._next()) is not None:
            self.row_count += batch.num_rows
            self.bytes += batch.nbytes
            if 0 < self._limit < self.row_count:
                raise ResultTooLarge("rows", self._limit, self.row_count)
            yield codec.to_wire(batch, self.schema)

    def close(self) -> None:
        """Let the connection go, read to the end or not."""
        self._reader.close()

    def _next(self) -> pa.RecordBatch | None:
        with self._call.bounding(self._connection), _translated():
            return next(self._reader, None)


class Runner:
    """SQL over the frames of a store.

    Args:
        database: the locked DuckDB.
        store: the frames.
        native: tables of hot derived frames.
        clock: measures what statements take.
        max_row_count: rows of one table when the caller names no limit.
    """

    def __init__(
        self, database: Database, store: FrameStore, native: NativeTables, clock: Clock, max_row_count: int
    ) -> None:
        self._database = database
        self._store = store
        self._native = native
        self._clock = clock
        self._max_row_count = max_row_count
        self._deriving: SingleFlight[Frame] = SingleFlight()

    def run(
        self,
        frames: Mapping[str, str],
        manifests: Sequence[pb.Manifest],
        statements: Sequence[Statement],
        call: Call,
        max_row_count: int = 0,
    ) -> Iterator[Answer]:
        """Yield one answer per statement, in order; each must be read to its end before the next is taken.

        Args:
            frames: frame ids by relation name.
            manifests: all their tables are relations, their values are bound.
            statements: checked here.
            call: deadline and cancellation.
            max_row_count: rows of one table; 0 takes the process's own limit.

        Raises:
            InvalidSql, CacheExpired, ResultTooLarge, QueryTimeout, Cancelled, MemoryPressure.
        """
        tables = _tables(frames, manifests)
        values: dict[str, Bind] = {}
        for manifest in manifests:
            values.update(binds.all_from_proto(manifest.binds))
        selects = [self._checked(statement, tables, values) for statement in statements]
        limit = min(max_row_count or self._max_row_count, self._max_row_count)
        needed = sorted({name for select, _ in selects for name in select.relations})
        # What must be computed first takes connections of its own, so it comes before this call's is leased.
        sources = [self._source(tables[name], call) for name in needed]
        with self._database.lease(call.left_s()) as connection, self._relations(connection).held() as relations:
            with call.bounding(connection):
                for source in sources:
                    relations.add(source)
            for index, (select, bound) in enumerate(selects):
                ran = self._answer(connection, relations, select.sql, bound, call, index=index, limit=limit)
                with ran as answer:
                    yield answer
            self._promote(tables, needed)

    def _relations(self, connection: duckdb.DuckDBPyConnection) -> Relations:
        return Relations(connection, self._database, self._store, self._native)

    def _checked(
        self, statement: Statement, tables: Mapping[str, _Table], values: Mapping[str, Bind]
    ) -> tuple[check.Select, dict[str, Bind]]:
        select = check.select_of(statement.sql, self._database.parse)
        check.require_known(select, tables)
        known = {**values, **statement.values}
        missing = sorted(select.binds - known.keys())
        if missing:
            raise InvalidSql(f"${missing[0]} is not bound", field="binds")
        return select, {name: known[name] for name in select.binds}

    def _source(self, table: _Table, call: Call) -> Source:
        if table.frame_id:
            return Source(table.name, (pb.FrameSlice(frame_id=table.frame_id),))
        assert table.manifest is not None and table.entry is not None
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
            before[table.name] = _Table(table.name, manifest=manifest, entry=table)
        values = binds.all_from_proto(manifest.binds)
        select, bound = self._checked(Statement(entry.derived.sql, values), before, values)
        sources = [self._source(before[name], call) for name in sorted(select.relations)]
        with self._database.lease(call.left_s()) as connection, self._relations(connection).held() as relations:
            with call.bounding(connection):
                for source in sources:
                    relations.add(source)
            with self._answer(connection, relations, select.sql, bound, call) as answer:
                return self._keep(frame_id, manifest, entry, answer)

    def _keep(self, frame_id: str, manifest: pb.Manifest, entry: pb.ManifestTable, answer: Answer) -> Frame:
        encoder = codec.DictionaryEncoder(answer.schema, entry.derived.dictionary_columns)
        keep_until = manifest.keep_until_time.ToDatetime(tzinfo=self._clock.now().tzinfo)
        labels = {"derived_from": manifest.manifest_id, "table": entry.name}
        frame, _ = self._store.put(
            frame_id,
            manifest.version,
            encoder.schema,
            (encoder.encode(batch) for batch in answer.batches()),
            lambda: Ending(answer.row_count, answer.bytes, labels, None, None, keep_until),
        )
        return frame

    @contextmanager
    def _answer(
        self,
        connection: duckdb.DuckDBPyConnection,
        relations: Relations,
        sql: str,
        bound: dict[str, Bind],
        call: Call,
        *,
        index: int = 0,
        limit: int = 0,
    ) -> Iterator[Answer]:
        """Run one statement; its answer is read inside."""
        with call.bounding(connection), _translated():
            try:
                reader = _read(connection, sql, bound)
            except duckdb.ConversionException:
                # A text that no value of an ENUM equals can be all there is to it; texts take any.
                if not relations.as_texts():
                    raise
                reader = _read(connection, sql, bound)
        answer = Answer(reader, connection, call, index=index, tier=relations.slowest, limit=limit)
        try:
            yield answer
        finally:
            answer.close()

    def _promote(self, tables: Mapping[str, _Table], needed: Sequence[str]) -> None:
        for name in needed:
            table = tables[name]
            if table.manifest is None or table.entry is None or table.entry.WhichOneof("source") != "derived":
                continue
            frame = self._store.catalogue.find(derived_frame_id(table.manifest, table.entry))
            if frame is not None:
                with self._store.open(frame.frame_id) as opened:
                    if isinstance(opened.copy, MappedCopy):
                        self._native.want(opened.frame, opened.copy)


@dataclass(frozen=True)
class _Table:
    """A relation by its name: a frame, or a table of a manifest."""

    name: str
    frame_id: str = ""
    manifest: pb.Manifest | None = None
    entry: pb.ManifestTable | None = None


def _tables(frames: Mapping[str, str], manifests: Sequence[pb.Manifest]) -> dict[str, _Table]:
    tables = {name: _Table(name, frame_id=frame_id) for name, frame_id in frames.items()}
    for manifest in manifests:
        for entry in manifest.tables:
            if entry.name in tables:
                raise InvalidParameter("sources", f"two sources are named {entry.name!r}")
            tables[entry.name] = _Table(entry.name, manifest=manifest, entry=entry)
    return tables


def _read(connection: duckdb.DuckDBPyConnection, sql: str, bound: dict[str, Bind]) -> pa.RecordBatchReader:
    return connection.sql(sql, params=bound or None).to_arrow_reader(arrow.BATCH_ROW_COUNT)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what DuckDB raises for a caller's statement into our errors."""
    try:
        yield
    except duckdb.InterruptException:
        raise
    except duckdb.OutOfMemoryException as error:
        raise MemoryPressure from error
    except (duckdb.Error, pa.ArrowException) as error:
        raise InvalidSql(str(error).partition("\n")[0][:300]) from error
