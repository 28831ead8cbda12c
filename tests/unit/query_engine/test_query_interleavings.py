"""Whatever order chunks, failures, losses and callers come in, an answer is the truth or says what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sluice.cache.v1 import frame_service_pb2 as frames
from sluice.query.v1 import query_service_pb2 as pb
from sluice.table.v1 import table_pb2
from sluice_query_engine.errors import CacheExpired
from sluice_query_engine.planning.plan import PlannedChunk
from sluice_rpc.errors import ServiceError
from sluice_warehouse.errors import ContractBroken, StatementTimeout, WarehouseError, WarehouseUnavailable

from tests.stepped_engine import Planned, SteppedEngine, stepped_engine
from tests.stepped_world import Hold, Started, read

Item = TypeVar("Item")

DAY = timedelta(days=1)
FIRST_DAY = datetime(2026, 1, 1, 7, 30)
PLANT_NOW = FIRST_DAY + 24 * DAY
LIMIT = 16

# 500 steps, in a soak 10,000; a step is one rule.
STEP_COUNT = 25
EXAMPLE_COUNT = {"soak": 500}.get(settings.get_current_profile_name(), 20)


def plant() -> list[Hold]:
    """Return two or three holds a day, each sixth still open, at and around the edge of the day; one day has many."""
    holds = []
    for number in range(60):
        held = FIRST_DAY + (number // 3) * DAY + timedelta(seconds=(-1, 0, 40_000)[number % 3])
        released = None if number % 11 == 5 else held + timedelta(days=number % 4, seconds=number % 2)
        holds.append(Hold(f"h{number:02}", held, released))
    crowd = FIRST_DAY + 12 * DAY
    holds += [Hold(f"c{hour:02}", crowd + timedelta(hours=hour), crowd + 2 * DAY) for hour in range(12)]
    return holds


def day(number: int) -> str:
    """Return the label of a day of the plant."""
    return (FIRST_DAY + number * DAY).date().isoformat()


FAULTS: dict[str, Callable[[], ServiceError]] = {
    "transient": WarehouseUnavailable,
    "refused": lambda: WarehouseError(600),
    "timeout": lambda: StatementTimeout("chunk", 300.0),
    "contract": lambda: ContractBroken("qty", "chunk"),
}


class Interleavings(RuleBasedStateMachine):
    """Callers, a warehouse that fails, a cache that forgets and a clock, one step of one of them at a time.

    Threads that one event wakes go on in an order of their own. So no rule is left out for the state it would find:
    what is drawn is the same each time an example is run, and a rule that finds nothing to do starts a query instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self.engine = SteppedEngine(plant(), PLANT_NOW)
        self.checked: set[tuple[str, int]] = set()
        self.lost: set[str] = set()
        self.loss_count = 0
        self.losses_before: dict[str, int] = {}

    def teardown(self) -> None:
        self.engine.close()

    @initialize(first=st.integers(5, 12))
    def a_first_query(self, first: int) -> None:
        self.engine.start(day(first), day(first + 5))

    @rule(first=st.integers(5, 18), length=st.integers(0, 7), no_cache=st.booleans())
    def start(self, first: int, length: int, no_cache: bool) -> None:
        if len(self.engine.running()) < 4:
            self.engine.start(day(first), day(first + length), no_cache=no_cache)

    @rule(which=st.integers(0, 3), count=st.sampled_from([1, 2, 4, 20]))
    def let_statements_end(self, which: int, count: int) -> None:
        for _ in range(count):
            if reading := self._one_of(self.engine.waiting(), which):
                self.engine.release(reading)

    @rule(which=st.integers(0, 3), fault=st.sampled_from(sorted(FAULTS)), batch_count=st.integers(0, 2))
    def fail_a_statement(self, which: int, fault: str, batch_count: int) -> None:
        if reading := self._one_of(self.engine.waiting(), which):
            self.engine.release(reading, FAULTS[fault](), batch_count)

    @rule()
    def lose_the_warehouse_for_a_moment(self) -> None:
        for _ in range(2):
            for reading in self.engine.waiting():
                self.engine.release(reading, WarehouseUnavailable())

    @rule(count=st.integers(1, 2))
    def have_the_cache_refuse_chunks(self, count: int) -> None:
        self.engine.cache.refusing_count = count

    @rule(which=st.integers(0, 30))
    def lose_a_frame(self, which: int) -> None:
        if frame := self._one_of(self.engine.cache.chunk_frames(), which):
            self._lose(frame)

    @rule(seconds=st.sampled_from([2, 400, 901, 2_000, 90_000, 200_000]))
    def let_time_pass(self, seconds: int) -> None:
        self.engine.clock.advance(seconds)
        self.loss_count += 1
        self.checked.clear()

    @rule(which=st.integers(0, 3))
    def cancel(self, which: int) -> None:
        if query_id := self._one_of(self.engine.running(), which):
            self.engine.cancel(query_id)

    @rule(which=st.integers(0, 9))
    def run_again(self, which: int) -> None:
        if query_id := self._one_of(self.engine.ended(), which):
            self.engine.retry(query_id)

    @invariant()
    def answers_are_the_truth_or_say_what_they_lack(self) -> None:
        for query_id in self.engine.runs:
            manifest = self.engine.cache.get_manifest(query_id)
            if manifest is None or (query_id, manifest.version) in self.checked:
                continue
            self.checked.add((query_id, manifest.version))
            try:
                rows = self.engine.rows(query_id)
            except CacheExpired:
                assert self._names_of(manifest) & self.lost, "an answer has gone that nobody lost"
                continue
            check_rows(self.engine, manifest, rows)
            check_gaps(self.engine, manifest.receipt)

    @invariant()
    def runs_end_as_their_chunks_did(self) -> None:
        for run in self.engine.runs.values():
            before = self.losses_before.setdefault(run.client_id, self.loss_count)
            query = run.snapshot()
            assert query.error_code != "CACHE_EXPIRED" or self.loss_count > before, "nothing went while it ran"
            check_end(self.engine, query, run.client_id)

    @invariant()
    def nothing_that_is_there_is_read_again(self) -> None:
        plans = self.engine.plans
        while plans:
            check_plan(plans.pop())

    def _one_of(self, there: Sequence[Item], which: int) -> Item | None:
        """Return one of what is there; where nothing is, start a query and return None."""
        if there:
            return there[which % len(there)]
        if not self.engine.running():
            self.engine.start(day(5 + which % 14), day(8 + which % 14))
        return None

    def _lose(self, frame: frames.Frame) -> None:
        self.engine.cache.lose(frame.frame_id)
        self.lost.add(frame.frame_id)
        self.loss_count += 1
        self.checked.clear()

    @staticmethod
    def _names_of(manifest: frames.Manifest) -> set[str]:
        return {piece.frame_id for table in manifest.tables for piece in table.slices.frames}


