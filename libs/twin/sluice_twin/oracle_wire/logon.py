"""From an accepted socket to a session: connect packet, negotiation, and the two steps of the password logon."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sluice_twin.oracle_wire import replies
from sluice_twin.oracle_wire.errors import Disconnected, OraError
from sluice_twin.oracle_wire.faults import Faults, Moment
from sluice_twin.oracle_wire.packets import PacketChannel
from sluice_twin.oracle_wire.primitives import RequestReader
from sluice_twin.oracle_wire.protocol import OUT_OF_BAND_OPTION, SERVER_RELEASE, Function, Message, Packet
from sluice_twin.oracle_wire.requests import Logon, read_logon
from sluice_twin.oracle_wire.sending import FaultySender, Reply
from sluice_twin.oracle_wire.sessions import SessionTable
from sluice_twin.oracle_wire.verifier import Challenge, Parameter, Verifier

_SDU_OFFSET: Final = 50
_DESCRIPTOR_OFFSET: Final = 66
_DEFAULT_SDU: Final = 8192
_MAX_IDENTIFIER: Final = 128
_SERVICE: Final = "SERVICE_NAME="


@dataclass(frozen=True)
class ConnectRequest:
    """What a client asks the listener for."""

    descriptor: str
    session_data_unit: int
    can_break_out_of_band: bool

    @property
    def service(self) -> str:
        """The service it names, upper case; empty if it names none."""
        _, found, rest = self.descriptor.upper().partition(_SERVICE)
        return rest.partition(")")[0].strip() if found else ""


def read_connect(channel: PacketChannel) -> ConnectRequest:
    """Return the first packet of a connection.

    Raises:
        Disconnected: it is something else.
    """
    kind, body = channel.next()
    if kind != Packet.CONNECT or len(body) < _DESCRIPTOR_OFFSET:
        raise Disconnected
    length, options = struct.unpack(">H", body[16:18])[0], struct.unpack(">H", body[4:6])[0]
    size = struct.unpack(">I", body[_SDU_OFFSET : _SDU_OFFSET + 4])[0] or _DEFAULT_SDU
    # A long descriptor comes in a packet of its own.
    descriptor = body[_DESCRIPTOR_OFFSET : _DESCRIPTOR_OFFSET + length] or channel.next_data()
    return ConnectRequest(descriptor.decode(), size, bool(options & OUT_OF_BAND_OPTION))


def accept(channel: PacketChannel, request: ConnectRequest, *, session_data_unit: int, out_of_band: bool) -> None:
    """Accept a connection."""
    channel.session_data_unit = min(request.session_data_unit, session_data_unit)
    # Set before the accept goes out, as the answer may come at once; the accept itself is narrow.
    channel.wide = True
    urgent = out_of_band and request.can_break_out_of_band
    channel.send(Packet.ACCEPT, replies.accept(channel.session_data_unit, out_of_band=urgent), wide=False)


class LogonDialogue:
    """Negotiates and checks the password.

    Args:
        channel: accepted.
        verifiers: by upper-case user.
        sessions: who is let in.
        session_id: of the session to be.
        faults: what goes wrong.
    """

    def __init__(
        self,
        channel: PacketChannel,
        verifiers: Mapping[str, Verifier],
        sessions: SessionTable,
        session_id: int,
        *,
        faults: Faults,
    ) -> None:
        self._channel = channel
        self._sender = FaultySender(channel)
        self._faults = faults
        self._verifiers = verifiers
        self._sessions = sessions
        self._session_id = session_id
        self._verifier: Verifier | None = None
        self._challenge: Challenge | None = None

    def run(self) -> bool:
        """Say whether somebody is logged on, once the dialogue is over."""
        while True:
            kind, body = self._channel.next()
            if kind == Packet.MARKER:
                # The check of urgent bytes, which nobody answers.
                continue
            reader = RequestReader(body[2:], self._channel.next_data)
            message = reader.byte()
            if message == Message.PROTOCOL:
                self._send(replies.protocol())
            elif message == Message.DATA_TYPES:
                reader.skip_to(b"\x00\x00")
                self._send(replies.data_types())
            elif message == Message.FUNCTION:
                logon = read_logon(reader)
                if logon.function == Function.LOGON_CHALLENGE:
                    self._send_challenge(logon)
                else:
                    return self._conclude(logon)
            else:
                raise Disconnected

    def _send_challenge(self, logon: Logon) -> None:
        # An unknown user gets a challenge too, and learns nothing from it.
        self._verifier = self._verifiers.get(logon.user.upper()) or Verifier(secrets.token_hex())
        self._challenge = self._verifier.challenge()
        reply = replies.logon_parameters(self._challenge.parameters) + replies.end_of_call(logon.sequence)
        self._send(reply)

    def _conclude(self, logon: Logon) -> bool:
        if self._verifier is None or self._challenge is None:
            raise Disconnected
        user = logon.user.upper()
        proof = self._verifier.proof(self._challenge, logon.parameters)
        rule = self._faults.pick(Moment("logon", self._session_id))
        try:
            if proof is None:
                raise OraError(1017)
            if rule is not None:
                self._sender.before(rule)
            self._sessions.admit(self._session_id, user)
        except OraError as error:
            self._send(replies.end_of_call(logon.sequence, error=error))
            return False
        reply = replies.logon_parameters(self._identity(proof)) + replies.end_of_call(logon.sequence)
        self._sender.send(Reply(reply), rule)
        return True

    def _identity(self, proof: bytes) -> list[Parameter]:
        major, minor, update, revision, extension = SERVER_RELEASE
        version = major << 24 | minor << 16 | update << 12 | revision << 4 | extension
        facts = {
            "AUTH_VERSION_STRING": "- Production",
            "AUTH_VERSION_NO": version,
            "AUTH_SESSION_ID": self._session_id,
            "AUTH_SERIAL_NUM": self._session_id * 7 % 65_535,
            "AUTH_SC_DBUNIQUE_NAME": "TWIN",
            "AUTH_SC_SERVICE_NAME": "TWIN",
            "AUTH_INSTANCENAME": "TWIN",
            "AUTH_MAX_OPEN_CURSORS": 300,
            "AUTH_MAX_IDEN_LENGTH": _MAX_IDENTIFIER,
        }
        listed: list[Parameter] = [(key.encode(), str(value).encode(), 0) for key, value in facts.items()]
        return [*listed, (b"AUTH_SVR_RESPONSE", proof, 0)]

    def _send(self, payload: bytes) -> None:
        self._sender.send(Reply(payload))
