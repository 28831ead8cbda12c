-- One row per hold of the query. Key: history_id. Hours of open holds count to $as_of_time, in whole seconds at heart.
select
    history_id,
    container_id,
    lot_id,
    department,
    employee,
    hold_reason,
    case
        when hold_reason in (select reason from non_quality_reasons) then 'non-quality'
        else 'quality'
    end as hold_type,
    qty,
    hold_time,
    release_time,
    date_diff('second', hold_time, coalesce(release_time, cast($as_of_time as timestamp))) as hold_seconds
from placed
order by hold_time, history_id
