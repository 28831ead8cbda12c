-- One row per hold of the query, slice and carry_in together. Key: history_id.
-- Days are END-day labels: [d-1 07:30, d 07:30) is day d, so 16.5 hours later it is d on the calendar.
-- Hours of open rows count to $as_of_time. Ranks are among the rows of this query (ADR 0006).
with hold as (
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
),

dated as (
    select
        *,
        cast(hold_time + interval '16 hours 30 minutes' as date) as hold_day,
        cast(release_time + interval '16 hours 30 minutes' as date) as release_day,
        date_diff('second', hold_time, coalesce(release_time, cast($as_of_time as timestamp))) / 3600.0 as hold_hours
    from hold
)

select
    dated.history_id,
    dated.container_id,
    dated.lot_id,
    dated.workorder,
    dated.product,
    dated.package,
    dated.workcenter,
    coalesce(workcenter_groups.workcenter_group, dated.workcenter) as workcenter_group,
    dated.hold_reason_id,
    dated.hold_reason,
    case
        when dated.hold_reason in (select reason from non_quality_reasons) then 'non-quality'
        else 'quality'
    end as hold_type,
    dated.qty,
    dated.hold_day,
    dated.hold_time,
    dated.hold_employee,
    dated.hold_comment,
    dated.release_day,
    dated.release_time,
    dated.release_employee,
    dated.release_comment,
    cast(dated.hold_hours as double) as hold_hours,
    dated.ncr,
    dated.future_hold_comment,
    dated.future_hold_comment is not null as is_future_hold,
    cast(row_number() over (
        partition by dated.container_id, dated.hold_day
        order by dated.hold_time desc, dated.history_id desc
    ) as integer) as rn_hold_day,
    cast(row_number() over (
        partition by dated.container_id, dated.hold_reason_id
        order by dated.hold_time, dated.history_id
    ) as integer) as rn_reason
from dated
left join workcenter_groups on workcenter_groups.workcenter = dated.workcenter
order by dated.hold_time, dated.history_id
