"""Single values as the wire has them: NUMBER, DATE, TIMESTAMP and the binary floats, both ways.

Whole columns are encoded in `encoding`, by the same rules.
"""

from __future__ import annotations

import struct
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Final, TypeAlias

from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.oracle_wire.protocol import OracleType

Value: TypeAlias = str | int | float | Decimal | datetime | bytes | None
"""What a bind can be."""

ZERO: Final = 0x80
POSITIVE_EXPONENT: Final = 193
NEGATIVE_EXPONENT: Final = 62
NEGATIVE_END: Final = 102
"""Ends a negative number of fewer than twenty digits, so that bytes compare as numbers do."""
MAX_PAIRS: Final = 20

_DATE_BYTES: Final = 7
_FRACTION_BYTES: Final = 11
_ZONE_BYTES: Final = 13
_DOUBLE_BITS: Final = 64
_LONGEST_NUMBER: Final = 40


def encode_number(value: int | Decimal) -> bytes:
    """Return a NUMBER without its length: an exponent to base 100, then digits to base 100.

    More than 40 decimal digits are cut off, as none of them has a place in a NUMBER.
    """
    if value == 0:
        return bytes((ZERO,))
    digits, scale = _digits(value)
    if scale % 2:
        digits, scale = digits + "0", scale + 1
    if len(digits) % 2:
        digits = "0" + digits
    pairs = [int(digits[start : start + 2]) for start in range(0, len(digits), 2)]
    exponent = len(pairs) - scale // 2 - 1
    first = next(position for position, pair in enumerate(pairs) if pair)
    exponent -= first
    pairs = pairs[first : first + MAX_PAIRS]
    while pairs[-1] == 0:
        pairs.pop()
    if not -65 <= exponent <= 62:
        raise OraError(1426, "numeric overflow")
    if value > 0:
        return bytes((POSITIVE_EXPONENT + exponent, *(pair + 1 for pair in pairs)))
    end = (NEGATIVE_END,) if len(pairs) < MAX_PAIRS else ()
    return bytes((NEGATIVE_EXPONENT - exponent, *(101 - pair for pair in pairs), *end))


def _digits(value: int | Decimal) -> tuple[str, int]:
    """Return decimal digits without sign, and how many of them are behind the point."""
    if isinstance(value, int):
        return str(abs(value)), 0
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise OraError(1722)
    text = "".join(map(str, digits))
    return (text, -exponent) if exponent <= 0 else (text + "0" * exponent, 0)


def decode_number(data: bytes) -> int | Decimal:
    """Return the value of a NUMBER: an int where it is whole, else an exact Decimal."""
    if data[0] == ZERO and len(data) == 1:
        return 0
    positive = bool(data[0] & 0x80)
    if positive:
        exponent, pairs = data[0] - POSITIVE_EXPONENT, [byte - 1 for byte in data[1:]]
    else:
        body = data[1:-1] if data[-1] == NEGATIVE_END else data[1:]
        exponent, pairs = NEGATIVE_EXPONENT - data[0], [101 - byte for byte in body]
    digits = tuple(digit for pair in pairs for digit in divmod(pair, 10))
    scale = 2 * (exponent + 1 - len(pairs))
    value = Decimal((0 if positive else 1, digits, scale))
    with localcontext() as context:
        context.prec = 2 * _LONGEST_NUMBER
        whole = value == value.to_integral_value() if scale < 0 else True
    return int(value) if whole else value


def encode_date(value: date) -> bytes:
    """Return a DATE: century, year, month, day, hour, minute, second."""
    clock = (value.hour, value.minute, value.second) if isinstance(value, datetime) else (0, 0, 0)
    hour, minute, second = clock
    return bytes(
        (value.year // 100 + 100, value.year % 100 + 100, value.month, value.day, hour + 1, minute + 1, second + 1)
    )


def encode_timestamp(value: datetime) -> bytes:
    """Return a TIMESTAMP: a DATE, then nanoseconds unless there are none."""
    return encode_date(value) + (struct.pack(">I", value.microsecond * 1000) if value.microsecond else b"")


def decode_date(data: bytes) -> datetime:
    """Return the value of a DATE or TIMESTAMP, to the microsecond; one with a zone as the clock there shows it."""
    year = (data[0] - 100) * 100 + data[1] - 100
    nanosecond = struct.unpack(">I", data[_DATE_BYTES:_FRACTION_BYTES])[0] if len(data) >= _FRACTION_BYTES else 0
    value = datetime(year, data[2], data[3], data[4] - 1, data[5] - 1, data[6] - 1, nanosecond // 1000)
    if len(data) >= _ZONE_BYTES and data[11]:
        value += timedelta(hours=data[11] - 20, minutes=data[12] - 60)
    return value


def encode_binary_double(value: float) -> bytes:
    """Return a BINARY_DOUBLE: IEEE, turned so that bytes compare as numbers do."""
    bits: int = struct.unpack(">Q", struct.pack(">d", value))[0]
    turned = bits ^ (1 << _DOUBLE_BITS) - 1 if bits >> (_DOUBLE_BITS - 1) else bits | 1 << (_DOUBLE_BITS - 1)
    return turned.to_bytes(8, "big")


def decode_binary_float(data: bytes) -> float:
    """Return the value of a BINARY_DOUBLE or BINARY_FLOAT."""
    width = 8 * len(data)
    bits = int.from_bytes(data, "big")
    turned = bits ^ 1 << (width - 1) if bits >> (width - 1) else bits ^ (1 << width) - 1
    value: float = struct.unpack(">d" if width == _DOUBLE_BITS else ">f", turned.to_bytes(len(data), "big"))[0]
    return value


def decode_bind(oracle_type: int, national: bool, data: bytes | None) -> Value:
    """Return the value of a bind; an empty text is None, as to Oracle.

    Raises:
        OraError: a type that this server does not take.
    """
    if data is None:
        return None
    match oracle_type:
        case OracleType.NUMBER | OracleType.BINARY_INTEGER:
            return decode_number(data)
        case OracleType.DATE | OracleType.TIMESTAMP | OracleType.TIMESTAMP_TZ | OracleType.TIMESTAMP_LTZ:
            return decode_date(data)
        case OracleType.BINARY_FLOAT | OracleType.BINARY_DOUBLE:
            return decode_binary_float(data)
        case OracleType.VARCHAR2 | OracleType.CHAR | OracleType.LONG:
            return data.decode("utf-16-be" if national else "utf-8") or None
        case OracleType.RAW:
            return data
        case _:
            raise OraError(3115, f"unsupported network datatype or representation: bind of type {oracle_type}")
