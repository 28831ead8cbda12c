"""What sliding windows of many users read; the small form of `make bench`'s window-replay."""

from __future__ import annotations

from datetime import date

import pytest
from sluice_twin import write_plant

from bench.hold_plant import HOLD_TABLES
from bench.window_replay import LEAST_TIMES_FEWER, MOST_PER_NEEDED, SETTLED, Replay, replayed
from bench.window_trace import draw_trace


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Replay:
    plant = tmp_path_factory.mktemp("windows") / "plant.duckdb"
    write_plant(plant, scale=0.05, sizes={HOLD_TABLES[0]: 6_000}, tables=HOLD_TABLES)
    return replayed(plant, SETTLED, draw_trace(7, users=20, working_days=3, first_end=date(2025, 7, 1)))


def test_sliding_windows_read_at_most_a_twentieth_more_rows_than_they_need(replay: Replay) -> None:
    assert 1 <= replay.per_needed <= MOST_PER_NEEDED


def test_sliding_windows_read_at_most_a_fifth_of_what_whole_query_keys_read(replay: Replay) -> None:
    assert replay.times_fewer >= LEAST_TIMES_FEWER


def test_rows_are_read_again_once_their_life_has_ended(replay: Replay) -> None:
    assert 0 < replay.needed_again_count < replay.needed_count
