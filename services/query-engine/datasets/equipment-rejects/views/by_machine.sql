-- One row per machine with a selected reject, most pieces charged off first; key: machine and equipment_id.
select
    machine,
    count(distinct container_id) as lot_count,
    cast(sum(reject_total_qty) as bigint) as reject_total_qty,
    cast(sum(defect_qty) as bigint) as defect_qty
from selected
group by machine, equipment_id
order by reject_total_qty desc, machine, equipment_id
