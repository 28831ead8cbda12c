-- One row per transaction and loss reason of the containers :ids. No key. Times: plant-local. Binds: :ids, :row_limit.
-- Read by the index on CONTAINERID. In no order. What is charged off has five parts; defects stand apart.
select
    r.CONTAINERID as container_id,
    coalesce(nullif(trim(c.CONTAINERNAME), ''), r.CONTAINERID) as lot_id,
    r.TXNDATE as event_time,
    r.WORKCENTERNAME as workcenter,
    r.SPECNAME as spec,
    r.EQUIPMENTNAME as machine,
    r.LOSSREASONNAME as name,
    r.REJECTCOMMENT as detail,
    coalesce(r.REJECTQTY, 0) + coalesce(r.STANDBYQTY, 0) + coalesce(r.QTYTOPROCESS, 0) + coalesce(r.INPROCESSQTY, 0)
        + coalesce(r.PROCESSEDQTY, 0) as qty,
    coalesce(r.DEFECTQTY, 0) as defect_qty,
    r.EMPLOYEENAME as employee,
    c.OBJECTTYPE as object_type,
    c.PRODUCTLINENAME as package
from DWH.DW_MES_LOTREJECTHISTORY r
left join DWH.DW_MES_CONTAINER c on c.CONTAINERID = r.CONTAINERID
where r.CONTAINERID in (:ids)
fetch first :row_limit rows only
