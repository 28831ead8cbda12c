-- One row per duration range, always all four, shortest first; key: duration_range. All selected holds.
-- Lower bounds are inclusive: exactly 4 hours are 4-24h. Shares are of the number of holds, rounded once, half up.
with bucket as (
    select
        case
            when hold_hours < 4 then 1
            when hold_hours < 24 then 2
            when hold_hours < 72 then 3
            else 4
        end as position,
        count(*) as hold_count,
        sum(qty) as qty
    from selected
    group by position
),

complete as (
    select
        label.duration_range,
        label.position,
        coalesce(bucket.hold_count, 0) as hold_count,
        coalesce(bucket.qty, 0) as qty,
        coalesce(sum(bucket.hold_count) over (), 0) as total_count
    from (values ('<4h', 1), ('4-24h', 2), ('1-3d', 3), ('>3d', 4)) as label (duration_range, position)
    left join bucket on bucket.position = label.position
)

select
    duration_range,
    cast(hold_count as bigint) as hold_count,
    cast(qty as bigint) as qty,
    coalesce(cast((hold_count * 20000 + total_count) // nullif(2 * total_count, 0) as double) / 100, 0) as pct
from complete
order by position
