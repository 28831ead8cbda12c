-- One row per job opened in [:start_time, :end_time) on one of :equipment_ids. Key: job_id. Times: plant-local.
-- Binds: :start_time, :end_time, :equipment_ids, :row_limit. Read by the index on CREATEDATE or RESOURCEID.
select
    j.JOBID as job_id,
    j.RESOURCEID as equipment_id,
    coalesce(nullif(trim(j.RESOURCENAME), ''), j.RESOURCEID) as machine,
    j.JOBORDERNAME as job_order,
    j.JOBSTATUS as job_state,
    j.JOBMODELNAME as job_model,
    j.CREATEDATE as create_time,
    j.COMPLETEDATE as complete_time,
    j.CANCELDATE as cancel_time,
    coalesce(j.COMPLETEDATE, j.CANCELDATE) as end_time,
    j.FIRSTCLOCKONDATE as first_clock_on_time,
    j.LASTCLOCKOFFDATE as last_clock_off_time,
    j.SYMPTOMCODENAME as symptom,
    j.CAUSECODENAME as cause,
    j.REPAIRCODENAME as repair,
    j.PJ_SYMPTOMCODE2NAME as symptom_2,
    j.PJ_CAUSECODE2NAME as cause_2,
    j.PJ_REPAIRCODE2NAME as repair_2,
    j.CREATE_EMPNAME as creator,
    j.COMPLETE_EMPNAME as completer
from DWH.DW_MES_JOB j
where j.CREATEDATE >= :start_time
  and j.CREATEDATE < :end_time
  and j.RESOURCEID in (:equipment_ids)
fetch first :row_limit rows only
