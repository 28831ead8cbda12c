-- One row: lots and pieces by status. A lot that the snapshot has several rows of counts once.
select
    count(*) as total_lots,
    cast(coalesce(sum(qty), 0) as bigint) as total_qty,
    count(*) filter (where wip_status = 'RUN') as run_lots,
    cast(coalesce(sum(qty) filter (where wip_status = 'RUN'), 0) as bigint) as run_qty,
    count(*) filter (where wip_status = 'HOLD') as hold_lots,
    cast(coalesce(sum(qty) filter (where wip_status = 'HOLD'), 0) as bigint) as hold_qty,
    count(*) filter (where wip_status = 'QUEUE') as queue_lots,
    cast(coalesce(sum(qty) filter (where wip_status = 'QUEUE'), 0) as bigint) as queue_qty,
    count(*) filter (where hold_type = 'quality') as quality_hold_lots,
    cast(coalesce(sum(qty) filter (where hold_type = 'quality'), 0) as bigint) as quality_hold_qty,
    count(*) filter (where hold_type = 'non-quality') as non_quality_hold_lots,
    cast(coalesce(sum(qty) filter (where hold_type = 'non-quality'), 0) as bigint) as non_quality_hold_qty,
    max(data_time) as data_time
from selected
order by total_lots
