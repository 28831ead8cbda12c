-- One row per job and given container that the job names. Key: JOBID, CONTAINERID. Times: plant-local. Binds: ids =
-- container ids, blank-padded to 16.
-- A job names its containers in one text, by commas. The texts are cut into ids, a level of the walk for each, and
-- whole ids are compared: an id that is a part of another never matches. There is no index to read by: each run looks
-- once at every job that names a container, where a LIKE for each id would look at it a thousand times.
with named (job_id, container_id, rest) as (
    select
        j.JOBID,
        case when instr(j.CONTAINERIDS, ',') = 0 then j.CONTAINERIDS
             else substr(j.CONTAINERIDS, 1, instr(j.CONTAINERIDS, ',') - 1) end,
        case when instr(j.CONTAINERIDS, ',') = 0 then null
             else substr(j.CONTAINERIDS, instr(j.CONTAINERIDS, ',') + 1) end
    from DWH.DW_MES_JOB j
    where j.CONTAINERIDS is not null
    union all
    select
        n.job_id,
        case when instr(n.rest, ',') = 0 then n.rest else substr(n.rest, 1, instr(n.rest, ',') - 1) end,
        case when instr(n.rest, ',') = 0 then null else substr(n.rest, instr(n.rest, ',') + 1) end
    from named n
    where n.rest is not null
),

-- Texts compare with the blank-padded binds as they are written, so shorter ids are padded; longer ones are left alone.
padded as (
    select
        job_id,
        case when length(trim(container_id)) < 16 then rpad(trim(container_id), 16, ' ')
             else trim(container_id) end as container_id
    from named
),

matched as (
    select distinct job_id, container_id
    from padded
    where container_id in (:ids)
)

select
    m.container_id as CONTAINERID,
    j.JOBID as JOBID,
    j.RESOURCEID as RESOURCEID,
    j.RESOURCENAME as RESOURCENAME,
    j.JOBSTATUS as JOBSTATUS,
    j.JOBMODELNAME as JOBMODELNAME,
    j.JOBORDERNAME as JOBORDERNAME,
    j.CREATEDATE as CREATEDATE,
    j.COMPLETEDATE as COMPLETEDATE,
    j.CAUSECODENAME as CAUSECODENAME,
    j.REPAIRCODENAME as REPAIRCODENAME,
    j.SYMPTOMCODENAME as SYMPTOMCODENAME,
    j.CONTAINERIDS as CONTAINERIDS,
    j.CONTAINERNAMES as CONTAINERNAMES
from matched m
join DWH.DW_MES_JOB j on j.JOBID = m.job_id
order by j.CREATEDATE desc, j.JOBID, m.container_id
