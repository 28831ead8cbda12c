-- One row per machine of a selected session, in the order of the flow; key: equipment_id.
select
    equipment_id,
    min(machine) as machine,
    min(workcenter_group) as workcenter_group,
    count(distinct container_id) as lot_count,
    min(track_in_time) as first_time,
    max(coalesce(track_out_time, track_in_time)) as last_time
from selected
group by equipment_id
order by min(group_sequence), machine, equipment_id
