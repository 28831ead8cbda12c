-- One row per value of detection_equipment, most defects first; key: detection_equipment. Built from the lots
-- themselves. A lot counts once in each row, so no row exceeds the figures of all lots together.
with defect as (
    select container_id, cast(sum(qty) as bigint) as defect_qty
    from selected
    where kind = 'reject'
    group by container_id
),

shared as (
    select
        selected.detection_equipment,
        count(distinct selected.container_id) as lot_count,
        cast(sum(selected.input_qty) as bigint) as input_qty,
        cast(coalesce(sum(defect.defect_qty), 0) as bigint) as defect_qty
    from selected
    left join defect on defect.container_id = selected.container_id
    where selected.kind = 'lot'
    group by selected.detection_equipment
),

running as (
    select
        shared.*,
        sum(defect_qty) over (
            order by defect_qty desc, detection_equipment nulls last rows unbounded preceding
        ) as running_qty,
        sum(defect_qty) over () as whole_qty
    from shared
)

select
    coalesce(detection_equipment, '(none)') as detection_equipment,
    lot_count,
    input_qty,
    defect_qty,
    coalesce(
        cast((defect_qty * 2000000 + input_qty) // nullif(2 * input_qty, 0) as double) / 10000, 0
    ) as defect_rate,
    coalesce(cast((running_qty * 20000 + whole_qty) // nullif(2 * whole_qty, 0) as double) / 100, 0) as cum_pct
from running
order by defect_qty desc, running.detection_equipment nulls last
