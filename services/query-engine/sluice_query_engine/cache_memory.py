"""The cache in this process: what tests and a single-process setup use in place of the cache service.

It answers as the service does, without tiers, budgets or checks of the SQL.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp
from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import Cancelled, InvalidParameter, ServiceUnavailable
from sluice_rpc.ports import Clock

from sluice_query_engine.cache import Answers, FrameWriter
from sluice_query_engine.errors import CacheExpired, ChunkTooLarge

_BIND = re.compile(r"\$([a-z][a-z0-9_]*)")
Relations = dict[str, pa.Table]
Binds = dict[str, object]


class MemoryFrameCache:
    """Frames and manifests in dictionaries; `away` makes every call fail as if the process were down.

    Args:
        clock: tells live frames from expired ones.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._frames: dict[str, tuple[frames.Frame, pa.Table]] = {}
        self._manifests: dict[str, frames.Manifest] = {}
        self._derived: dict[tuple[str, int, str], pa.Table] = {}
        # Guards the dictionaries; statements run outside it.
        self._lock = threading.RLock()
        self.away = False

    def open_frame(self, frame_id: str, *, version: int, max_bytes: int, deadline_s: float) -> FrameWriter:
        self._check()
        return _MemoryWriter(self, frames.Frame(frame_id=frame_id, version=version), max_bytes)

    def read_frame(self, frame_id: str) -> Iterator[bytes]:
        self._check()
        table = self._frame(frame_id)[1]
        yield from arrow.encode(table.schema, table.to_batches())

    def list_frames(self, labels: Mapping[str, str]) -> list[frames.Frame]:
        self._check()
        now = self._clock.now()
        with self._lock:
            found = [
                frame
                for frame, _ in self._frames.values()
                if _utc(frame.keep_until_time) > now.timestamp()
                and all(frame.labels.get(key) == value for key, value in labels.items())
            ]
        return sorted(found, key=lambda frame: _utc(frame.read_time))

    def put_manifest(self, manifest: frames.Manifest) -> frames.Manifest:
        self._check()
        with self._lock:
            there = self._manifests.get(manifest.manifest_id)
            if there is not None and there.version > manifest.version:
                return there
            for frame_id in _frame_ids(manifest):
                frame, _ = self._frame(frame_id)
                if _utc(frame.keep_until_time) < _utc(manifest.keep_until_time):
                    frame.keep_until_time.CopyFrom(manifest.keep_until_time)
            self._manifests[manifest.manifest_id] = manifest
        return manifest

    def get_manifest(self, manifest_id: str) -> frames.Manifest | None:
        self._check()
        with self._lock:
            manifest = self._manifests.get(manifest_id)
        if manifest is None or _utc(manifest.keep_until_time) <= self._clock.now().timestamp():
            return None
        return manifest

    def run_query(self, request: sql.RunQueryRequest, *, deadline_s: float) -> Answers:
        return _MemoryAnswers(lambda: self._answer(request))

    def _answer(self, request: sql.RunQueryRequest) -> Iterator[sql.RunQueryResponse]:
        self._check()
        relations: Relations = {}
        binds: Binds = {}
        for source in request.sources:
            if source.WhichOneof("source") == "frame":
                relations[source.frame.name] = self._frame(source.frame.frame_id)[1]
                continue
            manifest = self.get_manifest(source.manifest_id)
            if manifest is None:
                raise CacheExpired(source.manifest_id)
            binds |= {name: _python(value) for name, value in manifest.binds.items()}
            relations |= self._tables(manifest)
        yield from _answers(request.statements, relations, binds)

    def close(self) -> None:
        with self._lock:
            self._frames.clear()

    def forget(self) -> None:
        """Lose everything, as a cache process with empty tiers would after a restart."""
        with self._lock:
            self._frames.clear()
            self._manifests.clear()

    def _keep(self, frame: frames.Frame, table: pa.Table) -> None:
        with self._lock:
            self._frames[frame.frame_id] = (frame, table)

    def _frame(self, frame_id: str) -> tuple[frames.Frame, pa.Table]:
        with self._lock:
            found = self._frames.get(frame_id)
        if found is None or _utc(found[0].keep_until_time) <= self._clock.now().timestamp():
            raise CacheExpired(frame_id)
        return found

    def _tables(self, manifest: frames.Manifest) -> Relations:
        binds = {name: _python(value) for name, value in manifest.binds.items()}
        relations: Relations = {}
        for table in manifest.tables:
            if table.WhichOneof("source") == "slices":
                relations[table.name] = self._sliced(table.slices, binds)
                continue
            key = (manifest.manifest_id, manifest.version, table.derived.sql)
            if key not in self._derived:
                self._derived[key] = _select(table.derived.sql, relations, binds)
            relations[table.name] = self._derived[key]
        return relations

    def _sliced(self, slices: frames.FrameSlices, binds: Binds) -> pa.Table:
        pieces = []
        for piece in slices.frames:
            table = _plain(self._frame(piece.frame_id)[1])
            where = [slices.clip or "true"]
            limits: Binds = {}
            relations = {"frame": table}
            if piece.HasField("ids"):
                where.append(_id_condition(piece.ids))
                relations["ids"] = self._frame(piece.ids.frame_id)[1]
            if piece.start:
                where.append(f'"{piece.column}" >= $slice_start::timestamp')
                limits["slice_start"] = piece.start
            if piece.end:
                where.append(f'"{piece.column}" < $slice_end::timestamp')
                limits["slice_end"] = piece.end
            condition = " and ".join(f"({term})" for term in where)
            pieces.append(_select(f"from frame where {condition}", relations, {**binds, **limits}))
        return pa.concat_tables(pieces)

    def _check(self) -> None:
        if self.away:
            raise ServiceUnavailable("cache")


