"""Rows of `DW_MES_HOLDRELEASEHISTORY`: the planted holds among drawn ones, all in order of their hold time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from sluice_twin import genealogy
from sluice_twin.columns import (
    NO_TIME,
    NONE,
    Flags,
    IdArray,
    Ints,
    Rows,
    coded,
    ids,
    make_ids,
    numbers,
    refs,
    slices,
    times,
)
from sluice_twin.containers import spec_columns
from sluice_twin.hold_oddities import NULL_MONTH, plain_reason_count, planted_holds, reasons
from sluice_twin.lots import GHOSTS, Lots
from sluice_twin.plant import CLOCK_S, END_S, PlantSpec, second
from sluice_twin.steps import UNMAPPED_WORK_CENTER, plant_steps
from sluice_twin.words import people, words

TABLE: Final = "DW_MES_HOLDRELEASEHISTORY"
_HISTORY_KIND: Final = 0x48B1
_MAIN_LINE_KIND: Final = 0x48B0
_REASON_KIND: Final = 0x48C0

_ORPHANS_PER_THOUSAND: Final = 2
_STILL_OPEN_SHARE: Final = 0.006


@dataclass(frozen=True)
class Holds:
    """One element per hold, in order of hold time; `number` counts them in the order they were drawn."""

    number: Ints
    lot: Ints
    held: Ints
    released: Ints
    reason: Ints
    quantity: Ints
    spec: Ints
    future: Flags
    pick: Ints

    def __len__(self) -> int:
        return len(self.number)

    def __getitem__(self, rows: slice | Ints) -> Holds:
        return Holds(*(getattr(self, part.name)[rows] for part in fields(self)))


def make_holds(spec: PlantSpec, lots: Lots) -> Holds:
    """The holds of a plant: the planted ones are number 0 and up, in the order of `planted_holds`."""
    drawn = _draw(spec.random(TABLE), lots, spec.row_count(TABLE) - len(planted_holds()))
    planted = _plant(lots)
    whole = Holds(*(np.concatenate([getattr(planted, part.name), getattr(drawn, part.name)]) for part in fields(Holds)))
    return whole[np.lexsort((whole.number, whole.held))]


def hold_ids(spec: PlantSpec, number: Ints) -> IdArray:
    """`HISTORYMAINLINEID` of the holds with these numbers."""
    return make_ids(_MAIN_LINE_KIND, number, spec.seed)


def open_reason(holds: Holds, lots: Lots) -> Ints:
    """Per lot the reason it is held for when the clock stands, `NONE` where it is free."""
    reason = np.full(len(lots), NONE, dtype=np.int64)
    still = (holds.released == NO_TIME) & (holds.lot < len(lots))
    reason[holds.lot[still]] = holds.reason[still]
    return reason


def _draw(rng: np.random.Generator, lots: Lots, count: int) -> Holds:
    """Drawn holds: half last under a day, reasons differ in frequency, most quantities are whole lots."""
    lot, held = lots.moments(rng, count)
    lasting = np.clip(rng.lognormal(np.log(8 * 3_600), 1.7, count), 60, 200 * 86_400).astype(np.int64)
    released = held + lasting
    still_open = (released >= END_S) | (rng.random(count) < _STILL_OPEN_SHARE)
    plain = plain_reason_count()
    weight = 1.0 / (1 + np.arange(plain) % 12)
    reason = rng.choice(plain, size=count, p=weight / weight.sum())
    spec = plant_steps().spec_at(lots.progress(lot, held), rng.integers(0, 1000, count))
    orphan = rng.integers(0, 1000, count) < _ORPHANS_PER_THOUSAND
    return Holds(
        number=len(planted_holds()) + rng.permutation(count),
        lot=np.where(orphan, len(lots) + rng.integers(2, GHOSTS, count), lot),
        held=held,
        released=np.where(still_open, NO_TIME, released),
        reason=np.where(rng.random(count) < 0.001, NONE, reason),
        quantity=np.where(rng.random(count) < 0.002, NONE, lots.quantity[lot]),
        spec=spec,
        future=rng.random(count) < 0.06,
        pick=rng.integers(0, 100_000, count),
    )


def _plant(lots: Lots) -> Holds:
    listed = planted_holds()
    names = [reason.name for reason in reasons()]
    second_bond_lift = len(names) - 1
    codes: dict[str | None, int] = {
        None: NONE,
        **{name: names.index(name) for name in names},
        "Bond lift#2": second_bond_lift,
    }
    ghost = len(lots) + 1
    number = np.arange(len(listed))
    return Holds(
        number=number,
        lot=np.array([ghost if hold.lot is None else genealogy.HELD[hold.lot] for hold in listed], dtype=np.int64),
        held=np.array([second(hold.held) for hold in listed], dtype=np.int64),
        released=np.array(
            [NO_TIME if hold.released is None else second(hold.released) for hold in listed], dtype=np.int64
        ),
        reason=np.array([codes[hold.reason] for hold in listed], dtype=np.int64),
        quantity=np.array([NONE if hold.quantity is None else hold.quantity for hold in listed], dtype=np.int64),
        spec=np.where([hold.mapped for hold in listed], number % len(plant_steps().specs), NONE),
        future=np.array([hold.future for hold in listed], dtype=np.bool_),
        pick=number * 7,
    )


def hold_rows(spec: PlantSpec, lots: Lots, holds: Holds) -> Iterator[Rows]:
    """The rows of all holds, earliest first."""
    for part in slices(len(holds)):
        yield {**_what(spec, lots, holds[part]), **_who_and_why(spec, holds[part])}


def _what(spec: PlantSpec, lots: Lots, holds: Holds) -> Rows:
    known = holds.lot < len(lots)
    lot = np.where(known, holds.lot, 0)
    steps = plant_steps()
    center = np.where(holds.spec < 0, steps.centers.index(UNMAPPED_WORK_CENTER), steps.spec_center[holds.spec])
    return {
        # Both ids are unique and sort alike, so it does not matter by which one a reader breaks ties.
        "HISTORYMAINLINEID": ids(hold_ids(spec, holds.number)),
        "HISTORYID": ids(make_ids(_HISTORY_KIND, holds.number, spec.seed)),
        "CONTAINERID": refs(lots.ids, holds.lot),
        "PJ_WORKORDER": coded(lots.orders, np.where(known, lots.order[lot], NONE)),
        **spec_columns(holds.spec, "FROMSPECNAME", None),
        "WORKCENTERNAME": coded(steps.centers, center),
        "WORKCENTERID": ids(make_ids(0x48D0, center, spec.seed)),
        "QTY": numbers(holds.quantity, missing=holds.quantity < 0),
        "QTY2": numbers(holds.quantity // 2500 + 1, missing=holds.quantity < 0),
        "HOLDTXNDATE": times(holds.held),
        "RELEASETXNDATE": times(holds.released),
        "FINISHEDRUNCARD": coded(lots.names, np.where(known & (holds.pick % 5 == 0), lot, NONE)),
        "LAST_UPDATED_DATE": times(
            np.where(holds.released == NO_TIME, holds.held, np.minimum(holds.released, CLOCK_S)) + 120
        ),
    }


def _who_and_why(spec: PlantSpec, holds: Holds) -> Rows:
    pick = holds.pick
    released = holds.released != NO_TIME
    silent = (holds.held >= second(NULL_MONTH[0])) & (holds.held < second(NULL_MONTH[1]))
    names = people()
    departments = words("departments")
    keys = np.array([reason.key for reason in reasons()], dtype=np.int64)
    reason_ids = make_ids(_REASON_KIND, np.arange(len(keys) + 1), spec.seed)
    releaser = np.where(released, pick // 7 % len(names), NONE)
    hold_comments, release_comments, future_comments = (
        words(topic) for topic in ("hold_comments", "release_comments", "future_comments")
    )
    ncr: list[str | None] = [f"NCR-{number:05d}" for number in range(1000)]
    return {
        "HOLDREASONID": refs(reason_ids, np.where(holds.reason < 0, NONE, keys[holds.reason])),
        "HOLDREASONNAME": coded([reason.name for reason in reasons()], holds.reason),
        "RELEASEREASONNAME": coded(release_comments, np.where(released, pick % 5, NONE)),
        "HOLDEMP": coded(names, pick % len(names)),
        "HOLDUSERNAME": coded([name.lower().replace(" ", ".") for name in names], pick % len(names)),
        "HOLDEMPDEPTNAME": coded(departments, pick % len(departments)),
        "RELEASEEMP": coded(names, releaser),
        "RELEASEEMPDEPTNAME": coded(departments, np.where(released, pick // 7 % len(departments), NONE)),
        "HOLDCOMMENTS": coded(hold_comments, np.where(silent | (pick % 11 == 0), NONE, pick % len(hold_comments))),
        "RELEASECOMMENTS": coded(release_comments, np.where(released & (pick % 4 > 0), pick % 5, NONE)),
        "FUTUREHOLDCOMMENTS": coded(future_comments, np.where(holds.future, pick % 4, NONE)),
        "NCRID": coded(ncr, np.where(silent | (pick % 8 > 0), NONE, pick // 8 % 1000)),
    }
