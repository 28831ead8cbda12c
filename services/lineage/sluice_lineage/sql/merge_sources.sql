-- One row per lot that was merged into one of the given combined lots. Key: none, the same pair may come twice.
-- No times. Binds: ids = container ids of combined lots, blank-padded to 16. LOTID has no index: the table is scanned.
select
    m.LOTID as target_id,
    m.CONTAINERID as source_id,
    m.FINISHEDNAME as serial_number
from DWH.DW_MES_PJ_COMBINEDASSYLOTS m
where m.LOTID in (:ids)
