"""Which module fills which table, in the order in which the tables are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sluice_twin import containers, erp, jobs, machines, moves, snapshots
from sluice_twin.columns import Rows
from sluice_twin.hold_oddities import reasons
from sluice_twin.holds import hold_rows, make_holds, open_reason
from sluice_twin.lots import make_lots
from sluice_twin.plant import PlantSpec
from sluice_twin.rejects import reject_rows
from sluice_twin.steps import spec_work_center_rows


@dataclass(frozen=True)
class Subject:
    """One table and how to make its rows; nothing is made before `batches` is called."""

    table: str
    batches: Callable[[], Iterable[Rows]]


def subjects(spec: PlantSpec) -> list[Subject]:
    """All tables of a plant. Lots, holds, machines and jobs are made at once, since the other tables speak of them."""
    lots = make_lots(spec)
    holds = make_holds(spec, lots)
    held_for = open_reason(holds, lots)
    plant = machines.make_machines(spec)
    sessions = moves.make_sessions(spec, lots, plant)
    repairs = jobs.make_jobs(spec, plant)
    names: list[str | None] = [reason.name for reason in reasons()]
    return [
        Subject("DW_MES_SPEC_WORKCENTER_V", lambda: [spec_work_center_rows()]),
        Subject("DW_MES_CONTAINER", lambda: containers.container_rows(lots, held_for, names, spec.seed)),
        Subject("DW_MES_PJ_COMBINEDASSYLOTS", lambda: [containers.combined_lot_rows(spec, lots)]),
        Subject("DW_MES_HOLDRELEASEHISTORY", lambda: hold_rows(spec, lots, holds)),
        Subject("DW_MES_LOTREJECTHISTORY", lambda: reject_rows(spec, lots, plant, sessions)),
        Subject("DW_MES_LOTWIPHISTORY", lambda: moves.lot_history_rows(spec, lots, plant, sessions)),
        Subject("DW_MES_LOTWIPDATAHISTORY", lambda: moves.parameter_rows(spec, lots, plant, sessions)),
        Subject("DW_MES_LOTMATERIALSHISTORY", lambda: moves.material_rows(spec, lots, plant)),
        Subject("DW_MES_HM_LOTMOVEOUT", lambda: moves.move_rows(spec, lots, plant)),
        Subject("DW_MES_RESOURCE", lambda: [machines.resource_rows(spec, plant)]),
        Subject("DW_MES_RESOURCE_PACKAGEGROUP", lambda: [machines.package_group_rows(spec)]),
        Subject("DW_MES_RESOURCESTATUS", lambda: machines.status_rows(spec, plant)),
        Subject("DW_MES_RESOURCESTATUS_SHIFT", lambda: machines.shift_rows(spec, plant)),
        Subject("DW_MES_MAINTENANCE", lambda: machines.maintenance_rows(spec, plant)),
        Subject("DW_MES_JOB", lambda: jobs.job_rows(lots, plant, repairs)),
        Subject("DW_MES_JOBTXNHISTORY", lambda: jobs.job_transaction_rows(spec, repairs)),
        Subject("DW_MES_PARTREQUESTORDER", lambda: [jobs.part_request_rows(spec, plant, repairs)]),
        Subject("DW_MES_LOT_V", lambda: [snapshots.lot_view_rows(lots, held_for)]),
        Subject("DW_MES_WIP", lambda: snapshots.wip_rows(spec, lots)),
        Subject("DW_MES_EQUIPMENTSTATUS_WIP_V", lambda: [snapshots.equipment_view_rows(lots, plant, repairs)]),
        Subject("ERP_WIP_MOVETXN", lambda: erp.move_rows(spec, lots)),
        Subject("ERP_WIP_MOVETXN_DETAIL", lambda: erp.detail_rows(spec, lots)),
        Subject("ERP_PJ_WIP_SCRAP_REASONS_EXCLUDE", lambda: [erp.excluded_reason_rows()]),
    ]
