"""Arrow columns to the bytes of rows, a batch at a time and without a Python object per value.

A cell is a value behind its length. Rows are joined from columns of cells by Arrow's own kernels; a row that repeats
values of the row before leaves them out and says so in a bit vector, as a server does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sluice_twin.oracle_wire.codec import (
    NEGATIVE_END,
    NEGATIVE_EXPONENT,
    POSITIVE_EXPONENT,
    ZERO,
    encode_binary_double,
    encode_number,
    encode_timestamp,
)
from sluice_twin.oracle_wire.primitives import LONGEST_SHORT, counted, universal
from sluice_twin.oracle_wire.protocol import NULL, Message

Array: TypeAlias = Any
"""An Arrow array; pyarrow ships no types."""
Bytes: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]

_PAIRS: Final = 10
"""Digits to base 100 that hold every 64-bit integer that `_numbers` takes."""
_LARGEST_VECTOR: Final = 10**17
"""Unscaled integers up to here are encoded as arrays; the few larger ones each by themselves."""
_LENGTH_BYTES: Final = pa.array([bytes((length,)) for length in range(LONGEST_SHORT + 1)], pa.large_binary())
_DATE_CELL_BYTES: Final = 8


def number_cells(array: Array) -> Array:
    """Return the cells of a column of numbers: integers, decimals, booleans, or floats as their shortest decimals."""
    kind = array.type
    if pa.types.is_boolean(kind):
        return _numbers(array.cast(pa.int64()), 0)
    if pa.types.is_integer(kind):
        narrow = kind != pa.uint64() or (pc.max(array).as_py() or 0) < _LARGEST_VECTOR
        return _numbers(array.cast(pa.int64()), 0) if narrow else _each_distinct(array, encode_number)
    if pa.types.is_decimal(kind):
        unscaled = _unscaled(array) if pa.types.is_decimal128(kind) else None
        return _each_distinct(array, encode_number) if unscaled is None else _numbers(unscaled, kind.scale)
    return _each_distinct(array.cast(pa.float64()), lambda value: encode_number(Decimal(repr(value))))


def text_cells(array: Array) -> Array:
    """Return the cells of a column of text; an empty text is NULL."""
    return _counted_cells(array.cast(pa.large_binary()))


def padded_cells(width: int) -> Callable[[Array], Array]:
    """Return what encodes a column of text whose values are blank-padded to a width."""

    def cells(array: Array) -> Array:
        text = array.cast(pa.large_string())
        padded = pc.utf8_rpad(pc.if_else(pc.equal(text, ""), None, text), width, " ")
        return _counted_cells(padded.cast(pa.large_binary()))

    return cells


def date_cells(array: Array) -> Array:
    """Return the cells of a column of dates, to the second."""
    moments = array.cast(pa.timestamp("s"), safe=False).fill_null(0).to_numpy(zero_copy_only=False).astype("M8[s]")
    day, month, year = moments.astype("M8[D]"), moments.astype("M8[M]"), moments.astype("M8[Y]")
    years, second = year.astype(np.int64) + 1970, (moments - day).astype(np.int64)
    cells = np.empty((len(moments), _DATE_CELL_BYTES), np.uint8)
    parts = (
        np.full(len(moments), _DATE_CELL_BYTES - 1),
        years // 100 + 100,
        years % 100 + 100,
        (month - year).astype(np.int64) + 1,
        (day - month).astype(np.int64) + 1,
        second // 3600 + 1,
        second // 60 % 60 + 1,
        second % 60 + 1,
    )
    for position, part in enumerate(parts):
        cells[:, position] = part
    return _cut(cells, np.full(len(moments), _DATE_CELL_BYTES, np.int64), array)


def timestamp_cells(array: Array) -> Array:
    """Return the cells of a column of timestamps, to the microsecond."""
    return _each_distinct(array.cast(pa.timestamp("us"), safe=False), encode_timestamp)


def binary_double_cells(array: Array) -> Array:
    """Return the cells of a column of binary floats."""
    return _each_distinct(array.cast(pa.float64()), encode_binary_double)


def raw_cells(array: Array) -> Array:
    """Return the cells of a column of bytes."""
    return _counted_cells(array.cast(pa.large_binary()))


def no_cells(array: Array) -> Array:
    """Return the cells of a column of size 0, which has no byte at all in any row."""
    return pa.array([b""], pa.large_binary()).take(pa.array(np.zeros(len(array), np.int64)))


def join_rows(columns: Sequence[Array], *, compressed: bool) -> Array:
    """Return one `large_binary` per row, message byte included.

    Args:
        columns: the cells of each column, all of one length.
        compressed: whether values that repeat the row before are left out. The first row is always whole.
    """
    count = len(columns[0])
    whole = pa.scalar(bytes((Message.ROW_DATA,)), pa.large_binary())
    empty = pa.scalar(b"", pa.large_binary())
    if not compressed or count < 2:
        return pc.binary_join_element_wise(whole, *columns, empty)
    sent = np.ones((len(columns), count), np.bool_)
    for position, cells in enumerate(columns):
        sent[position, 1:] = pc.not_equal(cells.slice(1), cells.slice(0, count - 1)).to_numpy(zero_copy_only=False)
    left = [
        cells if here.all() else pc.if_else(pa.array(here), cells, empty)
        for cells, here in zip(columns, sent, strict=True)
    ]
    return pc.binary_join_element_wise(_openings(sent), *left, empty)


def _openings(sent: npt.NDArray[np.bool_]) -> Array:
    """Return what stands before each row's values: the message byte, behind a bit vector where values are left out."""
    packed = np.ascontiguousarray(np.packbits(sent, axis=0, bitorder="little").T)
    column_count, row_count = sent.shape
    width = pa.binary(packed.shape[1])
    coded = pa.FixedSizeBinaryArray.from_buffers(width, row_count, [None, pa.py_buffer(packed)]).dictionary_encode()
    texts = []
    for pattern in coded.dictionary.to_pylist():
        sent_count = int.from_bytes(pattern, "little").bit_count()
        vector = bytes((Message.BIT_VECTOR,)) + universal(sent_count) + pattern
        texts.append((b"" if sent_count == column_count else vector) + bytes((Message.ROW_DATA,)))
    return pa.array(texts, pa.large_binary()).take(coded.indices)


