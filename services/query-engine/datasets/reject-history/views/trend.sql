-- One row per bucket of $granularity in which a selected reject was booked, oldest first; key: bucket_date, its first day.
-- Quantities in pieces. Rates are percents worked out from sums and rounded once, half up, to 4 decimals; 0 of nothing.
-- A transaction's move-in counts once, whatever the number of its reasons.
with event as (
    select
        cast(date_trunc($granularity, txn_day) as date) as bucket_date,
        max(movein_qty) as movein,
        sum(reject_total_qty) as total,
        sum(defect_qty) as defect
    from selected
    group by bucket_date, event_id
),

summed as (
    select bucket_date, sum(movein) as movein, sum(total) as total, sum(defect) as defect
    from event
    group by bucket_date
)

select
    bucket_date,
    cast(movein as bigint) as movein_qty,
    cast(total as bigint) as reject_total_qty,
    cast(defect as bigint) as defect_qty,
    coalesce(cast((total * 2000000 + movein) // nullif(2 * movein, 0) as double) / 10000, 0) as reject_rate_pct,
    coalesce(cast((defect * 2000000 + movein) // nullif(2 * movein, 0) as double) / 10000, 0) as defect_rate_pct
from summed
order by bucket_date
