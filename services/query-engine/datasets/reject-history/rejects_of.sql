-- One row per reject of the lots :ids, whenever it was booked. Columns and lists as in rejects.sql. No key.
-- Binds: :ids, :row_limit and the lists. In no order. Read by the index on CONTAINERID.
select
    r.HISTORYMAINLINEID as history_id,
    r.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), trim(r.CONTAINERID)) as lot_id,
    trim(r.PJ_WORKORDER) as workorder,
    trim(r.SPECID) as spec_id,
    trim(r.SPECNAME) as spec,
    trim(r.WORKCENTERNAME) as own_workcenter,
    trim(r.EQUIPMENTNAME) as equipment,
    trim(c.OBJECTTYPE) as scrap_object_type,
    trim(c.PRODUCTLINENAME) as package,
    trim(c.PJ_TYPE) as pj_type,
    trim(c.PJ_FUNCTION) as pj_function,
    trim(c.PRODUCTNAME) as product,
    trim(r.LOSSREASONNAME) as loss_reason,
    trim(r.REJECTCOMMENT) as reject_comment,
    r.TXNDATE as txn_time,
    coalesce(r.MOVEINQTY, 0) as movein_qty,
    coalesce(r.REJECTQTY, 0) as reject_qty,
    coalesce(r.STANDBYQTY, 0) as standby_qty,
    coalesce(r.QTYTOPROCESS, 0) as to_process_qty,
    coalesce(r.INPROCESSQTY, 0) as in_process_qty,
    coalesce(r.PROCESSEDQTY, 0) as processed_qty,
    coalesce(r.DEFECTQTY, 0) as defect_qty
from DWH.DW_MES_LOTREJECTHISTORY r
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = r.CONTAINERID
where r.CONTAINERID in (:ids)
  and (:all_pj_types = 1 or coalesce(nullif(trim(c.PJ_TYPE), ''), '(NA)') in (:pj_types))
  and (:all_packages = 1 or coalesce(nullif(trim(c.PRODUCTLINENAME), ''), '(NA)') in (:packages))
  and (:all_pj_functions = 1 or coalesce(nullif(trim(c.PJ_FUNCTION), ''), '(NA)') in (:pj_functions))
  and (:all_reasons = 1 or coalesce(nullif(trim(r.LOSSREASONNAME), ''), '(not filled)') in (:reasons))
fetch first :row_limit rows only
