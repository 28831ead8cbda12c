"""The lots of the plant in memory: who they are, when they live, what they came from.

Event modules ask here which lot was where and when; `containers` turns the same lots into rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from sluice_twin import genealogy
from sluice_twin.columns import NONE, Flags, IdArray, Ints, make_ids
from sluice_twin.plant import CLOCK_S, DAY_S, END_S, START_S, PlantSpec, busy_times, instant, second
from sluice_twin.words import words

GA, GC, GD, WAFER, FINISHED, MATERIAL = range(6)
CLASSES: Final = ("GA", "GC", "GD", "WF", "GA", "MT")
_SHARES: Final = (0.64, 0.14, 0.06, 0.06, 0.06, 0.04)

LIVE, DONE, SCRAPPED = 1, 8, 128
GHOSTS: Final = 64
"""Ids beyond the last lot: events and splits may name them, no container has them."""

PRODUCTS: Final = 96
_LOTS_PER_ORDER: Final = 12
_ID_KIND: Final = 0x4882


@dataclass(frozen=True)
class Lots:
    """Parallel arrays, one element per lot; `ids` has `GHOSTS` more."""

    ids: IdArray
    names: list[str]
    kind: Ints
    order: Ints
    orders: list[str]
    product: Ints
    wafer: Ints
    wafers: list[str]
    start: Ints
    cycle_s: Ints
    quantity: Ints
    split_from: Ints
    original: Ints
    status: Ints
    pick: Ints

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def seen_until(self) -> Ints:
        """The last second of each lot's life that the plant has seen."""
        last: Ints = np.minimum(self.start + self.cycle_s, END_S - 1)
        return last

    @property
    def live(self) -> Flags:
        """Production lots that are in process when the clock stands."""
        live: Flags = (self.status == LIVE) & (self.kind != MATERIAL)
        return live

    @cached_property
    def in_process(self) -> Ints:
        """Lots that pass through the route, in no meaningful order: no raw material, nothing planted by hand."""
        lots = np.flatnonzero((self.kind != MATERIAL) & (self.kind != WAFER))
        return lots[lots >= genealogy.PLANTED]

    def progress(self, lot: Ints, at: Ints) -> Ints:
        """How far along the route a lot was at a second, in thousandths (0 to 999)."""
        thousandths: Ints = np.clip((at - self.start[lot]) * 1000 // self.cycle_s[lot], 0, 999)
        return thousandths

    def moments(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        """Random (lot, second) pairs inside the lots' lives, in time order."""
        lot = self.in_process[rng.integers(0, len(self.in_process), count)]
        at = self.start[lot] + (rng.random(count) * (self.seen_until[lot] - self.start[lot])).astype(np.int64)
        order = np.argsort(at, kind="stable")
        return lot[order], at[order]


def make_lots(spec: PlantSpec) -> Lots:
    """The lots of a plant. The first `genealogy.PLANTED` have planted lives and relations, the rest are drawn."""
    count = spec.row_count("DW_MES_CONTAINER")
    rng = spec.random("DW_MES_CONTAINER")
    planted = genealogy.PLANTED
    start = _starts(rng, count)
    kind = rng.choice(len(CLASSES), size=count, p=_SHARES)
    kind[:planted] = genealogy.kinds(GA, GD, WAFER, FINISHED)
    cycle_s = np.clip(rng.lognormal(np.log(11 * DAY_S), 0.45, count), 3 * DAY_S, 60 * DAY_S).astype(np.int64)
    split_from, original = _relations(rng, kind)
    status = np.where(rng.random(count) < 0.03, SCRAPPED, DONE)
    status[start + cycle_s > CLOCK_S] = LIVE
    order, orders, order_product = _work_orders(kind, start)
    names = _names(kind, order, orders)
    wafer, wafers = _wafers(rng, kind, names, start)
    return Lots(
        ids=lot_ids(spec, count + GHOSTS),
        names=names,
        kind=kind,
        order=order,
        orders=orders,
        product=order_product,
        wafer=wafer,
        wafers=wafers,
        start=start,
        cycle_s=cycle_s,
        quantity=rng.integers(4, 400, count) * 50,
        split_from=split_from,
        original=original,
        status=status,
        pick=rng.integers(0, 1000, count),
    )


def lot_ids(spec: PlantSpec, count: int) -> IdArray:
    """`CONTAINERID`s of the first lots, blank-padded; a few planted ones are shorter than their column."""
    ids = make_ids(_ID_KIND, np.arange(count), spec.seed)
    for lot in genealogy.SHORT_IDS:
        ids[lot] = ids[lot][:13] + b"   "
    return ids


def _starts(rng: np.random.Generator, count: int) -> Ints:
    """Start seconds: the planted in February 2024, a late crowd that is live at the clock, the rest even."""
    planted = genealogy.PLANTED
    late = max((count - planted) // 25, 20)
    first = second(instant(START_S).replace(month=2))
    by_hand = first + np.arange(planted) * 7_200
    crowd = np.sort(rng.integers(END_S - 12 * DAY_S, END_S - DAY_S, late))
    return np.concatenate([by_hand, np.sort(np.concatenate([busy_times(rng, count - planted - late), crowd]))])


def _relations(rng: np.random.Generator, kind: Ints) -> tuple[Ints, Ints]:
    """Split parent and rework origin of each lot: a quarter split from an older lot, GD lots come from one."""
    count = len(kind)
    index = np.arange(count)
    older = np.maximum(index - rng.integers(1, 40, count), genealogy.PLANTED)
    may_split = (older < index) & np.isin(kind, (GA, GC)) & np.isin(kind[older], (GA, GC))
    split_from = np.where(may_split & (rng.random(count) < 0.3), older, NONE)
    reworked = (older < index) & (kind == GD)
    original = np.where(reworked, older, NONE)
    split_from = np.where(reworked & (rng.random(count) < 0.5), older, split_from)
    planted_split, planted_original = genealogy.relations(ghost=count)
    split_from[: genealogy.PLANTED] = planted_split
    original[: genealogy.PLANTED] = planted_original
    return split_from.astype(np.int64), original.astype(np.int64)


def _work_orders(kind: Ints, start: Ints) -> tuple[Ints, list[str], Ints]:
    """Work order per lot, the orders' numbers, and the product per lot (one product per order)."""
    order = np.zeros(len(kind), dtype=np.int64)
    orders: list[str] = []
    for code, name in enumerate(CLASSES):
        members = np.flatnonzero(kind == code)
        if not len(members):
            continue
        order[members] = len(orders) + np.arange(len(members)) // _LOTS_PER_ORDER
        for serial, first in enumerate(members[::_LOTS_PER_ORDER]):
            began = instant(int(start[first]))
            orders.append(f"{name}{began:%y%m}{code}{serial:05d}")
    product = (order * 37 + order // 11) % PRODUCTS
    return order, orders, product


def _names(kind: Ints, order: Ints, orders: list[str]) -> list[str]:
    """Lot names: the work order and a running number within it, so the first letters repeat the class."""
    seen: dict[int, int] = {}
    names = []
    for code in order.tolist():
        seen[code] = number = seen.get(code, 0) + 1
        names.append(f"{orders[code]}-{number:03d}")
    return names


def _wafers(rng: np.random.Generator, kind: Ints, names: list[str], start: Ints) -> tuple[Ints, list[str]]:
    """Wafer-lot name per lot: two thirds name a wafer lot of the plant, the others one that was bought in."""
    own = np.flatnonzero(kind == WAFER)
    bought = [f"BUY{number:05d}" for number in range(max(len(names) // 20, 10))]
    nearest = np.clip(np.searchsorted(start[own], start) - 1, 0, len(own) - 1)
    from_own = rng.random(len(names)) < 0.66
    wafer = np.where(from_own, nearest, len(own) + rng.integers(0, len(bought), len(names)))
    wafer[own] = np.arange(len(own))
    wafer[kind == MATERIAL] = NONE
    wafer[: genealogy.PLANTED] = np.where(kind[: genealogy.PLANTED] == WAFER, 0, NONE)
    wafer[list(genealogy.FROM_WAFER)] = 0
    return wafer, [*(names[lot] for lot in own), *bought]


def product_attributes() -> list[tuple[str, str, str, str | None, str]]:
    """Per product: name, package, type, function, bill of process."""
    packages, types, functions, bops = (words(topic) for topic in ("packages", "types", "functions", "bops"))
    return [
        (
            f"{types[number % 8][:2].upper()}{1000 + number * 7}",
            packages[number % 12],
            types[number % 8],
            functions[number % 4],
            bops[number // 7 % 4],
        )
        for number in range(PRODUCTS)
    ]
