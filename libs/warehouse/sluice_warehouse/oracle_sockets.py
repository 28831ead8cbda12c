"""The driver's TCP sockets, so that a call which nothing else ends can be cut off from another thread.

python-oracledb in thin mode waits without a limit once TCP is connected: a listener that accepts and then says nothing
holds `connect` for ever, and a server that ignores a break holds a fetch. Shutting the socket down ends both at once.
The driver does not show its sockets. While it connects they are seen through CPython's audit event `socket.connect`;
afterwards they are found among what the connection refers to.
"""

from __future__ import annotations

import gc
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final

import oracledb

_DEPTH: Final = 4
"""Connection, its implementation, the protocol, the transport, the socket."""
_OURS: Final = 3
"""References to a socket that nobody but a line has: the list's, the loop's, and the one that asks."""


class Line:
    """The TCP connections that some threads make; can be cut from any thread, before they are made too.

    Args:
        verdict_s: how long a connection waits behind one that came to nothing, for whoever asked for that one to say
            whether another may be tried.
    """

    def __init__(self, verdict_s: float = 0.0) -> None:
        # Held, since the driver lets go of a socket without closing it where a logon is refused.
        self._sockets: list[socket.socket] = []
        self._ended = False
        self._verdict_s = verdict_s
        self._judged = threading.Event()

    def note(self, made: socket.socket) -> None:
        """Remember a socket that is about to connect.

        Raises:
            ConnectionAbortedError: the line has ended.
        """
        before, used = self._sockets, _in_use(self._sockets)
        if self._verdict_s and before and before[-1] not in used:
            self._judged.wait(self._verdict_s)
        if self._ended:
            raise ConnectionAbortedError("ended before it was connected")
        self._judged.clear()
        self._sockets = [*used, made]

    def judged(self) -> None:
        """Say that what came of the connection before is known, and taken into account."""
        self._judged.set()

    def end(self) -> None:
        """Let nothing connect any more; what is connected goes on."""
        self._ended = True

    def cut(self) -> None:
        """End what is connected and let nothing connect any more."""
        self.end()
        for made in self._sockets:
            shut(made)

    def close(self) -> None:
        """Free what was connected, which the driver does not do when it fails; only once it uses nothing any more."""
        for made in self._sockets:
            made.close()


def _in_use(sockets: list[socket.socket]) -> list[socket.socket]:
    """Return those that the driver still has, and close the others."""
    used = []
    for made in sockets:
        if sys.getrefcount(made) > _OURS:
            used.append(made)
        else:
            made.close()
    return [made for made in used if made.fileno() >= 0]


def shut(made: socket.socket) -> None:
    """End a connection under whoever waits for it; harmless when it has ended."""
    with suppress(OSError):
        made.shutdown(socket.SHUT_RDWR)


_lines: dict[int, Line] = {}


@contextmanager
def noting(line: Line) -> Iterator[None]:
    """Note what this thread connects to as long as the block runs."""
    _hear()
    _lines[threading.get_ident()] = line
    try:
        yield
    finally:
        _lines.pop(threading.get_ident(), None)


def adopt(line: Line, threads: set[threading.Thread]) -> None:
    """Note what these threads connect to for as long as they run."""
    _hear()
    for thread in threads:
        if thread.ident is not None:
            _lines[thread.ident] = line


def disown(line: Line) -> None:
    """Note nothing more on this line."""
    for ident in [ident for ident, known in list(_lines.items()) if known is line]:
        _lines.pop(ident, None)


def socket_of(connection: oracledb.Connection) -> socket.socket | None:
    """Return the socket of an open connection, or None where it has none any more."""
    reached: list[Any] = [connection]
    for _ in range(_DEPTH):
        reached = [item for item in gc.get_referents(*reached) if _may_lead(item)]
        for item in reached:
            if isinstance(item, socket.socket):
                return item
    return None


def _may_lead(item: object) -> bool:
    return isinstance(item, socket.socket) or type(item).__module__.startswith("oracledb")


@cache
def _hear() -> None:
    # An audit hook cannot be taken back, so there is one for the process, and it does next to nothing.
    sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and (line := _lines.get(threading.get_ident())) is not None:
        line.note(arguments[0])
