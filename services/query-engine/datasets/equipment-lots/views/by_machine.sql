-- One row per machine with a selected session, most pieces out first; key: machine and equipment_id.
select
    machine,
    count(*) as session_count,
    count(distinct container_id) as lot_count,
    cast(coalesce(sum(track_in_qty), 0) as bigint) as track_in_qty,
    cast(sum(track_out_qty) as bigint) as track_out_qty
from selected
group by machine, equipment_id
order by track_out_qty desc, machine, equipment_id