class _MemoryAnswers:
    def __init__(self, answer: Callable[[], Iterator[sql.RunQueryResponse]]) -> None:
        self._answer = answer
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def __enter__(self) -> Iterator[sql.RunQueryResponse]:
        return self._responses()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def _responses(self) -> Iterator[sql.RunQueryResponse]:
        for response in self._answer():
            if self._cancelled:
                raise Cancelled("the statements were given up")
            yield response


class _MemoryWriter:
    def __init__(self, cache: MemoryFrameCache, frame: frames.Frame, max_bytes: int) -> None:
        self._cache = cache
        self._frame = frame
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._cancelled = False

    def write(self, piece: bytes) -> None:
        if self._cancelled:
            raise Cancelled("the frame was given up")
        self._cache._check()
        self._pieces.append(piece)
        self._frame.bytes += len(piece)
        if 0 < self._max_bytes < self._frame.bytes:
            raise ChunkTooLarge(self._max_bytes)

    def commit(self, trailer: frames.FrameTrailer) -> frames.Frame:
        if self._cancelled:
            raise Cancelled("the frame was given up")
        self._cache._check()
        with arrow.decode(self._pieces) as reader:
            table = reader.read_all()
        if table.num_rows != trailer.row_count:
            raise InvalidParameter("trailer.row_count", f"{table.num_rows} rows came, {trailer.row_count} were named")
        self._frame.row_count = trailer.row_count
        self._frame.labels.update(trailer.labels)
        self._frame.read_time.CopyFrom(trailer.read_time)
        self._frame.fresh_until_time.CopyFrom(trailer.fresh_until_time)
        self._frame.keep_until_time.CopyFrom(trailer.keep_until_time)
        self._frame.tier = table_pb2.TIER_MEMORY
        self._cache._keep(self._frame, table)
        return self._frame

    def cancel(self) -> None:
        self._cancelled = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pieces.clear()


def _answers(
    statements: Sequence[sql.SqlStatement], relations: Relations, binds: Binds
) -> Iterator[sql.RunQueryResponse]:
    for index, statement in enumerate(statements):
        own = {name: _python(value) for name, value in statement.binds.items()}
        table = _select(statement.sql, relations, {**binds, **own})
        yield sql.RunQueryResponse(header=sql.StatementHeader(statement_index=index))
        for piece in arrow.encode(table.schema, table.to_batches()):
            yield sql.RunQueryResponse(chunk=table_pb2.TableChunk(ipc=piece))
        yield sql.RunQueryResponse(done=sql.StatementDone(row_count=table.num_rows, tier=table_pb2.TIER_MEMORY))


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    # Opening one takes eight times as long as a small statement; what a cursor registers is its own.
    return duckdb.connect(config={"threads": 1})


def _select(text: str, relations: Mapping[str, pa.Table], binds: Mapping[str, object]) -> pa.Table:
    used = {name: binds[name] for name in dict.fromkeys(_BIND.findall(text))}
    with _database().cursor() as connection:
        for name, table in relations.items():
            connection.register(name, table)
        return connection.sql(text, params=used).to_arrow_table()


def _plain(table: pa.Table) -> pa.Table:
    """Return the table with dictionary columns decoded, so that tables of different frames concatenate."""
    fields = [
        pa.field(field.name, field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _id_condition(ids: frames.IdSelection) -> str:
    chosen = f"(select id from ids where number = {ids.number})"  # noqa: S608  # a number
    return (
        f'("{ids.column}" is null or "{ids.column}" not in {chosen})' if ids.exclude else f'"{ids.column}" in {chosen}'
    )


def _frame_ids(manifest: frames.Manifest) -> list[str]:
    slices = [piece for table in manifest.tables for piece in table.slices.frames]
    return [piece.frame_id for piece in slices] + [piece.ids.frame_id for piece in slices if piece.HasField("ids")]


def _python(value: bind_pb2.BindValue) -> object:
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind in ("string_list", "date_list"):
        return list(getattr(value, kind).values)
    return getattr(value, kind)


def _utc(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9
