-- One row per loss reason, most pieces charged off first; key: loss_reason. A reject counts once, however many machines
-- its lot was on. Shares are cumulated before they are rounded, half up.
with reject as (
    select distinct reject_number, container_id, loss_reason, reject_total_qty, defect_qty
    from selected
),

reason as (
    select
        coalesce(loss_reason, '(not filled)') as loss_reason,
        count(distinct container_id) as lot_count,
        cast(sum(reject_total_qty) as bigint) as reject_total_qty,
        cast(sum(defect_qty) as bigint) as defect_qty
    from reject
    group by coalesce(loss_reason, '(not filled)')
),

running as (
    select
        loss_reason,
        lot_count,
        reject_total_qty,
        defect_qty,
        sum(reject_total_qty) over (
            order by reject_total_qty desc, loss_reason rows unbounded preceding
        ) as running_qty,
        sum(reject_total_qty) over () as whole_qty
    from reason
)

select
    loss_reason,
    lot_count,
    reject_total_qty,
    defect_qty,
    coalesce(cast((reject_total_qty * 20000 + whole_qty) // nullif(2 * whole_qty, 0) as double) / 100, 0) as pct,
    coalesce(cast((running_qty * 20000 + whole_qty) // nullif(2 * whole_qty, 0) as double) / 100, 0) as cum_pct
from running
order by reject_total_qty desc, loss_reason
