"""The tables of a query that ran, out of its manifest: merged into one stream, or chunk by chunk; nothing is read anew.

What a query lacks is an error here, or a chunk that says so and has no rows to give; it never looks like an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import pyarrow as pa
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.errors import CacheExpired, ChunksMissing
from sluice_query_engine.execution.chunk_rows import stored_schema
from sluice_query_engine.execution.id_sets import read_sets
from sluice_query_engine.execution.small_frames import EMPTY_FRAME, instant_of
from sluice_query_engine.parts import Part

READ_DEADLINE_S: Final = 300.0
"""For one table, or one chunk, read to its end."""
_ALL_ROWS: Final = 2**62


@dataclass(frozen=True)
class QueryChunk:
    """One chunk of a table as its query shows it.

    Attributes:
        index: position, in the order of the merged table; gaps come last.
        part: part that was read for it.
        start: first instant shown, plant-local ISO 8601; empty where it begins with the first row.
        end: first instant not shown; empty where it ends with the last row.
        state: `there`; `truncated` when a row limit cut it; `missing` when it has no rows to give.
        code: why it is missing; empty otherwise.
        read_time: when it was read, UTC; None for what is missing.
        id_count: ids of a missing batch; 0 for all others.
    """

    index: int
    part: str
    start: str
    end: str
    state: Literal["there", "truncated", "missing"]
    code: str = ""
    read_time: datetime | None = None
    id_count: int = 0
    _source: _Source | None = field(default=None, repr=False)

    @contextmanager
    def reading(self, deadline_s: float = READ_DEADLINE_S) -> Iterator[pa.RecordBatchReader]:
        """Read its rows inside, one batch in memory at a time.

        Raises:
            ChunksMissing: it is missing.
            CacheExpired: it has gone since.
        """
        source = self._source
        if source is None:
            raise ChunksMissing("", (self.index,))
        with _reading(source.cache, source.manifest_id, f"chunk_{self.index}", source.columns, deadline_s) as reader:
            yield reader

    def ids(self) -> frozenset[str] | None:
        """Return the ids whose rows it shows; None where it shows rows of any id, or of all but a few."""
        source = self._source
        if source is None or not source.ids_frame:
            return None
        return read_sets(source.cache, source.ids_frame).get(source.ids_number, frozenset())


@dataclass(frozen=True)
class _Source:
    """Where the rows of a chunk are: a manifest that has each slice of the query's table as a table of its own."""

    cache: FrameCache
    manifest_id: str
    columns: Sequence[str]
    ids_frame: str = ""
    ids_number: int = 0


@contextmanager
def merge_query(
    query_id: str,
    table: str,
    *,
    cache: FrameCache,
    dataset: Dataset,
    allow_partial: bool = False,
    deadline_s: float = READ_DEADLINE_S,
) -> Iterator[pa.RecordBatchReader]:
    """Read one table of a query inside, all chunks as one stream, one batch in memory at a time.

    Args:
        query_id: a query that has ended.
        table: one of its parts that yield a table.
        cache: where it is.
        dataset: the query's.
        allow_partial: read what there is although chunks are missing.
        deadline_s: for reading to the end.

    Raises:
        CacheExpired: the query, or a frame of it, is not, or no longer, there.
        ChunksMissing: chunks are missing, and nothing partial is allowed.
    """
    part = _part(dataset, table)
    manifest = _manifest(cache, query_id)
    gaps = _gaps(dataset, part, manifest.receipt.failed_ranges)
    if gaps and not allow_partial:
        raise _missing(query_id, len(_slices(manifest, part)), gaps)
    with _reading(cache, query_id, part.name, stored_schema(part).names, deadline_s) as reader:
        yield reader


def iterate_query(
    query_id: str, table: str, *, cache: FrameCache, dataset: Dataset, allow_partial: bool = False
) -> Iterator[QueryChunk]:
    """Yield the chunks of one table of a query; their rows laid end to end are the merged table.

    With `allow_partial` what is missing comes last, each gap as a chunk that says why. Arguments and errors are those
    of `merge_query`; errors come before the first chunk.
    """
    part = _part(dataset, table)
    manifest = _manifest(cache, query_id)
    slices = _slices(manifest, part)
    gaps = _gaps(dataset, part, manifest.receipt.failed_ranges)
    if gaps and not allow_partial:
        raise _missing(query_id, len(slices), gaps)
    parts = [item.name for item in (part, dataset.renewal_of(part.name)) if item is not None]
    known = {
        frame.frame_id: frame for name in parts for frame in cache.list_frames({"dataset": dataset.name, "part": name})
    }
    gone = tuple(index for index, piece in enumerate(slices) if piece.frame_id not in known)
    if gone:
        raise ChunksMissing(query_id, gone)
    apart = cache.put_manifest(_apart(manifest, part, slices)).manifest_id if slices else ""
    source = _Source(cache, apart, stored_schema(part).names)
    return iter(
        [
            *(_there(index, piece, known[piece.frame_id], source) for index, piece in enumerate(slices)),
            *(_gap(index, gap) for index, gap in enumerate(gaps, len(slices))),
        ]
    )


