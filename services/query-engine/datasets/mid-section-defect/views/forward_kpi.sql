-- One row: figures of the cohort, the selected lots with defects. No control group: a ratio of rates, no cause.
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

base as (
    select
        count(*) as lot_count,
        cast(coalesce(sum(input_qty), 0) as hugeint) as input_qty,
        cast(coalesce(sum(defect_qty), 0) as hugeint) as defect_qty
    from cohort
),

followed as (
    select count(distinct selected.member_id) as lot_count
    from selected
    join cohort on cohort.container_id = selected.container_id
    where selected.kind = 'member'
),

later as (
    select
        count(distinct workcenter_group) filter (where kind = 'visit') as station_count,
        cast(coalesce(sum(qty) filter (where kind = 'visit'), 0) as hugeint) as input_qty,
        cast(coalesce(sum(qty) filter (where kind = 'loss'), 0) as hugeint) as reject_qty
    from fact
)

select
    base.lot_count as detection_lot_count,
    cast(base.input_qty as bigint) as detection_input_qty,
    cast(base.defect_qty as bigint) as detection_defect_qty,
    coalesce(
        cast((base.defect_qty * 2000000 + base.input_qty) // nullif(2 * base.input_qty, 0) as double) / 10000, 0
    ) as detection_rate,
    followed.lot_count as tracked_lot_count,
    later.station_count as downstream_station_count,
    cast(later.input_qty as bigint) as downstream_input_qty,
    cast(later.reject_qty as bigint) as downstream_reject_qty,
    coalesce(
        cast((later.reject_qty * 2000000 + later.input_qty) // nullif(2 * later.input_qty, 0) as double) / 10000, 0
    ) as downstream_reject_rate,
    case
        when base.defect_qty = 0 or base.input_qty = 0 then null
        when later.input_qty = 0 then 0
        else cast(
            (2000000 * later.reject_qty * base.input_qty + later.input_qty * base.defect_qty)
            // (2 * later.input_qty * base.defect_qty) as double
        ) / 1000000
    end as amplification
from base
cross join followed
cross join later
order by detection_lot_count
