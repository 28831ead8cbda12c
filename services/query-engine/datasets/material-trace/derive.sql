-- One row per consumption of the query and way it was asked for. Key: row_number; no row is taken for a repetition of
-- another, since a plant may book the same part, lot and quantity twice in a second.
with consumption as (
    select
        'lot' as found_by,
        container_id,
        lot_id,
        workorder,
        workcenter,
        spec,
        equipment,
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
    from of_lots
    union all
    select
        'workorder' as found_by,
        container_id,
        lot_id,
        workorder,
        workcenter,
        spec,
        equipment,
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
    from of_workorders
    union all
    select
        'material_lot' as found_by,
        container_id,
        lot_id,
        workorder,
        workcenter,
        spec,
        equipment,
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
    from of_material_lots
)

select
    row_number() over (
        order by consumption.txn_time, consumption.lot_id, consumption.container_id, consumption.material_part,
            consumption.material_lot, consumption.qty_consumed, consumption.qty_required, consumption.equipment,
            consumption.vendor_lot, consumption.spec, consumption.workorder, consumption.found_by
    ) as row_number,
    consumption.found_by,
    consumption.container_id,
    consumption.lot_id,
    consumption.workorder,
    consumption.workcenter,
    coalesce(workcenter_groups.workcenter_group, consumption.workcenter) as workcenter_group,
    consumption.spec,
    consumption.equipment,
    consumption.material_part,
    consumption.material_description,
    consumption.material_lot,
    consumption.vendor_lot,
    consumption.unit,
    consumption.primary_category,
    consumption.secondary_category,
    consumption.qty_required,
    consumption.qty_consumed,
    consumption.txn_time
from consumption
left join workcenter_groups on workcenter_groups.workcenter = consumption.workcenter
order by row_number
