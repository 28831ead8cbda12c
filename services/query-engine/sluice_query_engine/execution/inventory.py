"""What of a dataset's chunks is in the cache: extents out of frames, and the open rows among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice_rpc import arrow

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution.id_sets import read_sets
from sluice_query_engine.execution.manifest import bind_value
from sluice_query_engine.execution.small_frames import instant_of
from sluice_query_engine.parameters import ALL, JSON, STAMP, part_range
from sluice_query_engine.parts import Part
from sluice_query_engine.planning.extents import Extent
from sluice_query_engine.planning.id_extents import IdExtent
from sluice_query_engine.planning.identity import series_of
from sluice_query_engine.planning.plan import PlannedChunk
from sluice_query_engine.planning.time_range import instant_text

_LOOK_DEADLINE_S: Final = 30.0


class Inventory:
    """Looks up the chunks that queries of one dataset and one set of parameters share.

    Args:
        cache: where they are.
    """

    def __init__(self, cache: FrameCache) -> None:
        self._cache = cache

    def extents(self, dataset: Dataset, parameters: Mapping[str, JSON]) -> list[Extent | IdExtent]:
        """Return what is there, fresh or not.

        Raises:
            ServiceUnavailable: the cache is away.
        """
        found: list[Extent | IdExtent] = []
        for part in dataset.parts_of(parameters):
            if not part.ids_from:
                found += self.extents_of(dataset, part, parameters)
        return found

    def extents_of(self, dataset: Dataset, part: Part, parameters: Mapping[str, JSON]) -> list[Extent | IdExtent]:
        """Return what is there of one part. Raises as `extents` does."""
        listed = self._cache.list_frames({"series": series_name(dataset, part, parameters)})
        if part.cut == "ids":
            return [*self._id_extents(part, listed)]
        renewed = dataset.renewal_of(part.name) is not None
        open_for = timedelta(seconds=dataset.limits.ttl_s) if renewed else None
        return [extent_of(frame, part.name, open_for) for frame in listed]

    def open_ids(self, dataset: Dataset, chunks: Sequence[PlannedChunk]) -> dict[int, frozenset[str]]:
        """Return, by position, the ids of the rows of these chunks that were open when they were read.

        Raises:
            NotFound: CACHE_EXPIRED; a chunk has gone since it was listed.
            ServiceUnavailable: the cache is away.
        """
        if not chunks:
            return {}
        request = sql.RunQueryRequest()
        for chunk in chunks:
            name = f"chunk_{chunk.index}"
            frame_id = chunk.extent.frame_id if chunk.extent is not None else ""
            request.sources.append(sql.SqlSource(frame=sql.NamedFrame(name=name, frame_id=frame_id)))
            request.statements.append(_open_ids(dataset, chunk, name))
        pieces: list[list[bytes]] = []
        with self._cache.run_query(request, deadline_s=_LOOK_DEADLINE_S) as answers:
            for answer in answers:
                match answer.WhichOneof("part"):
                    case "header":
                        pieces.append([])
                    case "chunk":
                        pieces[-1].append(answer.chunk.ipc)
        return {chunk.index: _ids(found) for chunk, found in zip(chunks, pieces, strict=True)}

    def _id_extents(self, part: Part, listed: Sequence[frames.Frame]) -> list[Extent | IdExtent]:
        sets = {
            frame_id: read_sets(self._cache, frame_id) for frame_id in {item.labels["ids_frame"] for item in listed}
        }
        return [
            IdExtent(
                part=part.name,
                # Where the frame of ids has gone, nothing is known to be covered.
                ids=sets[frame.labels["ids_frame"]].get(int(frame.labels["ids_number"]), frozenset()),
                frame_id=frame.frame_id,
                read_time=instant_of(frame.read_time),
                fresh_until_time=instant_of(frame.fresh_until_time),
                truncated="truncated" in frame.labels,
                row_count=frame.row_count,
            )
            for frame in listed
        ]


def extent_of(frame: frames.Frame, part: str, open_for: timedelta | None = None) -> Extent:
    """Return the extent that a chunk's frame is.

    Args:
        frame: the frame.
        part: whose rows it holds.
        open_for: how long after the read open rows may be taken as they were; None where they are not told apart.
    """
    end = frame.labels.get("end", "")
    read_time = instant_of(frame.read_time)
    return Extent(
        part=part,
        start=datetime.fromisoformat(frame.labels["start"]),
        end=datetime.fromisoformat(end) if end else None,
        frame_id=frame.frame_id,
        read_time=read_time,
        fresh_until_time=instant_of(frame.fresh_until_time),
        truncated="truncated" in frame.labels,
        row_count=frame.row_count,
        open_until_time=read_time + open_for if open_for is not None and "open" in frame.labels else None,
    )


def series_name(dataset: Dataset, part: Part, parameters: Mapping[str, JSON]) -> str:
    """Return the series of a part's chunks: what its statement binds but the times and ids by which chunks differ."""
    binds = {name.removeprefix(ALL) for name in part.statement.bind_names}
    shared = {name: value for name, value in shared_parameters(dataset, parameters).items() if name in binds}
    if dataset.snapshot is not None:
        # No refresh reuses another's rows.
        shared[STAMP] = parameters[STAMP]
    if part.of_range:
        whole = part_range(dataset, part, parameters)
        shared |= {"start_time": instant_text(whole.start), "end_time": instant_text(whole.end)}
    return series_of(dataset.name, dataset.version, part.name, shared)


def shared_parameters(dataset: Dataset, parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the parameters that say neither when nor which ids."""
    apart = {parameter.name for parameter in dataset.parameters if parameter.role is not None} | dataset.id_lists
    return {name: value for name, value in parameters.items() if name not in apart}


def _open_ids(dataset: Dataset, chunk: PlannedChunk, name: str) -> sql.SqlStatement:
    """Return the statement that reads the ids of a chunk's open rows; all names are declared identifiers."""
    part = next(item for item in dataset.parts if item.name == chunk.part)
    renewal = dataset.renewal_of(chunk.part)
    column = renewal.id_column if renewal is not None else ""
    text = f"select distinct {column} as id from {name} where {part.open_column} is null"  # noqa: S608
    if chunk.start is None or chunk.end is None:
        return sql.SqlStatement(sql=text)
    within = f"{part.time_column} >= $chunk_start and {part.time_column} < $chunk_end"
    binds = {"chunk_start": bind_value(chunk.start), "chunk_end": bind_value(chunk.end)}
    return sql.SqlStatement(sql=f"{text} and {within}", binds=binds)


def _ids(pieces: Sequence[bytes]) -> frozenset[str]:
    with arrow.decode(pieces) as reader:
        return frozenset(reader.read_all().column("id").to_pylist())
