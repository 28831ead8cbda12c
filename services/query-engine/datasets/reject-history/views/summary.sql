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
        count(*) filter (where lot_alone) as lone_lot_count
    from selected
    group by txn_day, loss_reason
),

event as (
    select event_number, event_of_one_kind, txn_day, package, pj_type, max(movein_qty) as movein
    from selected
    where event_row_count > 1
    group by event_number, event_of_one_kind, txn_day, package, pj_type
),

lot as (
    select distinct lot_id, package, pj_type
    from selected
),

summed as (
    select coalesce(sum(lone), 0) as lone, coalesce(sum(total), 0) as total, coalesce(sum(defect), 0) as defect
    from day_reason
),

several as (
    select max(movein) as movein
    from event
    where not event_of_one_kind
    group by event_number
),

moved as (
    select
        lone
            + coalesce((select sum(movein) from event where event_of_one_kind), 0)
            + coalesce((select sum(movein) from several), 0) as movein,
        total,
        defect
    from summed
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
from moved
cross join counted
cross join ordered
order by movein_qty
