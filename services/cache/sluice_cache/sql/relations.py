"""Turns frames and manifest tables into relations of the place that statements run in, and takes them away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as pb

from sluice_cache import binds
from sluice_cache.binds import Bind, identifier, quoted
from sluice_cache.errors import CacheExpired, InvalidSql
from sluice_cache.frames import Frame, TierKind
from sluice_cache.sql import check
from sluice_cache.sql.database import Database
from sluice_cache.sql.division import Share
from sluice_cache.sql.native import NativeTables
from sluice_cache.sql.place import BROKEN, CopyGone, Place
from sluice_cache.sql.unpacked import Unpacked
from sluice_cache.tiers.memory import MappedCopy
from sluice_cache.tiers.opened import Opened
from sluice_cache.tiers.read_through import FrameStore
from sluice_cache.tiers.spool import SpoolCopy


@dataclass(frozen=True)
class Source:
    """A relation that a statement may read: rows of one frame, or slices of several under one clip.

    Attributes:
        share: which of its rows; None for all.
        copy: a mapped file that is no frame, with its path, in place of slices.
    """

    name: str
    slices: tuple[pb.FrameSlice, ...]
    clip: str = ""
    values: Mapping[str, Bind] | None = None
    share: Share | None = None
    copy: tuple[MappedCopy, Path] | None = None


@dataclass(frozen=True)
class Shelf:
    """Where relations come from: the frames, DuckDB's own tables of some, and the files of hot and unpacked ones."""

    database: Database
    store: FrameStore
    native: NativeTables
    hot_dir: Path
    unpacked: Unpacked

    def has_native(self, sources: Sequence[Source]) -> bool:
        """Return whether every frame of the sources is one of DuckDB's own tables."""
        found = [self.store.catalogue.find(item.frame_id) for source in sources for item in source.slices]
        return bool(found) and all(frame is not None and self.native.has(frame) for frame in found)


class Relations:
    """The relations of one request."""

    def __init__(self, place: Place, shelf: Shelf) -> None:
        self._place = place
        self._database = shelf.database
        self._store = shelf.store
        self._native = shelf.native
        self._hot_dir = shelf.hot_dir
        self._unpacked = shelf.unpacked
        self._held = ExitStack()
        self._sources: list[Source] = []
        self._columns: dict[str, list[str]] = {}
        self._registered: list[str] = []
        self._wanted: list[Frame] = []
        self._in_place: list[tuple[Opened, str]] = []
        self._ids: dict[str, str] = {}
        self._use_native = place.has_native
        self._native_count = 0
        self.slowest = TierKind.MEMORY

    @contextmanager
    def held(self) -> Iterator[Relations]:
        """Keep the frames open and the names there until left."""
        with self._held:
            try:
                yield self
            finally:
                self._drop_views()
                for name in self._registered:
                    self._place.unmap(name)
                # Not while they are read: what unpacking takes is not to come on top of what a statement takes.
                for frame in self._wanted:
                    self._unpacked.want(frame)

    def add(self, source: Source) -> None:
        """Make a source readable under its name.

        Raises:
            CacheExpired: a frame is gone.
            InvalidSql: the frames do not share a schema, or the range or clip does not fit it.
        """
        first: pa.Schema | None = None
        parts = []
        name = source.name if _is_bare(source) else ""
        for item in source.slices:
            schema, relation = self._frame(item.frame_id, name)
            if relation == source.name:
                self._columns[source.name] = schema.names
                return
            first = first or schema
            if schema.names != first.names:
                raise InvalidSql(f"frames of {source.name!r} do not share a schema", field="slices")
            parts.append(_part(relation, first.names, item, self._ids_of(item)))
        if source.copy is not None:
            first = source.copy[0].schema
            parts.append(f"select * from {self._mapped(*source.copy)}")  # noqa: S608  # our own name
        columns = [] if first is None else first.names
        conditions = [self._clip(source)] if source.clip else []
        if source.share is not None and source.share.column in columns:
            conditions.append(source.share.condition)
        text = " union all ".join(parts)
        if conditions:
            text = f"select * from ({text}) where {' and '.join(conditions)}"  # noqa: S608  # from a checked tree
        self._place.view(source.name, text)
        self._columns[source.name] = columns
        self._sources.append(source)

    def having(self, column: str) -> list[str]:
        """Return the names of the sources that have a column."""
        return [name for name, columns in self._columns.items() if column in columns]

    def as_texts(self) -> bool:
        """Read ENUM columns as the texts they stand for from now on; False when that is so already."""
        if not self._native_count:
            return False
        self._drop_views()
        sources, self._sources = self._sources, []
        self._use_native, self._native_count, self._ids = False, 0, {}
        for source in sources:
            self.add(source)
        return True

    def examine(self) -> None:
        """Give up a frame whose file DuckDB cannot read to its end, asked for nothing but its rows.

        Raises:
            CacheExpired: there was one, and it had no other copy.
            StatementLost: there was one, and another copy answers the next try.
        """
        for opened, relation in self._in_place:
            fault = self._fault_of(relation)
            if fault is not None:
                self._store.give_up(opened, fault)

    def _fault_of(self, relation: str) -> Exception | None:
        try:
            with self._place.read(f"select * from {relation}", {}) as reader:  # noqa: S608  # our own text
                for _ in reader:
                    pass
                self._place.finish()
        except (duckdb.InterruptException, duckdb.OutOfMemoryException, MemoryError, *BROKEN):
            raise
        except (duckdb.Error, pa.ArrowException, InvalidSql) as error:
            return error
        return None

    def _drop_views(self) -> None:
        for source in self._sources:
            self._place.drop_view(source.name)

    def _frame(self, frame_id: str, name: str = "") -> tuple[pa.Schema, str]:
        """Open a frame and return its schema and the relation that reads it: under `name` if it is mapped as it is.

        Raises:
            CacheExpired: it is gone.
        """
        try:
            return self._opened(frame_id, name)
        except CopyGone:
            # Moved down a tier in this moment; the next copy is there.
            try:
                return self._opened(frame_id, name)
            except CopyGone:
                raise CacheExpired("frame", frame_id) from None

    def _opened(self, frame_id: str, name: str) -> tuple[pa.Schema, str]:
        opened = self._held.enter_context(self._store.open(frame_id))
        self.slowest = max(self.slowest, opened.found_in)
        native = self._held.enter_context(self._native.pinned(opened.frame))
        if native is not None and self._use_native:
            self._native_count += 1
            return opened.copy.schema, native
        if isinstance(opened.copy, MappedCopy):
            return opened.copy.schema, self._mapped(opened.copy, self._path(opened), name)
        unpacked = self._unpacked.find(opened.frame)
        if unpacked is not None:
            return opened.copy.schema, self._mapped(*unpacked, name)
        self._wanted.append(opened.frame)
        relation = _spooled(opened.copy)
        self._in_place.append((opened, relation))
        return opened.copy.schema, relation

    def _mapped(self, copy: MappedCopy, path: Path, name: str = "") -> str:
        name = name or _hidden(len(self._registered))
        self._place.map(name, copy, path)
        self._registered.append(name)
        return name

    def _path(self, opened: Opened) -> Path:
        return self._hot_dir / opened.frame.copies.get(TierKind.MEMORY, "")

    def _ids_of(self, item: pb.FrameSlice) -> str:
        """Return the condition that keeps the rows of the slice's ids; empty when it has none."""
        if not item.HasField("ids"):
            return ""
        if item.ids.frame_id not in self._ids:
            schema, relation = self._frame(item.ids.frame_id)
            if not {"id", "number"} <= set(schema.names):
                raise InvalidSql(f"frame {item.ids.frame_id!r} holds no ids", field="ids")
            self._ids[item.ids.frame_id] = relation
        column, relation = identifier(item.ids.column), self._ids[item.ids.frame_id]
        ids = f"(select id from {relation} where number = {int(item.ids.number)})"  # noqa: S608  # a number, our name
        return f"({column} is null or {column} not in {ids})" if item.ids.exclude else f"{column} in {ids}"

    def _clip(self, source: Source) -> str:
        values = source.values or {}
        tree = check.expression_of(source.clip, self._database.parse)
        filled = check.with_values(tree, _literal_of(self._database.parse, values))
        text = self._database.text_of(filled)
        # The tree is `select <clip>`; what follows its keyword is the clip again, values in place.
        return f"({text.removeprefix('SELECT ')})"


