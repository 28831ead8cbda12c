"""The declared schema of a statement: type names to Arrow, and rows made to fit or refused.

Text loses blanks at its right end (CHAR is padded, names may be) and is NULL when nothing is left, as Oracle has it.
Numbers become the declared kind of number only where no value changes. Types are never inferred.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from sluice_warehouse.errors import ContractBroken

_TYPES: Final[Mapping[str, pa.DataType]] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp[s]": pa.timestamp("s"),
    "date32": pa.date32(),
    "dictionary<string>": pa.dictionary(pa.int32(), pa.string()),
}
_DECIMAL: Final = re.compile(r"decimal\(\s*(?P<precision>\d{1,2})\s*,\s*(?P<scale>\d{1,2})\s*\)")


class UnknownType(ValueError):
    """A type name that no declared column may have."""


def parse_type(name: str) -> pa.DataType:
    """Return the Arrow type of a name such as `int64` or `decimal(18,6)`.

    Raises:
        UnknownType: the name is not one of ours.
    """
    decimal = _DECIMAL.fullmatch(name)
    if decimal is not None:
        precision, scale = int(decimal["precision"]), int(decimal["scale"])
        if not 1 <= precision <= 38 or scale > precision:
            raise UnknownType(f"{name!r}: precision is 1 to 38 and not below the scale")
        return pa.decimal128(precision, scale)
    try:
        return _TYPES[name]
    except KeyError:
        raise UnknownType(f"{name!r} is no column type; there are {', '.join(_TYPES)} and decimal(p,s)") from None


def parse_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Return the schema of columns declared as name → type name, in that order; every column may be NULL.

    Raises:
        UnknownType: naming the column.
    """
    fields = []
    for column, type_name in columns.items():
        try:
            fields.append(pa.field(column, parse_type(type_name)))
        except UnknownType as error:
            raise UnknownType(f"column {column!r}: {error}") from None
    return pa.schema(fields)


class Fitting:
    """Makes the batches of one statement fit its declared schema.

    Args:
        declared: the columns wanted, in the order wanted.
        found: names of the columns the statement yields; they compare without case.
        part: name of the statement, for errors.

    Raises:
        ContractBroken: a column is missing, there twice, or not declared.
    """

    def __init__(self, declared: pa.Schema, found: Sequence[str], part: str) -> None:
        self.schema = declared
        self._part = part
        positions: dict[str, int] = {}
        for position, name in enumerate(found):
            if positions.setdefault(name.lower(), position) != position:
                raise ContractBroken(name, part, "is there twice")
        wanted = [name.lower() for name in declared.names]
        for name in declared.names:
            if name.lower() not in positions:
                raise ContractBroken(name, part, "is missing")
        for name in found:
            if name.lower() not in wanted:
                raise ContractBroken(name, part, "is not declared")
        self._positions = [positions[name] for name in wanted]

    def fit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with the declared columns, order and types.

        Raises:
            ContractBroken: a column holds another kind of value, or a value that the declared type cannot hold.
        """
        columns = [
            self._column(field, batch.column(position))
            for field, position in zip(self.schema, self._positions, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _column(self, field: pa.Field, values: pa.Array) -> pa.Array:
        if values.null_count == len(values):
            # What a column of nothing but NULL looks like says nothing of its type.
            return pa.nulls(len(values), field.type)
        kind_fits, convert = _conversion(field.type)
        if not kind_fits(values.type):
            raise ContractBroken(field.name, self._part, f"is {values.type}, declared {field.type}")
        try:
            return convert(values, field.type)
        except pa.ArrowInvalid as error:
            raise ContractBroken(field.name, self._part, f"holds a value that {field.type} cannot hold") from error


_Kind = Callable[[pa.DataType], bool]
_Convert = Callable[[pa.Array, pa.DataType], pa.Array]


def _conversion(wanted: pa.DataType) -> tuple[_Kind, _Convert]:
    if pa.types.is_dictionary(wanted):
        return _is_text, _encoded
    if pa.types.is_string(wanted):
        return _is_text, _trimmed
    if pa.types.is_temporal(wanted):
        return _is_local_time, _dated if pa.types.is_date(wanted) else _cast
    if pa.types.is_decimal(wanted):
        return _is_number, _exact
    return _is_number, _nearest if pa.types.is_floating(wanted) else _cast


def _is_text(found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        return _is_text(found.value_type)
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found))


def _is_number(found: pa.DataType) -> bool:
    return bool(pa.types.is_integer(found) or pa.types.is_floating(found) or pa.types.is_decimal(found))


def _is_local_time(found: pa.DataType) -> bool:
    # A zone would mean that somebody already shifted plant-local times.
    return bool(pa.types.is_date(found) or (pa.types.is_timestamp(found) and found.tz is None))


def _cast(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    return values.cast(wanted, safe=True)


def _dated(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    dates = values.cast(wanted)
    # Arrow drops the time of day without a word, even when asked to be safe.
    if not pc.all(pc.equal(dates.cast(values.type), values)).as_py():
        raise pa.ArrowInvalid("a date with a time of day")
    return dates


def _exact(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_integer(values.type):
        # Arrow asks for room for the widest integer there could be, not for those that are there.
        values = values.cast(pa.decimal128(38, 0))
    return values.cast(wanted, safe=True)


def _nearest(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(values.type):
        # Arrow multiplies by a power of ten that is no binary fraction, and 98.838 comes out as 98.83800000000001.
        values = values.cast(pa.string())
    return values.cast(wanted, safe=True)


def _trimmed(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    trimmed = values.cast(pa.string())
    # Looking at the last characters takes half as long as building texts anew, and most columns end in none.
    if pc.any(pc.ends_with(trimmed, " ")).as_py():
        trimmed = pc.utf8_rtrim(trimmed, characters=" ")
    if pc.min(pc.binary_length(trimmed)).as_py():
        # Nothing is empty, as in most columns, so nothing becomes NULL.
        return trimmed
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _encoded(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    return _trimmed(values, pa.string()).dictionary_encode().cast(wanted)
