"""Two queries at once that want the same chunk: what one is told of it never disturbs the other."""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice.query.v1 import query_service_pb2 as pb

from tests.stepped_engine import stepped_engine
from tests.stepped_world import Hold

FIRST = datetime(2026, 1, 1, 8, 0)
PLANT = [Hold(f"h{number:03}", FIRST + timedelta(hours=6 * number), None) for number in range(60)]


def test_a_query_that_comes_to_a_read_in_full_course_shows_its_rows_and_both_end_whole() -> None:
    with stepped_engine(PLANT, FIRST + timedelta(days=20)) as engine:
        first = engine.start("2026-01-01", "2026-01-08")
        engine.release(engine.waiting()[0])
        assert [reading.begun.part for reading in engine.waiting()] == ["slice"]
        second = engine.start("2026-01-01", "2026-01-06")
        shown = {chunk.state for chunk in engine.runs[second].snapshot().progress.chunks}
        engine.release_all()

        assert pb.CHUNK_STATE_RUNNING in shown
        assert [engine.runs[name].state_name for name in (first, second)] == ["completed", "completed"]
