-- One row per group and loss reason after the station, in the order of the flow, most pieces first; key: both.
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
)

select
    workcenter_group,
    later_reason,
    cast(sum(qty) as bigint) as reject_qty
from fact
where kind = 'loss'
group by workcenter_group, later_reason
order by min(group_sequence), workcenter_group, reject_qty desc, later_reason
