-- One row per machine, open job and lot on it, as the plant sees it now; rows of one lot may be repeated. Times:
-- plant-local. Binds: :row_limit. In no order. Two columns have names of mixed case.
select
    e.RESOURCEID as resource_id,
    trim(e.EQUIPMENTASSETSSTATUS) as status,
    trim(e.EQUIPMENTASSETSSTATUSREASON) as status_reason,
    trim(e.JOBORDER) as job_order,
    e.JOBMODEL as job_model,
    e.JOBSTAGE as job_stage,
    e.JOBSTATUS as job_state,
    e.CREATEDATE as job_time,
    coalesce(e.CREATEUSER, e.CREATEUSERNAME) as job_creator,
    coalesce(e.TECHNICIANUSER, e.TECHNICIANUSERNAME) as technician,
    e.SYMPTOMCODE as symptom,
    e.CAUSECODE as cause,
    e.REPAIRCODE as repair,
    trim(e.RUNCARDLOTID) as lot_id,
    e.LOTTRACKINQTY_PCS as track_in_qty,
    e.LOTTRACKINTIME as track_in_time,
    e.LOTTRACKINEMPLOYEE as track_in_employee,
    trim(e."Package") as package,
    trim(e."Function") as pj_function,
    trim(e.TYPE) as pj_type,
    e.BOP as bop,
    e.SPEC as spec,
    e.WAFERLOTID as wafer_lot,
    e.WAFERPN as wafer_part
from DWH.DW_MES_EQUIPMENTSTATUS_WIP_V e
fetch first :row_limit rows only
