-- One row per work-centre group, in the order of the flow; key: workcenter_group.
select
    coalesce(workcenter_group, '(none)') as workcenter_group,
    min(group_sequence) as group_sequence,
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
    cast(coalesce(sum(qty) filter (where hold_type = 'non-quality'), 0) as bigint) as non_quality_hold_qty
from selected
group by coalesce(workcenter_group, '(none)')
order by min(group_sequence), workcenter_group
