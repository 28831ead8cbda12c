"""A TCP proxy that makes a network bad on purpose, between a process and a server that is fine.

Each fault holds for connections that are there as well as for those to come, until another one takes its place:
latency, bandwidth, slicing, a limit of bytes after which the connection is cut, silence (bytes vanish, nothing is
closed), and refusal. `reset` cuts what is there once.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

_READ_BYTES: Final = 64 * 1024
_LINGER_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Weather:
    """What the network does to every piece of data in either direction."""

    latency_s: float = 0.0
    """Delay of each piece."""
    bytes_per_s: float = 0.0
    """Bandwidth; 0 is unbounded."""
    slice_bytes: int = 0
    """Largest piece; 0 leaves pieces as they come."""
    limit_bytes: int = 0
    """Bytes after which a connection is reset; 0 is unbounded."""
    silent: bool = False
    """Bytes vanish, as behind a firewall that drops packets."""
    refusing: bool = False
    """Connections are reset as soon as they come."""


FAIR: Final = Weather()


class PartitionProxy:
    """Listens on a loopback port of its own and forwards to another; leaving the context closes everything.

    Args:
        target_port: port on loopback.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._weather = FAIR
        # Wakes those who wait out a delay when the weather changes or the proxy closes.
        self._changed = threading.Condition()
        self._closing = False
        self._connections: set[_Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="proxy-accept", daemon=True)
        self._thread.start()

    @property
    def weather(self) -> Weather:
        """What the network does now."""
        return self._weather

    def turn(self, weather: Weather) -> None:
        """Change the weather; delays that are being waited out end."""
        with self._changed:
            self._weather = weather
            self._changed.notify_all()
        if weather.refusing:
            self.reset()

    def reset(self) -> None:
        """Cut every connection the hard way."""
        with self._changed:
            connections = list(self._connections)
        for connection in connections:
            connection.reset()

    def pause(self, seconds: float) -> None:
        """Wait out a delay; for connections."""
        with self._changed:
            weather = self._weather
            self._changed.wait_for(lambda: self._closing or self._weather is not weather, seconds)

    def forget(self, connection: _Connection) -> None:
        """Note that a connection has ended; for connections."""
        with self._changed:
            self._connections.discard(connection)

    def close(self) -> None:
        """Stop listening, cut what is there and wait for its threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        # Closing a socket does not wake who waits in `accept`.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._weather.refusing:
                    raise ConnectionRefusedError
                far = socket.create_connection(("127.0.0.1", self._target_port), 1)
            except OSError:
                _cut(near)
                continue
            far.settimeout(None)
            connection = _Connection(self, near, far)
            with self._changed:
                self._connections.add(connection)
            connection.start()


class _Connection:
    def __init__(self, proxy: PartitionProxy, near: socket.socket, far: socket.socket) -> None:
        self._proxy = proxy
        self._near = near
        self._far = far
        self._sent_bytes = 0

    def start(self) -> None:
        for source, target in ((self._near, self._far), (self._far, self._near)):
            threading.Thread(target=self._pump, args=(source, target), name="proxy-pump", daemon=True).start()

    def reset(self) -> None:
        _cut(self._near)
        _cut(self._far)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(_READ_BYTES):
                self._forward(data, target)
        except OSError:
            pass
        finally:
            self.reset()
            self._proxy.forget(self)

    def _forward(self, data: bytes, target: socket.socket) -> None:
        weather = self._proxy.weather
        size = weather.slice_bytes or len(data)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            weather = self._proxy.weather
            delay_s = weather.latency_s + (len(piece) / weather.bytes_per_s if weather.bytes_per_s else 0)
            if delay_s:
                self._proxy.pause(delay_s)
            if weather.silent:
                continue
            if weather.limit_bytes and self._sent_bytes + len(piece) > weather.limit_bytes:
                raise ConnectionResetError
            target.sendall(piece)
            self._sent_bytes += len(piece)


def _cut(connection: socket.socket) -> None:
    # Without lingering, closing sends a reset in place of a polite end. The shutdown wakes who reads, and says nothing.
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        connection.shutdown(socket.SHUT_RD)
    connection.close()
