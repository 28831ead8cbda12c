"""Numbers of the wire: packets, messages, functions, types and the dialect the stand-in presents.

The dialect is that of a 19c server: TNS version 318, field version 12. A client then neither sends nor expects any
field of a later release.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

TNS_VERSION: Final = 318
FIELD_VERSION: Final = 12
SERVER_RELEASE: Final = (19, 22, 0, 0, 0)

CHARSET_UTF8: Final = 873
CHARSET_UTF16: Final = 2000

PACKET_HEADER_BYTES: Final = 8
DATA_HEADER_BYTES: Final = PACKET_HEADER_BYTES + 2
"""A data packet opens with two more bytes of flags."""

DATA_EOF: Final = 0x0040
"""Flag of the last data packet of a client."""

OUT_OF_BAND_OPTION: Final = 0x0400
"""Service option: breaks may come as urgent bytes."""

NULL: Final = b"\x00"
"""A missing value in a row."""

NO_PRECISION: Final = -127
"""Scale of a NUMBER that was declared without precision."""


class Packet(IntEnum):
    """Kinds of packets."""

    CONNECT = 1
    ACCEPT = 2
    REFUSE = 4
    DATA = 6
    MARKER = 12


class Marker(IntEnum):
    """What a marker packet asks for."""

    BREAK = 1
    RESET = 2
    INTERRUPT = 3


class Message(IntEnum):
    """Kinds of messages within data packets."""

    PROTOCOL = 1
    DATA_TYPES = 2
    FUNCTION = 3
    ERROR = 4
    ROW_HEADER = 6
    ROW_DATA = 7
    PARAMETER = 8
    STATUS = 9
    DESCRIBE = 16
    PIGGYBACK = 17
    BIT_VECTOR = 21


class Function(IntEnum):
    """Calls of a client, piggybacks included."""

    REEXECUTE = 0x04
    FETCH = 0x05
    LOGOFF = 0x09
    COMMIT = 0x0E
    ROLLBACK = 0x0F
    REEXECUTE_AND_FETCH = 0x4E
    EXECUTE = 0x5E
    CLOSE_CURSORS = 0x69
    LOGON_CHALLENGE = 0x76
    END_TO_END = 0x87
    PING = 0x93
    SET_SCHEMA = 0x98


class ExecuteOption(IntFlag):
    """What an execute call shall do, as far as it makes a difference here."""

    EXECUTE = 0x20
    FETCH = 0x40


class OracleType(IntEnum):
    """Types of columns and binds."""

    VARCHAR2 = 1
    NUMBER = 2
    BINARY_INTEGER = 3
    LONG = 8
    DATE = 12
    RAW = 23
    CHAR = 96
    BINARY_FLOAT = 100
    BINARY_DOUBLE = 101
    TIMESTAMP = 180
    TIMESTAMP_TZ = 181
    TIMESTAMP_LTZ = 231
