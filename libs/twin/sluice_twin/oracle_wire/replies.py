"""Messages of the server, as bytes: describes, row headers, ends of calls, statuses, refusals."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sluice_twin.oracle_wire.codec import encode_date
from sluice_twin.oracle_wire.columns import ResultColumn
from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.oracle_wire.primitives import announced, counted, universal
from sluice_twin.oracle_wire.protocol import (
    CHARSET_UTF8,
    CHARSET_UTF16,
    FIELD_VERSION,
    OUT_OF_BAND_OPTION,
    TNS_VERSION,
    Message,
)
from sluice_twin.oracle_wire.verifier import Parameter

NO_DATA_FOUND: Final = 1403
"""Code of the reply with which a query has no rows any more."""

_CALL_DONE: Final = 1
_ZERO: Final = universal(0)
_SCN: Final = 0x4E670000
_ROW_HEADER_FLAGS: Final = 0x22


def accept(session_data_unit: int, *, out_of_band: bool) -> bytes:
    """Return the body of an accept packet."""
    options = 1 | (OUT_OF_BAND_OPTION if out_of_band else 0)
    sizes = (session_data_unit, session_data_unit)
    # 0xC5: no native encryption is negotiated. The last word asks for a check of urgent bytes.
    return struct.pack(">HHHHHHHBB8xIIBI", TNS_VERSION, options, 0, 0, 1, 0, 45, 0xC5, 0, *sizes, 0, int(out_of_band))


def refuse(code: int) -> bytes:
    """Return the body of a refuse packet, as a listener sends it."""
    text = f"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR={code})(ERROR_STACK=(ERROR=(CODE={code})(EMFI=4))))".encode()
    return b"\x22\x00" + struct.pack(">H", len(text)) + text


def protocol() -> bytes:
    """Return the answer to the client's protocol message: character sets and capabilities."""
    compile_capabilities, runtime_capabilities = bytearray(55), bytearray(13)
    compile_capabilities[7] = FIELD_VERSION
    # Texts of up to 32767 bytes.
    runtime_capabilities[6] = 0x04
    national = bytes(9) + struct.pack(">H", CHARSET_UTF16)
    return b"".join(
        (
            bytes((Message.PROTOCOL, 6, 0)),
            b"x86_64/Linux 2.4.xx\x00",
            struct.pack("<HBH", CHARSET_UTF8, 1, 0),
            struct.pack(">H", len(national)),
            national,
            counted(bytes(compile_capabilities)),
            counted(bytes(runtime_capabilities)),
        )
    )


def data_types() -> bytes:
    """Return the answer to the client's list of types."""
    return bytes((Message.DATA_TYPES, 0, 0))


def logon_parameters(parameters: Iterable[Parameter]) -> bytes:
    """Return the parameters of a logon reply."""
    listed = list(parameters)
    body = b"".join(announced(key) + announced(value) + universal(flags) for key, value, flags in listed)
    return bytes((Message.PARAMETER,)) + universal(len(listed)) + body


def describe(columns: Sequence[ResultColumn], moment: datetime) -> bytes:
    """Return the description of a result."""
    size = sum(max(column.type.size_bytes, 1) for column in columns)
    date = encode_date(moment)
    tail = announced(date) + _ZERO + universal(8168) + universal(2) + universal(2) + announced(b"")
    head = bytes((Message.DESCRIBE,)) + counted(secrets.token_bytes(16) + date) + universal(size)
    return b"".join((head, universal(len(columns)), b"\x5c", *(column.description() for column in columns), tail))


def row_header(row_count: int, vector: bytes) -> bytes:
    """Return what stands before the rows of a reply.

    Args:
        row_count: rows asked for.
        vector: columns of the first row that are sent; empty sends all.
    """
    numbers = universal(1) + _ZERO + universal(row_count) + _ZERO
    return bytes((Message.ROW_HEADER, _ROW_HEADER_FLAGS)) + numbers + announced(vector) + announced(b"")


def executed(cursor_id: int) -> bytes:
    """Return what follows every execution."""
    numbers = (universal(_SCN), _ZERO, universal(cursor_id), _ZERO, _ZERO, _ZERO)
    return bytes((Message.PARAMETER,)) + universal(len(numbers)) + b"".join(numbers) + 3 * _ZERO


def end_of_call(sequence: int, *, cursor_id: int = 0, row_count: int = 0, error: OraError | None = None) -> bytes:
    """Return the end of a reply, with its error if it has one."""
    code, text, position = (error.code, str(error), error.position) if error else (0, "", 0)
    return b"".join(
        (
            bytes((Message.ERROR,)),
            universal(_CALL_DONE),
            universal(sequence),
            universal(row_count & 0xFFFFFFFF),
            universal(code),
            2 * _ZERO,
            universal(cursor_id),
            universal(position),
            # Kind of statement, fatal, flags, options, interface, warning.
            bytes((3, 0, 0, 0, 0, 0)),
            # Row id, then what only an operating system or a batch would have to tell.
            bytes(5 + 6 + 3),
            universal(code),
            universal(row_count),
            counted(text.encode() + b"\n") if code else b"",
        )
    )


def end_of_rows(sequence: int, *, cursor_id: int, row_count: int) -> bytes:
    """Return the end of the reply that has the last rows of a query."""
    error = OraError(NO_DATA_FOUND, "no data found")
    return end_of_call(sequence, cursor_id=cursor_id, row_count=row_count, error=error)


def status(sequence: int) -> bytes:
    """Return the reply to a call that has nothing to tell."""
    return bytes((Message.STATUS,)) + universal(_CALL_DONE) + universal(sequence)
