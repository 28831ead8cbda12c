-- One row per machine of a selected session, the one that most of their lots were on first; key: equipment_id.
-- The share is of the different lots of all selected sessions, computed from whole numbers and rounded once, half up.
with whole as (
    select count(distinct container_id) as lot_total
    from selected
),

passed as (
    select
        equipment_id,
        min(machine) as machine,
        min(workcenter_group) as workcenter_group,
        min(group_sequence) as group_sequence,
        count(distinct container_id) as lot_count,
        min(track_in_time) as first_time,
        max(coalesce(track_out_time, track_in_time)) as last_time
    from selected
    group by equipment_id
)

select
    passed.machine,
    passed.lot_count,
    whole.lot_total,
    cast((passed.lot_count * 20000 + whole.lot_total) // (2 * whole.lot_total) as double) / 100 as lot_pct,
    passed.workcenter_group,
    passed.group_sequence,
    passed.first_time,
    passed.last_time,
    passed.equipment_id
from passed
cross join whole
order by passed.lot_count desc, passed.group_sequence, passed.machine, passed.equipment_id
