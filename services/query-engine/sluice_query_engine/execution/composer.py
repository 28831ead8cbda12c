"""Stores the manifest of a query, and has its main table made ready for the first view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
import structlog
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.cache.v1 import sql_service_pb2 as sql
from sluice.table.v1 import table_pb2
from sluice_rpc import arrow
from sluice_rpc.errors import NotFound
from sluice_rpc.ports import Clock, Ids

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import BindPython, Dataset
from sluice_query_engine.execution import id_lists
from sluice_query_engine.execution.chunk_rows import stored_schema
from sluice_query_engine.execution.manifest import (
    MAX_LABEL_LENGTH,
    Composition,
    Outcome,
    compose,
    receipt_of,
    same_tables,
    tables_before,
)
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.execution.small_frames import instant_of, keep_empty, milliseconds, timestamp
from sluice_query_engine.parameters import JSON, date_range, part_range, ranged, time_range
from sluice_query_engine.parts import Part, Stage
from sluice_query_engine.planning.packed_ids import PackedIds
from sluice_query_engine.planning.plan import NO_IDS
from sluice_query_engine.planning.query_hash import canonical_json
from sluice_query_engine.plant_clock import PlantClock

log = structlog.get_logger()

MAX_ID_COUNT: Final = 2_000_000
"""Most ids that one part yields for another; they take some twenty bytes each until the query ends."""
COMPOSE_DEADLINE_S: Final = 1200.0
"""For deriving the main table of the largest query: 10 M holds take two minutes, on a busy machine several times that.
"""


class Composer:
    """Merges chunks into manifests.

    Args:
        cache: where manifests are kept.
        clock: for versions and lives.
        ids: make frame ids unique.
        plant_clock: read once per manifest; hours of open rows are counted to it.
    """

    def __init__(self, cache: FrameCache, clock: Clock, ids: Ids, plant_clock: PlantClock) -> None:
        self._cache = cache
        self._clock = clock
        self._ids = ids
        self._plant_clock = plant_clock

    def compose(
        self, run: QueryRun, outcome: Outcome, references: Mapping[str, str], manifest_id: str
    ) -> frames.Manifest:
        """Store the manifest and return it with its receipt filled in.

        Composed again from the same chunks at the same plant time, it keeps its version, so that the main table is
        not derived again; only its life is prolonged. So does one that another engine composed of rows read later:
        whoever asked there for rows of now must not find older ones.

        Raises:
            NotFound: CACHE_EXPIRED; a frame has gone since it was listed.
            ServiceError: the plant's clock or the cache.
        """
        composition = self._composition(run, outcome, references, manifest_id)
        there = self._cache.get_manifest(manifest_id)
        if there is not None and _newer(there.receipt, receipt_of(composition, outcome)):
            prolonged = self._prolonged(there, composition.keep_until_time)
            if prolonged is not None:
                return prolonged
        now = milliseconds(self._clock.now())
        manifest, sets = compose(composition, outcome, max(now, there.version + 1) if there else now)
        if sets:
            sets.keep(self._cache, self._clock.now(), composition.keep_until_time - self._clock.now())
        if there is not None and same_tables(there, manifest):
            manifest.version = there.version
        manifest.receipt.row_count = self._row_count(manifest, run.dataset)
        return self._cache.put_manifest(manifest)

    def ids_of(self, run: QueryRun, outcome: Outcome, references: Mapping[str, str], item: Part | Stage) -> PackedIds:
        """Return the ids that a part or stage takes from the tables before it.

        Raises:
            NotFound: CACHE_EXPIRED; a frame has gone since it was listed.
            ServiceError: the plant's clock or the cache.
        """
        composition = self._composition(run, outcome, references, f"draft-{self._ids.new()}", before=item.name)
        manifest, sets = compose(composition, outcome, milliseconds(self._clock.now()), before=item.name)
        life = timedelta(seconds=COMPOSE_DEADLINE_S)
        if sets:
            sets.keep(self._cache, self._clock.now(), life)
        manifest.keep_until_time.CopyFrom(timestamp(self._clock.now() + life))
        self._cache.put_manifest(manifest)
        pieces = self._pieces(manifest.manifest_id, distinct_ids_sql(item.ids_from))
        with arrow.decode(pieces) as reader:
            return PackedIds(pa.concat_arrays([batch.column(0) for batch in reader] or [NO_IDS.array]))

    def prepare(self, manifest_id: str, dataset: Dataset) -> None:
        """Have the main table derived, so that the first view finds it; views that come meanwhile wait for it.

        Raises:
            ServiceError: of the cache; the next view tries again.
        """
        self._count(manifest_id, main_count_sql(dataset))

    def _prolonged(self, there: frames.Manifest, keep_until_time: datetime) -> frames.Manifest | None:
        """Have a manifest stay until then; None when rows it names have gone, so that it answers nobody any more."""
        longer = frames.Manifest()
        longer.CopyFrom(there)
        longer.keep_until_time.CopyFrom(timestamp(keep_until_time))
        longer.receipt.expires_time.CopyFrom(longer.keep_until_time)
        try:
            return self._cache.put_manifest(longer)
        except NotFound:
            return None

    def _row_count(self, manifest: frames.Manifest, dataset: Dataset) -> int:
        # Counted under an id of its own: whoever looks at the query meanwhile must not read a receipt without its rows.
        draft = frames.Manifest()
        draft.CopyFrom(manifest)
        draft.manifest_id = f"draft-{self._ids.new()}"
        needed_until = self._clock.now() + timedelta(seconds=COMPOSE_DEADLINE_S)
        draft.keep_until_time.CopyFrom(timestamp(min(needed_until, instant_of(manifest.keep_until_time))))
        self._cache.put_manifest(draft)
        return self._count(draft.manifest_id, parts_count_sql(dataset))

    def _composition(
        self, run: QueryRun, outcome: Outcome, references: Mapping[str, str], manifest_id: str, *, before: str = ""
    ) -> Composition:
        dataset, as_of_time = run.dataset, self._plant_clock.now()
        binds: dict[str, BindPython] = {**_binds(dataset, run.parameters), "as_of_time": as_of_time}
        if dataset.snapshot is None and ranged(dataset, run.parameters):
            whole = time_range(dataset, run.parameters)
            first, last = date_range(dataset, run.parameters)
            binds |= {"start_time": whole.start, "end_time": whole.end, "start_date": first, "end_date": last}
            for part in dataset.parts:
                if part.own_range:
                    own = part_range(dataset, part, run.parameters)
                    binds |= {f"{part.name}_start_time": own.start, f"{part.name}_end_time": own.end}
        return Composition(
            manifest_id=manifest_id,
            query_id=run.query_id,
            dataset=dataset,
            parameters=self._parameters(run),
            binds=binds,
            references=references,
            empty_frames=self._empty_frames(dataset, outcome, before),
            resolution=run.resolution,
            as_of_time=as_of_time,
            keep_until_time=self._clock.now() + timedelta(seconds=dataset.limits.ttl_s),
        )

    def _parameters(self, run: QueryRun) -> dict[str, JSON]:
        if len(canonical_json(run.shown_parameters)) <= MAX_LABEL_LENGTH:
            return run.shown_parameters
        now, kept_for = self._clock.now(), timedelta(seconds=2 * run.dataset.limits.ttl_s)
        return id_lists.shown(self._cache, run.dataset, run.parameters, now, kept_for, longest=0)

    def _empty_frames(self, dataset: Dataset, outcome: Outcome, before: str) -> dict[str, str]:
        there = {chunk.part for chunk in outcome.plan.chunks if outcome.frame_of(chunk)}
        life = timedelta(seconds=dataset.limits.ttl_s)
        return {
            part.name: keep_empty(self._cache, stored_schema(part), self._clock.now(), life)
            for part in tables_before(dataset, before)
            if part.name not in there
        }

    def _count(self, manifest_id: str, statement: str) -> int:
        return single_count(self._pieces(manifest_id, statement))

    def _pieces(self, manifest_id: str, statement: str) -> Iterator[bytes]:
        request = sql.RunQueryRequest(
            sources=[sql.SqlSource(manifest_id=manifest_id)],
            statements=[sql.SqlStatement(sql=statement)],
            max_row_count=MAX_ID_COUNT,
        )
        with self._cache.run_query(request, deadline_s=COMPOSE_DEADLINE_S) as answers:
            for answer in answers:
                if answer.WhichOneof("part") == "chunk":
                    yield answer.chunk.ipc


def distinct_ids_sql(ids_from: str) -> str:
    """Return the statement that yields the ids of a declared SELECT: one column, sorted, each once, none missing."""
    return "\n".join(
        (
            "with wanted(id) as (",
            ids_from,
            ") select distinct cast(id as varchar) as id from wanted where id is not null order by id",
        )
    )


def _newer(there: table_pb2.Receipt, own: table_pb2.Receipt) -> bool:
    """Return whether what is there is whole and every row of it was read after the oldest of our own."""
    whole = there.status == table_pb2.COMPLETENESS_COMPLETE
    timed = there.HasField("read_time") and own.HasField("read_time")
    return whole and timed and instant_of(there.read_time) > instant_of(own.read_time)


def parts_count_sql(dataset: Dataset) -> str:
    """Return the statement that counts the clipped rows of all parts; their names are declared identifiers.

    Tables that lineage computed are counted only where there is nothing else.
    """
    parts = [part for part in dataset.tables if isinstance(part, Part)]
    counts = " + ".join(f"(select count(*) from {part.name})" for part in parts or dataset.tables)  # noqa: S608
    return f"select {counts} as row_count"


def main_count_sql(dataset: Dataset) -> str:
    """Return the statement that counts the rows of the main table; its name is a declared identifier."""
    return f"select count(*) as row_count from {dataset.derived.name}"  # noqa: S608


def single_count(pieces: Iterable[bytes]) -> int:
    """Return the one number of a table of one row and one column."""
    with arrow.decode(pieces) as reader:
        return int(reader.read_all().column(0)[0].as_py())


def _binds(dataset: Dataset, parameters: Mapping[str, JSON]) -> dict[str, BindPython]:
    """Return what views may bind of the parameters, NULL for what was left out; lists of ids are no binds."""
    lists = dataset.id_lists
    given = {
        name: [str(item) for item in value] if isinstance(value, list) else value
        for name, value in parameters.items()
        if not isinstance(value, dict) and name not in lists
    }
    left_out = [item.name for item in dataset.parameters if item.name not in lists]
    if dataset.has_range:
        left_out += ["start_time", "end_time", "start_date", "end_date"]
    for part in dataset.parts:
        if part.own_range:
            left_out += [f"{part.name}_start_time", f"{part.name}_end_time"]
    return {**dict.fromkeys(left_out), **given}
