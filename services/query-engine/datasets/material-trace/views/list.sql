-- One row per selected consumption; key: row_number, which serves the order only. Quantities to 6 decimals.
select
    lot_id,
    workorder,
    workcenter_group,
    workcenter,
    material_part,
    material_lot,
    vendor_lot,
    cast(round(qty_required, 6) as double) as qty_required,
    cast(round(qty_consumed, 6) as double) as qty_consumed,
    unit,
    equipment,
    txn_time,
    primary_category,
    secondary_category,
    row_number
from selected