def _each_distinct(array: Array, encode: Callable[[Any], bytes]) -> Array:
    """Encode each distinct value once, then look the rows up."""
    coded = array.dictionary_encode()
    cells = [_cell(encode(value)) for value in coded.dictionary.to_pylist()]
    table = pa.array([*cells, NULL], pa.large_binary())
    return table.take(coded.indices.fill_null(len(cells)))


def _counted_cells(array: Array) -> Array:
    """Put its length before each value of a column of bytes; a missing or empty one is NULL."""
    lengths = pc.binary_length(array).fill_null(0)
    if (pc.max(lengths).as_py() or 0) > LONGEST_SHORT:
        return _each_distinct(array, bytes)
    value = array.fill_null(b"")
    return pc.binary_join_element_wise(_LENGTH_BYTES.take(lengths), value, pa.scalar(b"", pa.large_binary()))


def _cell(value: bytes) -> bytes:
    return bytes((len(value),)) + value if len(value) <= LONGEST_SHORT else counted(value)


def _unscaled(array: Array) -> Array | None:
    """Return the integers behind a column of decimals, None where one of them takes more than 64 bits."""
    words = np.frombuffer(array.buffers()[1], np.int64)[2 * array.offset : 2 * (array.offset + len(array))]
    low, high = words[::2], words[1::2]
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if ((high != low >> 63) & ~missing).any():
        return None
    return pa.array(np.where(missing, 0, low), mask=missing)


def _numbers(array: Array, scale: int) -> Array:
    values: Ints = array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    if len(values) and (values.min() < -_LARGEST_VECTOR or values.max() > _LARGEST_VECTOR):
        return _each_distinct(array, lambda value: encode_number(Decimal(value).scaleb(-scale) if scale else value))
    if scale % 2:
        values, scale = values * 10, scale + 1
    negative = values < 0
    pairs = _base_100(np.abs(values))
    used = pairs != 0
    first, last = used.argmax(1), _PAIRS - 1 - used[:, ::-1].argmax(1)
    count = (last - first + 1).astype(np.int64)
    exponent = _PAIRS - 1 - first - scale // 2
    rows = np.arange(len(values))
    # Length, exponent, digits, end of a negative number.
    cells = np.zeros((len(values), _PAIRS + 3), np.uint8)
    for position in range(_PAIRS):
        digit = pairs[rows, np.minimum(first + position, _PAIRS - 1)].astype(np.int16)
        cells[:, 2 + position] = np.where(negative, 101 - digit, digit + 1)
    cells[:, 1] = np.where(negative, NEGATIVE_EXPONENT - exponent, POSITIVE_EXPONENT + exponent)
    cells[rows[negative], (2 + count)[negative]] = NEGATIVE_END
    size = 1 + count + negative
    zero = ~used.any(1)
    size[zero], cells[zero, 1] = 1, ZERO
    cells[:, 0] = size
    return _cut(cells, size + 1, array)


def _base_100(values: Ints) -> Bytes:
    """Return digits to base 100, high ones first."""
    pairs = np.empty((len(values), _PAIRS), np.uint8)
    rest = values
    for position in range(_PAIRS - 1, -1, -1):
        rest, pairs[:, position] = rest // 100, rest % 100
    return pairs


def _cut(cells: Bytes, lengths: Ints, array: Array) -> Array:
    """Return one binary per row of a byte matrix, each cut to its length; NULL where the array has none."""
    if array.null_count:
        missing = array.is_null().to_numpy(zero_copy_only=False)
        cells[missing, 0] = 0
        lengths = np.where(missing, 1, lengths)
    width = cells.shape[1]
    data = cells[np.arange(width) < lengths[:, None]]
    offsets = np.zeros(len(cells) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(cells), buffers)
