"""The proxy does to a connection what it was told, or the tests that use it would prove nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.partition_proxy import FAIR, PartitionProxy, Weather


@pytest.fixture
def proxy() -> Iterator[PartitionProxy]:
    """A proxy before a server that says everything back."""
    server = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1024):
                    connection.sendall(data)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with PartitionProxy(server.getsockname()[1]) as made:
        yield made
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(10)


@pytest.fixture
def line(proxy: PartitionProxy) -> Iterator[socket.socket]:
    """A connection through the proxy that has worked."""
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as made:
        made.sendall(b"hello")
        assert made.recv(5) == b"hello"
        yield made


def said_back(line: socket.socket, data: bytes) -> bytes:
    line.sendall(data)
    received = b""
    while len(received) < len(data):
        piece = line.recv(len(data))
        if not piece:
            break
        received += piece
    return received


@pytest.mark.parametrize("weather", [FAIR, Weather(slice_bytes=1), Weather(limit_bytes=1000)])
def test_what_goes_in_comes_out(proxy: PartitionProxy, line: socket.socket, weather: Weather) -> None:
    proxy.turn(weather)
    assert said_back(line, b"data") == b"data"


@pytest.mark.parametrize("weather", [Weather(latency_s=0.1), Weather(bytes_per_s=20)])
def test_it_is_slow(proxy: PartitionProxy, line: socket.socket, weather: Weather) -> None:
    proxy.turn(weather)
    start = time.monotonic()
    assert said_back(line, b"data") == b"data"
    assert time.monotonic() - start >= 0.2


def test_silence_keeps_the_connection_and_says_nothing(proxy: PartitionProxy, line: socket.socket) -> None:
    proxy.turn(Weather(silent=True))
    line.settimeout(0.2)
    with pytest.raises(TimeoutError):
        said_back(line, b"data")
    proxy.turn(FAIR)
    line.settimeout(5)
    assert said_back(line, b"again") == b"again"


def test_past_its_limit_the_connection_is_reset(proxy: PartitionProxy, line: socket.socket) -> None:
    proxy.turn(Weather(limit_bytes=12))
    with pytest.raises(ConnectionResetError):
        said_back(line, b"more than that")
        line.recv(1)


@pytest.mark.parametrize("how", ["reset", "refuse"])
def test_a_reset_is_felt(proxy: PartitionProxy, line: socket.socket, how: str) -> None:
    if how == "reset":
        proxy.reset()
    else:
        proxy.turn(Weather(refusing=True))
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        said_back(line, b"data")
        line.recv(1)


def test_who_is_refused_is_reset(proxy: PartitionProxy) -> None:
    proxy.turn(Weather(refusing=True))
    with (
        pytest.raises((ConnectionResetError, BrokenPipeError)),
        socket.create_connection(("127.0.0.1", proxy.port), 5) as line,
    ):
        said_back(line, b"data")
        line.recv(1)
