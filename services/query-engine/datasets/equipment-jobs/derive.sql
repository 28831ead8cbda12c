-- One row per job of the query. Key: job_id. Hours of open jobs count to $as_of_time.
select
    job_id,
    equipment_id,
    machine,
    job_order,
    job_state,
    job_model,
    create_time,
    complete_time,
    cancel_time,
    end_time,
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
    date_diff('second', create_time, coalesce(end_time, cast($as_of_time as timestamp)))
        / cast(3600 as double) as job_hours
from jobs
order by machine, create_time desc, job_id
