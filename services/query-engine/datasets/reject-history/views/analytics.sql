-- One row per day and loss reason with selected rejects, by day and reason; key: bucket_date, loss_reason.
-- Quantities in pieces. A transaction's move-in counts once within a row, so it does not add up over reasons; nor do lots
-- and work orders.
-- Groups that other views of the page begin with in the same words are made once for all of them (ADR 0046).
with day_reason as (
    select
        txn_day,
        loss_reason,
        coalesce(sum(movein_qty) filter (where event_row_count = 1), 0) as lone,
        coalesce(sum(movein_qty) filter (where reasons_differ), 0) as differing,
        sum(reject_total_qty) as total,
        sum(defect_qty) as defect,
        count(*) filter (where lot_alone) as lone_lot_count,
        count(*) filter (where workorder_alone) as lone_workorder_count
    from selected
    group by txn_day, loss_reason
),

-- A transaction has one day, so it is one row of a reason and one of a reason's day.
repeated as (
    select txn_day, loss_reason, sum(movein) as movein
    from (
        select txn_day, loss_reason, max(movein_qty) as movein
        from selected
        where not reasons_differ
        group by txn_day, loss_reason, event_number
    ) as event
    group by txn_day, loss_reason
),

again as (
    select txn_day, loss_reason, count(distinct lot_id) as lot_count
    from selected
    where not lot_alone
    group by txn_day, loss_reason
),

ordered as (
    select txn_day, loss_reason, count(distinct workorder) as workorder_count
    from selected
    where not workorder_alone
    group by txn_day, loss_reason
)

select
    summed.txn_day as bucket_date,
    summed.loss_reason,
    cast(summed.differing + coalesce(repeated.movein, 0) as bigint) as movein_qty,
    cast(summed.total as bigint) as reject_total_qty,
    cast(summed.defect as bigint) as defect_qty,
    summed.lone_lot_count + coalesce(again.lot_count, 0) as lot_count,
    summed.lone_workorder_count + coalesce(ordered.workorder_count, 0) as workorder_count
from day_reason as summed
left join ordered on ordered.txn_day = summed.txn_day and ordered.loss_reason = summed.loss_reason
left join again on again.txn_day = summed.txn_day and again.loss_reason = summed.loss_reason
left join repeated on repeated.txn_day = summed.txn_day and repeated.loss_reason = summed.loss_reason
order by bucket_date, loss_reason
