-- One row per machine with a selected job, most jobs first; key: machine and equipment_id. The mean is over whole
-- seconds and rounded once, half up.
with machine as (
    select
        machine,
        equipment_id,
        count(*) as job_count,
        count(*) filter (where end_time is null) as open_count,
        count(complete_time) as completed_count,
        count(*) filter (where complete_time is null and cancel_time is not null) as cancelled_count,
        cast(sum(date_diff('second', create_time, complete_time)) as bigint) as completed_s
    from selected
    group by machine, equipment_id
)

select
    machine,
    job_count,
    open_count,
    completed_count,
    cancelled_count,
    cast((completed_s * 2 + 36 * completed_count) // nullif(72 * completed_count, 0) as double) / 100
        as avg_completed_hours
from machine
order by job_count desc, machine, equipment_id
