"""Edges as frames of the cache: what this process read is there for others, and for itself after a restart.

Reading answers comes first: whatever the cache does, edges stay in memory and nothing here raises.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pyarrow as pa
import structlog
from sluice_rpc.errors import ServiceError
from sluice_rpc.ports import Clock, Ids

from sluice_lineage.edge_memory import Lifetimes, MemoryEdges
from sluice_lineage.edges import EdgeBatch, Relation
from sluice_lineage.graph import Nodes

log = structlog.get_logger()

KEY_COLUMN: Final = "asked_key"
"""Keys stand in rows of their own, behind the edges: a key without edges is knowledge too."""

ALL_SPLITS: Final = "all-splits"
ALL_MERGES: Final = "all-merges"
"""Topics of tables that were read whole."""

_AWAY_PAUSE_S: Final = 5.0
_MOST_WAITING: Final = 1024
"""Batches that wait to be put; past it new ones are not kept by others, which costs a statement later."""


@dataclass(frozen=True)
class ShelvedFrame:
    """A frame of edges, as the catalogue has it."""

    frame_id: str
    topic: str
    read_s: float


class Shelf(Protocol):
    """Where frames of edges are; every method raises `ServiceError` when that is away."""

    def listed(self, topic: str) -> Sequence[ShelvedFrame]:
        """Return the frames of a topic, oldest read first."""
        ...

    def take(self, frame_id: str) -> Any:
        """Return a frame as an Arrow table, None when it is gone."""
        ...

    def put(self, frame: ShelvedFrame, table: Any, life_s: float) -> None:
        """Keep a frame for so many seconds after it was read."""
        ...


def topic_of(batch: EdgeBatch) -> str:
    """Return under which topic a batch is found: its relation, or that it holds all merges or splits."""
    if batch.keys is not None:
        return batch.relation.value
    return ALL_SPLITS if batch.relation is Relation.CHILDREN else ALL_MERGES


def topics_for(relation: Relation) -> Sequence[str]:
    """Return the topics that tell of a relation; all merges tell of both directions."""
    whole = {Relation.CHILDREN: ALL_SPLITS, Relation.SOURCES: ALL_MERGES, Relation.TARGETS: ALL_MERGES}
    return [whole[relation], relation.value] if relation in whole else [relation.value]


def to_table(batch: EdgeBatch) -> Any:
    """Return a batch as one table: its rows, and behind them its keys."""
    rows = batch.rows.append_column(KEY_COLUMN, pa.nulls(batch.rows.num_rows, pa.string()))
    if batch.keys is None:
        return rows
    empty = {field.name: pa.nulls(len(batch.keys), field.type) for field in batch.rows.schema}
    keys = pa.table({**empty, KEY_COLUMN: batch.keys}, schema=rows.schema)
    return pa.concat_tables([rows, keys])


def from_table(table: Any, frame: ShelvedFrame) -> EdgeBatch:
    """Return the batch that was made a table."""
    asked = table.column(KEY_COLUMN)
    rows = table.drop_columns([KEY_COLUMN])
    if frame.topic in (ALL_SPLITS, ALL_MERGES):
        relation = Relation.CHILDREN if frame.topic == ALL_SPLITS else Relation.SOURCES
        return EdgeBatch(relation, rows, None, frame.read_s)
    keys = pa.concat_arrays([pa.array([], pa.string()), *asked.drop_null().chunks])
    return EdgeBatch(Relation(frame.topic), rows.filter(asked.is_null()), keys, frame.read_s)


class EdgeShelf:
    """Puts batches into frames in a thread of its own, small ones together.

    Args:
        shelf: where frames are.
        ids: names frames.
        lifetimes: how long edges may be reused. Those that move are kept as long again, for when the warehouse is away.
        wait_s: how long small batches wait for others, in seconds.
    """

    def __init__(self, shelf: Shelf, ids: Ids, lifetimes: Lifetimes, *, wait_s: float) -> None:
        self.shelf = shelf
        self._ids = ids
        self._lifetimes = lifetimes
        self._wait_s = wait_s
        # Guards what follows, and wakes the thread and whoever waits for it.
        self._changed = threading.Condition()
        self._waiting: list[tuple[EdgeBatch, set[str]]] = []
        self._putting = False
        self._urged = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="edge-shelf", daemon=True)

    def start(self) -> None:
        """Begin to put what is handed over."""
        self._thread.start()

    def keep(self, batch: EdgeBatch, seen: set[str]) -> None:
        """Hand a batch over; returns at once. The id of its frame is added to `seen` once it has one."""
        with self._changed:
            if len(self._waiting) >= _MOST_WAITING:
                log.warning("edges are not kept for others, too many wait", relation=batch.relation)
                return
            self._waiting.append((batch, seen))
            self._changed.notify_all()

    def flush(self) -> None:
        """Return once everything handed over so far was put, or could not be."""
        with self._changed:
            self._urged = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._putting)
            self._urged = False

    def close(self) -> None:
        """Put what waits and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                self._changed.wait_for(lambda: self._urged or self._closed, self._wait_s)
                taken, self._waiting = self._waiting, []
                self._putting = True
                ended = self._closed
            for topic in dict.fromkeys(topic_of(batch) for batch, _ in taken):
                self._put(topic, [pair for pair in taken if topic_of(pair[0]) == topic])
            with self._changed:
                self._putting = False
                self._changed.notify_all()
                if ended and not self._waiting:
                    return

    def _put(self, topic: str, pairs: Sequence[tuple[EdgeBatch, set[str]]]) -> None:
        whole = topic in (ALL_SPLITS, ALL_MERGES)
        # Of two that hold everything the later one does.
        batches = [batch for batch, _ in pairs][-1 if whole else 0 :]
        table = pa.concat_tables([to_table(batch) for batch in batches])
        frame = ShelvedFrame(f"edges-{topic}-{self._ids.new()}", topic, min(batch.read_s for batch in batches))
        for _, seen in pairs:
            seen.add(frame.frame_id)
        settled = topic == Relation.LOTS
        life_s = self._lifetimes.settled_s if settled else 2 * self._lifetimes.moving_s
        try:
            self.shelf.put(frame, table, life_s)
        except ServiceError as error:
            log.warning("edges are not kept for others", topic=topic, code=error.reason)


