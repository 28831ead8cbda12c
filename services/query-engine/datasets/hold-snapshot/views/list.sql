-- One row per selected hold; key: history_id, which serves the order only and is not shown. The order and the page are
-- composed from the declared sort keys. Times are plant-local; hours are rounded half up to 2 decimals.
select
    lot_id,
    workorder,
    product,
    package,
    workcenter_group as workcenter,
    hold_reason,
    qty,
    hold_time,
    hold_employee,
    hold_comment,
    release_time,
    release_employee,
    release_comment,
    cast((cast(round(hold_hours * 3600) as bigint) * 2 + 36) // 72 as double) / 100 as hold_hours,
    ncr,
    future_hold_comment,
    history_id
from selected
