-- One row per status fragment of the query. Key: fragment_id. Hours are kept as whole millionths, so that no sum
-- depends on the order of its rows.
select
    fragment_id,
    equipment_id,
    machine,
    family,
    workcenter,
    status,
    reason,
    fragment_start_time,
    fragment_end_time,
    txn_time,
    cast(txn_time as date) as day,
    cast(coalesce(hours, 0) * 1000000 as bigint) as micro_hours
from fragments
order by txn_time, equipment_id, fragment_id
