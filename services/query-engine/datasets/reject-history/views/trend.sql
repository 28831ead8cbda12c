-- One row per bucket of $granularity in which a selected reject was booked, oldest first; key: bucket_date, its first day.
-- Quantities in pieces. Rates are percents worked out from sums and rounded once, half up, to 4 decimals; 0 of nothing.
-- A transaction's move-in counts once, whatever the number of its reasons.
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

uniform as (
    select txn_day, package, pj_type, sum(movein) as movein
    from (
        select event_number, txn_day, package, pj_type, max(movein_qty) as movein
        from selected
        where event_row_count > 1 and event_of_one_kind
        group by event_number, txn_day, package, pj_type
    ) as event
    group by txn_day, package, pj_type
),

mixed as (
    select event_number, txn_day, package, pj_type, max(movein_qty) as movein
    from selected
    where event_row_count > 1 and not event_of_one_kind
    group by event_number, txn_day, package, pj_type
),

-- A transaction has one day, so days add up to weeks and months.
added as (
    select txn_day, lone as movein, total, defect
    from day_reason
    union all
    select txn_day, movein, 0, 0
    from uniform
    union all
    select txn_day, max(movein), 0, 0
    from mixed
    group by txn_day, event_number
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
