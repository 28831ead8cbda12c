-- One row per job of the query, all chunks in one order: by machine, newest first. Key: job_id.
select
    job_id,
    resource_id,
    machine,
    job_status,
    job_model,
    job_order,
    create_time,
    complete_time,
    cancel_time,
    first_clock_on_time,
    last_clock_off_time,
    cause,
    repair,
    symptom,
    cause_2,
    repair_2,
    symptom_2,
    create_employee,
    complete_employee,
    cast(create_time as date) as create_day
from created
order by machine nulls last, create_time desc, job_id
