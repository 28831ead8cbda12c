"""Replies on their way out, and what a fault rule does to them: cut off, held up, slowed down."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, NoReturn

from sluice_twin.oracle_wire.errors import Disconnected, OraError
from sluice_twin.oracle_wire.faults import FaultRule
from sluice_twin.oracle_wire.packets import PacketChannel
from sluice_twin.oracle_wire.protocol import DATA_HEADER_BYTES

_SLOW_PIECES_PER_S: Final = 20


@dataclass(frozen=True)
class Reply:
    """The bytes of a reply, and where its rows are."""

    payload: bytes
    rows_start: int = 0
    """Offset of the first row; 0 if there is none."""
    rows_end: int = 0


class FaultySender:
    """Sends replies, whole or as a rule has it.

    Args:
        channel: where to.
    """

    def __init__(self, channel: PacketChannel) -> None:
        self._channel = channel

    def send(self, reply: Reply, rule: FaultRule | None = None) -> None:
        """Send a reply.

        Raises:
            Disconnected: the rule ended the connection.
            OraError: the rule is an error, or a break came while it held the reply up.
        """
        data = self._channel.packed(reply.payload)
        if rule is None:
            self._channel.send_bytes(data)
            return
        self.before(rule)
        start = self._cut(reply, rule, len(data))
        if rule.do in ("close", "reset"):
            self._channel.send_bytes(data[:start])
            self._end(rule)
        elif rule.do == "stall":
            self._channel.send_bytes(data[:start])
            self._stall(rule, self._rest_of_packet(data, start))
            self._channel.send_bytes(data[start:])
        elif rule.do == "slow":
            self._trickle(rule, data)
        else:
            self._channel.send_bytes(data)

    def before(self, rule: FaultRule) -> None:
        """Do what a rule does before anything is sent; what needs a reply is left to `send`."""
        if rule.do == "error":
            assert rule.code is not None
            raise OraError(rule.code, rule.text)

    def instead(self, rule: FaultRule) -> None:
        """Do what a rule does where there is no reply yet."""
        self.before(rule)
        if rule.do in ("close", "reset"):
            self._end(rule)
        if rule.do == "stall":
            self._stall(rule, b"")

    def hold(self, rule: FaultRule) -> None:
        """Do what a rule does to the answer to a break, which that break does not end.

        Raises:
            Disconnected: the rule ended the connection, or the client had enough of waiting.
            OraError: the rule is an error.
        """
        if rule.do != "stall":
            self.instead(rule)
            return
        assert rule.seconds is not None
        until = time.monotonic() + rule.seconds
        if self._channel.wait_for_end(rule.seconds):
            if rule.deaf:
                self._channel.outlive(until - time.monotonic())
            raise Disconnected

    def _cut(self, reply: Reply, rule: FaultRule, size: int) -> int:
        """Return how many bytes go out before the fault."""
        if rule.at is None:
            return 0
        if isinstance(rule.at, int):
            return min(rule.at, size)
        if reply.rows_end == 0:
            return 0
        length = reply.rows_end - reply.rows_start
        # A row is longer than its message byte and the length of its first value.
        offset = reply.rows_start + (2 if rule.at == "row" else length // 2)
        room = self._channel.session_data_unit - DATA_HEADER_BYTES
        return min(size, offset + DATA_HEADER_BYTES * (offset // room + 1))

    def _rest_of_packet(self, data: bytes, start: int) -> bytes:
        """Return what is missing to a whole packet, without which no marker can follow."""
        unit = self._channel.session_data_unit
        return data[start : start + -start % unit] if start % unit else b""

    def _stall(self, rule: FaultRule, rest: bytes) -> None:
        assert rule.seconds is not None
        until = time.monotonic() + rule.seconds
        if rule.deaf:
            # A server that listens to nobody does not notice either that its client is gone.
            if self._channel.wait_for_end(rule.seconds):
                self._channel.outlive(until - time.monotonic())
        elif self._channel.wait_for_break(rule.seconds):
            if self._channel.gone:
                raise Disconnected
            self._channel.send_bytes(rest)
            raise OraError(1013)

    def _trickle(self, rule: FaultRule, data: bytes) -> None:
        """Send at the rule's rate, in pieces small enough to look steady; a break ends it between packets."""
        assert rule.bytes_per_s is not None
        piece = max(1, rule.bytes_per_s // _SLOW_PIECES_PER_S)
        for start in range(0, len(data), piece):
            part = data[start : start + piece]
            self._channel.send_bytes(part)
            if self._channel.wait_for_break(len(part) / rule.bytes_per_s):
                if self._channel.gone:
                    raise Disconnected
                self._channel.send_bytes(self._rest_of_packet(data, start + len(part)))
                raise OraError(1013)

    def _end(self, rule: FaultRule) -> NoReturn:
        self._channel.close(reset=rule.do == "reset")
        raise Disconnected
