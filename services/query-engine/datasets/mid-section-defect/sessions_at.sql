-- One row per track-out of the containers :ids that were tracked in on a machine of :stations in
-- [:start_time, :end_time). No key. Times: plant-local. Binds: :ids, :start_time, :end_time, :stations, :row_limit.
-- Read by the index on CONTAINERID. In no order.
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

select
    h.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), h.CONTAINERID) as lot_id,
    c.MFGORDERNAME as workorder,
    trim(c.PJ_TYPE) as pj_type,
    trim(c.PRODUCTLINENAME) as package,
    h.FINISHEDRUNCARD as run_card,
    trim(h.WORKCENTERNAME) as workcenter,
    h.SPECNAME as spec,
    h.EQUIPMENTID as equipment_id,
    h.EQUIPMENTNAME as equipment,
    h.TRACKINTIMESTAMP as track_in_time,
    h.TRACKOUTTIMESTAMP as track_out_time,
    h.TRACKINQTY as track_in_qty
from DWH.DW_MES_LOTWIPHISTORY h
join station s on s.workcenter = trim(h.WORKCENTERNAME)
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = h.CONTAINERID
where h.CONTAINERID in (:ids)
  and h.EQUIPMENTID is not null
  and h.TRACKINTIMESTAMP >= :start_time
  and h.TRACKINTIMESTAMP < :end_time
fetch first :row_limit rows only
