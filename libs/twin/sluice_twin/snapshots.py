"""Views of now and their history: lots in process, machines with what stands on them, and past WIP snapshots."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sluice_twin.columns import NO_TIME, NONE, Ints, Rows, coded, numbers, refs, slices, times
from sluice_twin.containers import current_spec, product_columns, spec_columns
from sluice_twin.hold_oddities import reasons
from sluice_twin.jobs import COMPLETE, Jobs
from sluice_twin.lots import LIVE, Lots
from sluice_twin.machines import Machines
from sluice_twin.plant import CLOCK_S, DAY_S, END_S, PlantSpec, instant
from sluice_twin.steps import plant_steps
from sluice_twin.words import people, words


def lot_view_rows(lots: Lots, held_for: Ints) -> Rows:
    """`DW_MES_LOT_V`: every production lot in process when the clock stands."""
    lot = np.flatnonzero(lots.live)
    step = current_spec(lots, lot)
    steps = plant_steps()
    group = np.append(steps.center_group, NONE)[steps.spec_center[step]]
    held = held_for[lot]
    running = (held < 0) & (lots.pick[lot] % 3 == 0)
    due = [f"{instant(int(start) + 20 * DAY_S):%Y-%m-%d}" for start in lots.start[lot]]
    number = np.arange(len(lot))
    return {
        "NO": numbers(number + 1),
        "CONTAINERID": refs(lots.ids, lot),
        "LOTID": coded(lots.names, lot),
        "WORKORDER": coded(lots.orders, lots.order[lot]),
        "QTY": numbers(lots.quantity[lot]),
        "QTY2": numbers(lots.quantity[lot] // 2500 + 1),
        "STATUS": coded(["ACTIVE"], np.zeros(len(lot), dtype=np.int64)),
        "CURRENTHOLDCOUNT": numbers((held >= 0).astype(np.int64)),
        "HOLDREASONNAME": coded([reason.name for reason in reasons()], held),
        "HOLDEMP": coded(people(), np.where(held >= 0, number % len(people()), NONE)),
        "DEPTNAME": coded(words("departments"), np.where(held >= 0, number % 5, NONE)),
        "COMMENT_HOLD": coded(words("hold_comments"), np.where(held >= 0, number % 7, NONE)),
        "EQUIPMENTCOUNT": numbers(running.astype(np.int64)),
        "SPECSEQUENCE": coded([str(sequence) for sequence in range(1, 8)], step % 7),
        "WORKCENTERSEQUENCE": coded([str(center + 1) for center in range(len(steps.centers))], steps.spec_center[step]),
        "WORKCENTER_GROUP": coded(steps.groups, group),
        "WORKCENTERSEQUENCE_GROUP": coded([str(order) for order in range(len(steps.groups))], group),
        "FIRSTNAME": coded(lots.wafers, lots.wafer[lot]),
        "UTS": coded(due, number),
        "AGEBYDAYS": numbers(np.round((CLOCK_S - lots.start[lot]) / DAY_S, 2)),
        "STARTDATE": times(lots.start[lot]),
        "OWNER": coded(words("owners"), np.where(lots.pick[lot] < 30, 1, 0)),
        "MOVEINTIMESTAMP": times(lots.seen_until[lot] - 3_600),
        "SYS_DATE": times(np.full(len(lot), CLOCK_S)),
        **spec_columns(step, "SPECNAME", "WORKCENTERNAME"),
        **product_columns(lots, lot, ("PRODUCT", "PRODUCTLINENAME", "PJ_TYPE", "PJ_FUNCTION", "BOP")),
    }


def wip_rows(spec: PlantSpec, lots: Lots) -> Iterator[Rows]:
    """`DW_MES_WIP`: lots as they stood in past snapshots, taken every four hours."""
    count = spec.row_count("DW_MES_WIP")
    rng = spec.random("DW_MES_WIP")
    lot, seen = lots.moments(rng, count)
    at = np.minimum(seen // 14_400 * 14_400 + 14_400, END_S)
    held = rng.random(count) < 0.05
    reason_names = [reason.name for reason in reasons()]
    for rows in slices(count):
        chosen = lot[rows]
        step = plant_steps().spec_at(lots.progress(chosen, seen[rows]), lots.pick[chosen])
        on_hold = held[rows]
        yield {
            "CONTAINERID": refs(lots.ids, chosen),
            "CONTAINERNAME": coded(lots.names, chosen),
            "MFGORDERNAME": coded(lots.orders, lots.order[chosen]),
            "QTY": numbers(lots.quantity[chosen]),
            "CURRENTHOLDCOUNT": numbers(on_hold.astype(np.int64)),
            "HOLDREASONNAME": coded(reason_names, np.where(on_hold, chosen % 20, NONE)),
            "HOLDTIME": times(np.where(on_hold, seen[rows], NO_TIME)),
            "STATUS": numbers(np.where(chosen % 60 == 7, lots.status[chosen], LIVE)),
            "ORIGINALSTARTDATE": times(lots.start[chosen]),
            "WORKFLOWNAME": coded(["Route A", "Route B"], lots.product[chosen] % 2),
            "FIRSTNAME": coded(lots.wafers, lots.wafer[chosen]),
            "EQUIPMENTCOUNT": numbers((lots.pick[chosen] % 3 == 0).astype(np.int64)),
            "TXNDATE": times(at[rows]),
            **spec_columns(step, "SPECNAME", "WORKCENTERNAME"),
            **product_columns(lots, chosen, ("PRODUCTNAME", "PRODUCTLINENAME", "PJ_TYPE", "PJ_FUNCTION", "PJ_BOP")),
        }


def equipment_view_rows(lots: Lots, machines: Machines, jobs: Jobs) -> Rows:
    """`DW_MES_EQUIPMENTSTATUS_WIP_V`: every machine with its state, its open job and the lot on it, if any."""
    machine = np.arange(machines.equipment)
    job = np.full(len(machine), NONE, dtype=np.int64)
    still_open = np.flatnonzero(jobs.state < COMPLETE)
    job[jobs.machine[still_open]] = still_open
    live = np.flatnonzero(lots.live)
    state = np.where(job >= 0, 2, machine % 7 % 5)
    lot = np.where(state == 0, live[machine % len(live)], NONE)
    named = np.maximum(lot, 0)
    loaded = lot >= 0
    created = np.where(job >= 0, jobs.created[np.maximum(job, 0)], NO_TIME)
    product = product_columns(lots, named, ("PRODUCT", "Package", "TYPE", "Function", "BOP"))
    return {
        "RESOURCEID": refs(machines.ids, machine),
        "EQUIPMENTID": coded(machines.names, machine),
        "OBJECTCATEGORY": coded(["ASSEMBLY", "WAFERSORT"], (machine % 9 == 4).astype(np.int64)),
        "EQUIPMENTASSETSSTATUS": coded(words("states"), state),
        "EQUIPMENTASSETSSTATUSREASON": coded(words("state_reasons"), state),
        "JOBID": refs(jobs.ids, job),
        "JOBORDER": coded(jobs.names, job),
        "JOBMODEL": coded(words("job_models"), np.where(job >= 0, job % 4, NONE)),
        "JOBSTATUS": coded(words("job_states"), np.where(job >= 0, jobs.state[np.maximum(job, 0)], NONE)),
        "CREATEDATE": times(created),
        "SYMPTOMCODE": coded(words("symptoms"), np.where(job >= 0, job % 6, NONE)),
        "RUNCARDLOTID": coded(lots.names, lot),
        "WAFERLOTID": coded(lots.wafers, np.where(loaded, lots.wafer[named], NONE)),
        "LOTTRACKINQTY_PCS": numbers(lots.quantity[named], missing=~loaded),
        "LOTTRACKINTIME": times(np.where(loaded, CLOCK_S - 600 - machine * 37, NO_TIME)),
        "LOTTRACKINEMPLOYEE": coded(people(), np.where(loaded, machine % len(people()), NONE)),
        **{name: product[name] for name in ("Package", "TYPE", "Function", "BOP")},
    }
