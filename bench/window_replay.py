"""(d) A replay of sliding windows: rows that the engine reads against rows needed, and against whole-query keys.

The trace (`bench.window_trace`) is played to the engine's own survey, planner, flights, chunk reader and statements,
on a fake clock and with the cache in memory, one request after the other, none of them forced to read anew. Merging
is left out, since it reads nothing from the warehouse; instead every plan is checked to cover its range, and every
chunk to have as many rows as the plant has there.

*Rows needed* is what a perfect cache of single rows would read: a row counts when an answer needs it and no earlier
read of that row is still fresh. Freshness is the dataset's: `settled_ttl_s`, a day, for a released hold, `ttl_s`, 15
minutes, for one on hold. So a row that answers need on ten days counts about ten times, once per life, since
tomorrow's windows must read it again whatever the cache; within a life it counts once, however many users look and
however their windows overlap. What is read beyond that is the price of chunks: above all carry-ins, which repeat
holds that a slice or another carry-in has brought.

*Whole-query keys* read all rows of an answer, slice and carry-in, whenever the same two dates were not asked for
within the life of that answer. They are counted in the same run, over the times of the plant's rows.

All ranges end months before the plant's clock. The promise is made on settled data, so holds that were never released
are left out of its plant. Two harder plants are told and promised nothing: those holds released shortly before the
plant's clock, so that every carry-in repeats them, and the plant as it is, where one open hold keeps its whole chunk
from being settled.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
from sluice_query_engine.cache_memory import MemoryFrameCache
from sluice_query_engine.catalog import load_catalog
from sluice_query_engine.dataset import Dataset
from sluice_query_engine.execution.chunk import ChunkLimits, ChunkReader
from sluice_query_engine.execution.flights import Flights
from sluice_query_engine.execution.interest import Patience
from sluice_query_engine.execution.run import QueryRun
from sluice_query_engine.execution.survey import Survey
from sluice_query_engine.parameters import canonical, time_range
from sluice_query_engine.planning import TimeRange
from sluice_query_engine.plant_clock import PlantClock
from sluice_rpc.ports import FakeClock, SequentialIds
from sluice_warehouse.duckdb import DuckDBWarehouse
from sluice_warehouse.lanes import SlowLane
from sluice_warehouse.permits import LocalPermits

from bench.hold_plant import hold_plant
from bench.measure import Comparison
from bench.window_trace import Holds, Look, NeededRows, WholeQueryKeys, draw_trace
from tests.engine_rig import DATASET, REPOSITORY

HOLD_COUNT = 100_000
SEED = 7
USER_COUNT, WORKING_DAYS = 20, 65
FIRST_END = date(2025, 7, 1)
MOST_PER_NEEDED = 1.05
LEAST_TIMES_FEWER = 5
SETTLED = "delete from DWH.DW_MES_HOLDRELEASEHISTORY where RELEASETXNDATE is null"
RELEASED_LATE = (
    "update DWH.DW_MES_HOLDRELEASEHISTORY set RELEASETXNDATE = timestamp '2025-12-25' where RELEASETXNDATE is null"
)
AS_IT_IS = ""
_PATIENCE = Patience(after_look_s=3600.0, after_watch_s=3600.0)
_TOLD_MINUTES = 14 * 24 * 60
_START = datetime(2026, 1, 5, tzinfo=UTC)
_TIMES = (
    "select HOLDTXNDATE, coalesce(RELEASETXNDATE, timestamp '9999-01-01') from DWH.DW_MES_HOLDRELEASEHISTORY "
    "where HOLDTXNDATE is not null order by HOLDTXNDATE"
)


@dataclass(frozen=True)
class Replay:
    """What a replay read, and what it would have taken others."""

    look_count: int
    row_count: int
    statement_count: int
    needed_count: int
    needed_again_count: int
    """Those of `needed_count` whose earlier life had ended."""
    whole_query_count: int
    whole_query_key_count: int

    @property
    def per_needed(self) -> float:
        """Rows read for each row needed."""
        return self.row_count / self.needed_count

    @property
    def times_fewer(self) -> float:
        """How many times as many rows whole-query keys read."""
        return self.whole_query_count / self.row_count


def run() -> tuple[list[Comparison], list[str]]:
    """Return no comparison of times, and lines that say whether the promises on rows hold."""
    plant = hold_plant(HOLD_COUNT)
    trace = draw_trace(SEED, users=USER_COUNT, working_days=WORKING_DAYS, first_end=FIRST_END)
    settled = replayed(plant, SETTLED, trace)
    late = replayed(plant, RELEASED_LATE, trace)
    as_it_is = replayed(plant, AS_IT_IS, [look for look in trace if look.minute < _TOLD_MINUTES])
    return [], [
        f"{settled.look_count:,} requests of {USER_COUNT} users on {WORKING_DAYS} working days, settled data: "
        f"{settled.row_count:,} rows read by {settled.statement_count:,} statements",
        f"rows needed, each once per life of a day: {settled.needed_count:,}, of which "
        f"{settled.needed_again_count / settled.needed_count:.1%} again because a life had ended",
        f"of the rows read: {settled.needed_again_count / settled.row_count:.1%} due to expiry, "
        f"{1 - settled.needed_count / settled.row_count:.1%} not needed",
        f"rows read for each row needed: {settled.per_needed:.3f} (at most {MOST_PER_NEEDED:g}) "
        f"{_verdict(settled.per_needed <= MOST_PER_NEEDED)}",
        f"whole-query keys: {settled.whole_query_count:,} rows by {settled.whole_query_key_count:,} reads, "
        f"{settled.times_fewer:.1f}× ours (at least {LEAST_TIMES_FEWER}×) "
        f"{_verdict(settled.times_fewer >= LEAST_TIMES_FEWER)}",
        _told("with the 0.5 % left out released late instead", late),
        _told("with them open, so that few chunks are ever settled, the first two weeks", as_it_is),
    ]


def replayed(plant: Path, change: str, trace: Sequence[Look]) -> Replay:
    """Return what the trace reads from a copy of the plant, changed by one statement."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "plant.duckdb"
        shutil.copyfile(plant, copy)
        with duckdb.connect(str(copy)) as connection:
            if change:
                connection.execute(change)
            times = connection.execute(_TIMES).fetchnumpy()
        held, until = (column.astype("datetime64[s]") for column in map(np.asarray, times.values()))
        return _replay(copy, Holds(held, until), trace)