def _is_bare(source: Source) -> bool:
    """Return whether a relation is one frame and all of its rows, so that it needs no view of its own."""
    whole = len(source.slices) == 1 and source.slices[0] == pb.FrameSlice(frame_id=source.slices[0].frame_id)
    return whole and not source.clip and source.share is None and source.copy is None


def _literal_of(parse: check.Parse, values: Mapping[str, Bind]) -> Callable[[str], check.Node]:
    def node(name: str) -> check.Node:
        if name not in values:
            raise InvalidSql(f"${name} is not bound by the manifest", field="clip")
        select = parse(f"select {binds.literal(values[name])}")["statements"][0]["node"]
        literal: check.Node = select["select_list"][0]
        return literal

    return node


def _part(relation: str, columns: list[str], item: pb.FrameSlice, ids: str) -> str:
    listed = ", ".join(identifier(column) for column in columns)
    bounds = []
    if item.start:
        bounds.append(f"{identifier(item.column)} >= {binds.literal(binds.timestamp(item.start))}")
    if item.end:
        bounds.append(f"{identifier(item.column)} < {binds.literal(binds.timestamp(item.end))}")
    bounds += [ids] if ids else []
    where = f" where {' and '.join(bounds)}" if bounds else ""
    return f"select {listed} from {relation}{where}"  # noqa: S608  # quoted names, typed literals


def _spooled(copy: SpoolCopy) -> str:
    # Parquet has no seconds: without the cast a column's type would depend on the tier it was read from.
    seconds = [field.name for field in copy.schema if field.type.equals(pa.timestamp("s"))]
    casts = ", ".join(f"{identifier(name)}::timestamp_s as {identifier(name)}" for name in seconds)
    kept = f"* replace ({casts})" if casts else "*"
    return f"(select {kept} from read_parquet({quoted(str(copy.path.resolve()))}))"  # noqa: S608  # our own path


def _hidden(number: int) -> str:
    # Begins with an underscore, which no relation of a caller may.
    return f"_frame_{number}"
