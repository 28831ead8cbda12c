-- One row per selected job; key: job_id. The order and the page are composed from the declared sort keys.
-- Times are plant-local.
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
    complete_employee
from selected
