"""What people typed, resolved: which containers each value means, read from the warehouse.

A thousand exact values or ten patterns are one statement under one permit of the slow lane, per kind of name. Rows are
held as Arrow columns, some eighty bytes each; no Python object per row is made. How long answers are kept is not its
business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sluice_warehouse import Bind, Reading, Statement, Tag
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.schema import parse_schema
from sluice_warehouse.statements import MAX_ID_COUNT, expand_ids, id_binds

from sluice_lineage.callers import Caller
from sluice_lineage.containers.kinds import PATTERN_BIND_COUNT, Kind, Source
from sluice_lineage.containers.values import WILDCARD, is_pattern, like_pattern
from sluice_lineage.errors import TooManyContainers

Counts = npt.NDArray[np.int64]

ROWS_SCHEMA: Final = pa.schema(
    {
        "position": pa.int32(),
        "container_id": pa.string(),
        "lot_id": pa.string(),
        "spec_name": pa.dictionary(pa.int32(), pa.string()),
        "qty": pa.float64(),
        "match_source": pa.dictionary(pa.int32(), pa.string()),
    }
)
"""Rows of a resolution; `position` is that of the value among those resolved."""

FOUND_SCHEMA: Final = parse_schema(
    {
        "container_id": "string",
        "lot_id": "string",
        "matched": "string",
        "spec_name": "dictionary<string>",
        "qty": "float64",
    }
)
"""What every statement yields."""


@dataclass(frozen=True)
class Resolution:
    """Which containers values mean.

    Attributes:
        names: the values, as looked up.
        rows: of `ROWS_SCHEMA`, each pair of value and container once: by position, priority of source, lot, id.
        statement_count: statements it took.
        warehouse_row_count: rows they yielded.
        unsearched_count: values not found of a kind whose case does not matter that were too many to be looked for in
            any case.
    """

    names: Sequence[str]
    rows: pa.Table
    statement_count: int = 0
    warehouse_row_count: int = 0
    unsearched_count: int = 0

    def counts(self) -> Counts:
        """Return the number of containers of each value."""
        return _counts(self.rows.column("position"), len(self.names))


class Containers:
    """Resolves values over the slow lane.

    Args:
        lane: where statements run.
        max_row_count: most rows of one resolution.
        any_case_max_count: most values not found that are looked for in any case, which reads a whole table.
    """

    def __init__(self, lane: SlowLane, *, max_row_count: int, any_case_max_count: int) -> None:
        self._lane = lane
        self._max_row_count = max_row_count
        self._any_case_max_count = any_case_max_count

    def resolve(self, kind: Kind, names: Sequence[str], caller: Caller) -> Resolution:
        """Return the containers that the values mean.

        Args:
            kind: what the values are.
            names: checked values as they are looked up, each once; none take no statement.
            caller: for whom, and how long.

        Raises:
            TooManyContainers: more rows than one resolution holds.
            Everything that `SlowLane.read` and its readings raise.
        """
        search = _Search(names, self._max_row_count)
        positions = range(len(names))
        for priority, source in enumerate(kind.sources):
            self._look_up(source, priority, positions, search, caller)
        unsearched_count = 0
        if kind.any_case is not None:
            missing = np.flatnonzero(search.counts() == 0).tolist()
            if len(missing) <= self._any_case_max_count:
                self._look_up(kind.any_case, len(kind.sources), missing, search, caller)
            else:
                unsearched_count = len(missing)
        sources = [*kind.sources, *([kind.any_case] if kind.any_case else [])]
        rows = _ordered(search.table(), [source.match_source for source in sources])
        return Resolution(names, rows, search.statement_count, search.row_count, unsearched_count)

    def _look_up(
        self, source: Source, priority: int, positions: Sequence[int], search: _Search, caller: Caller
    ) -> None:
        exact = [position for position in positions if not is_pattern(search.names[position])]
        patterns = [position for position in positions if is_pattern(search.names[position])]
        for batch in _batches(exact, MAX_ID_COUNT):
            names = [search.names[position] for position in batch]
            statement = _of_names(source.exact, len(names))
            binds = {**id_binds("tokens", names), **source.binds}
            with self._reading(statement, binds, search, caller) as reading:
                for found in reading:
                    search.take_exact(found, batch, priority, folded=source.folded)
        for batch in _batches(patterns, PATTERN_BIND_COUNT):
            binds = {**_pattern_binds([search.names[position] for position in batch]), **source.binds}
            with self._reading(source.like, binds, search, caller) as reading:
                for found in reading:
                    search.take_like(found, batch, priority, folded=source.folded)

    @contextmanager
    def _reading(
        self, statement: Statement, binds: Mapping[str, Bind], search: _Search, caller: Caller
    ) -> Iterator[Reading]:
        search.statement_count += 1
        tag = Tag("sluice-lineage", f"resolve {statement.name}", caller.client_id)
        withdrawn = caller.withdrawal.event
        with (
            self._lane.read(
                statement, binds, schema=FOUND_SCHEMA, deadline_s=caller.left_s, tag=tag, withdrawn=withdrawn
            ) as reading,
            caller.withdrawal.cancels(reading),
        ):
            yield reading


class _Search:
    """What was found so far."""

    def __init__(self, names: Sequence[str], max_row_count: int) -> None:
        self.names = names
        self.statement_count = 0
        self.row_count = 0
        self._max_row_count = max_row_count
        self._kept_count = 0
        self._batches: list[pa.RecordBatch] = []

    def take_exact(self, found: pa.RecordBatch, batch: Sequence[int], priority: int, *, folded: bool) -> None:
        """Take in rows found by a list of names."""
        self.row_count += found.num_rows
        wanted = pa.array([self.names[position] for position in batch], pa.string())
        index = pc.index_in(_compared(found, folded), value_set=wanted)
        self._keep(found, pc.take(pa.array(batch, pa.int32()), index), priority)

    def take_like(self, found: pa.RecordBatch, batch: Sequence[int], priority: int, *, folded: bool) -> None:
        """Take in rows found by patterns; a row that several patterns match is one row of each."""
        self.row_count += found.num_rows
        matched = _compared(found, folded)
        for position in batch:
            fits = _fits(matched, self.names[position])
            count = found.num_rows
            self._keep(found, pc.if_else(fits, pa.repeat(pa.scalar(position, pa.int32()), count), None), priority)

    def counts(self) -> Counts:
        """Return how often each value was found."""
        return _counts(self.table().column("position"), len(self.names))

    def table(self) -> pa.Table:
        """Return what was found, with `priority` in place of `match_source`, in no order."""
        return pa.Table.from_batches(self._batches, _KEPT_SCHEMA)

    def _keep(self, found: pa.RecordBatch, positions: pa.Array, priority: int) -> None:
        columns = [
            positions,
            *(found.column(name) for name in ("container_id", "lot_id", "spec_name", "qty")),
            pa.repeat(pa.scalar(priority, pa.int8()), found.num_rows),
        ]
        kept = pa.RecordBatch.from_arrays(columns, schema=_KEPT_SCHEMA)
        kept = kept.filter(pc.and_(pc.is_valid(positions), pc.is_valid(found.column("container_id"))))
        self._kept_count += kept.num_rows
        if self._kept_count > self._max_row_count:
            fix = "narrow the patterns or ask for fewer values"
            raise TooManyContainers(self._max_row_count, self._kept_count, fix)
        if kept.num_rows:
            self._batches.append(kept)


_KEPT_SCHEMA: Final = pa.schema(
    [field for field in ROWS_SCHEMA if field.name != "match_source"] + [pa.field("priority", pa.int8())]
)


def ordered_by_position(rows: pa.Table) -> pa.Table:
    """Return rows of `ROWS_SCHEMA` by position; rows of one value stay as they stand."""
    return rows.take(pc.sort_indices(rows, sort_keys=[("position", "ascending")]))


def _ordered(found: pa.Table, match_sources: Sequence[str]) -> pa.Table:
    """Return rows of `ROWS_SCHEMA`, each pair of value and container once, under its best source."""
    keys = [("position", "ascending"), ("container_id", "ascending"), ("priority", "ascending")]
    found = found.unify_dictionaries().combine_chunks()
    sorted_rows = found.take(pc.sort_indices(found, sort_keys=keys))
    once = sorted_rows.filter(_first_of_pair(sorted_rows))
    keys = [
        ("position", "ascending"),
        ("priority", "ascending"),
        ("lot_id", "ascending"),
        ("container_id", "ascending"),
    ]
    rows = once.take(pc.sort_indices(once, sort_keys=keys))
    sources = pa.array(match_sources, pa.string()).take(rows.column("priority").combine_chunks()).dictionary_encode()
    columns = [*(rows.column(name) for name in ROWS_SCHEMA.names[:-1]), sources]
    return pa.table(columns, schema=ROWS_SCHEMA)


def _first_of_pair(rows: pa.Table) -> pa.Array:
    """Return whether each row is the first of its position and container; the rows are in that order."""
    if rows.num_rows == 0:
        return pa.array([], pa.bool_())
    positions, ids = (rows.column(name).combine_chunks() for name in ("position", "container_id"))
    differs = pc.or_(pc.not_equal(positions[1:], positions[:-1]), pc.not_equal(ids[1:], ids[:-1]))
    return pa.concat_arrays([pa.array([True]), differs])


def _counts(positions: pa.ChunkedArray, length: int) -> Counts:
    return np.bincount(positions.to_numpy(), minlength=length).astype(np.int64)


def _compared(found: pa.RecordBatch, folded: bool) -> pa.Array:
    matched = found.column("matched")
    return pc.utf8_upper(pc.utf8_trim_whitespace(matched)) if folded else matched


def _fits(matched: pa.Array, name: str) -> pa.Array:
    """Return which texts a pattern stands for, by the rule of LIKE."""
    before, _, after = name.partition(WILDCARD)
    long_enough = pc.greater_equal(pc.utf8_length(matched), len(before) + len(after))
    return pc.and_(long_enough, pc.and_(pc.starts_with(matched, before), pc.ends_with(matched, after)))


@lru_cache(maxsize=64)
def _of_names(statement: Statement, count: int) -> Statement:
    # Nearly every statement of a long list has a thousand names, and widening the text takes tens of milliseconds.
    return expand_ids(statement, "tokens", count)


def _pattern_binds(names: Sequence[str]) -> dict[str, str]:
    patterns = [like_pattern(name) for name in names]
    # The statement has a fixed number of them; a pattern repeated finds nothing else.
    patterns += patterns[:1] * (PATTERN_BIND_COUNT - len(patterns))
    return {f"pattern_{number}": pattern for number, pattern in enumerate(patterns, start=1)}


def _batches(positions: Sequence[int], size: int) -> list[Sequence[int]]:
    return [positions[start : start + size] for start in range(0, len(positions), size)]