class FrameEdges(MemoryEdges):
    """Edges in memory that are put into frames as well, and filled from those of others.

    Args:
        lifetimes: when keys have to be read again.
        shelf: what puts frames.
        clock: tells when a shelf that was away may be asked again.
    """

    def __init__(self, lifetimes: Lifetimes, shelf: EdgeShelf, clock: Clock) -> None:
        super().__init__(lifetimes)
        self._shelf = shelf
        self._clock = clock
        self._seen: set[str] = set()
        self._away_until = 0.0

    def add(self, batch: EdgeBatch) -> None:
        super().add(batch)
        self._shelf.keep(batch, self._seen)

    def fill(self, relation: Relation, keys: Nodes, now_s: float) -> int:
        if self._clock.monotonic() < self._away_until:
            return 0
        try:
            return sum(self._fill_from(topic) for topic in topics_for(relation))
        except ServiceError as error:
            # The warehouse answers as well; asking again for each look-up of a request would add up.
            self._away_until = self._clock.monotonic() + _AWAY_PAUSE_S
            log.warning("kept edges of others cannot be read", relation=relation, code=error.reason)
            return 0

    def _fill_from(self, topic: str) -> int:
        count = 0
        for frame in self._shelf.shelf.listed(topic):
            if frame.frame_id in self._seen:
                continue
            table = self._shelf.shelf.take(frame.frame_id)
            self._seen.add(frame.frame_id)
            if table is not None:
                super().add(from_table(table, frame))
                count += 1
        return count
