-- One row per transaction in [:start_time, :end_time) of a job of the machines :resource_ids. Key: transaction_id.
-- Times: plant-local. Binds: :start_time, :end_time, :resource_ids, :row_limit. In no order.
-- A transaction has one time, so consecutive ranges never share a row. Read by the indexes on RESOURCEID of the jobs and
-- on JOBID of the transactions.
select
    j.RESOURCENAME as machine,
    j.JOBID as job_id,
    j.JOBSTATUS as job_final_status,
    j.JOBMODELNAME as job_model,
    j.JOBORDERNAME as job_order,
    j.CREATEDATE as job_create_time,
    j.COMPLETEDATE as job_complete_time,
    j.CAUSECODENAME as job_cause,
    j.REPAIRCODENAME as job_repair,
    j.SYMPTOMCODENAME as job_symptom,
    t.TXNDATE as transaction_time,
    t.FROMJOBSTATUS as from_job_status,
    t.JOBSTATUS as job_status,
    t.STAGENAME as stage,
    t.CAUSECODENAME as cause,
    t.REPAIRCODENAME as repair,
    t.SYMPTOMCODENAME as symptom,
    t.USER_NAME as user_name,
    t.EMP_NAME as employee_name,
    t.COMMENTS as comments,
    t.JOBTXNHISTORYID as transaction_id,
    coalesce(j.COMPLETEDATE, j.CANCELDATE) as job_ended_time
from DWH.DW_MES_JOB j
join DWH.DW_MES_JOBTXNHISTORY t on t.JOBID = j.JOBID
where j.RESOURCEID in (:resource_ids)
  and t.TXNDATE >= :start_time
  and t.TXNDATE < :end_time
fetch first :row_limit rows only
