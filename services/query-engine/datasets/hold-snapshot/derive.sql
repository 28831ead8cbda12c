-- One row per hold and question it belongs to; key: snapshot_mode, history_id.
-- `today` is the day that ends at 07:30 of the calendar date of the plant's clock; a hold placed after that is not in it,
-- and one still open when it ends, or released later, is on hold with its hours up to that end, or so far.
-- `current` is the day that began at the last 07:30; a hold is on hold while it is open, with its hours so far.
-- A hold repeats when the lot was held before for the same reason key, at any time.
with clock as (
    select
        cast($as_of_time as timestamp) as now,
        cast(cast($as_of_time as timestamp) as date) as today,
        cast(cast($as_of_time as timestamp) - interval '7 hours 30 minutes' as date) as current_day
),

ranked as (
    select
        history_id,
        row_number() over (partition by container_id, hold_reason_id order by hold_time, history_id) > 1 as is_repeated
    from before
),

known as (
    select history_id, bool_or(is_repeated) as is_repeated from ranked group by history_id
),

labelled as (
    select
        recent.history_id,
        clock.now,
        clock.today,
        clock.current_day,
        cast(recent.hold_time + interval '16 hours 30 minutes' as date) as end_hold_day,
        cast(recent.release_time + interval '16 hours 30 minutes' as date) as end_release_day,
        cast(recent.hold_time - interval '7 hours 30 minutes' as date) as start_hold_day,
        cast(recent.release_time - interval '7 hours 30 minutes' as date) as start_release_day,
        cast(clock.today as timestamp) + interval '7 hours 30 minutes' as day_end,
        recent.hold_time,
        recent.release_time
    from recent
    cross join clock
),

placed as (
    select
        'today' as snapshot_mode,
        history_id,
        today as snapshot_day,
        release_time is null or end_release_day > today as is_on_hold,
        end_hold_day = today as is_new,
        coalesce(end_release_day = today, false) as is_released,
        date_diff('second', hold_time, least(coalesce(release_time, now), day_end)) as hold_seconds
    from labelled
    where end_hold_day <= today
      and (release_time is null or end_release_day >= today)
    union all
    select
        'current',
        history_id,
        current_day,
        release_time is null,
        start_hold_day = current_day,
        coalesce(start_release_day = current_day, false),
        date_diff('second', hold_time, coalesce(release_time, now))
    from labelled
    where release_time is null
       or start_hold_day = current_day
       or start_release_day = current_day
)

select
    placed.snapshot_mode,
    placed.snapshot_day,
    recent.history_id,
    recent.container_id,
    recent.lot_id,
    recent.workorder,
    recent.product,
    recent.package,
    recent.workcenter,
    coalesce(workcenter_groups.workcenter_group, recent.workcenter) as workcenter_group,
    recent.hold_reason,
    case
        when recent.hold_reason in (select reason from non_quality_reasons) then 'non-quality'
        else 'quality'
    end as hold_type,
    recent.qty,
    recent.hold_time,
    recent.hold_employee,
    recent.hold_comment,
    recent.release_time,
    recent.release_employee,
    recent.release_comment,
    recent.ncr,
    recent.future_hold_comment,
    placed.is_on_hold,
    placed.is_new,
    placed.is_released,
    placed.hold_seconds,
    cast(placed.hold_seconds as double) / 3600 as hold_hours,
    coalesce(known.is_repeated, false) as is_repeated
from placed
join recent on recent.history_id = placed.history_id
left join known on known.history_id = placed.history_id
left join workcenter_groups on workcenter_groups.workcenter = recent.workcenter
order by placed.snapshot_mode, recent.hold_time, recent.history_id
