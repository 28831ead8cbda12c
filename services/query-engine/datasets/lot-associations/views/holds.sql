-- One row per selected hold; key: row_number, which serves the order only. Hours are rounded half up.
select
    lot_id,
    event_time,
    end_time,
    workcenter,
    workcenter_group,
    name as hold_reason,
    detail as hold_comment,
    state as hold_state,
    cast(qty as bigint) as qty,
    cast(
        (date_diff('second', event_time, coalesce(end_time, cast($as_of_time as timestamp))) * 2 + 36) // 72 as double
    ) / 100 as hold_hours,
    employee,
    row_number
from selected
where kind = 'hold'
