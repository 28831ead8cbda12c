-- One row per transaction and loss reason of the containers :ids at :stations in [:start_time, :end_time). No key.
-- Times: plant-local. Binds: :ids, :start_time, :end_time, :stations, :row_limit. Read by the index on CONTAINERID.
-- In no order. Six quantities: what is charged off, and defects.
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
    r.CONTAINERID as container_id,
    trim(r.LOSSREASONNAME) as loss_reason,
    r.TXNDATE as txn_time,
    coalesce(r.REJECTQTY, 0) + coalesce(r.STANDBYQTY, 0) + coalesce(r.QTYTOPROCESS, 0) + coalesce(r.INPROCESSQTY, 0)
        + coalesce(r.PROCESSEDQTY, 0) + coalesce(r.DEFECTQTY, 0) as lost_qty
from DWH.DW_MES_LOTREJECTHISTORY r
join station s on s.workcenter = trim(r.WORKCENTERNAME)
where r.CONTAINERID in (:ids)
  and r.TXNDATE >= :start_time
  and r.TXNDATE < :end_time
fetch first :row_limit rows only
