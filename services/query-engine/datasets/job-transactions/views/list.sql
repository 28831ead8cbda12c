-- One row per transaction; key: transaction_id. The order and the page are composed from the declared sort keys.
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
from job_transactions
