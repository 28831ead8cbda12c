-- One row per hold reason among the selected holds, largest quantity first; key: reason. Quantities in pieces.
-- Shares are computed from whole numbers and rounded once, half up, so the last cum_pct is 100 exactly.
with named as (
    select hold_reason, count(*) as hold_count, sum(qty) as qty
    from selected
    group by hold_reason
),

labelled as (
    select coalesce(hold_reason, '(not filled)') as reason, sum(hold_count) as hold_count, sum(qty) as qty
    from named
    group by coalesce(hold_reason, '(not filled)')
),

summed as (
    select
        reason,
        hold_count,
        qty,
        sum(qty) over () as total_qty,
        sum(qty) over (order by qty desc, reason rows between unbounded preceding and current row) as running_qty
    from labelled
)

select
    reason,
    cast(hold_count as bigint) as hold_count,
    cast(qty as bigint) as qty,
    coalesce(cast((qty * 20000 + total_qty) // nullif(2 * total_qty, 0) as double) / 100, 0) as pct,
    coalesce(cast((running_qty * 20000 + total_qty) // nullif(2 * total_qty, 0) as double) / 100, 0) as cum_pct
from summed
order by qty desc, reason
