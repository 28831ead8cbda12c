-- One row per consumption of the query. Key: row_number; rows that are alike in everything are told apart by nothing
-- else.
select
    row_number() over (
        order by txn_time, machine, lot_id, container_id, material_part, material_lot, qty_consumed, qty_required,
            vendor_lot, spec, workorder
    ) as row_number,
    equipment_id,
    machine,
    container_id,
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
    qty_required,
    qty_consumed,
    txn_time
from consumed
order by row_number
