-- One row per given container, transaction and loss reason. No key. Times: plant-local. Binds: ids = container ids,
-- blank-padded to 16. Read by the index on CONTAINERID.
-- Six quantities: defects that were not charged off are rejects of the step that found them.
select
    CONTAINERID as CONTAINERID,
    trim(WORKCENTERNAME) as WORKCENTERNAME,
    coalesce(nullif(trim(LOSSREASONNAME), ''), '(未填寫)') as LOSSREASONNAME,
    coalesce(nullif(trim(EQUIPMENTNAME), ''), '(NA)') as EQUIPMENTNAME,
    coalesce(REJECTQTY, 0) + coalesce(STANDBYQTY, 0) + coalesce(QTYTOPROCESS, 0) + coalesce(INPROCESSQTY, 0)
        + coalesce(PROCESSEDQTY, 0) + coalesce(DEFECTQTY, 0) as REJECT_TOTAL_QTY,
    TXNDATE as TXNDATE
from DWH.DW_MES_LOTREJECTHISTORY
where CONTAINERID in (:ids)
order by CONTAINERID, TXNDATE, HISTORYMAINLINEID, LOSSREASONNAME
