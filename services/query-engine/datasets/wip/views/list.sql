-- One row per selected lot; key: lot_id and container_id, which serves the order only.
select
    lot_id,
    workorder,
    equipment,
    wip_status,
    hold_reason,
    hold_type,
    qty,
    package,
    pj_type,
    workcenter_group,
    workcenter,
    spec,
    age_days,
    hold_employee,
    hold_department,
    hold_comment,
    future_hold_comment,
    container_id
from selected
