-- One row per transaction of the jobs :ids, whenever it happened. Key: transaction_id. Times: plant-local.
-- Binds: :ids, :row_limit. Read by the index on JOBID, which this table has and the table of jobs has not. In no order.
select
    JOBTXNHISTORYID as transaction_id,
    JOBID as job_id,
    TXNDATE as transaction_time,
    FROMJOBSTATUS as from_job_status,
    JOBSTATUS as job_status,
    STAGENAME as stage,
    TOSTAGENAME as to_stage,
    CAUSECODENAME as cause,
    REPAIRCODENAME as repair,
    SYMPTOMCODENAME as symptom,
    USER_EMPNO as user_number,
    USER_NAME as user_name,
    EMP_EMPNO as employee_number,
    EMP_NAME as employee_name,
    COMMENTS as comments,
    CDONAME as transaction_class,
    JOBMODELNAME as job_model,
    JOBORDERNAME as job_order
from DWH.DW_MES_JOBTXNHISTORY
where JOBID in (:ids)
fetch first :row_limit rows only
