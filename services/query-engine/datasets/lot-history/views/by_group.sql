-- One row per work-centre group with a selected session, in the order of the flow; key: workcenter_group.
select
    coalesce(workcenter_group, '(none)') as workcenter_group,
    min(group_sequence) as group_sequence,
    count(*) as session_count,
    count(distinct container_id) as lot_count,
    cast(coalesce(sum(track_in_qty), 0) as bigint) as track_in_qty,
    cast(sum(track_out_qty) as bigint) as track_out_qty
from selected
group by coalesce(workcenter_group, '(none)')
order by group_sequence, workcenter_group
