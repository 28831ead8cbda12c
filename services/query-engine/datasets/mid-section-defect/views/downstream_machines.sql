-- One row per group and machine after the station, most pieces lost first; key: workcenter_group and equipment.
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

machine as (
    select
        workcenter_group,
        equipment,
        cast(coalesce(sum(qty) filter (where kind = 'visit'), 0) as bigint) as input_qty,
        cast(coalesce(sum(qty) filter (where kind = 'loss'), 0) as bigint) as reject_qty
    from fact
    group by workcenter_group, equipment
)

select
    workcenter_group,
    equipment,
    input_qty,
    reject_qty,
    coalesce(
        cast((reject_qty * 2000000 + input_qty) // nullif(2 * input_qty, 0) as double) / 10000, 0
    ) as reject_rate
from machine
order by reject_qty desc, workcenter_group, equipment
