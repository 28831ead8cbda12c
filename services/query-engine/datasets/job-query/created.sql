-- One row per maintenance job of the machines :resource_ids opened in [:start_time, :end_time), as it stands now.
-- Key: job_id. Times: plant-local. Binds: :start_time, :end_time, :resource_ids, :row_limit. In no order.
-- A job has one creation, so consecutive ranges never share a row. Read by the index on CREATEDATE or on RESOURCEID.
select
    JOBID as job_id,
    RESOURCEID as resource_id,
    RESOURCENAME as machine,
    JOBSTATUS as job_status,
    JOBMODELNAME as job_model,
    JOBORDERNAME as job_order,
    CREATEDATE as create_time,
    COMPLETEDATE as complete_time,
    CANCELDATE as cancel_time,
    FIRSTCLOCKONDATE as first_clock_on_time,
    LASTCLOCKOFFDATE as last_clock_off_time,
    CAUSECODENAME as cause,
    REPAIRCODENAME as repair,
    SYMPTOMCODENAME as symptom,
    PJ_CAUSECODE2NAME as cause_2,
    PJ_REPAIRCODE2NAME as repair_2,
    PJ_SYMPTOMCODE2NAME as symptom_2,
    CREATE_EMPNAME as create_employee,
    COMPLETE_EMPNAME as complete_employee,
    coalesce(COMPLETEDATE, CANCELDATE) as ended_time
from DWH.DW_MES_JOB
where RESOURCEID in (:resource_ids)
  and CREATEDATE >= :start_time
  and CREATEDATE < :end_time
fetch first :row_limit rows only
