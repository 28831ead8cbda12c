"""Merging: the manifest of a query out of its chunks, and what its answers say of themselves. Pure but for the clock's
readings it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.table.v1 import table_pb2

from sluice_query_engine.dataset import BindPython, Dataset, Part
from sluice_query_engine.execution.chunk import StoredChunk, timestamp
from sluice_query_engine.planning.planner import Plan, PlannedChunk, outcome_sentence
from sluice_query_engine.planning.query_hash import canonical_json
from sluice_query_engine.planning.time_range import instant_text

MAX_LABEL_LENGTH = 256
"""Longest label the cache takes."""


@dataclass(frozen=True)
class Outcome:
    """What became of a plan.

    Args:
        plan: the plan.
        stored: chunks that were read, by position.
        failed: codes of chunks that are missing, by position.
    """

    plan: Plan
    stored: Mapping[int, StoredChunk]
    failed: Mapping[int, str]

    def frame_of(self, chunk: PlannedChunk) -> str:
        """Return the frame of a chunk; empty when it is missing."""
        if chunk.index in self.stored:
            return self.stored[chunk.index].frame_id
        return chunk.extent.frame_id if chunk.extent is not None else ""

    @property
    def empty(self) -> bool:
        """No chunk is there."""
        return not any(self.frame_of(chunk) for chunk in self.plan.chunks)

    @property
    def truncated(self) -> list[PlannedChunk]:
        """Chunks that a row limit cut."""
        return [
            chunk for chunk in self.plan.chunks if chunk.index in self.stored and self.stored[chunk.index].truncated
        ]


@dataclass(frozen=True)
class Composition:
    """Everything a manifest is made of besides the outcome.

    Args:
        manifest_id: its id.
        query_id: the query it answers.
        dataset: the query's dataset.
        parameters: canonical parameters.
        binds: values for clips and derived tables, and for views.
        references: frame ids by reference name.
        empty_frames: frame without rows by part, for parts of which no chunk is there.
        as_of_time: the plant's clock now.
        keep_until_time: until when it may be read, UTC.
    """

    manifest_id: str
    query_id: str
    dataset: Dataset
    parameters: Mapping[str, object]
    binds: Mapping[str, BindPython]
    references: Mapping[str, str]
    empty_frames: Mapping[str, str]
    as_of_time: datetime
    keep_until_time: datetime


def compose(composition: Composition, outcome: Outcome, version: int) -> frames.Manifest:
    """Return the manifest: references, then each part from its chunks, then the main table derived from them."""
    dataset = composition.dataset
    tables = [
        frames.ManifestTable(
            name=reference.name,
            slices=frames.FrameSlices(frames=[frames.FrameSlice(frame_id=composition.references[reference.name])]),
        )
        for reference in dataset.references
    ]
    tables += [_part_table(part, composition, outcome) for part in dataset.parts]
    derived = frames.DerivedTable(sql=dataset.derived.sql, dictionary_columns=dataset.derived.dictionary_columns)
    tables.append(frames.ManifestTable(name=dataset.derived.name, derived=derived))
    labels = {"dataset": dataset.name, "version": str(dataset.version)}
    parameters = canonical_json(composition.parameters)
    if len(parameters) <= MAX_LABEL_LENGTH:
        labels["parameters"] = parameters
    return frames.Manifest(
        manifest_id=composition.manifest_id,
        version=version,
        tables=tables,
        binds={name: bind_value(value) for name, value in composition.binds.items()},
        labels=labels,
        receipt=receipt_of(composition, outcome),
        keep_until_time=timestamp(composition.keep_until_time),
    )


def receipt_of(composition: Composition, outcome: Outcome) -> table_pb2.Receipt:
    """Return what answers from the manifest say of themselves; rows and tier are filled in by who counts them."""
    plan = outcome.plan
    failed = [chunk for chunk in plan.chunks if chunk.index in outcome.failed]
    read = [chunk for chunk in plan.chunks if chunk.index in outcome.stored]
    truncated = outcome.truncated
    status = table_pb2.COMPLETENESS_COMPLETE
    if failed:
        status = table_pb2.COMPLETENESS_PARTIAL
    elif truncated:
        status = table_pb2.COMPLETENESS_TRUNCATED
    reads = [stored.read_time for stored in outcome.stored.values()]
    reads += [chunk.extent.read_time for chunk in plan.chunks if chunk.extent and chunk.extent.read_time]
    return table_pb2.Receipt(
        query_id=composition.query_id,
        status=status,
        read_time=timestamp(min(reads)) if reads else None,
        expires_time=timestamp(composition.keep_until_time),
        chunks=table_pb2.ChunkCounts(
            total=len(plan.chunks),
            reused=len(plan.chunks) - len(read) - len(failed),
            run=len(read),
            failed=len(failed),
        ),
        failed_ranges=[_gap(chunk, outcome.failed[chunk.index]) for chunk in failed],
        truncated_ranges=[_gap(chunk, "RESULT_TOO_LARGE") for chunk in truncated],
        plan=outcome_sentence(len(plan.chunks), read, failed),
        as_of_time=instant_text(composition.as_of_time),
    )


def bind_value(value: BindPython) -> bind_pb2.BindValue:
    """Return a value as it is bound in the cache."""
    bound = bind_pb2.BindValue()
    match value:
        case None:
            pass
        case bool():
            bound.bool_value = value
        case int():
            bound.int64_value = value
        case float():
            bound.double_value = value
        case str():
            bound.string_value = value
        case datetime():
            bound.timestamp_value = instant_text(value)
        case date():
            bound.date_value = value.isoformat()
        case list():
            dates = bool(value) and isinstance(value[0], date)
            texts = [item if isinstance(item, str) else item.isoformat() for item in value]
            (bound.date_list if dates else bound.string_list).CopyFrom(bind_pb2.StringList(values=texts))
    return bound


def same_tables(one: frames.Manifest, other: frames.Manifest) -> bool:
    """Return whether both read the same rows, so that what was derived from one serves the other."""
    return list(one.tables) == list(other.tables) and dict(one.binds) == dict(other.binds)


def _part_table(part: Part, composition: Composition, outcome: Outcome) -> frames.ManifestTable:
    slices = []
    for chunk in outcome.plan.chunks:
        frame_id = outcome.frame_of(chunk)
        if chunk.part != part.name or not frame_id:
            continue
        if chunk.end is None:
            slices.append(frames.FrameSlice(frame_id=frame_id))
            continue
        slices.append(
            frames.FrameSlice(
                frame_id=frame_id,
                column=part.time_column,
                start=instant_text(chunk.start),
                end=instant_text(chunk.end),
            )
        )
    if not slices:
        slices.append(frames.FrameSlice(frame_id=composition.empty_frames[part.name]))
    return frames.ManifestTable(name=part.name, slices=frames.FrameSlices(frames=slices, clip=composition.dataset.clip))


def _gap(chunk: PlannedChunk, code: str) -> table_pb2.Gap:
    end = "" if chunk.end is None else instant_text(chunk.end)
    return table_pb2.Gap(part=chunk.part, start=instant_text(chunk.start), end=end, code=code)
