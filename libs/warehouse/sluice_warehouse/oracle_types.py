"""What is asked of the driver for each column, from what Oracle says of it and what is declared.

The driver's own choice of Arrow types loses values in silence: NUMBER without a precision becomes double, a fraction
that is asked for as an integer loses its fraction, a decimal of 38 digits wraps around. So every column is asked for in
a type that holds whatever NUMBER may hold, and made to fit by `schema.Fitting`, which names the column at fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import oracledb
import pyarrow as pa

from sluice_warehouse.errors import ContractBroken

_TEXT: Final = frozenset(
    {
        oracledb.DB_TYPE_VARCHAR,
        oracledb.DB_TYPE_CHAR,
        oracledb.DB_TYPE_NVARCHAR,
        oracledb.DB_TYPE_NCHAR,
        oracledb.DB_TYPE_LONG,
        oracledb.DB_TYPE_CLOB,
        oracledb.DB_TYPE_NCLOB,
    }
)
_BINARY_NUMBERS: Final = frozenset({oracledb.DB_TYPE_BINARY_DOUBLE, oracledb.DB_TYPE_BINARY_FLOAT})
_FINEST_FRACTION: Final = 6
"""The driver cuts a finer fraction of a second to this many digits, also where nanoseconds are asked for."""
_REFUSED_VALUE: Final = re.compile(r"decimal\((\d+), -?\d+\)")


class Asked:
    """The columns of one statement as they are asked of the driver.

    Args:
        declared: the schema wanted.
        found: what Oracle says of the statement's columns, in its order.
        part: name of the statement.

    Raises:
        ContractBroken: a column's type cannot become the declared one.
    """

    def __init__(self, declared: pa.Schema, found: Sequence[oracledb.FetchInfo], part: str) -> None:
        wanted = {field.name.lower(): field for field in declared}
        self._columns_by_precision: dict[int, str] = {}
        fields = []
        for column in found:
            field = wanted.get(column.name.lower())
            # Columns that are not declared are refused by name elsewhere.
            fields.append(pa.field(column.name, pa.string() if field is None else self._type(column, field, part)))
        self.names: Final = [column.name for column in found]
        self.schema: Final = pa.schema(fields)

    def column_of(self, message: str) -> str:
        """Return the column that a fault of the driver is about; empty where it does not tell.

        It names the type that a value does not fit and not the column, so each decimal has a precision of its own.
        """
        refused = _REFUSED_VALUE.search(message)
        if refused is not None and int(refused[1]) in self._columns_by_precision:
            return self._columns_by_precision[int(refused[1])]
        return next(iter(self._columns_by_precision.values()), "") if len(self._columns_by_precision) == 1 else ""

    def _type(self, column: oracledb.FetchInfo, field: pa.Field, part: str) -> pa.DataType:
        if _says_nothing(column):
            # A literal NULL: whatever is declared fits.
            return pa.string()
        kind = column.type_code
        for fits, types, ask in _RULES:
            if fits(field.type):
                if kind not in types:
                    raise ContractBroken(field.name, part, f"is {_shown(column)}, declared {field.type}")
                return ask(self, column, field, part)
        raise ContractBroken(field.name, part, f"is {_shown(column)}, declared {field.type}")

    def _text(self, column: oracledb.FetchInfo, field: pa.Field, part: str) -> pa.DataType:
        return pa.string()

    def _whole(self, column: oracledb.FetchInfo, field: pa.Field, part: str) -> pa.DataType:
        if column.type_code in _BINARY_NUMBERS:
            return pa.float64()
        # As an integer the driver would cut a fraction off; as a decimal without a scale it refuses one.
        return pa.decimal128(self._own_precision(field, 38, 20), 0)

    def _exact(self, column: oracledb.FetchInfo, field: pa.Field, part: str) -> pa.DataType:
        if column.type_code in _BINARY_NUMBERS:
            return pa.float64()
        # 128 bits wrap around in silence when a value of more than 38 - s digits is scaled by s. 256 bits do so only
        # past 10^38, and what comes out then is far outside of any 38 digits, so the cast refuses it.
        return pa.decimal256(self._own_precision(field, 76, 39), field.type.scale)

    def _double(self, column: oracledb.FetchInfo, field: pa.Field, part: str) -> pa.DataType:
        return pa.float64()

    def _instant(self, column: oracledb.FetchInfo, field: pa.Field, part: str) -> pa.DataType:
        if column.type_code is oracledb.DB_TYPE_DATE:
            return pa.timestamp("s")
        if (column.scale or 0) > _FINEST_FRACTION:
            raise ContractBroken(field.name, part, f"is {_shown(column)}, whose fraction the driver cuts")
        return pa.timestamp("us")

    def _own_precision(self, field: pa.Field, widest: int, narrowest: int) -> int:
        for precision in range(widest, narrowest, -1):
            if precision not in self._columns_by_precision:
                self._columns_by_precision[precision] = field.name
                return precision
        # More columns of numbers than there are precisions: the last are asked for alike and share a name in faults.
        return narrowest


def _is_text(declared: pa.DataType) -> bool:
    return bool(pa.types.is_string(declared) or pa.types.is_dictionary(declared))


_Ask = Callable[[Asked, oracledb.FetchInfo, pa.Field, str], pa.DataType]
_NUMBERS: Final = frozenset({oracledb.DB_TYPE_NUMBER, oracledb.DB_TYPE_BINARY_INTEGER, *_BINARY_NUMBERS})
_RULES: Final[Sequence[tuple[Callable[[pa.DataType], bool], frozenset[oracledb.DbType], _Ask]]] = (
    (_is_text, _TEXT, Asked._text),
    (pa.types.is_integer, _NUMBERS, Asked._whole),
    (pa.types.is_decimal, _NUMBERS, Asked._exact),
    (pa.types.is_floating, _NUMBERS, Asked._double),
    # A type with a zone is none: somebody would have shifted plant-local times.
    (pa.types.is_temporal, frozenset({oracledb.DB_TYPE_DATE, oracledb.DB_TYPE_TIMESTAMP}), Asked._instant),
)
_SHOWN: Final[Mapping[oracledb.DbType, str]] = {
    oracledb.DB_TYPE_VARCHAR: "VARCHAR2",
    oracledb.DB_TYPE_NVARCHAR: "NVARCHAR2",
}


def _says_nothing(column: oracledb.FetchInfo) -> bool:
    return column.type_code is oracledb.DB_TYPE_VARCHAR and not column.internal_size


def _shown(column: oracledb.FetchInfo) -> str:
    name = _SHOWN.get(column.type_code) or column.type_code.name.removeprefix("DB_TYPE_")
    if column.type_code is oracledb.DB_TYPE_NUMBER and column.precision:
        return f"NUMBER({column.precision},{column.scale})"
    return f"{name}({column.scale})" if column.type_code is oracledb.DB_TYPE_TIMESTAMP else name
