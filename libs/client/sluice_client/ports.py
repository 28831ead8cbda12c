"""Ports of this machine's loopback address: which are free, which one to take."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        # Servers set this too; without it a port just left by a stopped server would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def take_free(count: int) -> list[int]:
    """Return that many different free ports, as the system hands them out; nothing reserves them afterwards."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def first_free(start: int, count: int) -> int | None:
    """Return the first free port of `start`, `start` + 1, and so on for `count` ports; None if all are taken."""
    return next((port for port in range(start, start + count) if is_free(port)), None)
