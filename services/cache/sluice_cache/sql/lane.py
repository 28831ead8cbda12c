"""The relations that one request's statements share, made when the first of them has to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from sluice_cache.errors import UnreadRows
from sluice_cache.frames import TierKind
from sluice_cache.sql.answer import Running
from sluice_cache.sql.apart import Apart, Room
from sluice_cache.sql.call import Call
from sluice_cache.sql.database import Database
from sluice_cache.sql.place import Inside, Place, guarded, translated
from sluice_cache.sql.relations import Relations, Shelf, Source
from sluice_cache.sql.shared import Shared
from sluice_cache.sql.tables import Bound


@dataclass(frozen=True)
class Places:
    """Connections of this process, and processes apart.

    Attributes:
        shelf: with the DuckDB that derives tables and has tables of its own.
        narrow: the DuckDB of all other statements, which spills early: a rank over a large frame is to stay small.
        admit: called before a statement gets its place; raises MemoryPressure when there is no memory for more.
    """

    shelf: Shelf
    narrow: Database
    apart: Apart
    admit: Callable[[], None]

    @contextmanager
    def lease(self, room: Room | None, call: Call, *, wide: bool) -> Iterator[Place]:
        """Hold a place within the call's time; one with a room of its own is a process."""
        self.admit()
        if room is None:
            database = self.shelf.database if wide else self.narrow
            with database.lease(call.left_s()) as connection:
                yield Inside(connection, database.statement, has_native=wide, broke=database.doubt)
        else:
            with self.apart.lease(call.left_s(), room) as process:
                yield process


class Lane:
    """Where one request's statements run.

    Args:
        places: where they can.
        sources: what they read.
        room: of a process of their own; None runs them inside this one.
        call: their time and caller.
        derives: whether it makes a table that others read; that is done once and may take more memory.
    """

    def __init__(
        self, places: Places, sources: Sequence[Source], room: Room | None, call: Call, *, derives: bool = False
    ) -> None:
        self._places = places
        self._sources = sources
        self._derives = derives
        self._room = room
        self._call = call
        self._held = ExitStack()
        self._open: tuple[Place, Relations] | None = None
        self._shared: dict[int, Shared] = {}
        self._kept: set[str] = set()

    def share(self, statements: Sequence[Bound], shared: Sequence[Shared | None]) -> None:
        """Be told what statements have in common; it is made when the first of them runs, and gone with the lane."""
        found = zip(statements, shared, strict=False)
        self._shared = {id(statement): common for statement, common in found if common is not None}

    @property
    def held(self) -> bool:
        """Whether it keeps a place from others."""
        return self._open is not None

    @property
    def tier(self) -> TierKind:
        """Slowest tier that a source was read from."""
        return self._opened()[1].slowest

    def relations_with(self, column: str) -> list[str]:
        """Return the names of the sources that have a column."""
        return self._opened()[1].having(column)

    @contextmanager
    def run(self, bound: Bound) -> Iterator[Running]:
        """Begin one statement; it is read inside.

        Raises:
            CacheExpired: a file that it reads is broken; also from the reading.
            InvalidSql, MemoryPressure, QueryTimeout, Cancelled.
        """
        place, relations = self._opened()
        with self._unread(place, relations), self._call.bounding(place.stop), translated(place):
            try:
                reader = self._begun(place, bound)
            except duckdb.ConversionException:
                # A text that no value of an ENUM equals can be all there is to it; texts take any.
                if not relations.as_texts():
                    raise
                self._shared = {}
                reader = place.read(bound.select.sql, bound.values)
        running = Running(reader, place, self._call, lambda: self._examine(place, relations))
        try:
            yield running
        finally:
            running.close()

    def _begun(self, place: Place, bound: Bound) -> pa.RecordBatchReader:
        """Begin a statement, on tables of what it has in common with others where it has something."""
        shared = self._shared.get(id(bound))
        if shared is None or not isinstance(place, Inside):
            return place.read(bound.select.sql, bound.values)
        for name, group in shared.groups.items():
            if name not in self._kept:
                self._held.callback(place.drop, name)
                place.keep(name, group.sql, group.values)
                self._kept.add(name)
        return place.read(shared.sql, shared.values)

    def plan(self, bound: Bound) -> str:
        """Return DuckDB's plan of a statement as JSON."""
        place, relations = self._opened()
        with self._unread(place, relations), self._call.bounding(place.stop), translated(place):
            return place.plan(bound.select.sql, bound.values)

    def close(self) -> None:
        """Give the place back."""
        self._held.close()

    def _opened(self) -> tuple[Place, Relations]:
        if self._open is None:
            wide = self._derives or self._places.shelf.has_native(self._sources)
            place = self._held.enter_context(self._places.lease(self._room, self._call, wide=wide))
            relations = self._held.enter_context(Relations(place, self._places.shelf).held())
            with self._unread(place, relations), self._call.bounding(place.stop), guarded(place):
                for source in self._sources:
                    relations.add(source)
            self._open = (place, relations)
        return self._open

    @contextmanager
    def _unread(self, place: Place, relations: Relations) -> Iterator[None]:
        """Have rows that could not be read blamed on their file, where that is broken, and else on the statement."""
        try:
            yield
        except UnreadRows:
            self._examine(place, relations)
            raise

    def _examine(self, place: Place, relations: Relations) -> None:
        with self._call.bounding(place.stop), translated(place):
            relations.examine()
