-- One row: what is on hold, new and released on the day of the snapshot. No key. Quantities in pieces.
-- Hours are of what is on hold, whole seconds at heart, rounded once, half up, to 2 decimals; 0 where nothing is.
select
    max(snapshot_day) as snapshot_day,
    count(distinct container_id) filter (where is_on_hold) as on_hold_lot_count,
    cast(coalesce(sum(qty) filter (where is_on_hold), 0) as bigint) as on_hold_qty,
    cast(coalesce(sum(qty) filter (where is_new), 0) as bigint) as new_qty,
    cast(coalesce(sum(qty) filter (where is_released), 0) as bigint) as release_qty,
    cast(coalesce(sum(qty) filter (where is_new and future_hold_comment is not null), 0) as bigint) as future_hold_qty,
    cast(
        coalesce(sum(qty) filter (where is_new and is_repeated and hold_type = 'quality'), 0) as bigint
    ) as repeat_quality_hold_qty,
    coalesce(
        cast(
            (cast(sum(hold_seconds) filter (where is_on_hold) as bigint) * 2 + 36 * count(*) filter (where is_on_hold))
            // nullif(72 * count(*) filter (where is_on_hold), 0) as double
        ) / 100,
        0
    ) as avg_hours,
    coalesce(cast((max(hold_seconds) filter (where is_on_hold) * 2 + 36) // 72 as double) / 100, 0) as max_hours
from selected
order by on_hold_qty
