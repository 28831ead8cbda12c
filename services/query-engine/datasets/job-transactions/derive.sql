-- One row per transaction of the query, all batches of jobs in one order: oldest first. Key: transaction_id.
select
    transaction_id,
    job_id,
    transaction_time,
    from_job_status,
    job_status,
    stage,
    to_stage,
    cause,
    repair,
    symptom,
    user_number,
    user_name,
    employee_number,
    employee_name,
    comments,
    transaction_class,
    job_model,
    job_order
from transactions
order by transaction_time, job_id, transaction_id
