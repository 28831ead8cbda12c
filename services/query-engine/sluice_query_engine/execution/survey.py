"""Looks up what of a query is there or on its way, and has the planner decide the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sluice.cache.v1 import frame_service_pb2 as frames
from sluice_rpc.ports import Clock

from sluice_query_engine.cache import FrameCache
from sluice_query_engine.dataset import Dataset, Part
from sluice_query_engine.execution.chunk import ChunkJob, instant_of
from sluice_query_engine.execution.flights import Flight, Flights, Listener
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.parameters import JSON, time_range
from sluice_query_engine.planning.extents import Extent
from sluice_query_engine.planning.freshness import FreshnessRule
from sluice_query_engine.planning.identity import series_of
from sluice_query_engine.planning.planner import CutRule, PartShape, Plan, PlannedChunk, plan_query


@dataclass(frozen=True)
class Departures:
    """A plan, and by position the flight that brings each chunk that is not there."""

    plan: Plan
    flights: Mapping[int, Flight]


class Survey:
    """Plans queries against the cache and against what this process reads at the moment.

    Args:
        cache: which frames there are.
        flights: what is on its way.
        clock: tells fresh from stale.
    """

    def __init__(self, cache: FrameCache, flights: Flights, clock: Clock) -> None:
        self._cache = cache
        self._flights = flights
        self._clock = clock

    def plan(self, dataset: Dataset, parameters: Mapping[str, JSON], *, no_cache: bool) -> Plan:
        """Return the plan as of now, without reading anything.

        Raises:
            ServiceUnavailable: the cache is away.
        """
        extents = [] if no_cache else self._extents(dataset, parameters)
        return self._planned(dataset, parameters, extents)

    def depart(self, run: QueryRun, parameters: Mapping[str, JSON], *, no_cache: bool) -> Departures:
        """Plan a query and want every chunk of it that is not there. Raises as `plan` does."""
        dataset = run.dataset
        with self._flights.planning(series_of(dataset.name, dataset.version, "", _timeless(dataset, parameters))):
            # First what is on its way, then what is there: a chunk that lands in between is found twice, not never.
            pending = {} if no_cache else self._pending(dataset, parameters)
            there = [] if no_cache else self._extents(dataset, parameters)
            plan = self._planned(dataset, parameters, [*there, *pending])
            flights = {}
            for chunk in plan.chunks:
                if chunk.extent is None:
                    flights[chunk.index] = self._want(run, parameters, chunk)
                elif chunk.extent in pending:
                    listener = _listener(run, chunk.index)
                    flights[chunk.index] = self._flights.join(pending[chunk.extent], run, listener)
        return Departures(plan, flights)

    def _want(self, run: QueryRun, parameters: Mapping[str, JSON], chunk: PlannedChunk) -> Flight:
        dataset = run.dataset
        part = next(part for part in dataset.parts if part.name == chunk.part)
        job = ChunkJob(
            dataset=dataset.name,
            series=_series(dataset, part, parameters),
            part=part,
            start=chunk.start,
            end=chunk.end,
            parameters=parameters,
            max_row_count=dataset.limits.max_rows_per_chunk,
            freshness=freshness_rule(dataset),
            client_id=run.client_id,
        )
        return self._flights.want(job, run, _listener(run, chunk.index))

    def _planned(self, dataset: Dataset, parameters: Mapping[str, JSON], extents: list[Extent]) -> Plan:
        shapes = [PartShape(part.name, part.cut) for part in dataset.parts]
        rule = CutRule(dataset.limits.direct_max_days, dataset.limits.grain_days)
        return plan_query(time_range(dataset, parameters), shapes, extents, rule, self._clock.now())

    def _extents(self, dataset: Dataset, parameters: Mapping[str, JSON]) -> list[Extent]:
        return [
            extent_of(frame, part.name)
            for part in dataset.parts
            for frame in self._cache.list_frames({"series": _series(dataset, part, parameters)})
        ]

    def _pending(self, dataset: Dataset, parameters: Mapping[str, JSON]) -> dict[Extent, Flight]:
        return {
            extent: flight
            for part in dataset.parts
            for extent, flight in self._flights.pending(_series(dataset, part, parameters), part.name)
        }


def freshness_rule(dataset: Dataset) -> FreshnessRule:
    """Return for how long the dataset's chunks may be reused."""
    limits = dataset.limits
    return FreshnessRule(
        ttl=timedelta(seconds=limits.ttl_s),
        settled_ttl=timedelta(seconds=limits.settled_ttl_s),
        settles_after=timedelta(days=limits.settles_after_days),
    )


def extent_of(frame: frames.Frame, part: str) -> Extent:
    """Return the extent that a chunk's frame is."""
    end = frame.labels.get("end", "")
    return Extent(
        part=part,
        start=datetime.fromisoformat(frame.labels["start"]),
        end=datetime.fromisoformat(end) if end else None,
        frame_id=frame.frame_id,
        read_time=instant_of(frame.read_time),
        fresh_until_time=instant_of(frame.fresh_until_time),
        truncated="truncated" in frame.labels,
        row_count=frame.row_count,
    )


def _series(dataset: Dataset, part: Part, parameters: Mapping[str, JSON]) -> str:
    return series_of(dataset.name, dataset.version, part.name, _timeless(dataset, parameters))


def _timeless(dataset: Dataset, parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    times = {parameter.name for parameter in dataset.parameters if parameter.role is not None}
    return {name: value for name, value in parameters.items() if name not in times}


def _listener(run: QueryRun, index: int) -> Listener:
    return lambda row_count: run.chunk_rows(index, row_count)
