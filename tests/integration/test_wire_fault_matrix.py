"""Every fault of the stand-in, in every phase in which it can occur, in both lanes: what tests/fault_matrix.toml says.

Beside the reading that is hit, two others read on. Whatever happens, the stand-in never counts more statements than the
cap, and soon after no permit, lease, statement, session, socket or thread is left. These are wire tests: they
prove transport and faults over the real driver, nothing of Oracle's SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Final, get_args

import pytest
from sluice_client.redis_server import RedisServer
from sluice_twin.oracle_wire.faults import Effect

from tests.fault_cells import LANES, NOBODY, PHASES, Cell, cells
from tests.fault_world import CAP, Seen, fresh_processes, run_cell

TEST: Final = "test_wire_a_fault_becomes_what_the_matrix_says"
NUMBERS: Final = {18, 28, 942, 1013, 1017, 1555, 1795, 2391, 3113, 12514, 12516, 28000, 28001}
"""What Oracle says most often when something is wrong."""
# The first cell waits for processes to start, and any for its turn.
pytestmark = pytest.mark.timeout(600)
PROCESS_COUNT: Final = 10
"""Cells mostly wait, for a time-out or for the end of a quarantine."""


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[Mapping[str, Future[Seen]]]:
    """The selected cells by name, under way in processes of their own."""
    names = {item.name for item in request.session.items}
    asked = [cell for cell in cells() if f"{TEST}[{cell.name}]" in names]
    with ProcessPoolExecutor(PROCESS_COUNT, fresh_processes()) as processes:
        yield {cell.name: processes.submit(run_cell, cell, redis_server.url) for cell in asked}


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: cell.name)
def test_wire_a_fault_becomes_what_the_matrix_says(running: Mapping[str, Future[Seen]], cell: Cell) -> None:
    seen = running[cell.name].result(560)
    assert (seen.fired, seen.victim, set(seen.others), seen.left) == (True, cell.victim, {cell.others}, ())
    assert seen.peak <= CAP


def test_the_matrix_has_every_phase_in_both_lanes() -> None:
    assert {(cell.phase, cell.lane) for cell in cells()} == {(phase, lane) for phase in PHASES for lane in LANES}


def test_the_matrix_has_every_fault_that_the_stand_in_can_show() -> None:
    # A stall that is deaf to breaks stands for a server that is.
    effects = set(get_args(Effect)) - {"deaf"}
    assert {cell.hit.do for cell in cells() if cell.fault != NOBODY} == effects
    assert {cell.hit.code for cell in cells() if cell.fault != NOBODY} >= NUMBERS
    assert any(cell.hit.deaf for cell in cells() if cell.fault != NOBODY)
    assert any(cell.fault == NOBODY for cell in cells())


def test_no_two_cells_have_one_name() -> None:
    names = [cell.name for cell in cells()]
    assert len(names) == len(set(names))
