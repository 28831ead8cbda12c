-- One row per selected hold; key: history_id, which serves the order only and is not shown. The order and the page are
-- composed from the declared sort keys.
select
    department,
    employee,
    lot_id,
    hold_reason,
    hold_type,
    qty,
    hold_time,
    release_time,
    cast((hold_seconds * 2 + 36) // 72 as double) / 100 as hold_hours,
    history_id
from selected
