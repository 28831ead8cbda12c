-- One row per selected lot with defects; key: lot_id and container_id. What came of a lot counts for it.
with reject as (
    select
        container_id,
        cast(sum(qty) as bigint) as defect_qty,
        first(loss_reason order by qty desc, loss_reason) as loss_reason
    from selected
    where kind = 'reject'
    group by container_id
),

station as (
    select
        container_id,
        workcenter_group,
        min(group_sequence) as group_sequence,
        count(*) filter (where kind = 'visit') as visit_count,
        coalesce(sum(qty) filter (where kind = 'loss'), 0) as reject_qty
    from selected
    where kind in ('visit', 'loss')
    group by container_id, workcenter_group
),

later as (
    select
        container_id,
        count(*) filter (where visit_count > 0) as station_count,
        cast(sum(reject_qty) as bigint) as reject_qty,
        first(workcenter_group order by reject_qty desc, group_sequence, workcenter_group) filter (where reject_qty > 0)
            as worst_station
    from station
    group by container_id
)

select
    lot.lot_id,
    lot.pj_type,
    lot.package,
    lot.workflow,
    lot.detection_equipment,
    lot.input_qty,
    reject.defect_qty,
    reject.loss_reason as detection_loss_reason,
    coalesce(later.station_count, 0) as downstream_station_count,
    coalesce(later.reject_qty, 0) as downstream_reject_qty,
    coalesce(
        cast((coalesce(later.reject_qty, 0) * 2000000 + lot.input_qty) // nullif(2 * lot.input_qty, 0) as double) / 10000, 0
    ) as downstream_reject_rate,
    later.worst_station,
    lot.container_id
from selected lot
join reject on reject.container_id = lot.container_id
left join later on later.container_id = lot.container_id
where lot.kind = 'lot'
