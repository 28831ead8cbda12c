-- One row per combined lot that one of the given lots was merged into, with its serial. Key: none, the same pair may come
-- twice. No times. Binds: ids = container ids of source lots, blank-padded to 16.
select
    m.LOTID as target_id,
    m.CONTAINERID as source_id,
    m.FINISHEDNAME as serial_number
from DWH.DW_MES_PJ_COMBINEDASSYLOTS m
where m.CONTAINERID in (:ids)
