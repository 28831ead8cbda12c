"""The sockets of the driver that a line knows: what the driver has dropped is closed, what it uses is not."""

from __future__ import annotations

import gc
import socket
import threading

import oracledb
import pytest
from sluice_twin.oracle_wire import DEFAULT_PASSWORD, FaultRule, OracleWireServer
from sluice_warehouse.oracle_session import connect_params
from sluice_warehouse.oracle_sockets import Line, adopt, disown

from tests.oracle_rig import address, fast


@pytest.fixture
def line() -> Line:
    return Line()


def noted(line: Line) -> socket.socket:
    """Return a socket that the line knows."""
    made = socket.socket()
    line.note(made)
    return made


def test_a_socket_that_was_dropped_is_closed_with_the_next_one(line: Line) -> None:
    noted(line)
    with noted(line) as kept:
        assert [made.fileno() for made in line._sockets] == [kept.fileno()]
    # One that was not closed would be a warning here.
    gc.collect()


def test_a_socket_in_use_stays_open(line: Line) -> None:
    with noted(line) as used, noted(line), noted(line):
        assert used.fileno() >= 0


def test_a_closed_line_leaves_no_socket_to_the_collector(line: Line) -> None:
    noted(line)
    line.close()
    del line
    gc.collect()


def test_a_line_that_was_cut_takes_no_socket(line: Line) -> None:
    line.cut()
    with socket.socket() as made, pytest.raises(ConnectionAbortedError):
        line.note(made)


def test_a_line_that_has_ended_takes_no_socket_and_leaves_those_it_has(line: Line) -> None:
    with noted(line) as used:
        line.end()
        with socket.socket() as made, pytest.raises(ConnectionAbortedError):
            line.note(made)
        assert used.fileno() >= 0


def refuse(line: Line) -> None:
    """Say that no other connection shall be tried."""
    line.end()
    line.judged()


def test_behind_a_socket_that_came_to_nothing_the_next_waits_for_the_verdict() -> None:
    line = Line(verdict_s=60)
    noted(line)
    verdict = threading.Timer(0.1, refuse, [line])
    verdict.start()
    with socket.socket() as made, pytest.raises(ConnectionAbortedError):
        line.note(made)
    verdict.join()
    line.close()


def test_wire_the_driver_s_pool_tries_no_refused_logon_again_before_it_hears_the_verdict() -> None:
    line = Line(verdict_s=60)
    with OracleWireServer(None) as server:
        server.faults.set([FaultRule(phase="logon", do="error", code=28001)])
        before = set(threading.enumerate())
        pool = oracledb.create_pool(
            **connect_params(address(server.port), fast(), DEFAULT_PASSWORD),
            min=0,
            max=2,
            increment=1,
            getmode=oracledb.POOL_GETMODE_TIMEDWAIT,
            wait_timeout=60_000,
        )
        adopt(line, set(threading.enumerate()) - before)
        with pytest.raises(oracledb.DatabaseError, match="ORA-28001"):
            pool.acquire()
        line.end()
        line.judged()
        with pytest.raises(oracledb.OperationalError, match="DPY-6005"):
            pool.acquire()
        assert len(server.faults.fired) == 1
        pool.close(force=True)
    disown(line)
    line.close()
