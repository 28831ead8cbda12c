"""Columns of a result as a client gets them described, and who encodes their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import pyarrow as pa

from sluice_twin.oracle_wire import encoding
from sluice_twin.oracle_wire.errors import OraError
from sluice_twin.oracle_wire.primitives import announced, universal
from sluice_twin.oracle_wire.protocol import CHARSET_UTF8, NO_PRECISION, OracleType

Encode: TypeAlias = Callable[[Any], Any]
"""Arrow array of values to Arrow array of cells."""

LONGEST_VARCHAR2: Final = 4000
_NUMBER_BYTES: Final = 22
_RAW_BYTES: Final = 2000
_TEXT: Final = (OracleType.VARCHAR2, OracleType.CHAR)


@dataclass(frozen=True)
class ColumnType:
    """An Oracle type with its sizes."""

    kind: OracleType
    precision: int = 0
    scale: int = 0
    size_bytes: int = _NUMBER_BYTES
    """Bytes a client sets aside; 0 says that the column has no bytes in any row."""

    @property
    def encode(self) -> Encode:
        """What turns Arrow values into cells of this type."""
        if self.size_bytes == 0:
            return encoding.no_cells
        if self.kind is OracleType.CHAR:
            return encoding.padded_cells(self.size_bytes)
        return _ENCODERS[self.kind]


_ENCODERS: Final[dict[OracleType, Encode]] = {
    OracleType.VARCHAR2: encoding.text_cells,
    OracleType.NUMBER: encoding.number_cells,
    OracleType.DATE: encoding.date_cells,
    OracleType.TIMESTAMP: encoding.timestamp_cells,
    OracleType.BINARY_DOUBLE: encoding.binary_double_cells,
    OracleType.RAW: encoding.raw_cells,
}

NUMBER: Final = ColumnType(OracleType.NUMBER, scale=NO_PRECISION)
"""A number nobody declared a size for: any column NUMBER, any expression."""
COUNT: Final = ColumnType(OracleType.NUMBER)
"""A count, which a server describes with neither precision nor scale."""
DATE: Final = ColumnType(OracleType.DATE, size_bytes=7)
TIMESTAMP: Final = ColumnType(OracleType.TIMESTAMP, scale=6, size_bytes=11)
BINARY_DOUBLE: Final = ColumnType(OracleType.BINARY_DOUBLE, size_bytes=8)
RAW: Final = ColumnType(OracleType.RAW, size_bytes=_RAW_BYTES)
NOTHING: Final = ColumnType(OracleType.VARCHAR2, size_bytes=0)
"""The column of a bare NULL."""


def varchar2(size: int) -> ColumnType:
    """Return VARCHAR2 of a size."""
    return ColumnType(OracleType.VARCHAR2, size_bytes=size)


def char(size: int) -> ColumnType:
    """Return CHAR of a size; its values are blank-padded."""
    return ColumnType(OracleType.CHAR, size_bytes=size)


def number(precision: int, scale: int) -> ColumnType:
    """Return NUMBER of a precision and scale."""
    return ColumnType(OracleType.NUMBER, precision, scale)


@dataclass(frozen=True)
class ResultColumn:
    """One column of a result."""

    name: str
    type: ColumnType
    nullable: bool = True

    def renamed(self, name: str) -> ResultColumn:
        """Return the same column under another name."""
        return replace(self, name=name)

    def retyped(self, column_type: ColumnType) -> ResultColumn:
        """Return a column of the same name and another type."""
        return replace(self, type=column_type)

    def description(self) -> bytes:
        """Return what a client is told of the column."""
        text = self.type.kind in _TEXT
        name = self.name.encode()
        sized = bytes((self.type.kind, 0x80 if text else 0, self.type.precision, self.type.scale & 0xFF))
        return b"".join(
            (
                sized,
                universal(self.type.size_bytes),
                # Elements of an array, flags, object id, version of the type.
                bytes(4),
                universal(CHARSET_UTF8 if text else 0),
                bytes((int(text),)),
                universal(self.type.size_bytes if text else 0),
                bytes(1),
                bytes((int(self.nullable), min(len(name), 255))),
                announced(name),
                # Schema and name of an object type, position, flags.
                bytes(4),
            )
        )


def type_of_arrow(kind: Any) -> ColumnType:
    """Return the Oracle type for values nobody declared a type for.

    Raises:
        OraError: there is none, as for an interval.
    """
    if pa.types.is_null(kind):
        return NOTHING
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.unit == "s"):
        return DATE
    if pa.types.is_timestamp(kind):
        return TIMESTAMP
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return RAW
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return varchar2(LONGEST_VARCHAR2)
    if not (pa.types.is_boolean(kind) or _is_number(kind)):
        raise OraError(3001, f"unimplemented feature: a column of {kind}")
    return NUMBER


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
