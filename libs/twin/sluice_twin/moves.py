"""Lots on their way: track-ins and track-outs, collected parameters, consumed material, and move transactions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from sluice_twin.columns import NO_TIME, NONE, Ints, Rows, coded, constant, ids, make_ids, numbers, refs, slices, times
from sluice_twin.containers import combinations, product_columns, spec_columns
from sluice_twin.lots import DONE, LIVE, Lots
from sluice_twin.machines import Machines, shift_of
from sluice_twin.plant import CLOCK_S, END_S, PlantSpec
from sluice_twin.steps import plant_steps
from sluice_twin.words import people, words

_SESSION_KIND: Final = 0x48A0
GROUP_KIND: Final = 0x48A2
"""Kind of the ids that group the transactions of one session."""
_SPLIT, _COMBINE = 1, 2
"""Positions in the words for moves."""


@dataclass(frozen=True)
class Sessions:
    """Every processing of a lot on a machine, in order of track-in; parameters and rejects belong to one of them."""

    lot: Ints
    at: Ints
    lasting_s: Ints
    step: Ints
    machine: Ints
    partials: Ints

    def __len__(self) -> int:
        return len(self.lot)


def make_sessions(spec: PlantSpec, lots: Lots, machines: Machines) -> Sessions:
    """As many sessions as fill `DW_MES_LOTWIPHISTORY`: one in three goes out in two or three partials."""
    count = spec.row_count("DW_MES_LOTWIPHISTORY")
    rng = spec.random("DW_MES_LOTWIPHISTORY")
    partials = rng.choice([1, 2, 3], size=count, p=[0.67, 0.23, 0.1])
    sessions = int(np.searchsorted(np.cumsum(partials), count)) + 1
    lot, at = lots.moments(rng, sessions)
    step = plant_steps().spec_at(lots.progress(lot, at), rng.integers(0, 1000, sessions))
    machine = machines.at_center(plant_steps().spec_center[step], rng.integers(0, 1000, sessions))
    # Check points have no machine.
    machine = np.where(rng.random(sessions) < 0.08, NONE, machine)
    return Sessions(lot, at, rng.integers(900, 9 * 3_600, sessions), step, machine, partials[:sessions])


def lot_history_rows(spec: PlantSpec, lots: Lots, machines: Machines, sessions: Sessions) -> Iterator[Rows]:
    """`DW_MES_LOTWIPHISTORY`: one row per partial track-out, in order of track-in.

    Over the partials of a session what is left to process falls and the parts that go out add up.
    """
    count = spec.row_count("DW_MES_LOTWIPHISTORY")
    session = np.repeat(np.arange(len(sessions)), sessions.partials)[:count]
    part = np.arange(count) - np.repeat(np.cumsum(sessions.partials) - sessions.partials, sessions.partials)[:count]
    for rows in slices(count):
        pick = session[rows]
        yield {
            **_session_columns(spec, lots, sessions, pick),
            **_machine_columns(machines, sessions.machine[pick]),
            **_track_columns(
                lots,
                sessions.lot[pick],
                sessions.at[pick],
                lasting=sessions.lasting_s[pick],
                part=part[rows],
                of=sessions.partials[pick],
            ),
        }


def _session_columns(spec: PlantSpec, lots: Lots, sessions: Sessions, session: Ints) -> Rows:
    lot, step = sessions.lot[session], sessions.step[session]
    return {
        "WIPLOTHISTORYID": ids(make_ids(_SESSION_KIND, session, spec.seed)),
        "WIPEQUIPMENTHISTORYID": ids(make_ids(0x48A1, session, spec.seed)),
        "WIPTRACKINGGROUPKEYID": ids(make_ids(GROUP_KIND, session, spec.seed)),
        "CONTAINERID": refs(lots.ids, lot),
        "PJ_WORKORDER": coded(lots.orders, lots.order[lot]),
        "FINISHEDRUNCARD": coded(lots.names, np.where(session % 4 == 0, lot, NONE)),
        "WORKCENTERID": ids(make_ids(0x48D0, plant_steps().spec_center[step], spec.seed)),
        "SPECID": ids(make_ids(0x48D1, step, spec.seed)),
        "WORKFLOWNAME": coded(["Route A", "Route B"], lots.product[lot] % 2),
        "PROCESSTYPENAME": coded(["Production", "Engineering"], (session % 40 == 0).astype(np.int64)),
        "DATECODE": coded([f"{year}{week:02d}" for year in (24, 25) for week in range(1, 53)], session % 104),
        **product_columns(lots, lot, ("PRODUCTNAME", "PACKAGE_LF")),
        **spec_columns(step, "SPECNAME", "WORKCENTERNAME"),
    }


def _machine_columns(machines: Machines, machine: Ints) -> Rows:
    return {"EQUIPMENTID": refs(machines.ids, machine), "EQUIPMENTNAME": coded(machines.names, machine)}


def _track_columns(lots: Lots, lot: Ints, at: Ints, *, lasting: Ints, part: Ints, of: Ints) -> Rows:
    whole = lots.quantity[lot]
    share = whole // of
    before = share * part
    last = part == of - 1
    out = np.where(last, (whole - before) * 995 // 1000, share)
    gone = at + lasting * (part + 1) // of
    running = gone >= END_S
    return {
        "TRACKINTIMESTAMP": times(at),
        "TRACKOUTTIMESTAMP": times(np.where(running, NO_TIME, gone)),
        "TRACKINQTY": numbers(whole - before),
        "TRACKOUTQTY": numbers(out, missing=running),
        "MOVEINTIMESTAMP": times(at - 1_200),
        "MOVEOUTTIMESTAMP": times(np.where(running | ~last, NO_TIME, gone + 600)),
        "MOVEINQTY": numbers(whole),
        "MOVEOUTQTY": numbers(out, missing=running | ~last),
        "TRACKINEMPLOYEENAME": coded(people(), lots.pick[lot] % len(people())),
        "TRACKOUTEMPLOYEENAME": coded(people(), np.where(running, NONE, (lots.pick[lot] + 3) % len(people()))),
        "LAST_UPDATED_DATE": times(np.minimum(gone, CLOCK_S) + 300),
    }


def parameter_rows(spec: PlantSpec, lots: Lots, machines: Machines, sessions: Sessions) -> Iterator[Rows]:
    """`DW_MES_LOTWIPDATAHISTORY`: parameter values as text, numbers and words mixed, collected during a session."""
    count = spec.row_count("DW_MES_LOTWIPDATAHISTORY")
    rng = spec.random("DW_MES_LOTWIPDATAHISTORY")
    session = np.sort(rng.integers(0, len(sessions), count))
    value = rng.integers(0, 400, count)
    values = [f"{number / 8:g}" for number in range(398)] + ["PASS", "N/A"]
    for rows in slices(count):
        number, pick = np.arange(rows.start, rows.stop), session[rows]
        lot = sessions.lot[pick]
        yield {
            "CONTAINERID": refs(lots.ids, lot),
            "WIPLOTHISTORYID": ids(make_ids(_SESSION_KIND, pick, spec.seed)),
            "PJ_WORKORDER": coded(lots.orders, lots.order[lot]),
            "WIPDATANAMENAME": coded(words("parameters"), number % 6),
            "WIPDATAVALUE": coded(values, value[rows]),
            "PJ_SPCDATARESULT": coded(["In", "Out"], (value[rows] % 50 == 0).astype(np.int64)),
            "SERVICENAME": constant("CollectData", len(number)),
            "TXNTIMESTAMP": times(sessions.at[pick] + number % 800),
            **spec_columns(sessions.step[pick], "SPECNAME", "WORKCENTERNAME"),
            **_machine_columns(machines, sessions.machine[pick]),
        }


def material_rows(spec: PlantSpec, lots: Lots, machines: Machines) -> Iterator[Rows]:
    """`DW_MES_LOTMATERIALSHISTORY`: what each lot consumed, in time order."""
    count = spec.row_count("DW_MES_LOTMATERIALSHISTORY")
    rng = spec.random("DW_MES_LOTMATERIALSHISTORY")
    lot, at = lots.moments(rng, count)
    step = plant_steps().spec_at(lots.progress(lot, at), rng.integers(0, 1000, count))
    material = rng.integers(0, len(words("materials")), count)
    supply = [f"ML{number:05d}" for number in range(800)]
    for rows in slices(count):
        number = np.arange(rows.start, rows.stop)
        needed = lots.quantity[lot[rows]] * (1 + material[rows]) / 1000
        yield {
            "CONTAINERID": refs(lots.ids, lot[rows]),
            "PJ_WORKORDER": coded(lots.orders, lots.order[lot[rows]]),
            "MATERIALPARTNAME": coded([f"PN-{part:03d}" for part in range(7)], material[rows]),
            "MATERIALLOTNAME": coded(supply, (number * 13) % 800),
            "DESCRIPTION": coded(words("materials"), material[rows]),
            "QTYREQUIRED": numbers(needed),
            "QTYCONSUMED": numbers(needed * 1.02),
            "CONSUMEFACTOR": numbers((1 + material[rows]) / 1000),
            "UOMNAME": coded(["m", "g", "pcs"], material[rows] % 3),
            "PRIMARY_CATEGORY": coded(words("material_classes"), material[rows]),
            "VENDORLOTNUMBER": coded(supply, np.where(number % 6 == 0, NONE, number % 800)),
            "TXNDATE": times(at[rows]),
            **spec_columns(step[rows], "SPECNAME", "WORKCENTERNAME"),
            **_machine_columns(machines, machines.at_center(plant_steps().spec_center[step[rows]], number)),
        }


def move_rows(spec: PlantSpec, lots: Lots, machines: Machines) -> Iterator[Rows]:
    """`DW_MES_HM_LOTMOVEOUT`: moves, and a line for every split and combination of the plant, in time order.

    Lots that were combined more than once into the same one have a line each time. Splits and combinations fill a third
    of the table each at most.
    """
    count = spec.row_count("DW_MES_HM_LOTMOVEOUT")
    rng = spec.random("DW_MES_HM_LOTMOVEOUT")
    children = np.flatnonzero((lots.split_from >= 0) & (lots.split_from < len(lots)))[: count // 3]
    merged, combined = (lot[: count // 3] for lot in combinations(spec, lots))
    lot, at = lots.moments(rng, count - len(children) - len(combined))
    kind = rng.choice([0, 3, 4], size=len(lot), p=[0.5, 0.25, 0.25])
    source = np.concatenate([lot, lots.split_from[children], merged])
    lot = np.concatenate([lot, children, combined])
    at = np.concatenate([at, lots.start[children], lots.start[combined]])
    kind = np.concatenate([kind, np.full(len(children), _SPLIT), np.full(len(combined), _COMBINE)])
    order = np.argsort(at, kind="stable")
    lines = _Lines(lot[order], source[order], at[order], kind[order])
    for rows in slices(count):
        yield _move_columns(spec, lots, machines, lines, rows)


@dataclass(frozen=True)
class _Lines:
    """Transactions of lots, in order of time."""

    lot: Ints
    source: Ints
    at: Ints
    kind: Ints


def _move_columns(spec: PlantSpec, lots: Lots, machines: Machines, lines: _Lines, rows: slice) -> Rows:
    number = np.arange(rows.start, rows.stop)
    lot, source, at, kind = lines.lot[rows], lines.source[rows], lines.at[rows], lines.kind[rows]
    steps = plant_steps()
    step = steps.spec_at(lots.progress(lot, at), number)
    before = np.maximum(step - 1, 0)
    machine = machines.at_center(steps.spec_center[step], number)
    quantity = lots.quantity[lot]
    return {
        "HISTORYMAINLINEID": ids(make_ids(0x48A3, number, spec.seed)),
        "HISTORYID": ids(make_ids(0x48A4, number, spec.seed)),
        "TXNID": ids(make_ids(0x48A5, number, spec.seed)),
        "CONTAINERID": refs(lots.ids, lot),
        "CONTAINERNAME": coded(lots.names, lot),
        "FROMCONTAINERID": refs(lots.ids, source),
        "FROMCONTAINERNAME": coded(lots.names, source),
        "CDONAME": coded(words("moves"), kind),
        "CALLBYCDONAME": coded(["Shopfloor", "Automation"], number % 2),
        "QTY": numbers(quantity),
        "FROMQTY": numbers(np.where(kind == _SPLIT, quantity * 2, lots.quantity[source])),
        "SHIFTNAME": coded(["D", "N"], shift_of(at)),
        "TXNTYPE": numbers(kind + 10),
        "STATUS": numbers(np.where(lots.status[lot] == DONE, LIVE, lots.status[lot])),
        "TXNDATE": times(at),
        "SYSTEMDATE": times(at + 1),
        "UPDATETIME": times(at + 600),
        "MFGDATE": times(at // 86_400 * 86_400),
        "USERFULLNAME": coded(people(), number % len(people())),
        "OWNERNAME": coded(words("owners"), np.where(lots.pick[lot] < 30, 1, 0)),
        **spec_columns(step, "SPECNAME", "WORKCENTER"),
        **spec_columns(before, "FROMSPECNAME", "FROMWORKCENTER"),
        **product_columns(lots, lot, ("PRODUCTNAME",)),
        "RESOURCEID": refs(machines.ids, machine),
        "RESOURCENAME": coded(machines.names, machine),
    }
