-- One row per lot of the plant's snapshot with a work order, now and then several that differ in lead frame or wafer
-- only. Times: plant-local. Binds: :row_limit. In no order.
select
    v.CONTAINERID as container_id,
    coalesce(trim(v.LOTID), v.CONTAINERID) as lot_id,
    v.WORKORDER as workorder,
    coalesce(v.QTY, 0) as qty,
    v.QTY2 as qty2,
    v.STATUS as lot_state,
    coalesce(v.CURRENTHOLDCOUNT, 0) as hold_count,
    coalesce(v.EQUIPMENTCOUNT, 0) as equipment_count,
    coalesce(trim(v.EQUIPMENTNAME), trim(v.EQUIPMENTS)) as equipment,
    v.HOLDREASONNAME as hold_reason,
    v.HOLDEMP as hold_employee,
    v.DEPTNAME as hold_department,
    v.COMMENT_HOLD as hold_comment,
    v.COMMENT_FUTURE as future_hold_comment,
    v.COMMENT_DATE as comment_time,
    v.COMMENT_EMP as comment_employee,
    v.SPECNAME as spec,
    case
        when length(trim(v.SPECSEQUENCE)) between 1 and 9
         and translate('#' || trim(v.SPECSEQUENCE), '#0123456789', '#') = '#'
        then cast(trim(v.SPECSEQUENCE) as integer)
        else 999
    end as spec_sequence,
    v.STEP as workflow_step,
    v.WORKCENTERNAME as workcenter,
    v.WORKCENTER_SHORT as workcenter_short,
    trim(v.WORKCENTER_GROUP) as workcenter_group,
    case
        when length(trim(v.WORKCENTERSEQUENCE_GROUP)) between 1 and 9
         and translate('#' || trim(v.WORKCENTERSEQUENCE_GROUP), '#0123456789', '#') = '#'
        then cast(trim(v.WORKCENTERSEQUENCE_GROUP) as integer)
        else 999
    end as group_sequence,
    v.PRODUCT as product,
    v.PRODUCTLINENAME as product_line,
    coalesce(trim(v.PACKAGE_LEF), trim(v.PRODUCTLINENAME)) as package,
    v.PJ_TYPE as pj_type,
    v.PJ_FUNCTION as pj_function,
    v.BOP as bop,
    v.WORKFLOWNAME as workflow,
    v.FIRSTNAME as wafer_lot,
    v.WAFERNAME as wafer_name,
    v.WAFERDESC as wafer_description,
    v.WAFERLOT as wafer_lots,
    v.LEADFRAMENAME as lead_frame,
    v.LEADFRAMEDESC as lead_frame_description,
    v.LEADFRAMEOPTION as lead_frame_option,
    v.MATERIALTYPE as material_kind,
    v.COMNAME as compound,
    v.OWNER as owner,
    v.PRIORITYCODENAME as priority,
    v.STARTDATE as start_time,
    v.STARTREASON as start_reason,
    v.UTS as due_day,
    v.AGEBYDAYS as age_days,
    v.REMAINTIME as remaining_time,
    v.MOVEINTIMESTAMP as move_in_time,
    v.MOVEINQTY as move_in_qty,
    v.DATECODE as date_code,
    v.LOCATIONNAME as location,
    v.HOLDLOCATION as hold_location,
    v.PJ_PRODUCEREGION as region,
    v.CONTAINERCOMMENTS as lot_comment,
    v.EVENTNAME as ncr_event,
    v.OCCURRENCEDATE as ncr_time,
    v.RELEASETIME as release_time,
    v.RELEASEEMP as release_employee,
    v.RELEASEREASON as release_reason,
    v.JOBCREATEDATE as job_time,
    v.JOBCOMMENTS as job_comment,
    v.SYS_DATE as data_time
from DWH.DW_MES_LOT_V v
where length(trim(v.WORKORDER)) > 0
fetch first :row_limit rows only
