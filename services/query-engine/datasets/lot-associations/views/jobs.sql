-- One row per lot and selected job; key: row_number, which serves the order only.
select
    lot_id,
    machine,
    event_time,
    end_time,
    name as job_model,
    detail as job_order,
    state as job_state,
    employee,
    row_number
from selected
where kind = 'job'
