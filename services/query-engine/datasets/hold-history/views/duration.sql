-- One row per duration range, always all four, shortest first; key: duration_range. Released holds only.
-- Lower bounds are inclusive: exactly 4 hours are 4-24h. Quantities in pieces; shares rounded once, half up.
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
    where release_time is not null
    group by position
),

complete as (
    select
        label.duration_range,
        label.position,
        coalesce(bucket.hold_count, 0) as hold_count,
        coalesce(bucket.qty, 0) as qty,
        coalesce(sum(bucket.qty) over (), 0) as total_qty
    from (values ('<4h', 1), ('4-24h', 2), ('1-3d', 3), ('>3d', 4)) as label (duration_range, position)
    left join bucket on bucket.position = label.position
)

select
    duration_range,
    hold_count,
    cast(qty as bigint) as qty,
    coalesce(cast((qty * 20000 + total_qty) // nullif(2 * total_qty, 0) as double) / 100, 0) as pct
from complete
order by position
