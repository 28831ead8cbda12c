-- One row per machine before the station; key: workcenter_group, equipment and equipment_id; the last serves the
-- order only.
-- A lot counts once in each row, so no row exceeds the figures of all lots together.
with defect as (
    select container_id, cast(sum(qty) as bigint) as defect_qty
    from selected
    where kind = 'reject'
    group by container_id
),

shared as (
    select
        selected.workcenter_group,
        selected.equipment,
        min(selected.family) as family,
        count(*) as lot_count,
        cast(sum(selected.input_qty) as bigint) as input_qty,
        cast(coalesce(sum(defect.defect_qty), 0) as bigint) as defect_qty,
        string_agg(distinct selected.workflow, ', ' order by selected.workflow) as workflows,
        string_agg(distinct selected.package, ', ' order by selected.package) as packages,
        string_agg(distinct selected.pj_type, ', ' order by selected.pj_type) as pj_types,
        string_agg(distinct selected.detection_equipment, ', ' order by selected.detection_equipment)
            as detection_machines,
        selected.equipment_id
    from selected
    left join defect on defect.container_id = selected.container_id
    where selected.kind = 'machine'
    group by selected.workcenter_group, selected.equipment, selected.equipment_id
)

select
    workcenter_group,
    equipment,
    family,
    lot_count,
    input_qty,
    defect_qty,
    coalesce(
        cast((defect_qty * 2000000 + input_qty) // nullif(2 * input_qty, 0) as double) / 10000, 0
    ) as defect_rate,
    workflows,
    packages,
    pj_types,
    detection_machines,
    equipment_id
from shared
