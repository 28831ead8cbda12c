"""Rows of `DW_MES_LOTREJECTHISTORY`: several reasons per event, orphans, and quantities that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from sluice_twin.columns import NONE, Flags, Ints, Rows, coded, ids, make_ids, numbers, refs, slices, times
from sluice_twin.containers import spec_columns
from sluice_twin.lots import GHOSTS, Lots
from sluice_twin.machines import Machines, shift_of
from sluice_twin.moves import GROUP_KIND, Sessions
from sluice_twin.plant import END_S, PlantSpec
from sluice_twin.steps import SHARED_SPEC, plant_steps
from sluice_twin.words import people, words

_PARTS: Final = ("REJECTQTY", "STANDBYQTY", "QTYTOPROCESS", "INPROCESSQTY", "PROCESSEDQTY")


def reject_rows(spec: PlantSpec, lots: Lots, machines: Machines, sessions: Sessions) -> Iterator[Rows]:
    """All rejects in time order; the rows of one event share its id, time and move-in quantity.

    Every event happened in a session of `DW_MES_LOTWIPHISTORY`, on that machine and step.
    """
    count = spec.row_count("DW_MES_LOTREJECTHISTORY")
    rng = spec.random("DW_MES_LOTREJECTHISTORY")
    reasons = rng.choice([1, 2, 3, 4], size=count, p=[0.45, 0.3, 0.15, 0.1])
    events = int(np.searchsorted(np.cumsum(reasons), count)) + 1
    session = rng.integers(0, len(sessions), events)
    at = sessions.at[session] + (rng.random(events) * sessions.lasting_s[session]).astype(np.int64)
    at = np.minimum(at, END_S - 1)
    order = np.argsort(at, kind="stable")
    session, at = session[order], at[order]
    orphan = rng.integers(0, 1000, events) < 2
    orphan[0] = True
    event = np.repeat(np.arange(events), reasons[:events])[:count]
    for rows in slices(count):
        of = event[rows]
        yield {
            **_event_columns(spec, lots, of, sessions.lot[session[of]], orphan[of]),
            **_session_columns(spec, lots, machines, sessions, session[of]),
            **_reason_columns(spec, rng, np.arange(rows.start, rows.stop), of),
            "MOVEINTIMESTAMP": times(sessions.at[session[of]] - 1_200),
            "TXNDATE": times(at[of]),
            "SHIFTNAME": coded(["D", "N"], shift_of(at[of])),
            "LAST_UPDATED_DATE": times(at[of] + 400),
        }


def _event_columns(spec: PlantSpec, lots: Lots, event: Ints, lot: Ints, orphan: Flags) -> Rows:
    return {
        "HISTORYMAINLINEID": ids(make_ids(0x48E0, event, spec.seed)),
        "CONTAINERID": refs(lots.ids, np.where(orphan, len(lots) + 2 + event % (GHOSTS - 2), lot)),
        "EMPLOYEENAME": coded(people(), event % len(people())),
        "FINISHEDRUNCARD": coded(lots.names, np.where(event % 5 == 0, lot, NONE)),
    }


def _session_columns(spec: PlantSpec, lots: Lots, machines: Machines, sessions: Sessions, session: Ints) -> Rows:
    lot, step = sessions.lot[session], sessions.step[session]
    steps = plant_steps()
    # One session in a hundred is charged to the step that stands under several groups.
    charged = np.where(session % 100 == 7, len(steps.specs), step)
    return {
        "WIPTRACKINGGROUPKEYID": ids(make_ids(GROUP_KIND, session, spec.seed)),
        "PJ_WORKORDER": coded(lots.orders, lots.order[lot]),
        "WORKCENTERID": ids(make_ids(0x48D0, steps.spec_center[step], spec.seed)),
        "SPECID": ids(make_ids(0x48D1, charged, spec.seed)),
        "SPECNAME": coded([*steps.specs, SHARED_SPEC], charged),
        "EQUIPMENTNAME": coded(machines.names, sessions.machine[session]),
        "MOVEINQTY": numbers(lots.quantity[lot]),
        "FROMQTY": numbers(lots.quantity[lot]),
        **spec_columns(step, None, "WORKCENTERNAME"),
        **spec_columns(np.minimum(step + 1, len(steps.specs) - 1), "NOWSPECNAME", "NOWWORKCENTERNAME"),
    }


def _reason_columns(spec: PlantSpec, rng: np.random.Generator, number: Ints, event: Ints) -> Rows:
    """The reason and the parts of what was lost: mostly one part is filled, now and then a part is NULL."""
    names = words("loss_reasons")
    reason = (event * 7 + number) % len(names)
    reason = np.where(number % 500 == 499, NONE, reason)
    quantity = rng.geometric(0.05, len(number))
    where = rng.choice(len(_PARTS) + 1, size=len(number), p=[0.62, 0.05, 0.06, 0.06, 0.09, 0.12])
    parts = {
        name: numbers(np.where(where == position, quantity, 0), missing=(number + position) % 300 == 0)
        for position, name in enumerate((*_PARTS, "DEFECTQTY"))
    }
    return {
        "LOSSREASONID": refs(make_ids(0x48E1, np.arange(len(names)), spec.seed), reason),
        "LOSSREASONNAME": coded(names, reason),
        "REJECTCATEGORYNAME": coded(words("reject_categories"), np.where(reason < 0, NONE, reason % 4)),
        "REJECTCOMMENT": coded(words("hold_comments"), np.where(number % 3 == 0, number % 7, NONE)),
        **parts,
    }
