"""Looks up what of a query is there or on its way, and has the planner decide the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sluice.query.v1 import query_service_pb2 as pb
from sluice_rpc.errors import NotFound
from sluice_rpc.ports import Clock

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution import id_lists
from sluice_query_engine.execution.chunk import ChunkJob
from sluice_query_engine.execution.flights import Flight, Flights, Listener
from sluice_query_engine.execution.id_sets import IdBatch, IdSets
from sluice_query_engine.execution.inventory import Inventory, series_name, shared_parameters
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.parameters import JSON, part_range, ranged, time_range
from sluice_query_engine.parts import Part
from sluice_query_engine.planning.extents import Extent
from sluice_query_engine.planning.freshness import FreshnessRule
from sluice_query_engine.planning.id_extents import IdExtent
from sluice_query_engine.planning.identity import series_of
from sluice_query_engine.planning.packed_ids import PackedIds
from sluice_query_engine.planning.plan import Plan, PlannedChunk
from sluice_query_engine.planning.planner import CutRule, IdDemand, PartShape, plan_query, to_renew, with_ids
from sluice_query_engine.plant_clock import PlantClock

_READ_TIME: Final = timedelta(hours=1)
"""Longest that the batches of a plan take to be read; which ids they cover is kept as long as the last of them."""


@dataclass(frozen=True)
class Departures:
    """A plan, and by position the flight that brings each chunk that is not there.

    Args:
        plan: the plan so far.
        flights: of the chunks that were planned last.
        not_before: no frame read earlier answers the query, UTC; None where any that is fresh does.
        given_up: chunks that failed before and are left as they are, whenever what is there is planned again.
    """

    plan: Plan
    flights: Mapping[int, Flight]
    not_before: datetime | None = None
    given_up: tuple[pb.ChunkProgress, ...] = ()


class Survey:
    """Plans queries against the cache and against what this process reads at the moment.

    Args:
        cache: which frames there are.
        flights: what is on its way.
        clock: tells fresh from stale.
        plant_clock: tells what may still change.
    """

    def __init__(self, cache: FrameCache, flights: Flights, clock: Clock, plant_clock: PlantClock) -> None:
        self._cache = cache
        self._inventory = Inventory(cache)
        self._flights = flights
        self._clock = clock
        self._plant_clock = plant_clock

    def plan(self, dataset: Dataset, parameters: Mapping[str, JSON], *, no_cache: bool) -> Plan:
        """Return the plan as of now, without reading anything.

        Raises:
            ServiceUnavailable: the cache is away.
        """
        extents = [] if no_cache else self._inventory.extents(dataset, parameters)
        return self._planned(dataset, parameters, extents, self._cut_rule(dataset))

    def depart(self, run: QueryRun, parameters: Mapping[str, JSON], *, no_cache: bool) -> Departures:
        """Plan a query, show its plan, and want every chunk of it that is not there. Raises as `plan` does."""
        dataset = run.dataset
        kept_for = timedelta(seconds=2 * dataset.limits.ttl_s) + _READ_TIME
        run.shown_parameters = id_lists.shown(self._cache, dataset, parameters, self._clock.now(), kept_for)
        rule = self._cut_rule(dataset)
        with self._flights.planning(
            series_of(dataset.name, dataset.version, "", shared_parameters(dataset, parameters))
        ):
            # First what is on its way, then what is there: a chunk that lands in between is found twice, not never.
            pending = {} if no_cache else self._pending(dataset, parameters)
            announced = [] if no_cache else self._announced(dataset, parameters)
            there = [] if no_cache else self._inventory.extents(dataset, parameters)
            plan = self._planned(dataset, parameters, [*there, *pending, *announced], rule)
            not_before = self._clock.now() if no_cache else None
            # Shown first: a read that others began tells of its rows as soon as it is wanted here too.
            run.set_plan(plan)
            return Departures(plan, self._want(run, plan, plan.chunks, pending, not_before), not_before)

    def go_on(self, run: QueryRun, before: Departures, plan: Plan, part: Part, ids: PackedIds) -> Departures:
        """Plan a part whose ids earlier parts gave, show that, and want every chunk of it that is not there.

        Args:
            run: the query.
            before: how it departed.
            plan: all that was planned so far.
            part: cut by ids.
            ids: which.

        Raises:
            ServiceUnavailable: the cache is away.
        """
        dataset, anew = run.dataset, before.not_before is not None
        subject = series_name(dataset, part, run.parameters)
        with self._flights.planning(subject):
            pending = {} if anew else dict(self._flights.pending(subject, part.name))
            there = [] if anew else self._inventory.extents_of(dataset, part, run.parameters)
            own = [item for item in (*there, *pending) if isinstance(item, IdExtent)]
            grown = with_ids(plan, IdDemand(part.name, ids, own), cut_rule(dataset, None), self._clock.now())
            fresh = grown.chunks[len(plan.chunks) :]
            run.extend_plan(grown)
            return replace(before, plan=grown, flights=self._want(run, grown, fresh, pending, before.not_before))

    def _want(
        self,
        run: QueryRun,
        plan: Plan,
        chunks: Sequence[PlannedChunk],
        pending: dict[Extent | IdExtent, Flight],
        not_before: datetime | None,
    ) -> dict[int, Flight]:
        """Want those of the chunks that are not there."""
        ids_frame = self._keep_ids(run.dataset, chunks)
        flights = {}
        for chunk in chunks:
            listener = _listener(run, chunk.index)
            if chunk.extent in pending:
                flights[chunk.index] = self._flights.join(pending[chunk.extent], run, listener)
            elif chunk.extent is None or not chunk.extent.frame_id:
                # What another process announced is wanted whole, as it is there: so both want the same chunk.
                job = self._job(run, _whole(chunk), ids_frame)
                flights[chunk.index] = self._flights.want(replace(job, not_before=not_before), run, listener)
        return flights

    def _job(self, run: QueryRun, chunk: PlannedChunk, ids_frame: str) -> ChunkJob:
        dataset = run.dataset
        part = next(part for part in dataset.parts if part.name == chunk.part)
        renewal = dataset.renewal_of(part.name)
        whole = part_range(dataset, part, run.parameters) if part.of_range else None
        return ChunkJob(
            dataset=dataset.name,
            series=series_name(dataset, part, run.parameters),
            part=part,
            start=chunk.start if whole is None else whole.start,
            end=chunk.end if whole is None else whole.end,
            parameters=bound_parameters(dataset, run.parameters),
            max_row_count=dataset.limits.max_rows_per_chunk,
            page_row_count=dataset.limits.rows_per_chunk,
            freshness=freshness_rule(dataset),
            client_id=run.client_id,
            ids=IdBatch(chunk.ids, ids_frame, chunk.index) if chunk.ids else None,
            renewed_by="" if renewal is None else renewal.id_column,
        )

    def _cut_rule(self, dataset: Dataset) -> CutRule:
        return cut_rule(dataset, self._plant_clock.roughly_now())

    def _planned(
        self, dataset: Dataset, parameters: Mapping[str, JSON], extents: Sequence[Extent | IdExtent], rule: CutRule
    ) -> Plan:
        now = self._clock.now()
        plan = Plan(None, None, ())
        if ranged(dataset, parameters):
            plan = self._of_range(dataset, parameters, [item for item in extents if isinstance(item, Extent)], rule)
        for part in dataset.parts_of(parameters):
            if part.cut == "ids" and not part.ids_from:
                ids = _texts(parameters.get(part.id_parameter)) if part.id_parameter else _renewed(dataset, part, plan)
                own = [item for item in extents if isinstance(item, IdExtent) and item.part == part.name]
                plan = with_ids(plan, IdDemand(part.name, ids, own), rule, now)
        return plan

    def _of_range(
        self, dataset: Dataset, parameters: Mapping[str, JSON], extents: Sequence[Extent], rule: CutRule
    ) -> Plan:
        """Return the plan of the parts that are cut by time or start, with the open rows that must be read again."""
        now = self._clock.now()
        shapes = [
            PartShape(part.name, part.cut, part_range(dataset, part, parameters) if part.own_range else None)
            for part in dataset.parts_of(parameters)
        ]
        plan = plan_query(time_range(dataset, parameters), shapes, extents, rule, now)
        try:
            return replace(plan, renewed=self._inventory.open_ids(dataset, to_renew(plan, now)))
        except NotFound:
            # One of them has just gone, so they are read whole.
            left = [item for item in extents if item.open_until_time is None or item.open_until_time > now]
            return plan_query(time_range(dataset, parameters), shapes, left, rule, now)

    def _keep_ids(self, dataset: Dataset, chunks: Sequence[PlannedChunk]) -> str:
        """Keep which ids each missing batch is read for, so that later queries find them, and return the frame."""
        sets = IdSets({chunk.index: chunk.ids for chunk in chunks if chunk.extent is None and chunk.ids})
        if not sets:
            return ""
        rule = freshness_rule(dataset)
        return sets.keep(self._cache, self._clock.now(), max(rule.settled_ttl, rule.ttl) + rule.ttl + _READ_TIME)

    def _pending(self, dataset: Dataset, parameters: Mapping[str, JSON]) -> dict[Extent | IdExtent, Flight]:
        return {
            extent: flight
            for part in dataset.parts_of(parameters)
            for extent, flight in self._flights.pending(series_name(dataset, part, parameters), part.name)
        }

    def _announced(self, dataset: Dataset, parameters: Mapping[str, JSON]) -> list[Extent]:
        return [
            Extent(part.name, chunk.start, chunk.end, "")
            for part in dataset.parts_of(parameters)
            for chunk in self._flights.expected(series_name(dataset, part, parameters))
        ]


def cut_rule(dataset: Dataset, plant_now: datetime | None) -> CutRule:
    """Return when the dataset's chunks are cut.

    Args:
        dataset: the dataset.
        plant_now: the plant's clock; None where it is not known, or nothing is cut by time.
    """
    limits, freshness = dataset.limits, freshness_rule(dataset)
    # Where no range is ever long enough to be cut, a second statement costs as much as the whole.
    apart = freshness.settled_ttl > freshness.ttl and limits.direct_max_days < limits.max_range_days
    return CutRule(
        limits.direct_max_days,
        limits.grain_days,
        limits.direct_max_ids,
        limits.id_batch_size,
        settled_until=freshness.settled_until(plant_now) if apart and plant_now is not None else None,
    )


def freshness_rule(dataset: Dataset) -> FreshnessRule:
    """Return for how long the dataset's chunks may be reused."""
    limits = dataset.limits
    return FreshnessRule(
        ttl=timedelta(seconds=limits.ttl_s),
        settled_ttl=timedelta(seconds=limits.settled_ttl_s),
        settles_after=timedelta(days=limits.settles_after_days),
    )


def bound_parameters(dataset: Dataset, parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return what statements may bind: every parameter as columns compare it, NULL where a single value is left out."""
    bound: dict[str, JSON] = {}
    for item in dataset.parameters:
        value = parameters.get(item.name)
        if value is not None or item.type != "text_list":
            bound[item.name] = _padded(value, item.width)
    return bound


def _padded(value: JSON, width: int) -> JSON:
    """Return a text, or the texts of a list, as a CHAR column of so many characters compares them."""
    if isinstance(value, list):
        return [_padded(item, width) for item in value]
    return value.ljust(width) if isinstance(value, str) else value


def _whole(chunk: PlannedChunk) -> PlannedChunk:
    extent = chunk.extent
    return replace(chunk, start=extent.start, end=extent.end) if isinstance(extent, Extent) else chunk


def _texts(value: JSON) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _renewed(dataset: Dataset, part: Part, plan: Plan) -> set[str]:
    """Return the ids of all open rows that a part reads again."""
    of_parts = [ids for index, ids in plan.renewed.items() if plan.chunks[index].part in part.renews]
    return set().union(*of_parts)


def _listener(run: QueryRun, index: int) -> Listener:
    return lambda row_count: run.chunk_rows(index, row_count)
