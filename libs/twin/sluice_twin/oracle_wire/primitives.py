"""The three shapes of which every message is made: universal integers, counted bytes, and bytes with both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sluice_twin.oracle_wire.errors import MalformedRequest

LONGEST_SHORT: Final = 252
"""Bytes that one length byte may announce; longer values come in chunks."""

_CHUNKED: Final = 0xFE
_MISSING: Final = (0x00, 0xFF)
_CHUNK_BYTES: Final = 32_767
_NEGATIVE: Final = 0x80


def universal(number: int) -> bytes:
    """Return a whole number, 0 or more: how many bytes it takes, then those, high ones first."""
    if number == 0:
        return b"\x00"
    size = 1 if number < 1 << 8 else 2 if number < 1 << 16 else 4 if number < 1 << 32 else 8
    return bytes((size,)) + number.to_bytes(size, "big")


def counted(value: bytes) -> bytes:
    """Return bytes behind their length, in chunks where one length byte does not suffice."""
    if len(value) <= LONGEST_SHORT:
        return bytes((len(value),)) + value
    parts = [bytes((_CHUNKED,))]
    for start in range(0, len(value), _CHUNK_BYTES):
        chunk = value[start : start + _CHUNK_BYTES]
        parts += (universal(len(chunk)), chunk)
    return b"".join(parts) + b"\x00"


def announced(value: bytes) -> bytes:
    """Return bytes whose length stands twice, or once where there are none."""
    return universal(len(value)) + (counted(value) if value else b"")


class RequestReader:
    """Reads one request of a client from first to last byte.

    Args:
        data: the first packet of it.
        more: waits for the next packet; a request spans packets without a mark of it.
    """

    def __init__(self, data: bytes, more: Callable[[], bytes]) -> None:
        self._data = data
        self._position = 0
        self._more = more

    def take(self, size: int) -> bytes:
        """Return the next bytes, as many as asked for."""
        while len(self._data) - self._position < size:
            self._data = self._data[self._position :] + self._more()
            self._position = 0
        self._position += size
        return self._data[self._position - size : self._position]

    def skip_to(self, ending: bytes) -> None:
        """Pass over everything up to a packet that ends so."""
        while len(self._data) - self._position < len(ending) or not self._data.endswith(ending):
            self._data = self._data[self._position :] + self._more()
            self._position = 0
        self._position = len(self._data)

    def skip_byte(self, expected: int) -> None:
        """Pass over the next byte if it is the expected one."""
        if self.take(1)[0] != expected:
            self._position -= 1

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def number(self) -> int:
        """Return the next universal integer, which may be negative."""
        size = self.byte()
        if size & ~_NEGATIVE > 8:
            raise MalformedRequest(f"an integer of {size} bytes")
        value = int.from_bytes(self.take(size & ~_NEGATIVE), "big")
        return -value if size & _NEGATIVE else value

    def skip_numbers(self, count: int) -> None:
        """Pass over universal integers."""
        for _ in range(count):
            self.number()

    def value(self) -> bytes | None:
        """Return the next counted bytes; None is NULL."""
        size = self.byte()
        if size in _MISSING:
            return None
        if size != _CHUNKED:
            return self.take(size)
        parts = []
        while length := self.number():
            parts.append(self.take(length))
        return b"".join(parts)

    def announced(self) -> bytes:
        """Return the next bytes whose length stands twice."""
        return (self.value() or b"") if self.number() else b""
