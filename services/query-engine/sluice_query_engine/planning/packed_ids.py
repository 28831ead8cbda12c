"""Ids as one Arrow array.

Of a year at the busiest station a query holds 121,000 ids for each of three parts, and lineage is asked for 170,000: as
texts they take eighty bytes each, as here twenty, and what is given back is one block instead of many crumbs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, overload

import pyarrow as pa
import pyarrow.compute as pc

_TEXTS_AT_ONCE: Final = 1000
"""Texts that are made together where all are gone through."""


class PackedIds(Sequence[str]):
    """Ids in order, each once; equal to any sequence of the same texts.

    Args:
        array: strings in order, each once, none missing; `of` takes any.
    """

    __slots__ = ("array",)

    def __init__(self, array: pa.StringArray) -> None:
        self.array = array

    @classmethod
    def of(cls, ids: Iterable[str]) -> PackedIds:
        """Return these ids; what is packed, or in order, already is not sorted again."""
        if isinstance(ids, PackedIds):
            return ids
        array = pa.array([*ids], pa.string())
        if len(array) > 1 and not pc.all(pc.less(array[:-1], array[1:])).as_py():
            array = pc.unique(array)
            array = array.take(pc.sort_indices(array))
        return cls(array)

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[str]:
        for piece in self.batches(_TEXTS_AT_ONCE):
            yield from piece.array.to_pylist()

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> PackedIds: ...
    def __getitem__(self, position: int | slice) -> str | PackedIds:
        if isinstance(position, slice):
            return PackedIds(self.array[position])
        return str(self.array[position])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedIds):
            return bool(self.array.equals(other.array))
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"PackedIds of {len(self)}"

    def batches(self, size: int) -> list[PackedIds]:
        """Return the ids so many at a time, in order; the last may be fewer. They share the memory of the whole."""
        return [self[start : start + size] for start in range(0, len(self), size)]

    def parted(self, known: Collection[str]) -> tuple[PackedIds, PackedIds]:
        """Return those that are among the known ones, and the others."""
        among = pc.is_in(self.array, value_set=pa.array([*known], pa.string()))
        return PackedIds(self.array.filter(among)), PackedIds(self.array.filter(pc.invert(among)))
