"""The route of the plant: groups in order, their work centres and specs, and the rows of the step dictionary."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from sluice_twin.columns import Ints, Rows, coded
from sluice_twin.words import words, work_center_groups

UNMAPPED_WORK_CENTER = "FG_STORE"
"""A work centre that events name and the step dictionary does not."""

SHARED_SPEC = "Mark again"
"""The spec that stands under several groups, in `"10"` and `"2"` among them: text order would pick the wrong one."""

_SPECS_PER_CENTER = 7


@dataclass(frozen=True)
class Steps:
    """Groups, work centres and specs by position; a group's specs stand next to each other."""

    groups: tuple[str, ...]
    centers: tuple[str, ...]
    specs: tuple[str, ...]
    center_group: Ints
    spec_center: Ints
    first_spec: Ints

    def spec_at(self, progress: Ints, pick: Ints) -> Ints:
        """A spec for each progress (0 to 999 thousandths of the route); `pick` chooses among the group's specs."""
        group = progress * len(self.groups) // 1000
        first = self.first_spec[group]
        return first + pick % (self.first_spec[group + 1] - first)


@cache
def plant_steps() -> Steps:
    """The route that every lot of the twin follows."""
    groups = work_center_groups()
    verbs = words("step_verbs")
    centers = [(center, position) for position, group in enumerate(groups) for center in group[2]]
    specs = [
        (f"{center} {verbs[number % len(verbs)]}", position)
        for position, (center, _) in enumerate(centers)
        for number in range(_SPECS_PER_CENTER)
    ]
    center_group = np.array([group for _, group in centers], dtype=np.int64)
    spec_center = np.array([center for _, center in specs], dtype=np.int64)
    return Steps(
        groups=tuple(group[0] for group in groups),
        centers=(*(center for center, _ in centers), UNMAPPED_WORK_CENTER),
        # Some step names carry blanks at the end in the event tables, as real ones do.
        specs=tuple(f"{name}  " if position % 29 == 5 else name for position, (name, _) in enumerate(specs)),
        center_group=center_group,
        spec_center=spec_center,
        first_spec=np.searchsorted(center_group[spec_center], np.arange(len(groups) + 1)).astype(np.int64),
    )


def spec_work_center_rows() -> Rows:
    """`DW_MES_SPEC_WORKCENTER_V`: every spec under its work centre, and a few specs under more than one."""
    steps = plant_steps()
    shorts = [group[1] for group in work_center_groups()]
    pairs = [(spec.rstrip(), center, number % _SPECS_PER_CENTER) for number, (spec, center) in enumerate(_places())]
    shared = [(SHARED_SPEC, steps.centers.index(name), 0) for name in ("PKG_SAW_A", "GOLD_WB", "MARK_INK")]
    doubled = [(pairs[7][0], pairs[100][1], 1), (pairs[20][0], pairs[20][1], 5)]
    listed = sorted([*pairs, *shared, *doubled], key=lambda row: (row[1], row[2], row[0]))
    groups = [int(steps.center_group[center]) for _, center, _ in listed]
    # The last work centre has no group order: missing counts as 999, not as first.
    orders = [
        None if center == len(steps.centers) - 2 else str(group)
        for (_, center, _), group in zip(listed, groups, strict=True)
    ]
    texts: dict[str, list[str | None]] = {
        "SPEC": [spec for spec, _, _ in listed],
        "SPECSEQUENCE": [str(number + 1) for _, _, number in listed],
        "SPEC_ORDER": [f"{number + 1:03d}_{spec}" for spec, _, number in listed],
        "WORK_CENTER": [steps.centers[center] for _, center, _ in listed],
        "WORK_CENTER_SEQUENCE": [str(center + 1) for _, center, _ in listed],
        "WORK_CENTER_GROUP": [steps.groups[group] for group in groups],
        "WORKCENTERSEQUENCE_GROUP": list(orders),
        "WORKCENTERGROUP_ORDER": [
            f"{order or '999'}_{steps.groups[group]}" for order, group in zip(orders, groups, strict=True)
        ],
        "WORK_CENTER_SHORT": [shorts[group] for group in groups],
    }
    return {name: coded(values, np.arange(len(values))) for name, values in texts.items()}


def _places() -> list[tuple[str, int]]:
    steps = plant_steps()
    return [(spec, int(center)) for spec, center in zip(steps.specs, steps.spec_center, strict=True)]


def group_of_work_center() -> dict[str, str]:
    """Work centre → group, as the step dictionary says."""
    steps = plant_steps()
    return {steps.centers[position]: steps.groups[group] for position, group in enumerate(steps.center_group)}
