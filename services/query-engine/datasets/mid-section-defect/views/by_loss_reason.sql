-- One row per loss reason at the station, most pieces first; key: loss_reason. Shares are cumulated before rounding.
with reason as (
    select
        loss_reason,
        cast(sum(qty) as bigint) as defect_qty,
        count(distinct container_id) as lot_count,
        cast(sum(input_qty) as bigint) as input_qty
    from selected
    where kind = 'reject'
    group by loss_reason
),

running as (
    select
        reason.*,
        sum(defect_qty) over (order by defect_qty desc, loss_reason rows unbounded preceding) as running_qty,
        sum(defect_qty) over () as whole_qty
    from reason
)

select
    loss_reason,
    defect_qty,
    lot_count,
    input_qty,
    coalesce(
        cast((defect_qty * 2000000 + input_qty) // nullif(2 * input_qty, 0) as double) / 1000000, 0
    ) as reject_rate,
    cast((defect_qty * 20000 + whole_qty) // (2 * whole_qty) as double) / 100 as pct,
    cast((running_qty * 20000 + whole_qty) // (2 * whole_qty) as double) / 100 as cum_pct
from running
order by defect_qty desc, loss_reason
