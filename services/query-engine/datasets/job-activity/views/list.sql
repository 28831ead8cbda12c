-- One row per selected transaction; key: transaction_id, which serves the order only and is not shown. The order and the
-- page are composed from the declared sort keys.
select
    machine,
    job_id,
    job_final_status,
    job_model,
    job_order,
    job_create_time,
    job_complete_time,
    job_cause,
    job_repair,
    job_symptom,
    transaction_time,
    from_job_status,
    job_status,
    stage,
    cause,
    repair,
    symptom,
    user_name,
    employee_name,
    comments,
    transaction_id
from selected
