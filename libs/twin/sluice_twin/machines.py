"""Machines and their states: `RESOURCE`, the package-group lookup, status changes, shift fragments and maintenance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from sluice_twin.columns import (
    NO_TIME,
    NONE,
    IdArray,
    Ints,
    Rows,
    coded,
    constant,
    ids,
    make_ids,
    numbers,
    refs,
    slices,
    times,
)
from sluice_twin.plant import CLOCK_S, DAY_S, END_S, START_S, PlantSpec, busy_times
from sluice_twin.steps import plant_steps
from sluice_twin.words import people, words

SHIFT_S: Final = DAY_S // 2
_SHIFT_BEGINS_S: Final = 7 * 3_600 + 1_800
_MACHINE_KIND: Final = 0x4884
_GROUP_KIND: Final = 0x4885
_MACHINES_AT_SCALE_1: Final = 300
# Productive, standby, unscheduled and scheduled down, engineering, not scheduled, and a rare state outside E10.
_STATE_SHARES: Final = (0.62, 0.18, 0.07, 0.06, 0.03, 0.038, 0.002)


@dataclass(frozen=True)
class Machines:
    """All resources; the first `equipment` of them are production machines, the rest tools and carriers."""

    ids: IdArray
    names: list[str]
    center: Ints
    equipment: int

    def at_center(self, center: Ints, pick: Ints) -> Ints:
        """A machine for each work centre, `NONE` where the centre has none."""
        centers = len(plant_steps().centers)
        per_center = np.maximum((self.equipment - center + centers - 1) // centers, 0)
        chosen = center + centers * (pick % np.maximum(per_center, 1))
        return np.where((per_center > 0) & (center >= 0), chosen, NONE)


def make_machines(spec: PlantSpec) -> Machines:
    """The machines of a plant, spread evenly over the work centres."""
    count = spec.row_count("DW_MES_RESOURCE")
    centers = plant_steps().centers
    equipment = min(max(len(centers), round(_MACHINES_AT_SCALE_1 * spec.scale)), count - 20)
    center = np.arange(count) % len(centers)
    return Machines(
        ids=make_ids(_MACHINE_KIND, np.arange(count), spec.seed),
        names=[
            f"{centers[number % len(centers)].replace('_', '')}-{number // len(centers) + 1:03d}"
            if number < equipment
            else f"TOOL-{number:05d}"
            for number in range(count)
        ],
        center=center,
        equipment=equipment,
    )


def package_group_rows(spec: PlantSpec) -> Rows:
    """`DW_MES_RESOURCE_PACKAGEGROUP`: the display names of the package groups."""
    names = words("package_groups")
    number = np.arange(len(names))
    return {"PACKAGEGROUPID": ids(make_ids(_GROUP_KIND, number, spec.seed)), "PACKAGEGROUPNAME": coded(names, number)}


def resource_rows(spec: PlantSpec, machines: Machines) -> Rows:
    """`DW_MES_RESOURCE`: machines first, some denied by location or asset state, then tools without work centre."""
    count = len(machines.names)
    number = np.arange(count)
    tool = number >= machines.equipment
    kind = np.where(tool, 2 + number % 2, np.where(number % 9 == 4, 1, 0))
    classes = ["ASSEMBLY", "WAFERSORT", "TOOL", "CARRIER"]
    groups = make_ids(_GROUP_KIND, np.arange(len(words("package_groups"))), spec.seed)
    return {
        "RESOURCEID": ids(machines.ids),
        "RESOURCENAME": coded(machines.names, number),
        "DESCRIPTION": coded([f"Resource {position % 40}" for position in range(40)], number % 40),
        "OBJECTCATEGORY": coded(classes, kind),
        "OBJECTTYPE": coded(classes, kind),
        "PACKAGEGROUPID": refs(groups, np.where(number % 11 == 3, number % len(groups), NONE)),
        "PJ_ASSETSSTATUS": coded(["Approved", "Disapproved"], np.where(number % 7 == 0, NONE, number % 31 == 30)),
        "PJ_DEPARTMENT": coded(words("departments"), number % 5),
        "PJ_ISPRODUCTION": numbers((~tool).astype(np.int64), missing=number % 13 == 12),
        "PJ_ISKEY": numbers((number % 6 == 0).astype(np.int64)),
        "PJ_ISMONITOR": numbers((number % 4 == 0).astype(np.int64), missing=number % 5 == 1),
        "CREATIONDATE": times(np.full(count, START_S - 400 * DAY_S) + number * 60),
        "LASTCHANGEDATE": times(np.full(count, END_S - 30 * DAY_S) + number * 60),
        **_attribute_columns(machines, number),
    }


def _attribute_columns(machines: Machines, machine: Ints) -> Rows:
    """The machine attributes that the status tables repeat."""
    tool = machine >= machines.equipment
    locations = words("locations")
    return {
        "RESOURCEFAMILYNAME": coded(words("families"), machines.center[machine] % 8),
        "WORKCENTERNAME": coded(plant_steps().centers, np.where(tool, NONE, machines.center[machine])),
        "LOCATIONNAME": coded(
            locations, np.where(machine % 17 == 16, 3, np.where(machine % 10 == 9, NONE, machine % 3))
        ),
        "VENDORNAME": coded(words("vendors"), machine % 3),
        "VENDORMODEL": coded(words("families"), machines.center[machine] % 8),
    }


def shift_rows(spec: PlantSpec, machines: Machines) -> Iterator[Rows]:
    """`DW_MES_RESOURCESTATUS_SHIFT`: fragments that fill each shift of each machine without a gap, in time order.

    With fewer rows than shifts, the plant's last shifts are covered; with more, shifts are cut into several states.
    """
    count = spec.row_count("DW_MES_RESOURCESTATUS_SHIFT")
    rng = spec.random("DW_MES_RESOURCESTATUS_SHIFT")
    shifts = (END_S - START_S) // SHIFT_S
    cells = min(shifts * machines.equipment, count)
    fragments = np.full(cells, count // cells)
    fragments[rng.choice(cells, size=count - fragments.sum(), replace=False)] += 1
    # Counting cells from the end keeps the last shifts when there are not enough rows for all.
    cell = np.repeat(np.arange(shifts * machines.equipment - cells, shifts * machines.equipment), fragments)
    within = np.arange(count) - np.repeat(np.cumsum(fragments) - fragments, fragments)
    pieces = np.repeat(fragments, fragments)
    began = START_S - DAY_S + _SHIFT_BEGINS_S + SHIFT_S + (cell // machines.equipment) * SHIFT_S
    start = began + within * SHIFT_S // pieces
    end = began + (within + 1) * SHIFT_S // pieces
    state = rng.choice(len(_STATE_SHARES), size=count, p=_STATE_SHARES)
    for part in slices(count):
        yield _status_rows(
            spec,
            machines,
            cell[part] % machines.equipment,
            start=start[part],
            end=end[part],
            state=state[part],
            first=part.start,
        ) | {
            "HOURS": numbers((end[part] - start[part]) / 3_600),
            "DATADATE": times((began[part] - _SHIFT_BEGINS_S) // DAY_S * DAY_S),
            "SN": numbers(within[part] + 1),
        }


def status_rows(spec: PlantSpec, machines: Machines) -> Iterator[Rows]:
    """`DW_MES_RESOURCESTATUS`: one row per change of state, in the order in which the old state began."""
    count = spec.row_count("DW_MES_RESOURCESTATUS")
    rng = spec.random("DW_MES_RESOURCESTATUS")
    start = busy_times(rng, count)
    end = np.minimum(start + rng.integers(300, 20 * 3_600, count), END_S - 1)
    state = rng.choice(len(_STATE_SHARES), size=count, p=_STATE_SHARES)
    machine = rng.integers(0, machines.equipment, count)
    for part in slices(count):
        yield _status_rows(
            spec, machines, machine[part], start=start[part], end=end[part], state=state[part], first=part.start
        )


def _status_rows(
    spec: PlantSpec, machines: Machines, machine: Ints, *, start: Ints, end: Ints, state: Ints, first: int
) -> Rows:
    """The columns both status tables share; `first` is the number of the first row in its table."""
    number = first + np.arange(len(machine))
    following = (state + 1 + number % 3) % 6
    return {
        "HISTORYID": refs(machines.ids, machine),
        "HISTORYMAINLINEID": ids(make_ids(0x4886, number, spec.seed)),
        "RESOURCESTATUSHISTORYID": ids(make_ids(0x4887, number, spec.seed)),
        "AVAILABILITY": numbers((following < 2).astype(np.int64)),
        "OLDAVAILABILITY": numbers((state < 2).astype(np.int64)),
        "OLDSTATUSNAME": coded(words("states"), state),
        "NEWSTATUSNAME": coded(words("states"), following),
        "OLDREASONNAME": coded(words("state_reasons"), state),
        "NEWREASONNAME": coded(words("state_reasons"), following),
        "OLDLASTSTATUSCHANGEDATE": times(start),
        "LASTSTATUSCHANGEDATE": times(end),
        "TXNDATE": times(end),
        "PJ_ASSETSSTATUS": constant("Approved", len(machine)),
        "PJ_DEPARTMENT": coded(words("departments"), machine % 5),
        **_attribute_columns(machines, machine),
    }


def maintenance_rows(spec: PlantSpec, machines: Machines) -> Iterator[Rows]:
    """`DW_MES_MAINTENANCE`: preventive checks, five data points each."""
    count = spec.row_count("DW_MES_MAINTENANCE")
    rng = spec.random("DW_MES_MAINTENANCE")
    checks = words("maintenance_checks")
    at = np.repeat(busy_times(rng, -(-count // len(checks))), len(checks))[:count]
    machine = np.repeat(rng.integers(0, machines.equipment, -(-count // len(checks))), len(checks))[:count]
    for part in slices(count):
        number = np.arange(part.start, part.stop)
        event = number // len(checks)
        yield {
            "RESOURCEID": refs(machines.ids, machine[part]),
            "RESOURCENAME": coded(machines.names, machine[part]),
            "HISTORYMAINLINEID": ids(make_ids(0x4888, event, spec.seed)),
            "MAINTENANCEREQID": ids(make_ids(0x4889, event % 12, spec.seed)),
            "MAINTENANCEREQNAME": coded([f"Monthly check {month}" for month in range(1, 13)], event % 12),
            "CDOTYPEID": numbers(4_000 + event % 3),
            "DATANAME": coded(checks, number % len(checks)),
            "DATAVALUE": coded(["OK", "OK", "OK", "NG", "12.5"], number % 7 % 5),
            "SHIFTNAME": coded(["D", "N"], shift_of(at[part])),
            "TXNDATE": times(at[part]),
            "LASTDATEDUE": times(np.where(event % 9 == 0, NO_TIME, np.minimum(at[part] + DAY_S, CLOCK_S))),
            "FULLNAME": coded(people(), event % len(people())),
        }


def shift_of(at: Ints) -> Ints:
    """0 for the day shift (07:30 to 19:30), 1 for the night shift."""
    return ((at - _SHIFT_BEGINS_S) % DAY_S) // SHIFT_S
