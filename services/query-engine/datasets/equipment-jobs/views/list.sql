-- One row per selected job; key: job_id, which serves the order only. Hours are rounded half up to 2 decimals.
select
    machine,
    job_order,
    job_state,
    job_model,
    create_time,
    complete_time,
    cancel_time,
    first_clock_on_time,
    last_clock_off_time,
    symptom,
    cause,
    repair,
    symptom_2,
    cause_2,
    repair_2,
    creator,
    completer,
    cast((cast(round(job_hours * 3600) as bigint) * 2 + 36) // 72 as double) / 100 as job_hours,
    job_id
from selected
