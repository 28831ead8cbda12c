-- One row: the figures of all selected rejects together. No key.
-- Quantities in pieces. Rates are percents worked out from sums and rounded once, half up, to 4 decimals; 0 of nothing.
-- A transaction's move-in counts once, whatever the number of its reasons.
with event as (
    select max(movein_qty) as movein, sum(reject_total_qty) as total, sum(defect_qty) as defect
    from selected
    group by event_id
),

summed as (
    select
        coalesce(sum(movein), 0) as movein,
        coalesce(sum(total), 0) as total,
        coalesce(sum(defect), 0) as defect
    from event
),

counted as (
    select count(distinct lot_id) as lot_count, count(distinct workorder) as workorder_count
    from selected
)

select
    cast(movein as bigint) as movein_qty,
    cast(total as bigint) as reject_total_qty,
    cast(defect as bigint) as defect_qty,
    coalesce(cast((total * 2000000 + movein) // nullif(2 * movein, 0) as double) / 10000, 0) as reject_rate_pct,
    coalesce(cast((defect * 2000000 + movein) // nullif(2 * movein, 0) as double) / 10000, 0) as defect_rate_pct,
    coalesce(cast((total * 2000000 + (total + defect)) // nullif(2 * (total + defect), 0) as double) / 10000, 0) as reject_share_pct,
    lot_count,
    workorder_count
from summed
cross join counted
order by movein_qty
