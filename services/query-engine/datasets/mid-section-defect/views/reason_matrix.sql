-- One row per reason at the station and reason after it that a lot has both of; key: loss_reason and later_reason.
-- Membership: a lot with two reasons counts in both rows, so the cells may add up to more than was lost.
with member as (
    select distinct container_id, loss_reason
    from selected
    where kind = 'reject'
),

fact as (
    select distinct member.loss_reason, loss.later_reason, loss.fact_number, loss.qty
    from member
    join selected loss on loss.container_id = member.container_id and loss.kind = 'loss'
),

cell as (
    select loss_reason, later_reason, cast(sum(qty) as bigint) as reject_qty
    from fact
    group by loss_reason, later_reason
),

shared as (
    select
        loss_reason,
        later_reason,
        reject_qty,
        sum(reject_qty) over (partition by loss_reason) as row_qty
    from cell
)

select
    loss_reason,
    later_reason,
    reject_qty,
    coalesce(cast((reject_qty * 20000 + row_qty) // nullif(2 * row_qty, 0) as double) / 100, 0) as row_pct
from shared
order by row_qty desc, loss_reason, reject_qty desc, later_reason
