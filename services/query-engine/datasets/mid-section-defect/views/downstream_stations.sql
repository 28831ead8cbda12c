-- One row per group after the station that the cohort came to or lost pieces at, in the order of the flow;
-- key: workcenter_group.
with cohort as (
    select
        lot.container_id,
        lot.input_qty,
        cast(sum(reject.qty) as bigint) as defect_qty
    from selected lot
    join selected reject on reject.container_id = lot.container_id and reject.kind = 'reject'
    where lot.kind = 'lot'
    group by lot.container_id, lot.input_qty
),

-- What several lots of the cohort share stands under each of them and happened once.
fact as (
    select distinct
        selected.kind,
        selected.fact_number,
        selected.workcenter_group,
        selected.group_sequence,
        selected.equipment,
        selected.later_reason,
        cast(selected.event_time as date) as day,
        selected.qty
    from selected
    join cohort on cohort.container_id = selected.container_id
    where selected.kind in ('visit', 'loss')
),

reached as (
    select selected.workcenter_group, count(distinct selected.container_id) as lot_count
    from selected
    join cohort on cohort.container_id = selected.container_id
    where selected.kind = 'visit'
    group by selected.workcenter_group
),

station as (
    select
        workcenter_group,
        min(group_sequence) as group_sequence,
        cast(coalesce(sum(qty) filter (where kind = 'visit'), 0) as bigint) as input_qty,
        cast(coalesce(sum(qty) filter (where kind = 'loss'), 0) as bigint) as reject_qty
    from fact
    group by workcenter_group
)

select
    station.workcenter_group,
    station.group_sequence,
    coalesce(reached.lot_count, 0) as lots_reached,
    station.input_qty,
    station.reject_qty,
    coalesce(
        cast((station.reject_qty * 2000000 + station.input_qty) // nullif(2 * station.input_qty, 0) as double) / 10000, 0
    ) as reject_rate
from station
left join reached on reached.workcenter_group = station.workcenter_group
order by station.group_sequence, station.workcenter_group
