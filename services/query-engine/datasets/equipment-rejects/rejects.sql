-- One row per transaction and loss reason of the containers :ids, whenever it was reported. No key. Times: plant-local.
-- Binds: :ids, :row_limit. Read by the index on CONTAINERID. In no order.
-- The work centre is that of the step; a step that stands under several counts with the one whose group comes first, as
-- the reference spec_workcenters has it. What is charged off has five parts; defects stand apart.
with place as (
    select
        trim(SPEC) as spec,
        trim(WORK_CENTER) as workcenter,
        trim(WORK_CENTER_GROUP) as workcenter_group,
        case
            when length(trim(WORKCENTERSEQUENCE_GROUP)) between 1 and 9
             and translate('#' || trim(WORKCENTERSEQUENCE_GROUP), '#0123456789', '#') = '#'
            then cast(trim(WORKCENTERSEQUENCE_GROUP) as integer)
            else 999
        end as group_sequence
    from DWH.DW_MES_SPEC_WORKCENTER_V
    where length(trim(SPEC)) > 0
),

ranked as (
    select
        spec,
        workcenter,
        row_number() over (partition by spec order by group_sequence, workcenter_group, workcenter) as choice
    from place
)

select
    r.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), r.CONTAINERID) as lot_id,
    r.PJ_WORKORDER as workorder,
    c.PJ_TYPE as pj_type,
    c.PRODUCTLINENAME as package,
    c.OBJECTTYPE as object_type,
    coalesce(p.workcenter, trim(r.WORKCENTERNAME)) as workcenter,
    r.SPECNAME as spec,
    r.EQUIPMENTNAME as reported_machine,
    r.LOSSREASONNAME as loss_reason,
    r.REJECTCOMMENT as reject_comment,
    coalesce(r.REJECTQTY, 0) + coalesce(r.STANDBYQTY, 0) + coalesce(r.QTYTOPROCESS, 0) + coalesce(r.INPROCESSQTY, 0)
        + coalesce(r.PROCESSEDQTY, 0) as reject_total_qty,
    coalesce(r.DEFECTQTY, 0) as defect_qty,
    r.TXNDATE as txn_time,
    r.EMPLOYEENAME as employee
from DWH.DW_MES_LOTREJECTHISTORY r
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = r.CONTAINERID
left join ranked p on p.spec = trim(r.SPECNAME) and p.choice = 1
where r.CONTAINERID in (:ids)
fetch first :row_limit rows only
