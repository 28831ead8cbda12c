"""The sockets of the driver that a line knows: what the driver has dropped is closed, what it uses is not."""

from __future__ import annotations

import gc
import socket
import threading

import pytest
from sluice_warehouse.oracle_sockets import Line


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
