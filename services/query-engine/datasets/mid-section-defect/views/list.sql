-- One row per selected lot and loss reason; key: lot_id, container_id and loss_reason.
-- Machines are those before the station, as in the attribution.
with reject as (
    select container_id, loss_reason, qty
    from selected
    where kind = 'reject'
),

machine as (
    select
        container_id,
        count(*) as machine_count,
        string_agg(
            concat(workcenter_group, ' / ', equipment), ', ' order by group_sequence, workcenter_group, equipment
        ) as machines
    from selected
    where kind = 'machine'
    group by container_id
),

material as (
    select
        container_id,
        string_agg(
            concat(coalesce(material_part, '(none)'), ' [', coalesce(material_lot, '(none)'), ']'), ', '
            order by material_part, material_lot
        ) as materials
    from selected
    where kind = 'material'
    group by container_id
)

select
    lot.lot_id,
    lot.pj_type,
    lot.package,
    lot.workflow,
    lot.run_card,
    lot.detection_equipment,
    lot.track_in_time,
    lot.input_qty,
    reject.loss_reason,
    coalesce(reject.qty, 0) as defect_qty,
    coalesce(
        cast((coalesce(reject.qty, 0) * 2000000 + lot.input_qty) // nullif(2 * lot.input_qty, 0) as double) / 10000, 0
    ) as defect_rate,
    lot.ancestor_count,
    coalesce(machine.machine_count, 0) as upstream_machine_count,
    machine.machines as upstream_machines,
    material.materials as upstream_materials,
    lot.root_name as wafer_root,
    lot.container_id
from selected lot
left join reject on reject.container_id = lot.container_id
left join machine on machine.container_id = lot.container_id
left join material on material.container_id = lot.container_id
where lot.kind = 'lot'
