-- One row: average and longest hours of the selected holds, released and still open apart; 0 where there are none.
-- Hours are whole seconds at heart: they are summed as such and rounded once, half up, to 2 decimals.
with lasted as (
    select
        release_time is null as is_open,
        cast(sum(cast(round(hold_hours * 3600) as bigint)) as bigint) as total_s,
        cast(round(max(hold_hours) * 3600) as bigint) as longest_s,
        count(*) as hold_count
    from selected
    group by is_open
),

rounded as (
    select
        is_open,
        cast((total_s * 2 + 36 * hold_count) // (72 * hold_count) as double) / 100 as average_hours,
        cast((longest_s * 2 + 36) // 72 as double) / 100 as longest_hours
    from lasted
)

select
    coalesce(max(average_hours) filter (where not is_open), 0) as avg_released_hours,
    coalesce(max(longest_hours) filter (where not is_open), 0) as max_released_hours,
    coalesce(max(average_hours) filter (where is_open), 0) as avg_on_hold_hours,
    coalesce(max(longest_hours) filter (where is_open), 0) as max_on_hold_hours
from rounded
order by avg_released_hours
