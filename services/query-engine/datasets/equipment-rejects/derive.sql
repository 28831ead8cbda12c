-- One row per reject and machine whose lot it was, at the machine's own work centre. Key: reject_number, equipment_id.
-- Rejects that are alike in everything are told apart by their number only. A reason is left out of statistics when it,
-- or the code before its first underscore, is on the plant's list, or when it is not three digits and an underscore.
with tracked_lot as (
    select distinct equipment_id, machine, machine_workcenter, container_id
    from tracked
),

numbered as (
    select
        row_number() over (
            order by txn_time, lot_id, container_id, loss_reason, spec, workcenter, reported_machine, reject_total_qty,
                defect_qty, reject_comment, employee
        ) as reject_number,
        container_id,
        lot_id,
        workorder,
        pj_type,
        package,
        object_type,
        workcenter,
        spec,
        reported_machine,
        loss_reason,
        reject_comment,
        reject_total_qty,
        defect_qty,
        txn_time,
        employee
    from rejects
)

select
    numbered.reject_number,
    tracked_lot.equipment_id,
    tracked_lot.machine,
    numbered.container_id,
    numbered.lot_id,
    numbered.workorder,
    numbered.pj_type,
    numbered.package,
    numbered.object_type,
    numbered.workcenter,
    numbered.spec,
    numbered.reported_machine,
    numbered.loss_reason,
    numbered.reject_comment,
    numbered.reject_total_qty,
    numbered.defect_qty,
    numbered.txn_time,
    numbered.employee,
    not (
        regexp_matches(coalesce(numbered.loss_reason, ''), '^[0-9][0-9][0-9]_')
        and upper(numbered.loss_reason) not in (select reason from excluded_scrap_reasons)
        and upper(split_part(numbered.loss_reason, '_', 1)) not in (select reason from excluded_scrap_reasons)
    ) as excluded_scrap,
    coalesce(starts_with(numbered.package, 'PB_'), false) as pb_package
from tracked_lot
join numbered
    on numbered.container_id = tracked_lot.container_id
    and numbered.workcenter = tracked_lot.machine_workcenter
order by numbered.reject_number, tracked_lot.machine, tracked_lot.equipment_id
