"""Merging: the manifest of a query out of its chunks, and what its answers say of themselves. Pure but for the clock's
readings it is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sluice.cache.v1 import bind_pb2
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.table.v1 import table_pb2

from sluice_query_engine.dataset import BindPython, Dataset, Derived
from sluice_query_engine.errors import QueryNotReady
from sluice_query_engine.execution.chunk import StoredChunk
from sluice_query_engine.execution.id_sets import IdSets
from sluice_query_engine.execution.small_frames import timestamp
from sluice_query_engine.parameters import JSON
from sluice_query_engine.parts import Part, Stage
from sluice_query_engine.planning.id_extents import IdExtent
from sluice_query_engine.planning.plan import Plan, PlannedChunk, outcome_sentence
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
        unended: the query still runs, so that chunks may come which are not planned yet: those of parts whose ids or
            dates come from others.
    """

    plan: Plan
    stored: Mapping[int, StoredChunk]
    failed: Mapping[int, str]
    unended: bool = False

    def frame_of(self, chunk: PlannedChunk) -> str:
        """Return the frame of a chunk; empty when it is missing."""
        if chunk.index in self.stored:
            return self.stored[chunk.index].frame_id
        return chunk.extent.frame_id if chunk.extent is not None else ""

    @property
    def empty(self) -> bool:
        """There are chunks, and none of them is there; an empty list of ids has no chunk and is an answer."""
        return bool(self.plan.chunks) and not any(self.frame_of(chunk) for chunk in self.plan.chunks)

    @property
    def codes(self) -> dict[int, str]:
        """Why rows of a chunk are missing, by position; some of its rows may be there."""
        return {**{index: chunk.code for index, chunk in self.stored.items() if chunk.code}, **self.failed}

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
        parameters: canonical parameters; where they do not fit a label, lists of ids stand as the frame that holds
            them.
        binds: values for clips and derived tables, and for views.
        references: frame ids by reference name.
        empty_frames: frame without rows by part, for parts of which no chunk is there.
        as_of_time: the plant's clock now.
        keep_until_time: until when it may be read, UTC.
        resolution: what typed values meant; None where nothing was typed.
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
    resolution: table_pb2.Resolution | None = None


def compose(
    composition: Composition, outcome: Outcome, version: int, *, before: str = ""
) -> tuple[frames.Manifest, IdSets]:
    """Return the manifest, and the sets of ids that its slices name and that must be kept before it is stored.

    References come first, then each part and stage from its chunks, then the main table derived from them.

    Args:
        composition: all but the chunks.
        outcome: the chunks.
        version: of the manifest.
        before: the part or stage for which it is put together: only those before it are there, and no main table.
    """
    dataset, sets = composition.dataset, IdSets()
    tables = [
        frames.ManifestTable(
            name=reference.name,
            slices=frames.FrameSlices(frames=[frames.FrameSlice(frame_id=composition.references[reference.name])]),
        )
        for reference in dataset.references
    ]
    tables += [_part_table(part, composition, outcome, sets) for part in tables_before(dataset, before)]
    if not before:
        tables.append(frames.ManifestTable(name=dataset.derived.name, derived=derived_table(dataset.derived)))
    labels = {"dataset": dataset.name, "version": str(dataset.version), **parameter_labels(composition)}
    for item in (item for table in tables for item in table.slices.frames):
        if item.HasField("ids"):
            item.ids.frame_id = sets.frame_id
    manifest = frames.Manifest(
        manifest_id=composition.manifest_id,
        version=version,
        tables=tables,
        binds={name: bind_value(value) for name, value in composition.binds.items()},
        labels=labels,
        receipt=receipt_of(composition, outcome),
        keep_until_time=timestamp(composition.keep_until_time),
    )
    return manifest, sets


def tables_before(dataset: Dataset, name: str) -> tuple[Part | Stage, ...]:
    """Return the parts and stages that yield a table and stand before one of a name; all where none is named."""
    names = [item.name for item in dataset.tables]
    return dataset.tables[: names.index(name)] if name else dataset.tables


def parameter_labels(composition: Composition) -> dict[str, str]:
    """Return labels from which the parameters can be had again: as JSON where that fits, else by the binds.

    A list of ids, which is not bound, is then named by the frame that holds it.
    """
    text = canonical_json(composition.parameters)
    if len(text) <= MAX_LABEL_LENGTH:
        return {"parameters": text}
    lists = composition.dataset.id_lists
    apart = {name: value for name, value in composition.parameters.items() if name in lists}
    return {f"parameter.{name}": canonical_json(value) for name, value in apart.items()}


def parameters_of(manifest: frames.Manifest, dataset: Dataset) -> dict[str, JSON]:
    """Return the parameters, as they are shown, of the query that a manifest answers."""
    if "parameters" in manifest.labels:
        found: dict[str, JSON] = json.loads(manifest.labels["parameters"])
        return found
    values: dict[str, JSON] = {}
    for parameter in dataset.parameters:
        label = f"parameter.{parameter.name}"
        if label in manifest.labels:
            values[parameter.name] = json.loads(manifest.labels[label])
        elif parameter.name in manifest.binds and manifest.binds[parameter.name].WhichOneof("kind"):
            values[parameter.name] = bound_value(manifest.binds[parameter.name])
    return values


