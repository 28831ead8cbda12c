-- One row per serial number and combination of a lot into it; key: row_number, which serves the order only.
select
    serial,
    lot_id,
    workorder,
    combined_ratio,
    round(100 * combined_ratio, 2) as combined_pct,
    good_die_qty,
    original_good_die_qty,
    start_time,
    lot_asked,
    row_number
from operations
where kind = 'serial'
