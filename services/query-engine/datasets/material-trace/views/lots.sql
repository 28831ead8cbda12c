-- One row per lot, most material lots first; key: lot_id and container_id.
select
    lot_id,
    min(workorder) as workorder,
    count(distinct (material_part, material_lot)) as material_lot_count,
    count(*) as consumption_count,
    min(txn_time) as first_time,
    max(txn_time) as last_time
from selected
group by lot_id, container_id
order by material_lot_count desc, lot_id, container_id
