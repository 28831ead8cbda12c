"""Edges of one relation, sorted by key: a long run that is rarely sorted anew, and a short one for what came since."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sluice_lineage.graph import Flags, Ints, Nodes, Pairs

_Stamps: TypeAlias = npt.NDArray[np.int32]
_Alive: TypeAlias = Callable[[Nodes, _Stamps], Flags]


class EdgeRuns:
    """Edges of numbered keys. A later batch replaces the edges of its keys. Not safe for threads."""

    def __init__(self) -> None:
        self._runs = [_Run.empty(), _Run.empty()]
        # Of each key the batch that read it last, and when that was; 0 for never.
        self._stamps: _Stamps = np.zeros(1024, np.int32)
        self._read_s = np.zeros(1024, np.float64)
        self._batch_count = 0
        self._whole_s = 0.0
        self._whole_stamp = 0
        self._newest_s = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(run.nbytes for run in self._runs) + self._stamps.nbytes + self._read_s.nbytes

    def read_s(self, keys: Nodes) -> npt.NDArray[np.float64]:
        """Return when each key was read, in seconds since 1970; 0 for never."""
        known = keys < len(self._read_s)
        found = np.where(known, self._read_s[np.where(known, keys, 0)], 0.0)
        return np.maximum(found, self._whole_s)

    def add(self, keys: Nodes | None, tails: Nodes, heads: Nodes, read_s: float) -> None:
        """Take in the edges of these keys, of all there are where keys is None. NULLs (-1) are no edges.

        Keys that were read later stay as they are.
        """
        kept = (tails >= 0) & (heads >= 0)
        tails, heads = tails[kept], heads[kept]
        if keys is None and read_s < self._newest_s:
            # Some keys are known better; what is not known will be read.
            return
        self._newest_s = max(self._newest_s, read_s)
        self._batch_count += 1
        if keys is None:
            self._whole_s, self._whole_stamp = read_s, self._batch_count
            self._runs = [_Run.of(tails, heads, self._batch_count), _Run.empty()]
            self._stamps[:] = self._batch_count
            return
        keys = keys[keys >= 0]
        keys = keys[self.read_s(keys) <= read_s]
        renewed = np.isin(tails, keys)
        tails, heads = tails[renewed], heads[renewed]
        self._grow(int(keys.max(initial=-1)) + 1)
        self._stamps[keys] = self._batch_count
        self._read_s[keys] = read_s
        long, short = self._runs
        short = short.merged(_Run.of(tails, heads, self._batch_count))
        if len(short.tails) * 4 > len(long.tails):
            long, short = long.merged(short).where(self._alive), _Run.empty()
        self._runs = [long, short]

    def neighbours(self, keys: Nodes) -> Pairs:
        """Return where the edges of these keys lead, owned by positions in `keys`."""
        found = [run.from_keys(keys, self._alive) for run in self._runs]
        return Pairs(np.concatenate([run.owners for run in found]), np.concatenate([run.nodes for run in found]))

    def _alive(self, tails: Nodes, stamps: _Stamps) -> Flags:
        known = tails < len(self._stamps)
        newest = np.where(known, self._stamps[np.where(known, tails, 0)], self._whole_stamp)
        alive: Flags = stamps == newest
        return alive

    def _grow(self, size: int) -> None:
        missing = size - len(self._stamps)
        if missing > 0:
            missing = max(missing, len(self._stamps))
            self._stamps = np.pad(self._stamps, (0, missing), constant_values=self._whole_stamp)
            self._read_s = np.pad(self._read_s, (0, missing))


class _Run:
    def __init__(self, tails: Nodes, heads: Nodes, stamps: _Stamps) -> None:
        self.tails = tails
        self.heads = heads
        self.stamps = stamps

    @staticmethod
    def empty() -> _Run:
        return _Run(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int32))

    @staticmethod
    def of(tails: Nodes, heads: Nodes, stamp: int) -> _Run:
        order = np.argsort(tails)
        return _Run(tails[order], heads[order], np.full(len(tails), stamp, np.int32))

    @property
    def nbytes(self) -> int:
        return int(self.tails.nbytes + self.heads.nbytes + self.stamps.nbytes)

    def merged(self, other: _Run) -> _Run:
        tails = np.concatenate([self.tails, other.tails])
        order = np.argsort(tails, kind="stable")
        heads = np.concatenate([self.heads, other.heads])
        stamps = np.concatenate([self.stamps, other.stamps])
        return _Run(tails[order], heads[order], stamps[order])

    def where(self, alive: _Alive) -> _Run:
        kept = alive(self.tails, self.stamps)
        return _Run(self.tails[kept], self.heads[kept], self.stamps[kept])

    def from_keys(self, keys: Nodes, alive: _Alive) -> Pairs:
        starts = np.searchsorted(self.tails, keys, "left")
        counts = np.searchsorted(self.tails, keys, "right") - starts
        within: Ints = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        at = np.repeat(starts, counts) + within
        kept = alive(self.tails[at], self.stamps[at])
        return Pairs(np.repeat(np.arange(len(keys)), counts)[kept], self.heads[at][kept])
