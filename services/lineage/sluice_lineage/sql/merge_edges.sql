-- One row per lot inside a combined lot: all of them. Key: none, the same pair may come twice. No times, no binds.
-- Read once in place of many scans by LOTID, which has no index.
select
    m.LOTID as target_id,
    m.CONTAINERID as source_id,
    m.FINISHEDNAME as serial_number
from DWH.DW_MES_PJ_COMBINEDASSYLOTS m
