-- One row per given container, transaction and loss reason. No key. Times: plant-local. Binds: ids = container ids,
-- blank-padded to 16. Read by the index on CONTAINERID.
-- A step may stand under several work centres: the one whose group comes first in the flow counts, ties by name.
-- Places are text in the dictionary; whatever is not 1 to 9 digits is 999. The leading # makes a text of digits come
-- out as '#' on either database, where Oracle would turn an empty text into NULL; `length` of a blank is NULL to Oracle
-- and 0 to DuckDB, so blanks fail either way.
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
        workcenter_group,
        group_sequence,
        row_number() over (partition by spec order by group_sequence, workcenter_group, workcenter) as choice
    from place
),

event as (
    select
        r.CONTAINERID as container_id,
        nullif(trim(c.CONTAINERNAME), '') as container_name,
        nullif(trim(r.WORKCENTERNAME), '') as own_workcenter,
        nullif(p.workcenter, '') as step_workcenter,
        nullif(p.workcenter_group, '') as step_group,
        coalesce(p.group_sequence, 999) as group_sequence,
        trim(c.PRODUCTLINENAME) as package,
        trim(c.PJ_FUNCTION) as pj_function,
        trim(c.PJ_TYPE) as pj_type,
        trim(c.PRODUCTNAME) as product,
        nullif(trim(r.SPECNAME), '') as spec,
        nullif(trim(r.LOSSREASONNAME), '') as loss_reason,
        nullif(trim(r.EQUIPMENTNAME), '') as equipment,
        trim(r.REJECTCOMMENT) as reject_comment,
        coalesce(r.REJECTQTY, 0) as reject_qty,
        coalesce(r.STANDBYQTY, 0) as standby_qty,
        coalesce(r.QTYTOPROCESS, 0) as to_process_qty,
        coalesce(r.INPROCESSQTY, 0) as in_process_qty,
        coalesce(r.PROCESSEDQTY, 0) as processed_qty,
        coalesce(r.DEFECTQTY, 0) as defect_qty,
        r.TXNDATE as txn_time
    from DWH.DW_MES_LOTREJECTHISTORY r
    left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = r.CONTAINERID
    left join ranked p on p.spec = trim(r.SPECNAME) and p.choice = 1
    where r.CONTAINERID in (:ids)
)

select
    container_id as CONTAINERID,
    coalesce(container_name, container_id) as CONTAINERNAME,
    coalesce(step_workcenter, own_workcenter, '(NA)') as WORKCENTERNAME,
    coalesce(step_group, own_workcenter, '(NA)') as WORKCENTER_GROUP,
    group_sequence as WORKCENTERSEQUENCE_GROUP,
    package as PRODUCTLINENAME,
    pj_function as PJ_FUNCTION,
    pj_type as PJ_TYPE,
    product as PRODUCTNAME,
    coalesce(spec, '(NA)') as SPECNAME,
    coalesce(loss_reason, '(未填寫)') as LOSSREASONNAME,
    coalesce(equipment, '(NA)') as EQUIPMENTNAME,
    reject_comment as REJECTCOMMENT,
    reject_qty as REJECT_QTY,
    standby_qty as STANDBY_QTY,
    to_process_qty as QTYTOPROCESS_QTY,
    in_process_qty as INPROCESS_QTY,
    processed_qty as PROCESSED_QTY,
    reject_qty + standby_qty + to_process_qty + in_process_qty + processed_qty as REJECT_TOTAL_QTY,
    defect_qty as DEFECT_QTY,
    txn_time as TXN_TIME,
    txn_time as TXNDATE
from event
order by
    extract(year from txn_time) * 10000 + extract(month from txn_time) * 100 + extract(day from txn_time) desc,
    group_sequence,
    coalesce(step_workcenter, own_workcenter, '(NA)'),
    reject_qty + standby_qty + to_process_qty + in_process_qty + processed_qty desc,
    coalesce(container_name, container_id),
    txn_time desc,
    coalesce(loss_reason, '(未填寫)'),
    defect_qty
