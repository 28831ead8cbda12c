"""The family relations planted by hand, as positions of lots: the same lots in every plant.

Lot 0 to `PLANTED` - 1 belong to this module and to the planted holds; all others are drawn.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sluice_twin.columns import NONE, Ints

PLANTED: Final = 120

CHAIN: Final = range(26)
"""Each split from the one before: 25 splits deep, five deeper than a walk may go."""
SELF_PARENT: Final = 26
CYCLE: Final = (27, 28, 29)
DIAMOND: Final = (30, 31, 32, 33)
"""Root, its two splits, and the lot into which both were combined again."""
REWORK_SOURCE: Final = 34
REWORK_BY_ORIGINAL: Final = 35
REWORK_BY_SPLIT: Final = 36
REWORK_BY_BOTH: Final = 37
"""Its origin (lot 34) and its split parent (lot 35) differ; the origin counts."""
LOST_PARENT: Final = 38
"""Split from a container that is not in the plant."""
TWO_MERGES: Final = (39, 40, 41, 42, 43)
"""Lots 39 and 40 become 41; lots 41 and 42 become 43."""
UNKNOWN_SERIAL: Final = (44, 45, 46)
"""Lots 44 and 45 become 46, whose serial is the text `Unknown`."""
SHORT_IDS: Final = range(47, 52)
HELD: Final = range(52, 100)
"""Lots whose holds are planted, nobody else's."""
WAFER_LOT: Final = 100
FROM_WAFER: Final = (101, 102)

UNKNOWN: Final = "Unknown"


def kinds(ga: int, gd: int, wafer: int, finished: int) -> Ints:
    """The class of each planted lot, in the caller's own codes."""
    kind = np.full(PLANTED, ga, dtype=np.int64)
    kind[[REWORK_BY_ORIGINAL, REWORK_BY_SPLIT, REWORK_BY_BOTH]] = gd
    kind[[DIAMOND[3], TWO_MERGES[2], TWO_MERGES[4], UNKNOWN_SERIAL[2]]] = finished
    kind[WAFER_LOT] = wafer
    return kind


def relations(ghost: int) -> tuple[Ints, Ints]:
    """Split parent and rework origin of each planted lot; `ghost` is a position that no container has."""
    split_from = np.full(PLANTED, NONE, dtype=np.int64)
    original = np.full(PLANTED, NONE, dtype=np.int64)
    split_from[list(CHAIN)[1:]] = list(CHAIN)[:-1]
    split_from[SELF_PARENT] = SELF_PARENT
    split_from[list(CYCLE)] = CYCLE[1:] + CYCLE[:1]
    split_from[[DIAMOND[1], DIAMOND[2]]] = DIAMOND[0]
    original[REWORK_BY_ORIGINAL] = REWORK_SOURCE
    split_from[REWORK_BY_SPLIT] = REWORK_SOURCE
    original[REWORK_BY_BOTH] = REWORK_SOURCE
    split_from[REWORK_BY_BOTH] = REWORK_BY_ORIGINAL
    split_from[LOST_PARENT] = ghost
    return split_from, original


def merges() -> list[tuple[int, int]]:
    """Planted (source, target) pairs of combinations."""
    return [
        (DIAMOND[1], DIAMOND[3]),
        (DIAMOND[2], DIAMOND[3]),
        (TWO_MERGES[0], TWO_MERGES[2]),
        (TWO_MERGES[1], TWO_MERGES[2]),
        (TWO_MERGES[2], TWO_MERGES[4]),
        (TWO_MERGES[3], TWO_MERGES[4]),
        (UNKNOWN_SERIAL[0], UNKNOWN_SERIAL[2]),
        (UNKNOWN_SERIAL[1], UNKNOWN_SERIAL[2]),
    ]