def _part(dataset: Dataset, table: str) -> Part:
    parts: Mapping[str, Part] = {part.name: part for part in dataset.tables if isinstance(part, Part)}
    if table not in parts:
        raise ValueError(f"{dataset.name} has no table {table!r} that is read in chunks; it has {', '.join(parts)}")
    return parts[table]


def _manifest(cache: FrameCache, query_id: str) -> frames.Manifest:
    manifest = cache.get_manifest(query_id)
    if manifest is None:
        raise CacheExpired(query_id)
    return manifest


def _slices(manifest: frames.Manifest, part: Part) -> list[frames.FrameSlice]:
    """Return the slices of the part's table; the frame without rows that stands for no chunk at all is none."""
    [table] = [item for item in manifest.tables if item.name == part.name]
    return [piece for piece in table.slices.frames if not piece.frame_id.startswith(EMPTY_FRAME)]


def _gaps(dataset: Dataset, part: Part, failed: Sequence[table_pb2.Gap]) -> list[table_pb2.Gap]:
    """Return what the table lacks; a failed renewal is told with each table that it would have brought up to date."""
    renewal = dataset.renewal_of(part.name)
    names = {part.name} if renewal is None else {part.name, renewal.name}
    return [gap for gap in failed if gap.part in names]


def _missing(query_id: str, there_count: int, gaps: Sequence[table_pb2.Gap]) -> ChunksMissing:
    return ChunksMissing(query_id, tuple(range(there_count, there_count + len(gaps))))


def _apart(manifest: frames.Manifest, part: Part, slices: Sequence[frames.FrameSlice]) -> frames.Manifest:
    """Return a manifest of which each table is one slice; it is named by the version, so that a re-run has another."""
    [whole] = [item for item in manifest.tables if item.name == part.name]
    return frames.Manifest(
        manifest_id=f"{manifest.manifest_id}-{part.name}-{manifest.version}",
        version=manifest.version,
        tables=[
            frames.ManifestTable(
                name=f"chunk_{index}", slices=frames.FrameSlices(frames=[piece], clip=whole.slices.clip)
            )
            for index, piece in enumerate(slices)
        ],
        binds=manifest.binds,
        labels=manifest.labels,
        keep_until_time=manifest.keep_until_time,
    )


def _there(index: int, piece: frames.FrameSlice, frame: frames.Frame, source: _Source) -> QueryChunk:
    ids_frame, ids_number = frame.labels.get("ids_frame", ""), int(frame.labels.get("ids_number", "0"))
    if piece.HasField("ids") and not piece.ids.exclude:
        ids_frame, ids_number = piece.ids.frame_id, piece.ids.number
    return QueryChunk(
        index=index,
        part=frame.labels["part"],
        start=piece.start,
        end=piece.end,
        state="truncated" if "truncated" in frame.labels else "there",
        read_time=instant_of(frame.read_time),
        _source=_Source(source.cache, source.manifest_id, source.columns, ids_frame, ids_number),
    )


def _gap(index: int, gap: table_pb2.Gap) -> QueryChunk:
    return QueryChunk(index, gap.part, gap.start, gap.end, "missing", gap.code, id_count=gap.id_count)


@contextmanager
def _reading(
    cache: FrameCache, manifest_id: str, table: str, columns: Sequence[str], deadline_s: float
) -> Iterator[pa.RecordBatchReader]:
    # All names are declared identifiers, or numbered by us.
    names = ", ".join(f'"{column}"' for column in columns)
    statement = sql.SqlStatement(sql=f"select {names} from {table}")  # noqa: S608
    request = sql.RunQueryRequest(
        sources=[sql.SqlSource(manifest_id=manifest_id)], statements=[statement], max_row_count=_ALL_ROWS
    )
    with (
        cache.run_query(request, deadline_s=deadline_s) as answers,
        arrow.decode(item.chunk.ipc for item in answers if item.WhichOneof("part") == "chunk") as reader,
    ):
        yield reader