class _Engine:
    """The engine's planning and reading, without its server and without merging."""

    def __init__(self, dataset: Dataset, warehouse: DuckDBWarehouse, clock: FakeClock, holds: Holds) -> None:
        cache, permits = MemoryFrameCache(clock), LocalPermits(4)
        plant_clock = PlantClock(warehouse, clock)
        reader = ChunkReader(
            SlowLane(warehouse, permits),
            cache,
            clock,
            SequentialIds(),
            plant_clock=plant_clock,
            limits=ChunkLimits(256 << 20, 300.0),
        )
        self._dataset = dataset
        self._clock = clock
        self._holds = holds
        self._flights = Flights(reader, clock)
        self._survey = Survey(cache, self._flights, clock, plant_clock)

    def answer(self, look: Look) -> TimeRange:
        """Read what is missing for a request, and return its range."""
        dates = {"start_date": look.start_date.isoformat(), "end_date": look.end_date.isoformat()}
        parameters = canonical(self._dataset, dates)
        run = QueryRun(f"user-{look.user}", self._dataset, parameters, self._clock, "replay", patience=_PATIENCE)
        departures = self._survey.depart(run, parameters, no_cache=False)
        run.set_plan(departures.plan)
        for flight in departures.flights.values():
            row_count = self._flights.land(flight, run).row_count
            if flight.job.start is not None:
                self._check(flight.job.start, flight.job.end, row_count)
        asked = time_range(self._dataset, parameters)
        position = departures.plan.read_from
        for chunk in departures.plan.chunks:
            if chunk.start is None:
                # Open rows that are read again by their ids lie in chunks that are there.
                continue
            if chunk.end is not None:
                if chunk.start != position:
                    raise RuntimeError(f"the plan leaves out what is before {chunk.start}")
                position = chunk.end
            elif chunk.start != departures.plan.read_from or chunk.start > asked.start:
                raise RuntimeError(f"a carry-in of {chunk.start} does not fit the plan")
        if position != asked.end:
            raise RuntimeError(f"the plan ends at {position}")
        return asked

    def _check(self, start: datetime, end: datetime | None, row_count: int) -> None:
        carried = len(self._holds.wanted(start, start))
        expected = carried if end is None else len(self._holds.wanted(start, end)) - carried
        if row_count != expected:
            raise RuntimeError(f"{row_count} rows came for {start} to {end}, the plant has {expected}")


def _replay(plant: Path, holds: Holds, trace: Sequence[Look]) -> Replay:
    engine_home = REPOSITORY / "services" / "query-engine"
    dataset = load_catalog(engine_home / "datasets", engine_home / "references").get(DATASET)
    life_minutes = np.where(holds.open, dataset.limits.ttl_s, dataset.limits.settled_ttl_s) / 60
    needed, whole = NeededRows(holds, life_minutes), WholeQueryKeys(life_minutes)
    clock, warehouse = FakeClock(_START), DuckDBWarehouse(plant)
    engine = _Engine(dataset, warehouse, clock, holds)
    for look in trace:
        clock.advance((_START + timedelta(minutes=look.minute) - clock.now()).total_seconds())
        asked = engine.answer(look)
        rows = holds.wanted(asked.start, asked.end)
        needed.look(look.minute, rows)
        whole.look(look, rows)
    counts = warehouse.counts
    warehouse.close()
    return Replay(
        look_count=len(trace),
        row_count=counts.row_count,
        statement_count=counts.started,
        needed_count=needed.count,
        needed_again_count=needed.again_count,
        whole_query_count=whole.count,
        whole_query_key_count=whole.key_read_count,
    )


def _verdict(kept: bool) -> str:
    return "kept" if kept else "BROKEN"


def _told(plant: str, replay: Replay) -> str:
    return (
        f"{plant}: {replay.row_count:,} rows by {replay.statement_count:,} statements, {replay.per_needed:.2f} "
        f"for each row needed, whole-query keys {replay.times_fewer:.1f}× as many (told, not promised)"
    )
