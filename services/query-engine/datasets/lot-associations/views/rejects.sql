-- One row per selected reject; key: row_number, which serves the order only.
select
    lot_id,
    event_time,
    workcenter,
    workcenter_group,
    spec,
    machine,
    name as loss_reason,
    detail as reject_comment,
    cast(qty as bigint) as reject_total_qty,
    cast(defect_qty as bigint) as defect_qty,
    employee,
    row_number
from selected
where kind = 'reject'
