-- One row per loss reason of which something was lost, most of $metric_mode first; key: item.
-- Shares are of all items, cumulated before they are rounded, half up, to 4 decimals. With $scope top80 the items that
-- together reach 80 % are left, the one that crosses it included.
-- A transaction's move-in counts once within an item. A click on an item sets the filter that this view alone ignores.
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

added as (
    select loss_reason as item, differing as movein, total, defect
    from day_reason
    union all
    select loss_reason, movein, 0, 0
    from repeated
),

summed as (
    select
        item,
        sum(movein) as movein,
        sum(total) as total,
        sum(defect) as defect,
        case $metric_mode when 'defect' then sum(defect) else sum(total) end as metric
    from added
    group by item
),

counted as (
    select loss_reason as item, count(distinct lot_id) as lot_count
    from selected
    group by item
),

ranked as (
    select
        item,
        movein,
        total,
        defect,
        metric,
        sum(metric) over () as whole,
        sum(metric) over (order by metric desc, item rows between unbounded preceding and current row) as upto,
        row_number() over (order by metric desc, item) as place
    from summed
    where metric > 0
)

select
    ranked.item,
    cast(ranked.metric as bigint) as metric_value,
    cast(ranked.movein as bigint) as movein_qty,
    cast(ranked.total as bigint) as reject_total_qty,
    cast(ranked.defect as bigint) as defect_qty,
    counted.lot_count,
    coalesce(cast((ranked.metric * 2000000 + ranked.whole) // nullif(2 * ranked.whole, 0) as double) / 10000, 0) as pct,
    coalesce(cast((ranked.upto * 2000000 + ranked.whole) // nullif(2 * ranked.whole, 0) as double) / 10000, 0) as cum_pct
from ranked
join counted on counted.item = ranked.item
where $scope = 'all'
   or ((ranked.upto - ranked.metric) * 100 < ranked.whole * 80)
order by ranked.place
