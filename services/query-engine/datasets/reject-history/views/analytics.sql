-- One row per day and loss reason with selected rejects, by day and reason; key: bucket_date, loss_reason.
-- Quantities in pieces. A transaction's move-in counts once within a row, so it does not add up over reasons; nor do lots
-- and work orders.
with event as (
    select
        txn_day,
        loss_reason,
        max(movein_qty) as movein,
        sum(reject_total_qty) as total,
        sum(defect_qty) as defect
    from selected
    group by txn_day, loss_reason, event_id
),

summed as (
    select txn_day, loss_reason, sum(movein) as movein, sum(total) as total, sum(defect) as defect
    from event
    group by txn_day, loss_reason
),

counted as (
    select
        txn_day,
        loss_reason,
        count(distinct lot_id) as lot_count,
        count(distinct workorder) as workorder_count
    from selected
    group by txn_day, loss_reason
)

select
    summed.txn_day as bucket_date,
    summed.loss_reason,
    cast(summed.movein as bigint) as movein_qty,
    cast(summed.total as bigint) as reject_total_qty,
    cast(summed.defect as bigint) as defect_qty,
    counted.lot_count,
    counted.workorder_count
from summed
join counted on counted.txn_day = summed.txn_day and counted.loss_reason = summed.loss_reason
order by bucket_date, loss_reason
