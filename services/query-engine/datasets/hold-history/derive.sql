-- One row per hold of the query, slice and carry_in together. Key: history_id and container_id.
-- Days are END-day labels: [d-1 07:30, d 07:30) is day d, so 16.5 hours later it is d on the calendar.
-- Hours of open rows count to $as_of_time. Ranks are among the rows of this query (ADR 0006).
-- Ranks are computed over the few columns they need and joined back by key: sorting whole rows took three times as
-- long. A key that came twice keeps its lowest ranks, so the join never adds or drops a row.
-- `ranked` needs all rows of a lot and nothing of other lots; all else here needs rows of one hold time alone. That is
-- what dataset.toml divides a large query by.
with placed as (
    select
        history_id,
        container_id,
        hold_reason_id,
        hold_time,
        cast(hold_time + interval '16 hours 30 minutes' as date) as hold_day
    from slice
    union all
    select
        history_id,
        container_id,
        hold_reason_id,
        hold_time,
        cast(hold_time + interval '16 hours 30 minutes' as date) as hold_day
    from carry_in
),

numbered as (
    select
        history_id,
        container_id,
        hold_time,
        row_number() over (
            partition by container_id, hold_day order by hold_time desc, history_id desc
        ) as rn_hold_day,
        row_number() over (
            partition by container_id, hold_reason_id order by hold_time, history_id
        ) as rn_reason
    from placed
),

ranked as (
    select
        history_id,
        container_id,
        hold_time,
        cast(min(rn_hold_day) as integer) as rn_hold_day,
        cast(min(rn_reason) as integer) as rn_reason
    from numbered
    group by history_id, container_id, hold_time
),

hold as (
    select
        history_id, container_id, lot_id, workorder, product, package, workcenter, hold_reason_id, hold_reason, qty,
        hold_time, hold_employee, hold_comment, release_time, release_employee, release_comment, ncr,
        future_hold_comment
    from slice
    union all
    select
        history_id, container_id, lot_id, workorder, product, package, workcenter, hold_reason_id, hold_reason, qty,
        hold_time, hold_employee, hold_comment, release_time, release_employee, release_comment, ncr,
        future_hold_comment
    from carry_in
)

select
    hold.history_id,
    hold.container_id,
    hold.lot_id,
    hold.workorder,
    hold.product,
    hold.package,
    hold.workcenter,
    coalesce(workcenter_groups.workcenter_group, hold.workcenter) as workcenter_group,
    hold.hold_reason_id,
    hold.hold_reason,
    case
        when hold.hold_reason in (select reason from non_quality_reasons) then 'non-quality'
        else 'quality'
    end as hold_type,
    hold.qty,
    cast(hold.hold_time + interval '16 hours 30 minutes' as date) as hold_day,
    hold.hold_time,
    hold.hold_employee,
    hold.hold_comment,
    cast(hold.release_time + interval '16 hours 30 minutes' as date) as release_day,
    hold.release_time,
    hold.release_employee,
    hold.release_comment,
    date_diff('second', hold.hold_time, coalesce(hold.release_time, cast($as_of_time as timestamp)))
        / cast(3600 as double) as hold_hours,
    hold.ncr,
    hold.future_hold_comment,
    hold.future_hold_comment is not null as is_future_hold,
    ranked.rn_hold_day,
    ranked.rn_reason
from hold
left join ranked
    on ranked.history_id is not distinct from hold.history_id
    and ranked.container_id is not distinct from hold.container_id
    and ranked.hold_time is not distinct from hold.hold_time
left join workcenter_groups on workcenter_groups.workcenter = hold.workcenter
order by hold.hold_time, hold.history_id
