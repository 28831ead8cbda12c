-- One row per selected association; key: row_number, which serves the order only.
select
    kind,
    lot_id,
    event_time,
    end_time,
    workcenter,
    workcenter_group,
    spec,
    machine,
    name,
    detail,
    state,
    cast(round(qty, 6) as double) as qty,
    cast(round(defect_qty, 6) as double) as defect_qty,
    employee,
    row_number
from selected
