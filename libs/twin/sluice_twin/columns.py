"""Numpy arrays to Arrow columns: ids, coded text, quantities and times, each with its NULLs.

Text is nearly always a code into a short list of words, because half a million rows repeat a few hundred names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
IdArray: TypeAlias = npt.NDArray[np.bytes_]
# pyarrow ships no types, so an Arrow array is Any to the checker.
Rows: TypeAlias = dict[str, Any]

NONE: Final = -1
"""The code or reference that stands for NULL."""

ROWS_PER_BATCH: Final = 200_000
"""Rows turned into Arrow at a time: 70 columns of that many stay under 100 MiB."""

_HEX: Final = np.array([f"{byte:02x}" for byte in range(256)], dtype="S2")
_MASK_48: Final = np.uint64((1 << 48) - 1)
# Odd, so that multiplying modulo 2**48 keeps different indexes different.
_SPREAD: Final = np.uint64(0x9E3779B97F4B)


def make_ids(kind: int, index: Ints, seed: int) -> IdArray:
    """16 hexadecimal characters per index: four name the kind of object, twelve are unique within it.

    Order of ids follows neither time nor index, as surrogate keys of a real plant do not.
    """
    offset = np.uint64((seed * 0x9E3779B97F4A7C15 + kind) & ((1 << 48) - 1))
    number = (index.astype(np.uint64) * _SPREAD + offset) & _MASK_48
    whole = number | np.uint64(kind << 48)
    return _HEX[whole.astype(">u8").view(np.uint8)].view("S16")


def ids(values: IdArray) -> Any:
    """A text column of ids, none missing; blanks at the end are kept."""
    data = np.ascontiguousarray(values)
    offsets = np.arange(len(data) + 1, dtype=np.int32) * 16
    return pa.StringArray.from_buffers(len(data), pa.py_buffer(offsets), pa.py_buffer(data))


def refs(values: IdArray, index: Ints) -> Any:
    """The ids at `index` as a text column; NULL where the index is `NONE`."""
    taken = ids(values[np.maximum(index, 0)])
    if not (index < 0).any():
        return taken
    return pc.if_else(pa.array(index >= 0), taken, pa.scalar(None, pa.string()))


def coded(words: Sequence[str | None], codes: Ints) -> Any:
    """Text by code into `words`; NULL where the code is `NONE` or the word is None."""
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def constant(word: str, count: int) -> Any:
    """The same text in every row."""
    return coded([word], np.zeros(count, dtype=np.int64))


def numbers(values: Ints | Floats, missing: Flags | None = None) -> Any:
    """Whole numbers or fractions; NULL where missing or not a number."""
    if values.dtype.kind == "f":
        absent = np.isnan(values) if missing is None else np.isnan(values) | missing
        return pa.array(values, mask=absent)
    return pa.array(values, mask=missing)


def times(seconds: Ints) -> Any:
    """Plant-local seconds as `timestamp[s]`; NULL where the second is `NO_TIME`."""
    return pa.array(seconds.astype("datetime64[s]"), mask=seconds == NO_TIME)


NO_TIME: Final = np.iinfo(np.int64).min
"""The second that stands for a NULL time."""


def slices(row_count: int) -> Iterator[slice]:
    """Consecutive slices that cover `row_count` rows, none longer than `ROWS_PER_BATCH`."""
    for start in range(0, row_count, ROWS_PER_BATCH):
        yield slice(start, min(start + ROWS_PER_BATCH, row_count))
