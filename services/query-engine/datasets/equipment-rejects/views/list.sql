-- One row per selected reject; key: reject_number, which serves the order only.
select
    txn_time,
    lot_id,
    workorder,
    pj_type,
    package,
    workcenter,
    spec,
    reported_machine,
    loss_reason,
    reject_comment,
    reject_total_qty,
    defect_qty,
    employee,
    string_agg(machine, ', ' order by machine) as machines,
    reject_number
from selected
group by
    txn_time,
    lot_id,
    workorder,
    pj_type,
    package,
    workcenter,
    spec,
    reported_machine,
    loss_reason,
    reject_comment,
    reject_total_qty,
    defect_qty,
    employee,
    reject_number