def check_rows(engine: SteppedEngine, manifest: frames.Manifest, rows: list[str]) -> None:
    """Compare the rows of an answer with the plant, less what its receipt names."""
    receipt = manifest.receipt
    start = datetime.fromisoformat(manifest.binds["start_time"].timestamp_value)
    end = datetime.fromisoformat(manifest.binds["end_time"].timestamp_value)
    truth = [hold for hold in engine.holds if hold.held < end and (hold.released is None or hold.released >= start)]
    failed = {hold.history_id for hold in truth if any(inside(hold, gap) for gap in receipt.failed_ranges)}
    # A failed batch lacks the open holds of so many transactions; which ones is not said.
    lacking = sum(gap.id_count for gap in receipt.failed_ranges)
    still_open = {hold.history_id for hold in truth if hold.released is None} if lacking else set()
    cut = {hold.history_id for hold in truth if any(inside(hold, gap) for gap in receipt.truncated_ranges)}
    whole = {hold.history_id for hold in truth} - failed
    assert len(set(rows)) == len(rows), "a row came twice"
    assert whole - cut - still_open <= set(rows) <= whole
    assert len(whole - cut - set(rows)) <= lacking
    assert receipt.row_count == len(rows)
    status = table_pb2.COMPLETENESS_TRUNCATED if receipt.truncated_ranges else table_pb2.COMPLETENESS_COMPLETE
    assert receipt.status == (table_pb2.COMPLETENESS_PARTIAL if receipt.failed_ranges else status)
    assert receipt.chunks.total == receipt.chunks.reused + receipt.chunks.run + receipt.chunks.failed
    assert receipt.chunks.failed == len(receipt.failed_ranges)


def inside(hold: Hold, gap: table_pb2.Gap) -> bool:
    """Return whether the rows of a gap include the hold: before its start for the carry-in, else between its ends."""
    if gap.id_count:
        return False
    start = datetime.fromisoformat(gap.start)
    return hold.held < start if not gap.end else start <= hold.held < datetime.fromisoformat(gap.end)


def check_gaps(engine: SteppedEngine, receipt: table_pb2.Receipt) -> None:
    """Demand that each gap is of a statement that failed so, and each cut range of one that had too many rows."""
    for gap in receipt.failed_ranges:
        refused = gap.code == "SERVICE_UNAVAILABLE" and engine.cache.refused_count
        assert refused or any(code == gap.code and holds_gap(begun, gap) for begun, code in engine.stage.failed), gap
    for gap in receipt.truncated_ranges:
        assert gap.code == "RESULT_TOO_LARGE"
        assert any(holds_gap(begun, gap) and too_large(engine, begun) for begun in engine.stage.started), gap


def holds_gap(begun: Started, gap: table_pb2.Gap) -> bool:
    """Return whether the statement would have read the gap."""
    if begun.part != gap.part or begun.start is None:
        return begun.part == gap.part and len(begun.ids) == gap.id_count > 0
    start = datetime.fromisoformat(gap.start)
    if begun.end is None:
        return begun.start == start
    return begun.start <= start and datetime.fromisoformat(gap.end) <= begun.end


