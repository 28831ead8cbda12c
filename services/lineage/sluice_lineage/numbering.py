"""Texts as numbers: each distinct text gets the next number, found again by hash without a Python object per text."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy import strings

from sluice_lineage.graph import NO_NODE, Flags, Ints, Nodes

_Words = npt.NDArray[np.uint64]

_WORD_BYTES: Final = 8
_ID_WORDS: Final = 2
"""Ids have 16 characters; the table widens itself when something longer comes."""
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_TURN: Final = np.uint64(0xD6E8FEB86659FD93)
_FOLD: Final = np.uint64(32)


class Numbering:
    """Gives out numbers from 0 on. Not safe for threads: whoever owns it holds its lock."""

    def __init__(self) -> None:
        self._words: _Words = np.zeros((0, _ID_WORDS), np.uint64)
        self._count = 0
        # Two sorted runs of (hash, number): new texts go to the short one, so that the long one is rarely sorted anew.
        self._runs = [_Run.empty(), _Run.empty()]

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return int(self._words.nbytes) + sum(run.hashes.nbytes + run.numbers.nbytes for run in self._runs)

    def number(self, texts: Any) -> Nodes:
        """Return the number of each text of an Arrow string array, new ones given out; -1 for NULL."""
        # Each text once: edges name the same lots again and again.
        coded = texts.dictionary_encode()
        words = _words_of(coded.dictionary)
        hashes = _hashes(words)
        self._widen(words.shape[1])
        numbers = self._find(words, hashes)
        new = np.flatnonzero(numbers == NO_NODE)
        if len(new):
            numbers[new] = np.arange(self._count, self._count + len(new), dtype=np.int32)
            self._append(words.take(new, axis=0), hashes.take(new))
        places = coded.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
        found: Nodes = np.append(numbers, np.int32(NO_NODE)).take(places)
        return found

    def texts(self, numbers: Nodes) -> Any:
        """Return the texts of these numbers as an Arrow string array; NULL for -1."""
        plain = np.ascontiguousarray(self._words[np.maximum(numbers, 0)]) if self._count else None
        if plain is None:
            return pa.nulls(len(numbers), pa.string())
        width = plain.shape[1] * _WORD_BYTES
        lengths = strings.str_len(plain.view(f"S{width}")[:, 0])
        offsets = np.zeros(len(numbers) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        data = plain.view(np.uint8).reshape(len(numbers), width)
        if (lengths != width).any():
            data = data[np.arange(width) < lengths[:, None]]
        made = pa.StringArray.from_buffers(
            len(numbers), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))
        )
        if not (numbers < 0).any():
            return made
        return pa.compute.if_else(pa.array(numbers >= 0), made, pa.scalar(None, pa.string()))

    def order(self, numbers: Nodes) -> Ints:
        """Return the positions that put these numbers in the order of their texts' bytes."""
        words = self._words[numbers].byteswap()
        return np.lexsort(tuple(words[:, column] for column in reversed(range(words.shape[1]))))

    def _find(self, words: _Words, hashes: npt.NDArray[np.uint64]) -> Nodes:
        found = np.full(len(words), NO_NODE, np.int32)
        mine = self._words[:, : words.shape[1]]
        rest_is_blank = self._words.shape[1] == words.shape[1]
        for run in self._runs:
            at = np.searchsorted(run.hashes, hashes)
            open_ = np.flatnonzero(found == NO_NODE)
            while len(open_ := open_[run.has(at[open_], hashes[open_])]):
                numbers = run.numbers.take(at.take(open_))
                same = _same(mine.take(numbers, axis=0), words.take(open_, axis=0))
                if not rest_is_blank:
                    same &= (self._words[numbers, words.shape[1] :] == 0).all(axis=1)
                found[open_[same]] = numbers[same]
                open_ = open_[~same]
                at[open_] += 1
        return found

    def _append(self, words: _Words, hashes: npt.NDArray[np.uint64]) -> None:
        start, end = self._count, self._count + len(words)
        if end > len(self._words):
            grown = np.zeros((max(end, 2 * len(self._words), 1024), self._words.shape[1]), np.uint64)
            grown[:start] = self._words[:start]
            self._words = grown
        self._words[start:end, : words.shape[1]] = words
        self._count = end
        long, short = self._runs
        short = short.merged(_Run(hashes, np.arange(start, end, dtype=np.int32)))
        if len(short.hashes) * 4 > len(long.hashes):
            long, short = long.merged(short), _Run.empty()
        self._runs = [long, short]

    def _widen(self, word_count: int) -> None:
        missing = word_count - self._words.shape[1]
        if missing > 0:
            self._words = np.pad(self._words, ((0, 0), (0, missing)))


class _Run:
    """Hashes in order, and the number that each belongs to."""

    def __init__(self, hashes: npt.NDArray[np.uint64], numbers: Nodes) -> None:
        self.hashes = hashes
        self.numbers = numbers

    @staticmethod
    def empty() -> _Run:
        return _Run(np.empty(0, np.uint64), np.empty(0, np.int32))

    def merged(self, other: _Run) -> _Run:
        hashes = np.concatenate([self.hashes, other.hashes])
        order = np.argsort(hashes, kind="stable")
        return _Run(hashes[order], np.concatenate([self.numbers, other.numbers])[order])

    def has(self, at: Ints, hashes: npt.NDArray[np.uint64]) -> Flags:
        """Whether the entry at each place exists and has this hash."""
        if not len(self.hashes):
            return np.zeros(len(at), np.bool_)
        there: Flags = (at < len(self.hashes)) & (self.hashes[np.minimum(at, len(self.hashes) - 1)] == hashes)
        return there


def _words_of(texts: Any) -> _Words:
    """The bytes of each text, blank-filled with zeros to whole words; at least as wide as an id."""
    count = len(texts)
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32, count + 1, texts.offset * 4).astype(np.int64)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    lengths = np.diff(offsets)
    longest = int(lengths.max(initial=0))
    word_count = max(_ID_WORDS, -(-longest // _WORD_BYTES))
    width = word_count * _WORD_BYTES
    if count and longest == width and (lengths == width).all():
        return data[offsets[0] : offsets[-1]].reshape(count, width).view(np.uint64).copy()
    made = np.zeros((count, width), np.uint8)
    made[np.arange(width) < lengths[:, None]] = data[offsets[0] : offsets[-1]]
    return made.view(np.uint64)


def _same(some: _Words, others: _Words) -> Flags:
    """Whether each text of two arrays of one shape is the other."""
    same: Flags = some[:, 0] == others[:, 0]
    # Column by column: there are few, and going along rows of two takes five times as long.
    for column in range(1, some.shape[1]):
        same &= some[:, column] == others[:, column]
    return same


def _hashes(words: _Words) -> npt.NDArray[np.uint64]:
    mixed = np.zeros(len(words), np.uint64)
    for column in range(words.shape[1]):
        word = words[:, column]
        turned = word * _TURN
        next_ = (mixed ^ turned ^ (turned >> _FOLD)) * _SPREAD
        # A word of zeros changes nothing, so that a text hashes alike at any width.
        mixed = np.where(word == 0, mixed, next_ ^ (next_ >> _FOLD))
    return mixed
