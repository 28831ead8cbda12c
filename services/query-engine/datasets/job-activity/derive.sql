-- One row per transaction of the query, all chunks in one order: by machine, job and time. Key: transaction_id.
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
from happened
order by machine nulls last, job_id, transaction_time, transaction_id
