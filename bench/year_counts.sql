-- One row: what the questions of a year find, counted at the plant itself. Binds: $start, $end, $machines, $order.
-- The busiest station is the group on whose machines the most lots were tracked in, its work centres taken from the
-- dictionary by the smallest sequence, then by name.
with step as (
    select
        trim(WORK_CENTER) as workcenter,
        trim(WORK_CENTER_GROUP) as workcenter_group,
        coalesce(try_cast(trim(WORKCENTERSEQUENCE_GROUP) as integer), 999) as group_sequence
    from DWH.DW_MES_SPEC_WORKCENTER_V
    where length(trim(WORK_CENTER)) > 0
      and length(trim(WORK_CENTER_GROUP)) > 0
),

grouped as (
    select workcenter, first(workcenter_group order by group_sequence, workcenter_group) as workcenter_group
    from step
    group by workcenter
),

station as (
    select grouped.workcenter_group as station, count(distinct h.CONTAINERID) as lot_count
    from DWH.DW_MES_LOTWIPHISTORY h
    join grouped on grouped.workcenter = trim(h.WORKCENTERNAME)
    where h.EQUIPMENTID is not null
      and h.TRACKINTIMESTAMP >= $start
      and h.TRACKINTIMESTAMP < $end
    group by grouped.workcenter_group
    order by lot_count desc, station
    limit 1
)

select
    (
        select count(*) from DWH.DW_MES_LOTREJECTHISTORY where TXNDATE >= $start and TXNDATE < $end
    ) as reject_count,
    (
        select count(distinct s.HISTORYID)
        from DWH.DW_MES_RESOURCESTATUS_SHIFT s
        join DWH.DW_MES_RESOURCE r on r.RESOURCEID = s.HISTORYID
        where s.TXNDATE >= $start
          and s.TXNDATE < $end
          and r.OBJECTCATEGORY in ('ASSEMBLY', 'WAFERSORT')
          and r.OBJECTTYPE = r.OBJECTCATEGORY
          and length(trim(r.WORKCENTERNAME)) > 0
          and coalesce(trim(r.LOCATIONNAME), '') <> 'Scrap yard'
          and coalesce(trim(r.PJ_ASSETSSTATUS), '') <> 'Disapproved'
    ) as machine_count,
    (
        select count(*)
        from DWH.DW_MES_JOB
        where RESOURCEID in (select unnest($machines)) and CREATEDATE >= $start and CREATEDATE < $end
    ) as job_count,
    (select station from station) as station,
    (select lot_count from station) as lot_count,
    (
        select count(*)
        from DWH.DW_MES_LOTREJECTHISTORY r
        semi join (select CONTAINERID from DWH.DW_MES_CONTAINER where MFGORDERNAME = $order) c
            on c.CONTAINERID = r.CONTAINERID
    ) as order_reject_count,
    (select count(*) from DWH.DW_MES_CONTAINER where MFGORDERNAME = $order) as order_lot_count
