-- One row per selected consumption; key: row_number, which serves the order only. Quantities to 6 decimals.
select
    machine,
    lot_id,
    workorder,
    workcenter,
    spec,
    material_part,
    material_description,
    material_lot,
    vendor_lot,
    unit,
    primary_category,
    secondary_category,
    cast(round(qty_required, 6) as double) as qty_required,
    cast(round(qty_consumed, 6) as double) as qty_consumed,
    txn_time,
    row_number
from selected
