-- One row per selected consumption; key: row_number, which serves the order only.
select
    lot_id,
    event_time,
    workcenter,
    spec,
    machine,
    name as material_part,
    detail as material_lot,
    state as unit,
    cast(round(qty, 6) as double) as qty_consumed,
    row_number
from selected
where kind = 'material'
