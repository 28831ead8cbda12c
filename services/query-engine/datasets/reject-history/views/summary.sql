-- One row: the figures of all selected rejects together. No key.
-- Quantities in pieces. Rates are percents worked out from sums and rounded once, half up, to 4 decimals; 0 of nothing.
-- A transaction's move-in counts once, whatever the number of its reasons.
with summed as (
    select
        coalesce(sum(movein_qty) filter (where event_row_count = 1), 0) as lone,
        coalesce(sum(reject_total_qty), 0) as total,
        coalesce(sum(defect_qty), 0) as defect
    from selected
),

event as (
    select max(movein_qty) as movein
    from selected
    where event_row_count > 1
    group by event_number
),

moved as (
    select lone + coalesce((select sum(movein) from event), 0) as movein, total, defect
    from summed
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
from moved
cross join counted
order by movein_qty
