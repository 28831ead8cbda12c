-- One row per calendar day of the query and hold type (quality, non-quality, all); key: day, hold_type. Days without
-- holds show zeros. Quantities in pieces. No filter touches it.
-- The balance is opened and closed on two days per row and summed up along the days, so the work grows with rows plus
-- days and not with their product.
with placed as (
    select
        hold_day as day,
        hold_type = 'quality' as is_quality,
        sum(qty) as opened_qty,
        sum(qty) filter (where rn_hold_day = 1) as new_hold_qty,
        sum(qty) filter (where is_future_hold and rn_reason = 1) as future_hold_qty,
        sum(qty) filter (where rn_reason > 1 and is_quality) as repeat_quality_hold_qty
    from holds
    group by hold_day, is_quality
),

released as (
    -- A release booked on a day before the hold takes the row out of the balance on the day of the hold, not earlier.
    select
        release_day as day,
        greatest(release_day, hold_day) as closed_day,
        hold_type = 'quality' as is_quality,
        sum(qty) as release_qty
    from holds
    where release_day is not null
    group by release_day, closed_day, is_quality
),

movement as (
    select
        greatest(day, $start_date) as day,
        is_quality,
        opened_qty as balance_qty,
        case when day >= $start_date then new_hold_qty end as new_hold_qty,
        0 as release_qty,
        case when day >= $start_date then future_hold_qty end as future_hold_qty,
        case when day >= $start_date then repeat_quality_hold_qty end as repeat_quality_hold_qty
    from placed
    union all
    select greatest(closed_day, $start_date), is_quality, -release_qty, 0, 0, 0, 0
    from released
    union all
    select day, is_quality, 0, 0, release_qty, 0, 0
    from released
    where day >= $start_date
),

shown as (
    select shown_as, position, is_quality
    from (
        values
        ('quality', 1, true),
        ('non-quality', 2, false),
        ('all', 3, true),
        ('all', 3, false)
    ) as kind (shown_as, position, is_quality)
),

daily as (
    select
        calendar.day,
        shown.shown_as,
        shown.position,
        sum(coalesce(movement.balance_qty, 0)) as balance_qty,
        sum(coalesce(movement.new_hold_qty, 0)) as new_hold_qty,
        sum(coalesce(movement.release_qty, 0)) as release_qty,
        sum(coalesce(movement.future_hold_qty, 0)) as future_hold_qty,
        sum(coalesce(movement.repeat_quality_hold_qty, 0)) as repeat_quality_hold_qty
    from (
        select cast(unnest(generate_series(
            cast($start_date as timestamp), cast($end_date as timestamp), interval 1 day
        )) as date) as day
    ) as calendar
    cross join shown
    left join movement on movement.day = calendar.day and movement.is_quality = shown.is_quality
    group by calendar.day, shown.shown_as, shown.position
)

select
    day,
    shown_as as hold_type,
    cast(sum(balance_qty) over (partition by shown_as order by day) as bigint) as hold_qty,
    cast(new_hold_qty as bigint) as new_hold_qty,
    cast(release_qty as bigint) as release_qty,
    cast(future_hold_qty as bigint) as future_hold_qty,
    cast(repeat_quality_hold_qty as bigint) as repeat_quality_hold_qty
from daily
order by day, position
