-- One row per container and instant in [:start_time, :end_time) at which it was tracked in on a machine of :stations.
-- Key: container_id and track_in_time. Times: plant-local. Binds: :start_time, :end_time, :stations, :row_limit. Read
-- by the index on TRACKINTIMESTAMP; what else is wanted of these containers is then read by their keys. In no order.
-- A work centre has the group that the reference workcenter_groups gives it, by the same rules.
with step as (
    select
        trim(WORK_CENTER) as workcenter,
        trim(WORK_CENTER_GROUP) as workcenter_group,
        case
            when length(trim(WORKCENTERSEQUENCE_GROUP)) between 1 and 9
             and translate('#' || trim(WORKCENTERSEQUENCE_GROUP), '#0123456789', '#') = '#'
            then cast(trim(WORKCENTERSEQUENCE_GROUP) as integer)
            else 999
        end as group_sequence
    from DWH.DW_MES_SPEC_WORKCENTER_V
    where length(trim(WORK_CENTER)) > 0
      and length(trim(WORK_CENTER_GROUP)) > 0
),

ranked as (
    select
        workcenter,
        workcenter_group,
        row_number() over (partition by workcenter order by group_sequence, workcenter_group) as choice
    from step
),

station as (
    select workcenter
    from ranked
    where choice = 1
      and workcenter_group in (:stations)
)

select distinct
    h.CONTAINERID as container_id,
    h.TRACKINTIMESTAMP as track_in_time
from DWH.DW_MES_LOTWIPHISTORY h
join station s on s.workcenter = trim(h.WORKCENTERNAME)
where h.TRACKINTIMESTAMP >= :start_time
  and h.TRACKINTIMESTAMP < :end_time
  and h.EQUIPMENTID is not null
  and h.CONTAINERID is not null
fetch first :row_limit rows only
