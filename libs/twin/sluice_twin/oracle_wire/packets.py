"""Packets over one socket: framing, breaks noticed at once, and closing in every way a connection can end."""

from __future__ import annotations

import os
import queue
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from sluice_twin.oracle_wire.errors import Disconnected, MalformedRequest
from sluice_twin.oracle_wire.protocol import DATA_HEADER_BYTES, PACKET_HEADER_BYTES, Marker, Packet

Frame: TypeAlias = tuple[int, bytes]
"""Kind and body of a packet."""

_RECEIVE_BYTES: Final = 65_536
_REPEAT_BREAK_MS: Final = 20
_MARKER_FLAGS: Final = 0x20
_LARGEST_PACKET_BYTES: Final = 64 << 20


class PacketChannel:
    """Both directions of a connection. A thread of its own reads, so that a break reaches a statement that is running.

    Args:
        sock: the accepted connection; belongs to the channel from here on.
        on_break: called from the reading thread when a break comes or the client is gone, and again every 20 ms while
            the break is not answered, since an interrupt that comes between two steps of a statement is lost.
        orphan_s: how long a statement may go on whose client is gone, before `on_break` is called for it.
    """

    def __init__(self, sock: socket.socket, on_break: Callable[[], None], *, orphan_s: float = 0.0) -> None:
        self._sock = sock
        self._on_break = on_break
        self._orphan_s = orphan_s
        self._arrived: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self.wide = False
        """Lengths take four bytes, as they do after the accept."""
        self.session_data_unit = 8192
        # Protects the three facts below.
        self._changed = threading.Condition()
        self._unanswered_break_count = 0
        self._gone = False
        self._closed = False
        self._closing = threading.Lock()
        self._wake = os.eventfd(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = threading.Thread(target=self._read, name="oracle-wire-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    @property
    def broken(self) -> bool:
        """Whether a break waits for its answer, or nobody is there any more."""
        with self._changed:
            return self._gone or self._unanswered_break_count > 0

    @property
    def gone(self) -> bool:
        """Whether the client's end is closed."""
        with self._changed:
            return self._gone

    def wait_for_break(self, seconds: float) -> bool:
        """Return True as soon as a break comes or the client goes, False when the time is up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._gone or self._unanswered_break_count > 0, seconds)

    def wait_for_end(self, seconds: float) -> bool:
        """Return True as soon as the client is gone, False when the time is up; breaks are not noticed."""
        with self._changed:
            return self._changed.wait_for(lambda: self._gone, seconds)

    def outlive(self, seconds: float) -> None:
        """Wait for as long as a statement goes on after its client is gone, at most so long; not past the server."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, min(seconds, self._orphan_s))

    def next(self) -> Frame:
        """Return the next packet.

        Raises:
            Disconnected: there is none any more.
        """
        frame = self._arrived.get()
        if frame is None:
            raise Disconnected
        if _is_break(frame):
            with self._changed:
                self._unanswered_break_count -= 1
        return frame

    def next_data(self) -> bytes:
        """Return the payload of the next packet, which continues a request."""
        kind, body = self.next()
        if kind != Packet.DATA:
            raise MalformedRequest(f"a packet of kind {kind} within a request")
        return body[2:]

    def send(self, kind: Packet, body: bytes, *, flags: int = 0, wide: bool | None = None) -> None:
        """Send one packet."""
        size = len(body) + PACKET_HEADER_BYTES
        length = struct.pack(">I", size) if (self.wide if wide is None else wide) else struct.pack(">HH", size, 0)
        self.send_bytes(length + bytes((kind, flags, 0, 0)) + body)

    def send_marker(self, marker: Marker) -> None:
        """Send one marker."""
        self.send(Packet.MARKER, bytes((1, 0, marker)), flags=_MARKER_FLAGS)

    def packed(self, payload: bytes) -> bytes:
        """Return a reply as the data packets that carry it."""
        room = self.session_data_unit - DATA_HEADER_BYTES
        parts: list[bytes] = []
        for start in range(0, len(payload), room):
            part = payload[start : start + room]
            parts += (struct.pack(">IBBHH", len(part) + DATA_HEADER_BYTES, Packet.DATA, 0, 0, 0), part)
        return b"".join(parts)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            Disconnected: the client is gone.
        """
        try:
            self._sock.sendall(data)
        except OSError:
            raise Disconnected from None

    def close(self, *, reset: bool = False) -> None:
        """End the connection: in order, or at once so that the client sees a reset."""
        with self._closing:
            if self._sock.fileno() < 0:
                return
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            # A socket that another thread polls is not let go by close(), so the reader must leave first.
            os.eventfd_write(self._wake, 1)
            if self._thread.is_alive() and self._thread is not threading.current_thread():
                self._thread.join()
            if reset:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._sock.close()
            os.close(self._wake)

    def _read(self) -> None:
        try:
            self._receive()
        except (OSError, ValueError):
            with self._changed:
                self._gone = True
                self._changed.notify_all()
            self._arrived.put(None)
            self._end_orphan()

    def _end_orphan(self) -> None:
        """Break whatever still runs for nobody, until the channel is closed."""
        closing = select.poll()
        closing.register(self._wake, select.POLLIN)
        pause_ms = self._orphan_s * 1000
        while not closing.poll(pause_ms):
            self._on_break()
            pause_ms = _REPEAT_BREAK_MS

    def _receive(self) -> None:
        buffer = b""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | select.POLLPRI)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = poll.poll(_REPEAT_BREAK_MS if self.broken else None)
            if not ready:
                self._on_break()
            for descriptor, events in ready:
                if descriptor == self._wake:
                    raise OSError("closing")
                if events & select.POLLPRI:
                    self._sock.recv(1, socket.MSG_OOB)
                    self._deliver((Packet.MARKER, bytes((1, 0, Marker.INTERRUPT))))
                if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    part = self._sock.recv(_RECEIVE_BYTES)
                    if not part:
                        raise OSError("end of stream")
                    buffer = self._frames(buffer + part)

    def _frames(self, buffer: bytes) -> bytes:
        """Deliver the whole packets of a buffer and return the rest."""
        while len(buffer) >= PACKET_HEADER_BYTES:
            size = int.from_bytes(buffer[:4] if self.wide else buffer[:2], "big")
            if not PACKET_HEADER_BYTES <= size <= _LARGEST_PACKET_BYTES:
                raise ValueError(f"a packet of {size} bytes")
            if len(buffer) < size:
                break
            self._deliver((buffer[4], buffer[PACKET_HEADER_BYTES:size]))
            buffer = buffer[size:]
        return buffer

    def _deliver(self, frame: Frame) -> None:
        if not _is_break(frame):
            self._arrived.put(frame)
            return
        with self._changed:
            self._unanswered_break_count += 1
            self._arrived.put(frame)
            self._changed.notify_all()
        self._on_break()


def _is_break(frame: Frame) -> bool:
    kind, body = frame
    return kind == Packet.MARKER and body[2:3] != bytes((Marker.RESET,))