def derived_table(derived: Derived) -> frames.DerivedTable:
    """Return the main table as a manifest names it."""
    return frames.DerivedTable(
        sql=derived.sql,
        dictionary_columns=derived.dictionary_columns,
        divide_by=derived.divide_by,
        steps=[frames.DerivedStep(name=name, divide_by=column) for name, column in derived.steps.items()],
    )


def receipt_of(composition: Composition, outcome: Outcome) -> table_pb2.Receipt:
    """Return what answers from the manifest say of themselves; rows and tier are filled in by who counts them."""
    plan = outcome.plan
    codes = outcome.codes
    failed = [chunk for chunk in plan.chunks if chunk.index in codes]
    read = [chunk for chunk in plan.chunks if chunk.index in outcome.stored and chunk.index not in codes]
    truncated = outcome.truncated
    status = table_pb2.COMPLETENESS_COMPLETE
    if failed or outcome.unended:
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
        failed_ranges=[_gap(chunk, codes[chunk.index]) for chunk in failed],
        truncated_ranges=[_gap(chunk, "RESULT_TOO_LARGE") for chunk in truncated],
        plan=outcome_sentence(
            len(plan.chunks),
            read,
            [chunk for chunk in failed if codes[chunk.index] != QueryNotReady.reason],
            [chunk for chunk in failed if codes[chunk.index] == QueryNotReady.reason],
            unended=outcome.unended,
        ),
        resolution=composition.resolution,
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


def bound_value(bound: bind_pb2.BindValue) -> JSON:
    """Return a value that was bound from a parameter."""
    match bound.WhichOneof("kind"):
        case None:
            return None
        case "string_list":
            return [*bound.string_list.values]
        case kind:
            value: JSON = getattr(bound, kind)
            return value


def same_tables(one: frames.Manifest, other: frames.Manifest) -> bool:
    """Return whether both read the same rows, so that what was derived from one serves the other."""
    return list(one.tables) == list(other.tables) and dict(one.binds) == dict(other.binds)


def _part_table(part: Part | Stage, composition: Composition, outcome: Outcome, sets: IdSets) -> frames.ManifestTable:
    slices: list[frames.FrameSlice] = []
    for chunk in outcome.plan.chunks:
        if chunk.part == part.name and outcome.frame_of(chunk):
            slices += _slices(part, composition.dataset.renewal_of(part.name), chunk, outcome, sets)
    if not slices:
        slices.append(frames.FrameSlice(frame_id=composition.empty_frames[part.name]))
    clip = composition.dataset.clip if clipped(part) else ""
    return frames.ManifestTable(name=part.name, slices=frames.FrameSlices(frames=slices, clip=clip))


def clipped(part: Part | Stage) -> bool:
    """Tell whether the dataset's clip is for a table: it speaks of the query's range, and others have their own."""
    return isinstance(part, Part) and not part.own_range and not part.ids_from


def _slices(
    part: Part | Stage, renewal: Part | None, chunk: PlannedChunk, outcome: Outcome, sets: IdSets
) -> Iterator[frames.FrameSlice]:
    """Yield what is read of a chunk, and of the batches that bring its open rows as they are now."""
    piece = frames.FrameSlice(frame_id=outcome.frame_of(chunk))
    if isinstance(part, Stage):
        yield piece
        return
    if isinstance(chunk.extent, IdExtent) and not chunk.whole:
        piece.ids.CopyFrom(frames.IdSelection(column=part.id_column, number=sets.add(chunk.ids)))
    elif chunk.end is not None:
        piece.column, piece.start, piece.end = part.time_column, chunk.start_text, chunk.end_text
    renewed = outcome.plan.renewed.get(chunk.index)
    if renewal is None or not renewed:
        yield piece
        return
    piece.ids.CopyFrom(frames.IdSelection(column=renewal.id_column, number=sets.add(renewed), exclude=True))
    yield piece
    for batch in outcome.plan.chunks:
        shown = renewed.intersection(batch.ids) if batch.part == renewal.name else None
        if shown and outcome.frame_of(batch):
            # A part that has no end holds what lies before its start.
            yield frames.FrameSlice(
                frame_id=outcome.frame_of(batch),
                column=part.time_column,
                start=chunk.start_text if chunk.end is not None else "",
                end=chunk.end_text or chunk.start_text,
                ids=frames.IdSelection(column=renewal.id_column, number=sets.add(shown)),
            )


def _gap(chunk: PlannedChunk, code: str) -> table_pb2.Gap:
    return table_pb2.Gap(
        part=chunk.part, start=chunk.start_text, end=chunk.end_text, id_count=chunk.id_count, code=code
    )
