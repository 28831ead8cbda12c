"""What of a query can be read only once other parts are there: stages of lineage, and parts by the ids of others.

Each is one step, in declaration order. A step whose ids should come from what failed is named as missing too: it must
not look like a table without rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from sluice_rpc.errors import Cancelled, QueryTimeout, ServiceError, of_reason

from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution.composer import Composer
from sluice_query_engine.execution.flights import Flight
from sluice_query_engine.execution.manifest import Outcome
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.execution.scope import CancelScope
from sluice_query_engine.execution.stages import StageJob, Stages, StageTable
from sluice_query_engine.execution.survey import Departures, Survey
from sluice_query_engine.parameters import JSON
from sluice_query_engine.parts import Part, Stage
from sluice_query_engine.planning.id_extents import IdExtent
from sluice_query_engine.planning.packed_ids import PackedIds
from sluice_query_engine.planning.plan import NO_IDS, Plan, PlannedChunk


@dataclass(frozen=True)
class StageCost:
    """What lineage asked of the warehouse for a stage."""

    statement_count: int
    row_count: int


@dataclass(frozen=True)
class Taken:
    """What became of a step.

    Attributes:
        flights: chunks that are now to be read, by position.
        errors: why it failed; empty where it did not, or has yet to be read.
        cost: of a stage that was computed.
    """

    flights: Mapping[int, Flight]
    errors: tuple[ServiceError, ...] = ()
    cost: StageCost | None = None


class Steps:
    """Takes steps of queries, each in the thread that calls.

    Args:
        survey: plans parts that are cut by ids.
        stages: has tables computed.
        composer: finds the ids among the tables that are there.
    """

    def __init__(self, survey: Survey, stages: Stages, composer: Composer) -> None:
        self._survey = survey
        self._stages = stages
        self._composer = composer

    def take(self, run: QueryRun, item: Part | Stage, departures: Departures, references: Mapping[str, str]) -> Taken:
        """Plan a part, or have a stage computed; a part's flights are the caller's to land.

        Raises:
            ServiceError: the cache or the plant's clock; what only this step failed of is in what is returned.
        """
        blocked = _blocked_by(run, item)
        if run.overtime.cancelled:
            return self._failed(run, item, QueryTimeout("the query's time was up before its turn"))
        if blocked is not None:
            return self._failed(run, item, blocked)
        ids = self._ids(run, item, references)
        if isinstance(item, Part):
            return Taken(self._survey.go_on(run, departures, _plan(run), item, ids).flights)
        if not ids:
            return Taken({})
        return self._computed(run, item, ids, anew=departures.not_before is not None)

    def _ids(self, run: QueryRun, item: Part | Stage, references: Mapping[str, str]) -> PackedIds:
        if isinstance(item, Stage) and item.values_parameter:
            typed = run.parameters.get(item.values_parameter)
            return PackedIds.of(str(value) for value in typed) if isinstance(typed, list) else NO_IDS
        outcome = Outcome(_plan(run), run.stored(), run.failures())
        return self._composer.ids_of(run, outcome, references, item)

    def _computed(self, run: QueryRun, stage: Stage, ids: PackedIds, *, anew: bool) -> Taken:
        kind = str(run.parameters.get(stage.kind_parameter, "")) if stage.kind_parameter else ""
        job = StageJob(stage, ids, kind, timedelta(seconds=run.dataset.limits.ttl_s))
        chunk = _chunk(run, stage, len(ids))
        found = None if anew else self._stages.find(job)
        if found is not None:
            stored = found.stored
            extent = IdExtent(
                stage.name, frozenset(), stored.frame_id, read_time=stored.read_time, row_count=stored.row_count
            )
            _extend(run, replace(chunk, extent=extent, reason="was computed before"))
            run.resolution = found.resolution or run.resolution
            return Taken({})
        _extend(run, chunk)
        try:
            table = self._read(run, job, chunk, anew=anew)
        except ServiceError as error:
            late = run.overtime.cancelled and error.reason == Cancelled.reason
            told = QueryTimeout("the query's time was up") if late else error
            run.chunk_failed(chunk.index, told.reason)
            return Taken({}, (told,))
        run.chunk_stored(chunk.index, table.stored)
        run.resolution = table.resolution or run.resolution
        return Taken({}, (), StageCost(table.statement_count, table.row_count))

    def _read(self, run: QueryRun, job: StageJob, chunk: PlannedChunk, *, anew: bool) -> StageTable:
        scope = CancelScope()
        with run.scope.attached(scope.cancel), run.overtime.attached(scope.cancel):
            return self._stages.read(job, scope, lambda rows: run.chunk_rows(chunk.index, rows), anew=anew)

    def _failed(self, run: QueryRun, item: Part | Stage, error: ServiceError) -> Taken:
        chunk = _chunk(run, item, 0)
        _extend(run, chunk)
        run.chunk_failed(chunk.index, error.reason)
        return Taken({}, (error,))


def expectations(dataset: Dataset, parameters: Mapping[str, JSON]) -> list[str]:
    """Return a sentence for people on each part of a query that cannot be planned before others were read."""
    told = []
    for item in dataset.steps_of(parameters):
        sources = item.id_sources
        if sources:
            told.append(f"What is read of {item.name} is known once {' and '.join(sources)} is there.")
        else:
            told.append(f"{item.name.capitalize()} are resolved before anything else is read.")
    return told


def _plan(run: QueryRun) -> Plan:
    return run.plan or Plan(None, None, ())


def _chunk(run: QueryRun, item: Part | Stage, id_count: int) -> PlannedChunk:
    by = "resolves what was typed" if isinstance(item, Stage) and item.values_parameter else "waits for other parts"
    return PlannedChunk(len(_plan(run).chunks), item.name, None, None, None, by, stage_id_count=id_count)


def _extend(run: QueryRun, chunk: PlannedChunk) -> None:
    plan = _plan(run)
    run.extend_plan(replace(plan, chunks=(*plan.chunks, chunk)))


def _blocked_by(run: QueryRun, item: Part | Stage) -> ServiceError | None:
    """Return why the ids of a step are not known: a table that they come from is missing whole."""
    outcome = Outcome(_plan(run), run.stored(), run.failures())
    for name in item.id_sources:
        chunks = [chunk for chunk in outcome.plan.chunks if chunk.part == name]
        if chunks and not any(outcome.frame_of(chunk) for chunk in chunks):
            code = next((outcome.failed[chunk.index] for chunk in chunks if chunk.index in outcome.failed), "INTERNAL")
            return of_reason(code, f"{name} is missing")
    return None