def too_large(engine: SteppedEngine, begun: Started) -> bool:
    """Return whether the statement had more rows than a chunk may."""
    return begun.start is not None and len(read(engine.holds, begun.start, begun.end)) > LIMIT


def check_end(engine: SteppedEngine, query: pb.Query, client_id: str) -> None:
    """Demand that the query says how it ended, and what it made the warehouse do."""
    if query.state in (pb.QUERY_STATE_COMPLETED, pb.QUERY_STATE_PARTIAL):
        ran = [begun for begun in engine.stage.started if begun.client_id == client_id]
        assert query.receipt.warehouse_statement_count == len(ran)
        return
    if query.state != pb.QUERY_STATE_FAILED or query.error_code == "CACHE_EXPIRED":
        return
    states = {chunk.state for chunk in query.progress.chunks}
    failed_reference = any(begun.client_id == client_id and begun.of_reference for begun, _ in engine.stage.failed)
    assert failed_reference or states == {pb.CHUNK_STATE_FAILED}
    assert query.error_code in {code for _, code in engine.stage.failed} | {"SERVICE_UNAVAILABLE"}


def check_plan(planned: Planned) -> None:
    """Demand that nothing is read that was there, or on its way, when the query was planned."""
    if planned.no_cache:
        return
    for chunk in planned.missing:
        for there in planned.there:
            assert there.part != chunk.part or not overlap(there, chunk), (chunk, there)


def overlap(there: Started, chunk: PlannedChunk) -> bool:
    """Return whether a chunk shares rows with one that is there."""
    if chunk.start is None or there.start is None:
        return bool(there.ids.intersection(chunk.ids))
    if there.end is None or chunk.end is None:
        return there.start == chunk.start
    return there.start < chunk.end and chunk.start < there.end


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=EXAMPLE_COUNT, stateful_step_count=STEP_COUNT, deadline=None)


@pytest.fixture
def engine() -> Iterator[SteppedEngine]:
    """An engine on the plant of this module."""
    with stepped_engine(plant(), PLANT_NOW) as engine:
        yield engine


def statement_count(engine: SteppedEngine, query_id: str) -> int:
    return engine.runs[query_id].snapshot().receipt.warehouse_statement_count


def test_receipt_counts_statements_of_chunks_that_were_lost_before_they_were_merged(engine: SteppedEngine) -> None:
    query_id = engine.start(day(4), day(9))
    engine.release(engine.waiting()[0])
    engine.release(engine.waiting()[0])
    engine.cache.lose(engine.cache.chunk_frames()[0].frame_id)
    engine.release_all()
    assert statement_count(engine, query_id) == len(engine.stage.started)


def test_statement_that_did_not_run_because_the_cache_refused_its_chunk_is_not_counted(engine: SteppedEngine) -> None:
    engine.cache.refusing_count = 1
    query_id = engine.start(day(4), day(9))
    engine.release_all()
    assert statement_count(engine, query_id) == len(engine.stage.started)


def test_run_that_ends_late_does_not_give_up_chunks_of_the_same_query_started_again(engine: SteppedEngine) -> None:
    engine.start(day(5), day(8))
    engine.release(engine.waiting()[0])
    engine.clock.advance(3 * DAY.total_seconds())
    query_id = engine.start(day(5), day(9))
    engine.cancel(query_id)
    engine.start(day(5), day(9))
    engine.release(next(reading for reading in engine.waiting() if reading.begun.of_reference), WarehouseError(600))
    engine.release_all()
    assert not engine.runs[query_id].snapshot().receipt.failed_ranges


def test_failed_statement_of_a_stale_reference_is_counted(engine: SteppedEngine) -> None:
    engine.start(day(4), day(5))
    engine.release_all()
    engine.clock.advance(1.5 * DAY.total_seconds())
    before = len(engine.stage.started)
    query_id = engine.start(day(4), day(6))
    engine.release(engine.waiting()[0], WarehouseError(600))
    engine.release_all()
    assert statement_count(engine, query_id) == len(engine.stage.started) - before


def test_chunks_that_overlap_after_a_forced_read_yield_each_row_once(engine: SteppedEngine) -> None:
    for first, last, no_cache in ((5, 7, False), (7, 9, True), (5, 9, False)):
        query_id = engine.start(day(first), day(last), no_cache=no_cache)
        engine.release_all()
    rows = engine.rows(query_id)
    assert len(set(rows)) == len(rows)


def test_past_their_life_only_days_that_may_change_are_read_again(engine: SteppedEngine) -> None:
    engine.start(day(21), day(24))
    engine.release_all()
    before = len(engine.stage.started)
    engine.clock.advance(901)
    engine.start(day(21), day(24))
    engine.release_all()
    again = [(begun.start, begun.end) for begun in engine.stage.started[before:] if begun.part == "slice"]
    assert again == [(FIRST_DAY + 22 * DAY, FIRST_DAY + 24 * DAY)]
