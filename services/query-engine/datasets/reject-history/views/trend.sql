-- One row per bucket of $granularity in which a selected reject was booked, oldest first; key: bucket_date, its first day.
-- Quantities in pieces. Rates are percents worked out from sums and rounded once, half up, to 4 decimals; 0 of nothing.
-- A transaction's move-in counts once, whatever the number of its reasons.
with summed as (
    select
        txn_day,
        sum(movein_qty) filter (where event_row_count = 1) as movein,
        sum(reject_total_qty) as total,
        sum(defect_qty) as defect
    from selected
    group by txn_day
),

event as (
    select txn_day, max(movein_qty) as movein
    from selected
    where event_row_count > 1
    group by txn_day, event_number
),

-- A transaction has one day, so days add up to weeks and months.
added as (
    select txn_day, movein, total, defect
    from summed
    union all
    select txn_day, movein, 0, 0
    from event
),

bucket as (
    select
        cast(date_trunc($granularity, txn_day) as date) as bucket_date,
        coalesce(sum(movein), 0) as movein,
        sum(total) as total,
        sum(defect) as defect
    from added
    group by bucket_date
)

select
    bucket_date,
    cast(movein as bigint) as movein_qty,
    cast(total as bigint) as reject_total_qty,
    cast(defect as bigint) as defect_qty,
    coalesce(cast((total * 2000000 + movein) // nullif(2 * movein, 0) as double) / 10000, 0) as reject_rate_pct,
    coalesce(cast((defect * 2000000 + movein) // nullif(2 * movein, 0) as double) / 10000, 0) as defect_rate_pct
from bucket
order by bucket_date
