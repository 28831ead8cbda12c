"""Which module fills which table, in the order in which the tables are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sluice_twin.columns import Rows
from sluice_twin.containers import combined_lot_rows, container_rows
from sluice_twin.hold_oddities import reasons
from sluice_twin.holds import hold_rows, make_holds, open_reason
from sluice_twin.lots import make_lots
from sluice_twin.plant import PlantSpec
from sluice_twin.steps import spec_work_center_rows


@dataclass(frozen=True)
class Subject:
    """One table and how to make its rows; nothing is made before `batches` is called."""

    table: str
    batches: Callable[[], Iterable[Rows]]


def subjects(spec: PlantSpec) -> list[Subject]:
    """All tables of a plant. The lots and their holds are made at once, since every other table speaks of them."""
    lots = make_lots(spec)
    holds = make_holds(spec, lots)
    held_for = open_reason(holds, lots)
    reason_names: list[str | None] = [reason.name for reason in reasons()]
    return [
        Subject("DW_MES_SPEC_WORKCENTER_V", lambda: [spec_work_center_rows()]),
        Subject("DW_MES_CONTAINER", lambda: container_rows(lots, held_for, reason_names, spec.seed)),
        Subject("DW_MES_PJ_COMBINEDASSYLOTS", lambda: [combined_lot_rows(spec, lots)]),
        Subject("DW_MES_HOLDRELEASEHISTORY", lambda: hold_rows(spec, lots, holds)),
    ]
