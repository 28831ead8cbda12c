-- One row per given container, work centre and machine: its latest session there. Key: CONTAINERID, WORKCENTERNAME,
-- EQUIPMENTNAME. Times: plant-local. Binds: ids = container ids, blank-padded to 16. Read by the index on CONTAINERID.
-- A session is what shares container, machine, step and track-in time. Its partials say what was left when each began,
-- so what was loaded is the most of them.
with session_row as (
    select
        CONTAINERID as container_id,
        trim(WORKCENTERNAME) as workcenter,
        EQUIPMENTID as equipment_id,
        trim(EQUIPMENTNAME) as equipment,
        trim(SPECNAME) as spec,
        TRACKINTIMESTAMP as track_in_time,
        max(coalesce(TRACKINQTY, 0)) as track_in_qty
    from DWH.DW_MES_LOTWIPHISTORY
    where CONTAINERID in (:ids)
      and EQUIPMENTID is not null
      and TRACKINTIMESTAMP is not null
    group by CONTAINERID, trim(WORKCENTERNAME), EQUIPMENTID, trim(EQUIPMENTNAME), trim(SPECNAME), TRACKINTIMESTAMP
),

ranked as (
    select
        container_id,
        workcenter,
        equipment_id,
        equipment,
        spec,
        track_in_time,
        track_in_qty,
        row_number() over (
            partition by container_id, workcenter, equipment
            order by track_in_time desc, track_in_qty desc, spec, equipment_id
        ) as choice
    from session_row
)

select
    container_id as CONTAINERID,
    workcenter as WORKCENTERNAME,
    equipment_id as EQUIPMENTID,
    equipment as EQUIPMENTNAME,
    spec as SPECNAME,
    track_in_time as TRACKINTIMESTAMP,
    track_in_qty as TRACKINQTY
from ranked
where choice = 1
order by container_id, track_in_time, workcenter, equipment
