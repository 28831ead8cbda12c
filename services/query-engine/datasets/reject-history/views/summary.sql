-- One row: the figures of all selected rejects together. No key.
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

lot as (
    select distinct lot_id, package, pj_type
    from selected
),

added as (
    select lone as movein, total, defect
    from day_reason
    union all
    select movein, 0, 0
    from uniform
    union all
    select max(movein), 0, 0
    from mixed
    group by event_number
),

summed as (
    select coalesce(sum(movein), 0) as movein, coalesce(sum(total), 0) as total, coalesce(sum(defect), 0) as defect
    from added
),

counted as (
    select count(distinct lot_id) as lot_count
    from lot
),

ordered as (
    select count(distinct workorder) as workorder_count
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
cross join ordered
order by movein_qty
